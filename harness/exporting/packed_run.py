"""A run in one file: enough to look at it, compare it and score it again anywhere, without its audio.

    packed_run.json    names every other file, with its place in the run folder, size and digest; closes with its own
    files/00000 …      run.json, mixtures.jsonl, summary.json, log.txt, the pages and the pair tables
    environment.txt    the packages that were installed where it was packed, and where the run was made

Names in the archive are numbers, so that ids of mixtures may be of any script. The same run gives the same bytes where
the same packages are installed. Whoever opens one checks it first as an archive (`s5eval.submissions.archive`), then
every file against its digest; nothing is unpacked that is not listed, and no path of its own choosing is taken.
"""

import hashlib
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import atomic_folder
from s5eval.data_manifests.common.safe_names import name_problem
from s5eval.data_manifests.common.sealed import DamagedError, seal, unseal
from s5eval.data_manifests.common.structured import check_shape
from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.inspection import inspect_run
from s5eval.harness.record.reading import is_sealed, read_run_record, read_summary
from s5eval.harness.record.run_folder import PAGE
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.unpacked import unpacked_runs
from s5eval.submissions.archive import Container, Unreadable, open_container
from s5eval.submissions.rules import MAX_ENTRIES
from s5eval.submissions.zipping import Member, place_zip

INDEX, ENVIRONMENT = "packed_run.json", "environment.txt"
_INDEX_BEFORE = "bundle.json"  # what it was called first

