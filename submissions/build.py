"""Makes a submission from records: the folder and the zip of the official structure, checked before they stand.

Both appear under their final names only when they are whole and without an error; a process killed on the way
leaves hidden files that the next call into the same folder removes.
"""

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import atomic_path, sync_files, sync_folder
from s5eval.data_manifests.common.lock import InUseError, locked
from s5eval.data_manifests.common.progress import WorkProgress
from s5eval.data_manifests.common.words import counted, first_of
from s5eval.submissions.errors import SubmissionError
from s5eval.submissions.expected import Expected
from s5eval.submissions.results import as_json, dev_results, eval_results, output_file_name
from s5eval.submissions.rules import AUDIO_FOLDER, DEV_RESULTS, EVAL_RESULTS, OUT_SUFFIX, SubmissionName, shortened
from s5eval.submissions.standing import is_submission_folder, other_submissions
from s5eval.submissions.submission import Submission
from s5eval.submissions.validate import Report, check_submission
from s5eval.submissions.zipping import Member, write_zip

_ASIDE = ".aside"  # ends the hidden name of what stood under a name, until the new one does


@dataclass(frozen=True, slots=True)
class Built:
    """A submission that stands: its archive, that archive's sha256, its folder (None: not asked for), its checks."""

    archive: Path
    sha256: str
    folder: Path | None
    report: Report


def build_submission(
    submission: Submission,
    name: SubmissionName,
    out: Path,
    *,
    out_suffix: bool = False,
    folder: bool = True,
    compress: bool = False,
    replace: bool = False,
    progress: WorkProgress | None = None,
) -> Built:
    """Write `<label>.zip` (and the folder `<label>`) below `out`, in place of the same or a part of it.

    Another submission that stands there under the name is replaced with `replace` alone, and stands until the new one
    does. The folder's wavs are copies: whoever edits them leaves the run as it was.

    Args:
        submission: what goes in.
        name: whose submission it is.
        out: folder to write in; made when missing.
        out_suffix: name the archive `<label>_out.zip`.
        folder: write the folder as well.
        compress: deflate the archive (see `write_zip`).
        replace: remove what stands under the name, archives with and without `_out` and the folder, of another one.
        progress: shows how far it is.

    Raises:
        UsageError: `out` cannot be used, holds something else under the name of the folder, or another submission.
        DataError: a wav is missing or cannot be read.
        SubmissionError: the checks found errors; nothing stands under the final names.
    """
    archive = out / f"{name.label}{OUT_SUFFIX if out_suffix else ''}.zip"
    with _alone_in(out):
        _sweep(out, name.label)
        members = list(_members(submission, name.label))
        answered = frozenset(answer.mixture_id for answer in submission.outputs)
        expected = Expected("the run", answered, submission.frames, told=False)
        target = _folder_target(out, name.label) if folder else None
        others = _others(out, name.label, members, replace)
        with _disk_errors(out), _put_back_on_errors() as put_aside, atomic_path(archive) as temporary:
            write_zip(temporary, members, compress=compress, progress=progress)
            report = check_submission(temporary, expected=expected, label=archive.stem, progress=progress)
            if not report.ok:
                raise SubmissionError(_refusal(report), report.findings)
            sha256 = file_sha256(temporary)
            if target is not None:
                unfinished = _write_folder(target, members)
                if target.exists():
                    put_aside(target)
                unfinished.rename(target)
                sync_folder(out)
        with _disk_errors(out):
            for path in others:
                if path not in (archive, target):
                    _remove(path)
    return Built(archive, sha256, target, report)


def _members(submission: Submission, label: str) -> Iterator[Member]:
    yield Member(f"{label}/{EVAL_RESULTS}", as_json(eval_results(submission)))
    yield Member(f"{label}/{DEV_RESULTS}", as_json(dev_results(submission)))
    for answer in submission.outputs:
        for output in answer.outputs:
            if not output.path.is_file():
                raise DataError(f"{output.path}: the wav of {answer.mixture_id!r} is missing; make the run again")
            yield Member(f"{label}/{AUDIO_FOLDER}/{output_file_name(answer.mixture_id, output)}", output.path)


def _refusal(report: Report) -> str:
    errors = [found for found in report.findings if found.severity == "error"]
    listed = first_of(errors, 10, between="\n  ")
    return f"nothing was written: {counted(len(errors), 'error')} in what the run holds\n  {listed}"


def _write_folder(target: Path, members: Sequence[Member]) -> Path:
    """The folder, whole, under a name of its own beside its place."""
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    (unfinished / AUDIO_FOLDER).mkdir(parents=True)
    for member in members:
        path = unfinished / member.name.partition("/")[2]
        if isinstance(member.content, bytes):
            path.write_bytes(member.content)
        else:
            shutil.copyfile(member.content, path)
    sync_files(path for path in unfinished.rglob("*") if path.is_file())
    return unfinished


def _folder_target(out: Path, label: str) -> Path:
    target = out / label
    if target.exists() and not is_submission_folder(target):
        raise UsageError(f"{target} exists and is not a submission's folder; move it away, or choose another `out`")
    return target


def _others(out: Path, label: str, members: Sequence[Member], replace: bool) -> list[Path]:
    """What stands under the label of another submission, if it may be replaced."""
    with _disk_errors(out):
        others = other_submissions(out, label, members)
    if others and not replace:
        listed = "; ".join(f"{path} {what}" for path, what in others.items())
        raise UsageError(f"{listed}: choose another `number` or `out`, or give `replace` to lose what is there")
    return list(others)


@contextmanager
def _put_back_on_errors() -> Iterator[Callable[[Path], None]]:
    """Takes paths out of the way while the block runs: gone when it ends well, where they were when it does not."""
    aside: dict[Path, Path] = {}

    def put_aside(path: Path) -> None:
        hidden = path.with_name(f".{path.name}{_ASIDE}")
        path.rename(hidden)
        aside[path] = hidden

    try:
        yield put_aside
    except BaseException:
        for path, hidden in aside.items():
            if path.exists():
                _remove(path)
            hidden.rename(path)
        raise
    for hidden in aside.values():
        _remove(hidden)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sweep(out: Path, label: str) -> None:
    """Remove what a killed call has left, and put back what it took away; the lock says that no other is under way."""
    for entry in out.glob(f".{label}*"):
        place = out / entry.name[1:].removesuffix(_ASIDE)
        if entry.name.endswith(_ASIDE) and not place.exists():
            entry.rename(place)
        else:
            _remove(entry)


def _alone_in(out: Path) -> AbstractContextManager[None]:
    """No other process builds in the folder within the block; the folder is made where it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        return locked(out)
    except InUseError as error:
        raise UsageError(
            f"another process is building in {out}; wait for it, or choose another `out` ({error})"
        ) from error
    except OSError as error:
        raise UsageError(f"`out` {out}: cannot be used as a folder: {error.strerror or error}") from error


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        file = error.filename or out
        raise DataError(f"{shortened(str(file), 300)}: {error.strerror or error}; nothing was written") from error
