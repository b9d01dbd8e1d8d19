"""Checks anybody's submission, zip or folder, in one pass that never stops at the first fault.

Nothing is unpacked to disk; memory holds one file at a time.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.progress import WorkProgress
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import label_problem
from s5eval.data_manifests.naming import MixtureIds, SourceName, format_source_name, parse_source_stem
from s5eval.submissions.archive import Container, Unreadable, open_container
from s5eval.submissions.check_audio import check_audio
from s5eval.submissions.check_json import Note
from s5eval.submissions.check_layout import check_layout
from s5eval.submissions.check_results import ListedFiles, check_dev_results, check_eval_count, check_eval_results
from s5eval.submissions.expected import NOT_KNOWN, Expected, guess_expected
from s5eval.submissions.rules import (
    AUDIO_FOLDER,
    DEV_RESULTS,
    EVAL_RESULTS,
    MAX_AUDIO_BYTES,
    MAX_JSON_BYTES,
    MAX_OUTPUTS,
    finding,
    place_in_list,
)

_MAX_FINDINGS = 20_000  # of one rule; an honest submission has fewer files
_MAX_LENGTHS = 64  # different lengths of mixture names; an honest data set has a handful
_NO_CONTENT = frozenset({"overlapping-entries", "too-large", "too-many-entries", "not-an-archive"})


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found.

    Attributes:
        path: what was checked.
        expected: which mixtures had to be answered, and how that is known.
        files: how many outputs there are.
        mixtures: how many mixtures `eval_results.json` lists.
        nparams: parameters of the system as it states them; None: not stated.
        clipped_samples: of all outputs, as `audio-clipped` counts them; None: the wavs were not read.
        findings: errors before warnings, of these what many others may follow from first, in order of files.
    """

    path: Path
    expected: Expected
    files: int
    mixtures: int
    nparams: int | None
    clipped_samples: int | None
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        errors = sum(found.severity == "error" for found in self.findings)
        verdict = f"{'valid' if self.ok else 'invalid'}, {counted(errors, 'error')}"
        return f"<Report on {self.path}: {verdict}, {counted(len(self.findings) - errors, 'warning')}; see .findings>"

    @property
    def ok(self) -> bool:
        """Nothing would keep it from being accepted or scored."""
        return not any(found.severity == "error" for found in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "ok": self.ok,
            "path": str(self.path),
            "expected": self.expected.source,
            "files": self.files,
            "mixtures": self.mixtures,
            "nparams": self.nparams,
            "clipped_samples": self.clipped_samples,
            "findings": [found.as_dict() for found in self.findings],
        }


def check_submission(
    path: Path,
    *,
    expected: Expected | None = None,
    label: str | None = None,
    audio: bool = True,
    progress: WorkProgress | None = None,
) -> Report:
    """Check a submission.

    Args:
        path: zip archive or folder.
        expected: the mixtures that must be answered; None: the official evaluation set where names suggest it.
        label: the name to take it for; default: that of the archive or folder.
        audio: read the wavs as well; otherwise their names only.
        progress: shows how far it is.

    Returns:
        Every finding. What is wrong with the submission is never an exception.
    """
    with open_container(path, label=label) as container:
        checks = _Checks(container)
        if not path.is_dir() and path.suffix != ".zip":
            checks.note("archive-name", path.name, f"expected a zip archive called {container.label}.zip")
        checks.check_layout(path.name)
        listed = checks.check_eval()
        if not checks.outputs and not checks.without_content:
            note = checks.note_on(f"{checks.top}{AUDIO_FOLDER}")
            (listed or ListedFiles()).check_without_output(container.sizes, note)
        ids = {name.mixture_id for name in checks.names.values()} | (listed.mixtures if listed else set())
        if expected is None:
            expected = NOT_KNOWN if listed is None and not ids else guess_expected(ids)
        checks.check_dev(expected, listed)
        checks.check_names(expected, listed)
        if listed is not None:
            checks.check_listing(expected, listed)
        clipped = None
        if audio and not checks.without_content:
            clipped = checks.check_wavs(expected, progress)
        checks.note_more(path.name)
        findings = sorted(checks.findings, key=place_in_list)
        mixtures = 0 if listed is None else len(listed.mixtures)
        nparams = None if listed is None else listed.nparams
        return Report(path, expected, len(checks.outputs), mixtures, nparams, clipped, tuple(findings))


