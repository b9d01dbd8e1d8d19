"""The one grammar of source files, `<mixture>_<i>_<Label>.wav`, for references, estimates and submissions.

A name is read from its right end, so a mixture id may hold underscores and digits, and one id may be the
prefix of another (`m_1`, `m_10`): files belong to a mixture by exact id, never by prefix.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.labels import label_problem

AUDIO_SUFFIXES: tuple[str, ...] = (".wav", ".flac")

_SOURCE_STEM = re.compile(r"(?P<mixture>.+)_(?P<index>[0-9]{1,9})_(?P<label>[^_]+)", re.DOTALL)

SUBMISSION_AUDIO = "eval_out"
"""Folder of the estimates in a challenge submission; where there is one, nothing outside it is an estimate."""

SUBMISSION_RESULTS = ("eval_results.json", "dev_set_test_results.json")
"""The other files of a submission; they hold no audio."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """The parts of a source file's name; `label` may be unknown, since saying so is the reader's task."""

    mixture_id: str
    index: int
    label: str


def parse_source_stem(stem: str) -> SourceName | None:
    """Read a file stem (name without suffix); None when it does not follow the grammar.

    >>> parse_source_stem("scene_1_0_Speech")
    SourceName(mixture_id='scene_1', index=0, label='Speech')
    """
    match = _SOURCE_STEM.fullmatch(stem)
    if match is None:
        return None
    return SourceName(match["mixture"], int(match["index"]), match["label"])


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


def match_sources(
    files: Iterable[str], mixture_ids: Collection[str]
) -> tuple[Mapping[str, Sequence[SourceFile]], list[Finding]]:
    """Assign listed files to mixtures by exact id.

    Args:
        files: file names, with `/` between folders if there are any; directories are not to be listed.
        mixture_ids: the ids that exist.

    Returns:
        The files of every mixture that has some, ordered by (index, label, file); and a warning for every
        file that belongs to none, with the reason (`orphan`, `not-a-source-name`, `suffix`).
    """
    known = frozenset(mixture_ids)
    matched: dict[str, list[SourceFile]] = {}
    findings: list[Finding] = []
    for file in files:
        path = PurePosixPath(file)
        name = parse_source_stem(path.stem)
        if path.suffix not in AUDIO_SUFFIXES:
            hint = "; rename it to lower case" if path.suffix.lower() in AUDIO_SUFFIXES else ""
            findings.append(Finding("suffix", "warning", file, f"not read: the suffix is not .wav or .flac{hint}"))
        elif name is None:
            findings.append(
                Finding("not-a-source-name", "warning", file, "not read: expected <mixture>_<i>_<Label>.wav")
            )
        elif name.mixture_id not in known:
            findings.append(Finding("orphan", "warning", file, f"not read: no mixture {name.mixture_id!r}"))
        else:
            matched.setdefault(name.mixture_id, []).append(SourceFile(file, name))
    for sources in matched.values():
        sources.sort(key=lambda source: (source.name.index, source.name.label, source.file))
    return matched, findings


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
