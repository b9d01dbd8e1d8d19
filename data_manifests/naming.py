"""The grammar of source files, `<mixture>_<i>_<Label>.wav`, for references, estimates and submissions.

The number may be left out, as the sets of 2025 do (`eval_0000_Buzzer.wav`) and the official evaluator of 2026 allows.
A name is read from its right end, so a mixture id may hold underscores and digits, and one id may be the
prefix of another (`m_1`, `m_10`): files belong to a mixture by exact id, never by prefix. Only the ids that exist tell
whether `eval_0000_Buzzer` is source 0 of `eval` or the Buzzer of `eval_0000`.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.labels import CLASS_INDEX, label_problem

AUDIO_SUFFIXES: tuple[str, ...] = (".wav", ".flac")

SOURCE_NAMES = "<mixture>_<i>_<Label>.wav (or <mixture>_<Label>.wav)"
"""The grammar as it stands in messages."""

_SOURCE_STEM = re.compile(r"(?P<mixture>.+)_(?P<index>[0-9]{1,9})_(?P<label>[^_]+)", re.DOTALL)
_UNNUMBERED_STEM = re.compile(r"(?P<mixture>.+)_(?P<label>[^_]+)", re.DOTALL)

SUBMISSION_AUDIO = "eval_out"
"""Folder of the estimates in a challenge submission; where there is one, nothing outside it is an estimate."""

SUBMISSION_RESULTS = ("eval_results.json", "dev_set_test_results.json")
"""The other files of a submission; they hold no audio."""

RUN_AUDIO, RUN_JOURNAL = "audio", "mixtures.jsonl"
"""In a run folder: the estimates, and a line for every mixture that says what was answered."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """The parts of a source file's name; `label` may be unknown, since saying so is the reader's task.

    `index` is None where the name has none.
    """

    mixture_id: str
    index: int | None
    label: str


def parse_source_stem(stem: str) -> SourceName | None:
    """Read a file stem (name without suffix) that has a number; None when it does not follow the grammar.

    >>> parse_source_stem("scene_1_0_Speech")
    SourceName(mixture_id='scene_1', index=0, label='Speech')
    """
    match = _SOURCE_STEM.fullmatch(stem)
    if match is None:
        return None
    return SourceName(match["mixture"], int(match["index"]), match["label"])


def parse_unnumbered_stem(stem: str) -> SourceName | None:
    """Read a file stem as one without a number; None when it does not follow the grammar.

    >>> parse_unnumbered_stem("eval_0000_Buzzer")
    SourceName(mixture_id='eval_0000', index=None, label='Buzzer')
    """
    match = _UNNUMBERED_STEM.fullmatch(stem)
    return None if match is None else SourceName(match["mixture"], None, match["label"])


def format_source_name(mixture_id: str, index: int, label: str, *, suffix: str = ".wav") -> str:
    """The file name of source `index` of a mixture; `parse_source_stem` reads its stem back.

    Raises:
        ValueError: `mixture_id` is empty, `index` negative, or `label` empty or with an underscore.
    """
    if not mixture_id or index < 0 or not label or "_" in label:
        raise ValueError(f"no source name can be made of {mixture_id!r}, {index!r}, {label!r}")
    return f"{mixture_id}_{index}_{label}{suffix}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that follows the grammar: its name as listed (maybe with folders) and the name's parts."""

    file: str
    name: SourceName


class MixtureIds:
    """The ids that exist; one that is written in another Unicode form (NFC, NFD) is the same id."""

    def __init__(self, ids: Collection[str]) -> None:
        """Take the ids; two that differ in their Unicode form only stay apart, and are found exactly."""
        self._ids = frozenset(ids)
        self._composed: dict[str, str | None] = {}
        for id_ in self._ids:
            composed = unicodedata.normalize("NFC", id_)
            self._composed[composed] = None if composed in self._composed else id_

    def find(self, written: str) -> str | None:
        """The id that is meant; None when there is none."""
        return written if written in self._ids else self._composed.get(unicodedata.normalize("NFC", written))

    def readings(self, stem: str, *, numbered: bool = True) -> list[SourceName]:
        """What a stem can mean among these ids, what is meant first: none, one, or seldom two ways."""
        names = [parse_source_stem(stem), parse_unnumbered_stem(stem)]
        found = [
            replace(name, mixture_id=id_)
            for name in (names if numbered else reversed(names))
            if name is not None and (id_ := self.find(name.mixture_id)) is not None
        ]
        return found


def match_sources(
    files: Iterable[str], mixture_ids: Collection[str], *, numbered: bool = True
) -> tuple[Mapping[str, Sequence[SourceFile]], list[Finding]]:
    """Assign listed files to mixtures by exact id.

    Args:
        files: file names, with `/` between folders if there are any; directories are not to be listed.
        mixture_ids: the ids that exist.
        numbered: the set's own names have a number; a name that can be read both ways is read its way.

    Returns:
        The files of every mixture that has some, ordered by (index, label, file); and a warning for every
        file that belongs to none, with the reason (`orphan`, `not-a-source-name`, `suffix`), or that could belong to
        two (`ambiguous`).
    """
    known = MixtureIds(mixture_ids)
    matched: dict[str, list[SourceFile]] = {}
    findings: list[Finding] = []
    for file in files:
        path = PurePosixPath(file)
        if path.suffix not in AUDIO_SUFFIXES:
            hint = "; rename it to lower case" if path.suffix.lower() in AUDIO_SUFFIXES else ""
            findings.append(Finding("suffix", "warning", file, f"not read: the suffix is not .wav or .flac{hint}"))
        elif readings := known.readings(path.stem, numbered=numbered):
            matched.setdefault(readings[0].mixture_id, []).append(SourceFile(file, readings[0]))
            if len(readings) > 1:
                message = (
                    f"read as a source of {readings[0].mixture_id!r}; it could be one of {readings[1].mixture_id!r}"
                )
                findings.append(Finding("ambiguous", "warning", file, message))
        else:
            findings.append(_unmatched(path.stem, file, numbered))
    for sources in matched.values():
        sources.sort(key=_order)
    return matched, findings


def likely_name(stem: str, *, numbered: bool = True) -> SourceName | None:
    """What a stem that belongs to no known mixture was most likely meant as; None: as no source at all."""
    unnumbered = parse_unnumbered_stem(stem)
    if unnumbered is not None and unnumbered.label not in CLASS_INDEX:
        unnumbered = None
    return parse_source_stem(stem) or unnumbered if numbered else unnumbered or parse_source_stem(stem)


def _unmatched(stem: str, file: str, numbered: bool) -> Finding:
    if (name := likely_name(stem, numbered=numbered)) is None:
        return Finding("not-a-source-name", "warning", file, f"not read: expected {SOURCE_NAMES}")
    return Finding("orphan", "warning", file, f"not read: no mixture {name.mixture_id!r}")


def _order(source: SourceFile) -> tuple[int, str, str]:
    return -1 if source.name.index is None else source.name.index, source.name.label, source.file


def sources_problem(sources: Sequence[SourceFile]) -> str | None:
    """Why the files of one mixture cannot be used as listed (unknown label, one source twice), or None."""
    seen: dict[SourceName, str] = {}
    for source in sources:
        if problem := label_problem(source.name.label):
            return f"{source.file}: {problem}"
        if earlier := seen.get(source.name):
            return f"{source.file}: the same source as {earlier}; keep one of them"
        seen[source.name] = source.file
    return None