@dataclass(slots=True)
class _Checks:
    container: Container
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    top: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    """As `Layout` has them."""
    names: dict[str, SourceName] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.findings += self.container.findings

    @property
    def without_content(self) -> bool:
        """It is not read: it is no archive, or one that is dangerous to read."""
        return any(found.rule in _NO_CONTENT for found in self.findings)

    def note(self, rule: str, file: str, message: str) -> None:
        self.counts[rule] += 1
        if self.counts[rule] <= _MAX_FINDINGS:
            self.findings.append(finding(rule, file, message))

    def note_more(self, file: str) -> None:
        """Say what was not listed."""
        for rule, count in self.counts.items():
            if count > _MAX_FINDINGS:
                self.findings.append(finding(rule, file, f"{count - _MAX_FINDINGS} more of this kind are not listed"))

    def note_on(self, file: str) -> Note:
        return lambda rule, message: self.note(rule, file, message)

    def check_layout(self, archive: str) -> None:
        """What stands where."""
        layout = check_layout(self.container, archive, self.note, empty_is_known=self.without_content)
        self.top, self.outputs = layout.top, layout.outputs

    def check_eval(self) -> ListedFiles | None:
        """`eval_results.json` by itself; and the names of the outputs are read."""
        for file in self.outputs:
            if (name := parse_source_stem(file.removesuffix(".wav"))) is not None:
                self.names[file] = name
        content = self._json(EVAL_RESULTS)
        return None if content is None else check_eval_results(content, self.note_on(f"{self.top}{EVAL_RESULTS}"))

    def check_dev(self, expected: Expected, listed: ListedFiles | None) -> None:
        """`dev_set_test_results.json` by itself."""
        content, file = self._json(DEV_RESULTS), f"{self.top}{DEV_RESULTS}"
        if content is None:
            return
        nparams = check_dev_results(content, self.note_on(file), official=expected.official or not expected.told)
        stated = None if listed is None else listed.nparams
        if None not in (nparams, stated) and nparams != stated:
            self.note("nparams-differ", file, f"nparams is {nparams}, {EVAL_RESULTS} says {stated}")

    def _json(self, name: str) -> bytes | None:
        full = f"{self.top}{name}"
        if full not in self.container.sizes:
            return None
        try:
            return self.container.read(full, MAX_JSON_BYTES)
        except Unreadable as error:
            self.note("unreadable", full, str(error))
            return None

    def check_names(self, expected: Expected, listed: ListedFiles | None) -> None:
        """Grammar, label, mixture, index and number of the outputs."""
        ids = expected.ids if expected.ids is not None else frozenset(listed.mixtures if listed else ())
        lengths, known = sorted({len(id_) for id_ in ids})[:_MAX_LENGTHS], MixtureIds(ids)
        seen: dict[tuple[str, int], str] = {}
        counts: dict[str, int] = {}
        for file, full in self.outputs.items():
            name = next(iter(known.readings(file.removesuffix(".wav"))), self.names.get(file))
            if name is None:
                self.note("file-name", full, "expected <mixture>_<i>_<Label>.wav")
                continue
            self.names[file] = name
            if problem := label_problem(name.label):
                self.note("unknown-label", full, problem)
            if name.index is None:
                self.note("index-format", full, "the track index is left out; expected <mixture>_<i>_<Label>.wav")
            elif format_source_name(name.mixture_id, name.index, name.label) != file:
                message = f"the track index is written with needless zeros; expected {name.index}"
                self.note("index-format", full, message)
            starts = [file[:length] for length in lengths if file[:length] in ids]
            if ids and name.mixture_id not in ids:
                self.note("unknown-mixture", full, f"there is no mixture {name.mixture_id!r}")
            elif len(starts) > 1:
                self.note("ambiguous-mixture", full, f"starts with several mixtures' names: {', '.join(starts)}")
            if name.index is not None:
                if other := seen.get((name.mixture_id, name.index)):
                    self.note("duplicate-index", full, f"track {name.index} of the mixture is {other} already")
                seen.setdefault((name.mixture_id, name.index), file)
            counts[name.mixture_id] = counts.get(name.mixture_id, 0) + 1
            if counts[name.mixture_id] == MAX_OUTPUTS + 1:
                self.note("too-many-outputs", full, f"more than {MAX_OUTPUTS} outputs for {name.mixture_id!r}")

    def check_listing(self, expected: Expected, listed: ListedFiles) -> None:
        """`eval_results.json` against the outputs and the mixtures that must be answered."""
        file = f"{self.top}{EVAL_RESULTS}"
        if not (expected.told or expected.official):
            check_eval_count(listed, self.note_on(file))
        noted = any((entry.rule, entry.file) == ("json-schema", file) for entry in self.findings)
        if not listed.mixtures and (self.outputs or expected.ids) and not noted:
            self.note("json-schema", file, "`probabilities` is empty, expected every mixture, also a silent one")
        if expected.ids is not None:
            for id_ in sorted(expected.ids - listed.mixtures):
                self.note("soundscape-missing", file, f"the mixture {id_!r} is not listed, not even without outputs")
            for id_ in sorted(listed.mixtures - expected.ids):
                self.note("soundscape-unknown", file, f"there is no mixture {id_!r}")
        for name in sorted(listed.files.keys() - self.outputs.keys()):
            self.note("filename-missing", file, f"{name!r} is listed, but not in {AUDIO_FOLDER}")
        for name in sorted(self.outputs.keys() - listed.files.keys()):
            self.note("filename-unlisted", self.outputs[name], f"not listed in {EVAL_RESULTS}")

    def check_wavs(self, expected: Expected, progress: WorkProgress | None) -> int:
        """The content of every output, one at a time; returns how many samples are clipped."""
        files: Iterable[str] = sorted(self.outputs, key=self._order)
        earlier: dict[str, bytes] = {}  # other outputs of the same mixture
        current: str | None = None
        clipped = 0
        what = f"checking {self.top.rstrip('/')}"
        for file in files if progress is None else progress(files, len(self.outputs), what):
            full, name = self.outputs[file], self.names.get(file)
            try:
                content = self.container.read(full, MAX_AUDIO_BYTES)
            except Unreadable as error:
                self.note("unreadable", full, str(error))
                continue
            mixture = None if name is None else name.mixture_id
            frames = None if mixture is None else expected.length(mixture)
            clipped += check_audio(content, self.note_on(full), frames=frames)
            if mixture != current:
                current, earlier = mixture, {}
            for other in (other for other, theirs in earlier.items() if mixture and content and theirs == content):
                self.note("audio-repeated", full, f"the same bytes as {other}")
            if len(earlier) < MAX_OUTPUTS:
                earlier[file] = content
        return clipped

    def _order(self, file: str) -> tuple[str, int, str]:
        name = self.names.get(file)
        return ("", 0, file) if name is None else (name.mixture_id, name.index or 0, file)
