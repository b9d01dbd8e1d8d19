"""The outer challenge package: up to four systems of a team, their meta files, the report, where the audio is.

    <team>.zip
      <team>/<label>/<label>.meta.yaml, eval_results.json, dev_set_test_results.json     per system
      <team>/<team>.technical_report.pdf
      <team>/<team>.audio_url.txt

The archives with the wavs are uploaded elsewhere. Source: dcase.community/challenge2026/submission; the layout of
the URL file was not public when this was written: here it holds a line `<label> <URL>` per system.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import WorkProgress
from s5eval.submissions.archive import Unreadable, open_container
from s5eval.submissions.expected import Expected
from s5eval.submissions.facts import read_facts
from s5eval.submissions.meta_file import TODO, check_meta, fill_template, known_facts, load_template, meta_file
from s5eval.submissions.pdf import check_report
from s5eval.submissions.rules import (
    DEV_RESULTS,
    EVAL_RESULTS,
    MAX_JSON_BYTES,
    MAX_SYSTEMS,
    SubmissionName,
    archive_label,
    finding,
    parse_label,
)
from s5eval.submissions.validate import check_submission
from s5eval.submissions.zipping import Member, place_zip

_URL = re.compile(r"https?://[^\s/]+\.[^\s/]+(/\S*)?")


@dataclass(frozen=True, slots=True)
class Packaged:
    """What became of a package: the archive (None when a finding is an error), its team and all findings."""

    archive: Path | None
    team: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """The package stands."""
        return self.archive is not None


def url_file(team: str) -> str:
    """Name of the file that says where the audio archives are."""
    return f"{team}.audio_url.txt"


def init_package(
    names: Sequence[SubmissionName], submissions: Mapping[SubmissionName, Path], out: Path, template: Path | None = None
) -> tuple[list[Path], list[Path]]:
    """Write the files that a team fills in: a meta file per system, and the list of URLs.

    Args:
        names: the systems.
        submissions: their built submissions, as far as there are any; facts are read from them.
        out: where to write; made when missing.
        template: the team's own template; None: the shipped one.

    Returns:
        The files that were written, and those that were there already and stay as they are.

    Raises:
        UsageError: the systems are not of one team, or the template cannot be used.
        DataError: the folder cannot be written.
    """
    text = load_template(template)
    team = _team(names)
    contents = {meta_file(name): fill_template(text, _facts(submissions.get(name), name)) for name in names}
    lines = "".join(f"{name.label} {TODO}: URL of {name.label}.zip\n" for name in names)
    contents[url_file(team)] = f"# Where the audio archives can be downloaded, a line each: label, blank, URL\n{lines}"
    written, kept = [], []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            if (out / file).exists():
                kept.append(out / file)
            else:
                write_atomically(out / file, content)
                written.append(out / file)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror or error}") from error
    return written, kept


def package(
    submissions: Sequence[Path],
    meta_folder: Path,
    report: Path,
    out: Path,
    *,
    expected: Expected | None = None,
    template: Path | None = None,
    audio: bool = True,
    replace: bool = False,
    progress: WorkProgress | None = None,
) -> Packaged:
    """Check everything that a team hands in, and write `<team>.zip` when there is no error.

    Args:
        submissions: one to four built submissions, zips or folders.
        meta_folder: where the filled-in meta files and the list of URLs are.
        report: the technical report, a PDF.
        out: folder of the package; made when missing.
        expected: see `check_submission`.
        template: what the meta files are checked against; None: the shipped template.
        audio: check the wavs as well.
        replace: another package that stands at `out` may be lost.
        progress: shows how far it is.

    Raises:
        UsageError: no submissions, several teams, a path that does not exist, an unusable template, or another package
            of the team stands at `out`.
        DataError: the package cannot be written.
    """
    text = load_template(template)
    names = {name: path for path in submissions if (name := parse_submission_name(path)) is not None}
    findings = [
        finding("archive-name", path.name, "expected <Surname>_<Institute>_task4_<n>, n from 1 to 4")
        for path in submissions
        if parse_submission_name(path) is None
    ]
    findings += _check_numbers(submissions)
    team = _team(list(names))
    members = []
    for name, path in names.items():
        found = check_submission(path, expected=expected, label=name.label, audio=audio, progress=progress).findings
        findings += [_below(name, entry) for entry in found]
        meta = meta_folder / meta_file(name)
        findings += check_meta(meta, name, text, _facts(path, name))
        files = {entry: content for entry, content in _json_files(path, name).items() if content is not None}
        members += [Member(f"{team}/{name.label}/{entry}", content) for entry, content in files.items()]
        members.append(Member(f"{team}/{name.label}/{meta.name}", meta))
    findings += check_report(report)
    findings += _check_urls(meta_folder / url_file(team), [name.label for name in names])
    if any(entry.severity == "error" for entry in findings):
        return Packaged(None, team, tuple(findings))
    members.append(Member(f"{team}/{team}.technical_report.pdf", report))
    members.append(Member(f"{team}/{url_file(team)}", meta_folder / url_file(team)))
    archive = out / f"{team}.zip"
    try:
        out.mkdir(parents=True, exist_ok=True)
        place_zip(archive, members, replace=replace)
    except OSError as error:
        raise DataError(f"{archive}: cannot be written: {error.strerror or error}") from error
    return Packaged(archive, team, tuple(findings))


def parse_submission_name(path: Path) -> SubmissionName | None:
    """Whose submission a path is, by its name; None when it is nobody's."""
    path = path.resolve()
    return parse_label(path.name if path.is_dir() else archive_label(path.stem))


