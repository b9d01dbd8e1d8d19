"""Is a set of scenes complete and sound? Every finding in one pass."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from s5eval.data_manifests.audio import read_blocks
from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.digests import remembered_digest
from s5eval.data_manifests.common.errors import AudioError, DataError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.structured import read_json
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.listing import not_a_file
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.naming import MixtureIds, likely_name
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Scene, scale_problem
from s5eval.data_manifests.sets.material import MATERIAL, scenes_ordered
from s5eval.data_manifests.synthesis.write import list_records, read_record

MIXTURE_SAMPLES = 10 * SAMPLE_RATE
"""Length of every mixture of the official sets and of `mini`."""


def verify(manifest: Manifest, *, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Check every file of a split: presence, checksum, rate, channels, length, finite samples, orphans.

    Checksums are compared where the set was made by s5eval, which records them beside the audio (what none of them is
    of is no part of the set), and the number of mixtures with that of `material.json`, where a set of recordings says
    what was ordered. Where a `metadata.json` beside the folders lists the events of every mixture, mixtures and target
    labels are compared with it. What a run passes over with a warning (orphans, odd suffixes, a wrong count) is an
    error here.

    Args:
        manifest: the split, opened `as_it_stands`; its own findings come first.
        progress: is told (mixtures done, mixtures in all).

    Returns:
        All findings: rules `missing`, `empty`, `truncated`, `unreadable`, `rate`, `channels`, `length`,
        `non-finite`, `scale`, `checksum`, `label`, `index`, `metadata`, `mixture-count` beside the manifest's own.
    """
    findings = [replace(finding, severity="error") for finding in manifest.findings]
    mixtures = manifest.root / manifest.split.soundscape
    findings += _check_records(mixtures.parent, [file for scene in manifest.scenes for file in scene.files])
    findings += _check_count(mixtures.parent, len(manifest.all_ids))
    findings += _check_against_metadata(manifest, mixtures.parent / "metadata.json")
    findings += _missing_mixtures(manifest, {PurePosixPath(f.file).stem for f in findings if f.rule == "missing"})
    for done, scene in enumerate(manifest.scenes, 1):
        findings += _check_scene(scene)
        findings += _check_content(scene)
        if progress is not None:
            progress(done, len(manifest.scenes))
    return findings


def _check_records(folder: Path, files: Sequence[Path]) -> list[Finding]:
    """Files against the checksums that were recorded when the set was made; none may be beside the recorded ones.

    Args:
        folder: of the set.
        files: what a run would read of it.
    """
    findings = []
    recorded: set[Path] = set()
    known = True
    for path in list_records(folder):
        try:
            record = read_record(path)
        except DataError as error:
            known = False  # what this one lists is not told
            message = str(error).removeprefix(f"{path}: ")
            findings.append(Finding("checksum", "error", str(path), f"{message}; make the scene again"))
            continue
        for name, checksum in record.files.items():
            file = folder / name
            recorded.add(file)
            if not file.is_file():
                findings.append(Finding("missing", "error", str(file), "recorded when the set was made, not there"))
            elif file_sha256(file) != checksum:
                message = "not the bytes that were written; make it again"
                findings.append(Finding("checksum", "error", str(file), message))
    if recorded and known:
        message = "none of the files that were written when the set was made; remove it, or make its scene again"
        findings += [Finding("checksum", "error", str(file), message) for file in files if file not in recorded]
    return findings


def _check_count(folder: Path, mixtures: int) -> list[Finding]:
    """The number of mixtures against what was ordered when the set was made."""
    path = folder / MATERIAL
    try:
        ordered = scenes_ordered(folder)
    except DataError as error:
        return [Finding("metadata", "error", str(path), str(error).removeprefix(f"{path}: "))]
    if ordered is None or ordered == mixtures:
        return []
    what = "the same order again makes the others" if mixtures < ordered else "some are not of this set; make it anew"
    message = f"ordered: {counted(ordered, 'scene')}, found: {counted(mixtures, 'mixture')}; {what}"
    return [Finding("mixture-count", "error", str(path), message)]


def _missing_mixtures(manifest: Manifest, named: set[str]) -> list[Finding]:
    """One finding per mixture that only its references tell of, unless it has been `named` already."""
    counts: Counter[str] = Counter()
    for finding in manifest.findings:
        if finding.rule != "orphan":
            continue
        name = likely_name(PurePosixPath(finding.file).stem, numbered=manifest.split.numbered)
        if name is not None and name.mixture_id not in named:
            counts[name.mixture_id] += 1
    folder = manifest.root / manifest.split.soundscape
    return [
        Finding("missing", "error", str(folder / id_), f"no mixture of this id, but references of it: {count}")
        for id_, count in sorted(counts.items())
    ]