SUFFIX = ".s5run.zip"
_FORMAT = 1
_MOST = 1 << 28  # bytes of a file
_INDEX_MOST = 1 << 26
_TOP = ("run.json", RUN_JOURNAL, "summary.json", "report.html", "log.txt")
_SHAPE = {
    "format": int,
    "name": str,
    "manifest_sha256": str,
    "decision": dict,
    "s5eval": str,
    "files": [{"name": str, "path": str, "bytes": int, "sha256": str}],
}


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed run that stands: its file, its sha256, and how many files of the run it holds."""

    path: Path
    sha256: str
    files: int


def pack(run: Path, out: Path | None = None, *, replace: bool = False) -> Packed:
    """Pack a run folder.

    Args:
        run: the run folder; it must be whole, and have come to its end.
        out: the file to make; default: the folder's name with `.s5run.zip`, beside it.
        replace: another file that stands there may be lost.

    Raises:
        UsageError: `run` is no run folder, has no digests (an earlier version made it), or has not ended; or a file of
            it is larger than one that is unpacked may be; or another file stands at `out`.
        DataError: a file of it is damaged, or the packed run cannot be written.
    """
    record = read_run_record(run)
    if not is_sealed(record):
        raise UsageError(
            f"{run} was made by an earlier version and has no digests; `s5eval rescore {run}` gives it some"
        )
    if record.status == "running":
        raise UsageError(f"{run} has not come to its end; `s5eval run --resume {run}` goes on")
    read_summary(run)
    if damage := [found for found in inspect_run(run, record).damage if found.kind not in ("audio", "page")]:
        raise DataError(f"{run}: {damage[0]}; `s5eval check {run} --repair` redoes what is not whole")
    name = run.resolve().name
    target = run.resolve().parent / f"{name}{SUFFIX}" if out is None else out
    paths = [run / file for file in _TOP if (run / file).is_file()]
    paths += sorted(path for path in run.glob("report_*.html") if PAGE.fullmatch(path.name) and path.is_file())
    paths += sorted((run / "pairs").glob("*.npz"))
    if len(paths) + 2 > MAX_ENTRIES:
        raise UsageError(f"{run} has {len(paths)} files; a packed run holds at most {MAX_ENTRIES - 2}")
    members, listed = [], []
    try:
        for number, path in enumerate(paths):
            content = path.read_bytes()
            if len(content) > _MOST:
                raise UsageError(
                    f"{path}: {len(content)} bytes, expected at most {_MOST} of a file in a packed run; "
                    "a log.txt may be shortened"
                )
            entry = {"name": f"files/{number:05d}", "path": path.relative_to(run).as_posix(), "bytes": len(content)}
            listed.append({**entry, "sha256": hashlib.sha256(content).hexdigest()})
            members.append(Member(str(entry["name"]), path))
        text = _environment(record).encode()
        environment = {"name": ENVIRONMENT, "path": ENVIRONMENT, "bytes": len(text)}
        listed.append({**environment, "sha256": hashlib.sha256(text).hexdigest()})
        index = {
            "format": _FORMAT,
            "name": name,
            "manifest_sha256": record.manifest_sha256,
            "decision": to_json(record.decision),
            "s5eval": version("s5eval"),
            "files": listed,
        }
        members += [Member(ENVIRONMENT, text), Member(INDEX, (seal(index, indent=1) + "\n").encode())]
        target.parent.mkdir(parents=True, exist_ok=True)
        place_zip(target, members, compress=True, replace=replace)
    except OSError as error:
        raise DataError(f"{target}: cannot be packed: {error.strerror or error}") from error
    return Packed(target, file_sha256(target), len(listed))


def _environment(record: RunRecord) -> str:
    found = {found.metadata["Name"]: found.version for found in distributions() if found.metadata["Name"]}
    made = record.provenance
    lines = [
        f"# packed with Python {platform.python_version()} on {platform.platform()}",
        f"# run made with Python {made.python} on {made.platform}, device {made.device}",
        *(f"# run made with {name} {number}" for name, number in sorted(made.packages.items()) if number),
        *sorted((f"{name}=={number}" for name, number in found.items()), key=str.lower),
    ]
    return "\n".join(lines) + "\n"


def _has_index(container: Container) -> bool:
    return not {INDEX, _INDEX_BEFORE}.isdisjoint(container.sizes)


def unpack(packed: Path, out: Path) -> Path:
    """Make a run folder of a packed run, after every check.

    Args:
        packed: the file.
        out: the folder to make.

    Raises:
        UsageError: there is no such file, or something is at `out`.
        DataError: it is no packed run, is hostile or damaged, or cannot be written.
    """
    if not packed.is_file():
        raise UsageError(f"no packed run at {packed}{' (a folder)' if packed.is_dir() else ''}")
    if out.exists():
        raise UsageError(f"{out} is there already; choose another `out`")
    return _unpacked(packed, out)


def _unpacked(packed: Path, out: Path) -> Path:
    try:
        with atomic_folder(out) as draft, open_container(packed) as container:
            (draft / "pairs").mkdir()
            for path, content in _contents(packed, container):
                (draft / path).write_bytes(content)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    return out


def _contents(packed: Path, container: Container) -> Iterator[tuple[str, bytes]]:
    """Path in the run folder, and content, of every file, each as it was packed."""
    if faults := [found for found in container.findings if found.severity == "error"]:
        raise DataError(f"{packed}: refused: {faults[0]}")
    index = _index(packed, container)
    listed = [entry["name"] for entry in index["files"]]
    if sorted([*listed, _index_name(packed, container)]) != sorted(container.sizes):
        raise DataError(
            f"{packed}: it holds other files than {INDEX} lists; it was not made by `s5eval pack`, or changed"
        )
    places = [entry["path"] for entry in index["files"]]
    if len(set(places)) != len(places):
        raise DataError(f"{packed}: {INDEX} lists a file twice")
    for entry in index["files"]:
        path = entry["path"]
        stem = path.removeprefix("pairs/").removesuffix(".npz")
        table = path == f"pairs/{stem}.npz" and "\\" not in stem and name_problem(stem) is None
        if not table and path not in (*_TOP, ENVIRONMENT) and PAGE.fullmatch(path) is None:
            raise DataError(f"{packed}: {INDEX} lists {path[:120]!r}, which is no file of a run")
        content = _read(packed, container, entry["name"], _MOST)
        if len(content) != entry["bytes"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise DataError(f"{packed}: {path} is not what was packed: its digest is another one; get the file again")
        yield path, content


def _index(packed: Path, container: Container) -> dict[str, Any]:
    name = _index_name(packed, container)
    advice = "expected what `s5eval pack` writes; get the file again"
    try:
        found = unseal(_read(packed, container, name, _INDEX_MOST))
    except DamagedError as error:
        raise DataError(f"{packed}: {INDEX}: {error}; {advice}") from error
    if not found.sealed:
        raise DataError(f"{packed}: {INDEX}: its digest is gone; {advice}")
    check_shape(found.content, _SHAPE, f"{packed}: {INDEX}", advice)
    if found.content["format"] > _FORMAT:
        raise DataError(f"{packed}: of a later version of s5eval; update it to read this file")
    return found.content


def _index_name(packed: Path, container: Container) -> str:
    for name in (INDEX, _INDEX_BEFORE):
        if name in container.sizes:
            return name
    raise DataError(f"{packed}: nothing that `s5eval pack` has made (it holds no {INDEX})")


def _read(packed: Path, container: Container, name: str, limit: int) -> bytes:
    try:
        return container.read(name, limit)
    except Unreadable as error:
        raise DataError(f"{packed}: {name}: {error}") from error


def run_folder_of(path: Path) -> Path:
    """The run folder that a path stands for: itself, or a packed run, unpacked into the cache, once for its content.

    What lies in the cache is compared with what was packed at every use; where it differs, it is unpacked again.

    Raises:
        UsageError: it is a file, and no packed run.
        DataError: it is a zip archive that is damaged or cut off; or see `unpack`.
    """
    if not path.is_file():
        return path
    with open_container(path) as container:
        if not _has_index(container):
            raise _no_packed_run(path)
        folder = unpacked_runs() / file_sha256(path) / _folder_name(str(_index(path, container)["name"]))
        try:
            if folder.is_dir():
                if all(_stands(folder / name, content) for name, content in _contents(path, container)):
                    return folder
                shutil.rmtree(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be unpacked into {unpacked_runs()}: {error.strerror or error}; S5EVAL_CACHE names "
                "another folder for the cache"
            ) from error
    try:
        return _unpacked(path, folder)
    except DataError:
        if folder.is_dir():  # another process was faster
            return folder
        raise


def _folder_name(name: str) -> str:
    """The name that a packed run says it has, where it can be that of a folder anywhere."""
    plain = name.isascii() and name.isprintable() and not set(name) & set("\\:") and name.strip(".")
    return name if plain and name_problem(name) is None else "run"


def _stands(file: Path, content: bytes) -> bool:
    return file.is_file() and file.stat().st_size == len(content) and file.read_bytes() == content


def _no_packed_run(path: Path) -> DataError | UsageError:
    with path.open("rb") as file:
        begun = file.read(2) == b"PK"
    if begun:
        return DataError(
            f"{path}: a zip archive that is cut off, damaged, or nothing that `s5eval pack` has made (no {INDEX} is "
            "to be found in it); get the file again"
        )
    return UsageError(f"{path} is a file, and none that `s5eval pack` has made; expected a run folder, or a packed run")