def _team(names: Sequence[SubmissionName]) -> str:
    teams = sorted({name.team for name in names})
    if len(teams) != 1:
        raise UsageError(
            f"submissions of several teams: {', '.join(teams)}; a package is one team's"
            if teams
            else "no submission is named <Surname>_<Institute>_task4_<n>; build them with `s5eval submit build`"
        )
    return teams[0]


def _check_numbers(submissions: Sequence[Path]) -> list[Finding]:
    found = []
    if len(submissions) > MAX_SYSTEMS:
        found.append(finding("package-systems", "", f"{len(submissions)} systems, at most {MAX_SYSTEMS} are allowed"))
    labels = [name.label for path in submissions if (name := parse_submission_name(path)) is not None]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    return found + [finding("package-systems", label, "given twice") for label in twice]


def _json_files(path: Path, name: SubmissionName) -> dict[str, bytes | None]:
    files: dict[str, bytes | None] = {}
    with open_container(path, label=name.label) as container:
        for file in (EVAL_RESULTS, DEV_RESULTS):
            full = f"{name.label}/{file}"
            try:
                files[file] = container.read(full, MAX_JSON_BYTES) if full in container.sizes else None
            except Unreadable:
                files[file] = None
    return files


def _facts(path: Path | None, name: SubmissionName) -> dict[str, Any]:
    """What is known of a submission; nothing of one that is damaged, which `check_submission` reports."""
    contents: dict[str, Any] = {}
    for key, content in zip(("eval", "dev"), _json_files(path, name).values() if path else (), strict=False):
        try:
            contents[key] = json.loads(content) if content is not None else {}
        except (ValueError, RecursionError):
            contents[key] = {}
    try:
        known = known_facts(name, contents)
    except (AttributeError, TypeError):  # an object where a list stands, say
        known = known_facts(name, {})
    beside = {} if path is None else read_facts(path, name)
    return {**beside, **{key: value for key, value in known.items() if value is not None or key not in beside}}


def _check_urls(path: Path, labels: Sequence[str]) -> list[Finding]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [finding("audio-url", path.name, f"cannot be read: {error}; `s5eval submit init` writes it to fill in")]
    found, seen = [], set()
    for number, line in enumerate(lines, start=1):
        label, url = [*line.split(maxsplit=1), "", ""][:2]
        if not label or label.startswith("#"):
            continue
        if label in seen or label not in labels:
            known = "stands here twice" if label in seen else f"is none of the systems: {', '.join(labels)}"
            found.append(finding("audio-url", path.name, f"line {number}: {label!r} {known}"))
        elif not _URL.fullmatch(url.strip()):
            found.append(finding("audio-url", path.name, f"line {number}: {url.strip()!r} is no http or https URL"))
        seen.add(label)
    missing = [label for label in labels if label not in seen]
    return found + [
        finding("audio-url", path.name, f"no line for {label}: expected '{label} URL'") for label in missing
    ]


def _below(name: SubmissionName, entry: Finding) -> Finding:
    return (
        entry
        if entry.file.startswith(name.label)
        else Finding(entry.rule, entry.severity, f"{name.label}: {entry.file}", entry.message)
    )
