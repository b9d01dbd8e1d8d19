"""Downloading the official records: resumable, checked before use, unpacked with care. Only ever on request.

A record's list of files, sizes and checksums comes from the repository's API when asked for, so nothing about a
record is written down here but its number.
"""

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import make_folder, sync_files, sync_folder
from s5eval.data_manifests.common.lock import InUseError, locked
from s5eval.data_manifests.common.progress import FileProgress
from s5eval.data_manifests.common.structured import parse_json
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.download.archives import extract
from s5eval.data_manifests.download.asking import RETRIED_STATUS, ask, wait_for

ZENODO = "https://zenodo.org"

RECORDS: Mapping[str, str] = {
    "dev": "19328046",
    "eval": "20425860",
    "dev-2025": "15117227",
    "eval-2025": "15553984",
}
"""Zenodo records of DCASE Task 4: development and evaluation sets of 2026, and of 2025."""

_ROOTS = ("dev_set", "eval_set")

_CHUNK = 1 << 20
_LISTING = 64 << 20  # bytes of a record's description, at most: real ones have some kilobytes
_LONGEST_NAME = 200  # bytes: what file systems take, with room for `.part`
_LEAST_RATE, _RATE_WINDOW = 1000.0, 60.0  # bytes a second, over so many seconds


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a record: plain name, size in bytes, `algorithm:digest`, address."""

    name: str
    size: int
    checksum: str
    url: str


def fetch(
    what: str,
    folder: Path,
    *,
    only: Sequence[str] = (),
    unpack: bool = True,
    base_url: str = ZENODO,
    attempts: int = 5,
    pause: float = 2.0,
    timeout: float = 60.0,
    progress: FileProgress | None = None,
) -> list[Path]:
    """Download a record and unpack its archives.

    What is there with the right checksum is not loaded again; what was cut off goes on where it stopped.

    Args:
        what: a name of `RECORDS`, or the number of a record.
        folder: where to; archives unpack into it.
        only: names of the record's files; default: all.
        unpack: extract zip archives, also those in several parts, once all parts are there and checked.
        base_url: of the repository.
        attempts: tries per file, each going on from the last, before giving up.
        pause: seconds before the second try; twice as long before each further one.
        timeout: seconds without an answer after which a try counts as failed, as one does that brings less than a
            kilobyte a second over a minute. What a busy server asks to be waited (`Retry-After`) is waited, up to
            five minutes.
        progress: is told about every megabyte.

    Returns:
        The downloaded files.

    Raises:
        UsageError: no such record or file, `base_url` is no address of a web server, or a file stands at `folder`.
        DataError: the network, the checksum, the disk or an archive does not allow it, or another process is loading
            into `folder`; nothing unchecked stands under a final name.
    """
    record = RECORDS.get(what, what)
    if not record.isdecimal():
        raise UsageError(
            f"no record {what!r}{suggestion(what, list(RECORDS)) or '.'} Known: {', '.join(RECORDS)}, or a number"
        )
    base_url = base_url.rstrip("/")
    if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).netloc:
        raise UsageError(f"{base_url!r} is no address of a web server, such as {ZENODO}")
    make_folder(folder)  # before anything is asked: a file in its way needs no network to be seen
    files = list_record(record, base_url=base_url, timeout=timeout, attempts=attempts, pause=pause)
    if only:
        names = [file.name for file in files]
        for name in only:
            if name not in names:
                raise UsageError(
                    f"record {record} has no file {name!r}{suggestion(name, names) or '.'} It has {', '.join(names)}"
                )
        files = [file for file in files if file.name in only]
    paths = [folder / file.name for file in files]
    with _alone_in(folder):
        missing = [file for file in files if not _is_there(file, folder / file.name)]
        _require_space(folder, sum(file.size - _partial_size(folder / file.name) for file in missing))
        for file in missing:
            _download(file, folder / file.name, attempts, pause, timeout, progress)
        if unpack:
            extract(paths, folder, roots=_ROOTS)
    return paths


def _alone_in(folder: Path) -> AbstractContextManager[None]:
    """No other process loads into the folder within the block: two would append to one partial file, and each take it
    from the other.
    """
    try:
        return locked(folder)
    except InUseError as error:
        raise DataError(
            f"{folder}: another process is loading a record into it; wait for or end it, and call again ({error})"
        ) from error
    except OSError:  # where all is there nothing is written, and where something is missing writing it says why
        return nullcontext()


def list_record(
    record: str, *, base_url: str = ZENODO, timeout: float = 60.0, attempts: int = 5, pause: float = 2.0
) -> list[RemoteFile]:
    """The files of a record, by its number.

    Raises:
        DataError: the repository cannot be reached, has no such record, or its answer is not a list of files, each of
            another name.
    """
    url = f"{base_url}/api/records/{record}"
    for attempt in range(attempts):
        last = attempt + 1 == attempts
        try:
            with ask(url, {}, timeout) as answer:
                text = answer.read(_LISTING + 1)
            break
        except urllib.error.HTTPError as error:
            error.close()
            wait = wait_for(error, url, pause, attempt)
            if last or error.code not in RETRIED_STATUS:
                which = f"is {record} the right record?" if error.code not in RETRIED_STATUS else "try again later"
                raise DataError(f"{url}: the server answers {error.code} {error.reason}; {which}") from error
        except (OSError, http.client.HTTPException) as error:
            wait = pause * 2**attempt
            if last:
                raise DataError(
                    f"{url}: cannot be reached: {error}; check the network and the proxy variables"
                ) from error
        time.sleep(wait)
    try:
        if len(text) > _LISTING:
            raise ValueError(f"longer than {_LISTING >> 20} MB")
        files = [_remote_file(entry, url) for entry in parse_json(text.decode())["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{url}: not the description of a record: {type(error).__name__}: {error}") from error
    if not files:
        raise DataError(f"{url}: the record holds no file; is {record} the right record?")
    twice = [name for name, count in Counter(file.name.casefold() for file in files).items() if count > 1]
    if twice:
        raise DataError(f"{url}: the record lists {twice[0]!r} twice; one would take the other's place")
    return files


def _remote_file(entry: Mapping[str, Any], listing: str) -> RemoteFile:
    name, checksum, url = str(entry["key"]), str(entry["checksum"]), str(entry["links"]["self"])
    plain = name == PurePosixPath(name).name and "\\" not in name and name.isprintable()
    if not name or not plain or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise DataError(f"{listing}: {shown!r} is not a plain file name; the record is not to be trusted")
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{listing}: {url!r} is no address of a web server")
    if checksum.partition(":")[0] not in hashlib.algorithms_available:
        raise DataError(f"{listing}: {name} has a checksum of an unknown kind, {checksum!r}")
    size = int(entry["size"])
    if size < 0:
        raise DataError(f"{listing}: {name} has a size of {size} bytes; the record is not to be trusted")
    return RemoteFile(name, size, checksum, url)


def _partial(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _partial_size(target: Path) -> int:
    partial = _partial(target)
    return partial.stat().st_size if partial.is_file() else 0


def _is_there(file: RemoteFile, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _has_checksum(path, file.checksum)


def _has_checksum(path: Path, checksum: str) -> bool:
    algorithm, _, digest = checksum.partition(":")
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, algorithm).hexdigest() == digest.lower()


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{folder}: {needed / 1e9:.2f} GB to download, {free / 1e9:.2f} GB free; make room first")


def _download(
    file: RemoteFile, target: Path, attempts: int, pause: float, timeout: float, progress: FileProgress | None
) -> None:
    partial = _partial(target)
    problem, wait = "", 0.0
    for attempt in range(attempts):
        time.sleep(wait)
        wait = pause * 2**attempt
        try:
            _continue(file, partial, timeout, progress)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server answers {error.code} {error.reason}"
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                partial.unlink(missing_ok=True)
            elif error.code not in RETRIED_STATUS:
                break
            wait = wait_for(error, file.url, pause, attempt)
            continue
        except (http.client.HTTPException, OSError) as error:
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise DataError(
                    f"{target}: the disk is full; make room and run again, it goes on from there"
                ) from error
            problem = f"the connection failed: {error}"
            continue
        size = partial.stat().st_size
        if size < file.size:
            problem = f"the connection ended after {size} of {file.size} bytes"
            continue
        if size == file.size and _has_checksum(partial, file.checksum):
            sync_files([partial])
            partial.replace(target)
            sync_folder(target.parent)
            return
        partial.unlink()
        problem = f"what arrived has not the checksum {file.checksum} of the record"
    raise DataError(f"{file.url}: {problem} ({attempt + 1} of {attempts} tries); nothing was put at {target}")


def _continue(file: RemoteFile, partial: Path, timeout: float, progress: FileProgress | None) -> None:
    """Append what is missing to the partial file; start over where the server cannot go on."""
    start = partial.stat().st_size if partial.is_file() else 0
    if start > file.size:
        partial.unlink()
        start = 0
    if start == file.size:
        return
    with ask(file.url, {"Range": f"bytes={start}-"} if start else {}, timeout) as answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
            raise http.client.HTTPException(f"asked for bytes from {start}, got {answer.headers.get('Content-Range')}")
        done = start if resumed else 0
        counted, since = done, time.monotonic()
        with partial.open("ab" if resumed else "wb") as output:
            while done < file.size and (chunk := answer.read1(min(_CHUNK, file.size - done))):
                output.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(file.name, done, file.size)
                now = time.monotonic()
                if now - since > _RATE_WINDOW:
                    if done - counted < _LEAST_RATE * (now - since):
                        raise TimeoutError(f"only {done - counted} bytes in {now - since:.0f} s")
                    counted, since = done, now
            if done == file.size and answer.read1(1):
                output.write(b"\0")  # longer than announced: the size tells
