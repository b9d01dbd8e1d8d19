"""What a folder or archive of estimates holds: which names may be estimates, and what all the others are."""

import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.common.zips import ZIP_ERRORS
from s5eval.data_manifests.listing import hidden, is_hidden, not_a_file, walk_folder
from s5eval.data_manifests.naming import (
    AUDIO_SUFFIXES,
    RUN_AUDIO,
    RUN_JOURNAL,
    SOURCE_NAMES,
    SUBMISSION_AUDIO,
    SUBMISSION_RESULTS,
    format_source_name,
    match_sources,
)

_MAX_RESULTS_BYTES = 1 << 25

OR_SILENCE = " (or run system `silence`)"
"""How else silence everywhere is scored, for whoever can run a system."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """The names of a folder or archive.

    Attributes:
        files: what may be estimates, `/` between folders, in order.
        members: file → its name in the archive, which may be written otherwise; the same for a folder.
        findings: a warning for every other name.
        listed_silent: mixtures that `eval_results.json`, or the lines of the run whose `audio` this is, lists without
            an estimate: there, no file is an answer. None where there is no such list, so that silence and a lost file
            look alike.
    """

    files: tuple[str, ...]
    members: Mapping[str, str]
    findings: tuple[Finding, ...]
    listed_silent: frozenset[str] | None


def place_of_estimates(path: Path) -> Path:
    """Where the estimates lie: in a run folder beside much that is none, in its `audio`; anything else is the place.

    Raises:
        UsageError: a run folder without `audio`.
    """
    if not (path / "run.json").is_file():
        return path
    if not (path / RUN_AUDIO).is_dir():
        raise UsageError(
            f"{path} is a run folder without {RUN_AUDIO}/ (made without `save_audio`, or rescored); "
            f"its numbers are in {path / 'report.html'} and summary.json"
        )
    return path / RUN_AUDIO


def list_estimates(path: Path) -> Estimates:
    """List a folder (with the folders below it, linked ones too) or a zip archive.

    Folders of an archive may be separated by backslashes, as Windows PowerShell writes them.

    Raises:
        UsageError: there is neither.
        DataError: it cannot be read, or holds the outputs of several submissions.
    """
    if path.is_file():
        names, members, findings = _list_archive(path)
    elif path.is_dir():
        listing = walk_folder(path)
        names, members, findings = list(listing.names), {name: name for name in listing.names}, list(listing.findings)
    else:
        raise UsageError(f"no folder or zip of estimates at {path}")
    files, others = _estimates(path, names)
    listed = _listed(path, members)
    present = {PurePosixPath(file).name for file in files}
    missing = [
        Finding("listed-missing", "warning", file, f"{SUBMISSION_RESULTS[0]} lists it, and it is not there")
        for answer in (listed or {}).values()
        for file in answer
        if file not in present
    ]
    if listed is not None:
        silent = frozenset(id_ for id_, answer in listed.items() if not answer)
        return Estimates(files, members, (*findings, *others, *missing), silent)
    run = _answers_of_run(path)
    if run is None:
        return Estimates(files, members, (*findings, *others), None)
    return Estimates(files, members, (*findings, *others, *_unlisted(files, run)), run.silent)


def nothing_matches(
    path: Path, files: Sequence[str], mixture_ids: Collection[str], findings: Collection[Finding]
) -> str:
    """Why not one name of a folder or archive is an estimate of a mixture, and what was expected."""
    example = format_source_name(next(iter(mixture_ids), "mixture"), 0, "Speech")
    expected = f"names must be {SOURCE_NAMES}, such as {example}"
    if not files:
        seen = f"it holds only {counted(len(findings), 'hidden or empty name')}" if findings else "it is empty"
        return (
            f"{path}: there is no estimate of any mixture: {seen}; {expected}. Silence everywhere is an answer only "
            f"where an eval_results.json lists every mixture without an estimate{OR_SILENCE}"
        )
    inner = [file for file in files if PurePosixPath(file).suffix.lower() in (".zip", ".tar", ".gz", ".7z")]
    hint = f"; it holds the archive {inner[0]}: unpack that, or name it" if inner else _renaming(files, mixture_ids)
    return f"{path}: 0 of {len(files)} files match a mixture; the first is {files[0]}; {expected}{hint}"


def _renaming(files: Sequence[str], mixture_ids: Collection[str]) -> str:
    """What would make the names match, where that is plain to see."""
    audio = [PurePosixPath(file) for file in files if PurePosixPath(file).suffix in AUDIO_SUFFIXES]
    folders = {part for file in audio for part in file.parts[:-1]}
    if folders & set(mixture_ids):
        return "; a folder for each mixture is not read: put the mixture's id before each name, in one folder"
    if not audio:
        return "; only .wav and .flac are read"
    for cut in range(1, min(len(file.name) for file in audio)):
        prefix = audio[0].name[:cut]
        if not all(file.name.startswith(prefix) for file in audio):
            return ""
        matched, _ = match_sources([file.name[cut:] for file in audio], mixture_ids)
        if matched:
            return f"; without {prefix!r} at the beginning, {sum(map(len, matched.values()))} would match"
    return ""


def _list_archive(path: Path) -> tuple[list[str], dict[str, str], list[Finding]]:
    """The files, one that is in it twice being listed twice; file → name in the archive; and what else there is."""
    names: list[str] = []
    members: dict[str, str] = {}
    findings = []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(archive.infolist(), key=lambda info: info.filename)
    except ZIP_ERRORS as error:
        if path.suffix in AUDIO_SUFFIXES:
            message = "one file of audio, expected a folder or zip of such files; name the folder that holds it"
            raise DataError(f"{path}: {message}") from error
        message = f"not a readable zip archive: {error}; expected a folder, or a zip, of {SOURCE_NAMES}"
        raise DataError(f"{path}: {message}") from error
    for info in entries:
        file = info.filename.replace("\\", "/")
        if file.endswith("/"):
            if PurePosixPath(file).suffix in AUDIO_SUFFIXES:
                findings.append(Finding("folder", "warning", file, "not read: a folder, expected a file"))
        elif is_hidden(file):
            findings.append(hidden(file))
        else:
            names.append(file)
            members[file] = info.filename
    return names, members, findings


def _estimates(path: Path, files: Sequence[str]) -> tuple[tuple[str, ...], list[Finding]]:
    """Of a submission what stands in its `eval_out`, of anything else all files; and what the others are."""
    inside = [file for file in files if PurePosixPath(file).parent.name == SUBMISSION_AUDIO]
    folders = sorted({str(PurePosixPath(file).parent) for file in inside})
    if len(folders) > 1:
        raise DataError(
            f"{path}: holds the outputs of {len(folders)} submissions: {', '.join(folders[:4])}; score one at a time"
        )
    rest = [file for file in files if file not in set(inside)]
    others = [file for file in rest if PurePosixPath(file).name not in SUBMISSION_RESULTS]
    if not inside:
        return tuple(others), []
    message = f"not read: outside the submission's {SUBMISSION_AUDIO}"
    return tuple(inside), [Finding("outside", "warning", file, message) for file in others]


def _listed(path: Path, members: Mapping[str, str]) -> dict[str, list[str]] | None:
    """What the submission's own list answers: mixture → files; None where there is no such list."""
    found = [file for file in members if PurePosixPath(file).name == SUBMISSION_RESULTS[0]]
    if len(found) != 1:
        return None
    try:
        entries = json.loads(_read_results(path, members[found[0]]))["probabilities"]
        return {
            str(entry["soundscape"]): [str(estimate["filename"]) for estimate in entry["estimate"]] for entry in entries
        }
    except (*ZIP_ERRORS, RecursionError, KeyError, TypeError):
        return None  # `submit validate` says what is wrong with it


