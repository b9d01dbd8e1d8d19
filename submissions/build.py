"""Makes a submission from records: the folder and the zip of the official structure, checked before they stand.

Both appear under their final names only when they are whole and without an error; a process killed on the way
leaves hidden files that the next call into the same folder removes.
"""

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import atomic_path, sync_files, sync_folder
from s5eval.data_manifests.common.lock import InUseError, locked
from s5eval.data_manifests.common.progress import WorkProgress
from s5eval.data_manifests.common.words import counted
from s5eval.submissions.errors import SubmissionError
from s5eval.submissions.expected import Expected
from s5eval.submissions.results import as_json, dev_results, eval_results, output_file_name
from s5eval.submissions.rules import AUDIO_FOLDER, DEV_RESULTS, EVAL_RESULTS, OUT_SUFFIX, SubmissionName, shortened
from s5eval.submissions.submission import Submission
from s5eval.submissions.validate import Report, check_submission
from s5eval.submissions.zipping import Member, write_zip


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
    progress: WorkProgress | None = None,
) -> Built:
    """Write `<label>.zip` (and the folder `<label>`) below `out`, replacing those of an earlier call.

    The folder's wavs are copies: whoever edits them leaves the run as it was.

    Args:
        submission: what goes in.
        name: whose submission it is.
        out: folder to write in; made when missing.
        out_suffix: name the archive `<label>_out.zip`.
        folder: write the folder as well.
        compress: deflate the archive (see `write_zip`).
        progress: shows how far it is.

    Raises:
        UsageError: `out` cannot be used, or holds something else under the name of the folder.
        DataError: a wav is missing or cannot be read.
        SubmissionError: the checks found errors; nothing stands under the final names.
    """
    archive = out / f"{name.label}{OUT_SUFFIX if out_suffix else ''}.zip"
    with _locked(out):
        _sweep(out, name.label)
        members = list(_members(submission, name.label))
        answered = frozenset(answer.mixture_id for answer in submission.outputs)
        expected = Expected("the run", answered, submission.frames, told=False)
        target = _folder_target(out, name.label) if folder else None
        with _disk_errors(out), atomic_path(archive) as temporary:
            write_zip(temporary, members, compress=compress, progress=progress)
            report = check_submission(temporary, expected=expected, label=archive.stem, progress=progress)
            if not report.ok:
                raise SubmissionError(_refusal(report), report.findings)
            sha256 = file_sha256(temporary)
            if target is not None:
                _write_folder(target, members)
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
    listed = [f"  {found}" for found in errors[:10]]
    more = [f"  … and {len(errors) - 10} more"] if len(errors) > 10 else []
    return "\n".join([f"nothing was written: {counted(len(errors), 'error')} in what the run holds", *listed, *more])


def _write_folder(target: Path, members: Sequence[Member]) -> None:
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    (unfinished / AUDIO_FOLDER).mkdir(parents=True)
    for member in members:
        path = unfinished / member.name.partition("/")[2]
        if isinstance(member.content, bytes):
            path.write_bytes(member.content)
        else:
            shutil.copyfile(member.content, path)
    sync_files(path for path in unfinished.rglob("*") if path.is_file())
    if target.exists():
        shutil.rmtree(target)
    unfinished.rename(target)
    sync_folder(target.parent)


def _folder_target(out: Path, label: str) -> Path:
    target = out / label
    known = {AUDIO_FOLDER, EVAL_RESULTS, DEV_RESULTS}
    if target.exists() and not (target.is_dir() and {entry.name for entry in target.iterdir()} <= known):
        raise UsageError(f"{target} exists and is not a submission's folder; move it away, or choose another `out`")
    return target


def _sweep(out: Path, label: str) -> None:
    """Remove what a killed call has left; the lock says that no other one is under way."""
    for entry in out.glob(f".{label}*"):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(out))
        except InUseError as error:
            raise UsageError(
                f"another process is building in {out}; wait for it, or choose another `out` ({error})"
            ) from error
        except OSError as error:
            raise UsageError(f"`out` {out}: cannot be used as a folder: {error.strerror or error}") from error
        yield


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        file = error.filename or out
        raise DataError(f"{shortened(str(file), 300)}: {error.strerror or error}; nothing was written") from error
