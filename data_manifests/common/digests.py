"""Digests of the content of data files, remembered by size and times so that a repeated run reads no file for them."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import cache_folder, file_sha256
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.common.unfinished import sweep

_THREADS = 4  # hashing lets go of the interpreter, and a disk with a queue reads faster
_VERSION = 1

UNREADABLE = "unreadable"
"""Stands for a file that cannot be read, such as a link to nowhere: it fails its mixture by name later."""

_DIGITS = 12  # 48 bits: one of 1,500 files is taken for one of 1,500 others once in a hundred million data sets


def digest_start(digest: str) -> str:
    """The first twelve hexadecimal digits of a digest, with `sha256:` before it or not.

    >>> digest_start("sha256:" + "a" * 64)
    'aaaaaaaaaaaa'
    """
    return digest.removeprefix("sha256:")[:_DIGITS]


def is_digest_start(text: object) -> bool:
    """Whether something is such a start, as `digest_start` gives it."""
    return isinstance(text, str) and re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}", text) is not None


def digest_text(digests: Iterable[str]) -> str:
    """The start of every digest, each once, in order, with spaces between.

    >>> digest_text(["b" * 64, "a" * 64, "b" * 64])
    'aaaaaaaaaaaa bbbbbbbbbbbb'
    """
    return " ".join(sorted({digest_start(digest) for digest in digests}))


def content_digests(paths: Sequence[Path], *, afresh: bool = False) -> dict[Path, str]:
    """The hexadecimal SHA-256 of every file, or `UNREADABLE`.

    A digest is remembered in the cache folder under the file's path, size, times of content and of status (to the
    nanosecond) and number; a file of which all are as they were is not read again. Whoever changes content and keeps
    size and time of content still changes the time of status, which cannot be set.

    Args:
        paths: the files.
        afresh: read every file, whatever is remembered; what a disk changed by itself is noticed only so.
    """
    found: dict[Path, str] = {}
    by_folder: dict[Path, list[Path]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, files in by_folder.items():
        found |= _of_folder(folder, files, afresh)
    return found


def remembered_digest(path: Path) -> str | None:
    """What was remembered of a file that claims to be as it was; None: nothing."""
    entry = _remembered(_store(path.parent)).get(path.name)
    return entry[1] if entry is not None and entry[0] == file_stamp(path) else None


def _of_folder(folder: Path, files: Sequence[Path], afresh: bool) -> dict[Path, str]:
    store = _store(folder)
    known = _remembered(store)
    stamps = {path: file_stamp(path) for path in files}
    entries = {path: known.get(path.name) for path in files}
    digests = {
        path: entry[1]
        for path, entry in entries.items()
        if not afresh and entry is not None and stamps[path] is not None and entry[0] == stamps[path]
    }
    missing = [path for path in files if path not in digests]
    if not missing:
        return digests
    with ThreadPoolExecutor(min(_THREADS, len(missing))) as pool:
        digests |= dict(zip(missing, pool.map(_digest, missing), strict=True))
    fresh = {
        path.name: [stamps[path], digests[path]]
        for path in files
        # one that was changed while it was read is not known by the stamp from before
        if stamps[path] is not None and digests[path] != UNREADABLE and file_stamp(path) == stamps[path]
    }
    _remember(store, folder, {**known, **fresh})
    return digests


def _digest(path: Path) -> str:
    try:
        # a pipe among the files would be waited for, for ever
        return file_sha256(path) if path.is_file() else UNREADABLE
    except OSError:
        return UNREADABLE


def file_stamp(path: Path) -> list[int] | None:
    """What would tell that a file is another one by now: its size, times (ns) and number; None: it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _store(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return cache_folder() / "digests" / f"{name}.json"


def _remembered(store: Path) -> Mapping[str, Any]:
    """Name → stamp and digest; nothing where the file is absent, damaged or of another version."""
    try:
        found = unseal(store.read_bytes())
    except (OSError, DamagedError):
        return {}
    files = found.content.get("files")
    return files if found.sealed and found.content.get("version") == _VERSION and isinstance(files, dict) else {}


def _remember(store: Path, folder: Path, entries: Mapping[str, Any]) -> None:
    """Write the cache; one that cannot be written costs time, never the run."""
    kept = {name: entry for name, entry in entries.items() if (folder / name).exists()}
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        sweep(store.parent)
        text = seal({"version": _VERSION, "folder": str(folder), "files": kept})
        write_atomically(store, text, sync=False)