def _check_against_metadata(manifest: Manifest, path: Path) -> list[Finding]:
    """Mixtures and target labels against the list of events that some sets bring along."""
    if not path.is_file():
        return []
    try:
        listed = _listed_targets(read_json(path, what="a list of scenes"))
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"expected a list of objects with 'soundscape' and 'events': {type(error).__name__}: {error}"
        return [Finding("metadata", "error", str(path), message)]
    mixtures = manifest.root / manifest.split.soundscape
    known = set(manifest.all_ids)
    findings = [
        Finding("missing", "error", str(mixtures / id_), f"no mixture of this id; {path.name} lists it")
        for id_ in listed
        if id_ not in known
    ]
    for scene in manifest.scenes:
        if (expected := listed.get(scene.mixture.id)) is None:
            findings.append(Finding("metadata", "error", str(scene.mixture.path), f"{path.name} does not list it"))
            continue
        found = Counter(reference.label for reference in scene.references or ())
        if expected - found:
            labels = ", ".join(sorted((expected - found).elements()))
            message = (
                f"references are missing: {labels} ({path.name} lists {_named(expected)}, there is {_named(found)})"
            )
            findings.append(Finding("missing", "error", str(scene.mixture.path), message))
        if found - expected:
            labels = ", ".join(sorted((found - expected).elements()))
            message = f"references that {path.name} does not list: {labels}"
            findings.append(Finding("metadata", "error", str(scene.mixture.path), message))
    return findings


def _listed_targets(content: object) -> Mapping[str, Counter[str]]:
    """Target labels by mixture id."""
    if not isinstance(content, list):
        raise TypeError(f"a {type(content).__name__} is no list")
    return {
        str(entry["soundscape"]): Counter(
            str(event["label"]) for event in entry["events"] if event.get("role") in ("target", "foreground")
        )
        for entry in content
    }


def _named(labels: Counter[str]) -> str:
    return ", ".join(sorted(labels.elements())) or "none"


def _check_scene(scene: Scene) -> list[Finding]:
    mixture = read_whole(scene.mixture.path, channels=MIXTURE_CHANNELS, rate=SAMPLE_RATE)
    length, findings = mixture.samples, [*mixture.findings]
    if length not in (None, MIXTURE_SAMPLES):
        message = f"{length} samples, expected {MIXTURE_SAMPLES} (10 s)"
        findings.append(Finding("length", "error", str(scene.mixture.path), message))
    if scene.problem is not None:
        findings.append(Finding("label", "error", str(scene.mixture.path), scene.problem))
    findings += _check_indices(scene)
    for reference in scene.references or ():
        dry = read_whole(reference.path, channels=1, rate=SAMPLE_RATE)
        findings += dry.findings
        if dry.samples is not None and length is not None and dry.samples != length:
            message = f"{dry.samples} samples, its mixture has {length}"
            findings.append(Finding("length", "error", str(reference.path), message))
    return findings


def _check_content(scene: Scene) -> list[Finding]:
    """Files whose content is another one although size and times are as they were: nobody has written them."""
    paths = [scene.mixture.path, *(reference.path for reference in scene.references or ())]
    message = "the content has changed, size and times have not: a fault of the disk, most likely; get the file again"
    return [
        Finding("checksum", "error", str(path), message)
        for path in paths
        if (known := remembered_digest(path)) is not None and known != file_sha256(path)
    ]


def _check_indices(scene: Scene) -> list[Finding]:
    """References are numbered 0, 1, 2, …: a gap is a file that is gone. Of names without numbers none can be missed."""
    ids = MixtureIds((scene.mixture.id,))
    readings = [ids.readings(reference.path.stem)[0] for reference in scene.references or ()]
    indices = sorted(reading.index for reading in readings if reading.index is not None)
    if len(indices) < len(readings):
        return []
    if indices == list(range(len(indices))):
        return []
    shown = ", ".join(map(str, indices))
    if len(set(indices)) == indices[-1] + 1:
        return [
            Finding("index", "error", str(scene.mixture.path), f"references are numbered {shown}: one number twice")
        ]
    message = f"references are numbered {shown}, expected 0, 1, … without a gap: one or more are missing"
    return [Finding("missing", "error", str(scene.mixture.path), message)]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file of audio that was read to its end.

    Attributes:
        samples: of each channel; None: that cannot be known.
        rate: in Hz, by its header.
        channels: by its header.
        peak: the largest magnitude; full scale is 1.
        findings: what is wrong with it.
    """

    samples: int | None
    rate: int
    channels: int
    peak: float
    findings: tuple[Finding, ...]


def read_whole(path: Path, *, channels: int | None = None, rate: int | None = None) -> ReadFile:
    """Read one file with its own header, and say what is wrong with it.

    Args:
        path: of the file.
        channels: how many it must have; None: any.
        rate: in Hz, which it must have; None: any.
    """
    findings = []

    def add(rule: str, message: str) -> None:
        findings.append(Finding(rule, "error", str(path), message))

    samples, peak, found_rate, found = None, 0.0, rate or SAMPLE_RATE, channels or 1
    if problem := not_a_file(path):
        add("missing", problem)
        return ReadFile(None, found_rate, found, peak, tuple(findings))
    try:
        info = soundfile.info(path) if path.stat().st_size else None
        if info is not None:
            found_rate, found = info.samplerate, info.channels
        if rate is not None and found_rate != rate:
            add("rate", f"the sample rate is {found_rate} Hz, expected {rate} Hz")
        if channels is not None and found != channels:
            add("channels", f"{counted(found, 'channel')}, expected {channels}")
        length = 0
        for block in read_blocks(path, channels=found, sample_rate=found_rate):
            length += block.shape[1]
            peak = max(peak, float(np.abs(block).max()))
        samples = length
        if problem := scale_problem(peak):
            add("scale", problem)
    except soundfile.SoundFileError as error:
        add("unreadable", f"cannot be read as audio: {str(error).partition(': ')[2] or error}")
    except AudioError as error:
        message = str(error).removeprefix(f"{path}: ")
        add(error.rule, message)
    return ReadFile(samples, found_rate, found, peak, tuple(findings))