@dataclass(frozen=True, slots=True)
class _RunAnswers:
    """What the lines of a run say: the mixtures answered with nothing, and the names of wavs; None: not of all."""

    silent: frozenset[str]
    wavs: frozenset[str] | None


def _answers_of_run(path: Path) -> _RunAnswers | None:
    """Where the folder is the `audio` of a run, what the run answered; None: it is none.

    What damaged lines said is not known: their mixtures are silent only where another line says so.
    """
    journal = path.parent / RUN_JOURNAL
    if path.name != RUN_AUDIO or not journal.is_file():
        return None
    answers: dict[str, tuple[bool, list[str] | None]] = {}
    try:
        texts = journal.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    all_read = True
    for text in texts:  # of several lines of a mixture the last one counts
        try:
            line = json.loads(text)
            failed = line.get("outcome", line)["status"] == "failed"
            wavs = [PurePosixPath(name).name for name in line["files"]] if "files" in line else None
            answers[str(line["mixture_id"])] = (not failed and not line["estimates"], wavs)
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            all_read = False
    told = [wavs for _, wavs in answers.values()]
    known = all_read and None not in told
    names = frozenset(name for wavs in told for name in wavs or ()) if known else None
    return _RunAnswers(frozenset(id_ for id_, (nothing, _) in answers.items() if nothing), names)


def _unlisted(files: Sequence[str], run: _RunAnswers) -> list[Finding]:
    """Wavs that a run has not answered with: of an earlier try at a mixture, or somebody else's."""
    message = "no line of the run lists it: left by an earlier try, or put there; it counts as an estimate"
    left = [] if run.wavs is None else [file for file in files if PurePosixPath(file).name not in run.wavs]
    audio = [file for file in left if PurePosixPath(file).suffix in AUDIO_SUFFIXES]
    return [Finding("unlisted", "warning", file, message) for file in audio]


def _read_results(path: Path, member: str) -> bytes:
    if path.is_dir():
        if problem := not_a_file(path / member):
            raise OSError(problem)
        with (path / member).open("rb") as file:
            return file.read(_MAX_RESULTS_BYTES)
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        return file.read(_MAX_RESULTS_BYTES)
