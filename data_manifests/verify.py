"""Is a set of scenes complete and sound? Every finding in one pass."""

from collections.abc import Callable
from pathlib import Path

import soundfile

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.cache import file_sha256
from s5eval.data_manifests.errors import AudioError
from s5eval.data_manifests.findings import Finding
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Scene
from s5eval.data_manifests.synthesis.write import read_checksums

MIXTURE_SAMPLES = 10 * SAMPLE_RATE
"""Length of every mixture of the official sets and of `mini`."""

_RULES = (("no such file", "missing"), ("empty", "empty"), ("truncated", "truncated"), ("NaN", "non-finite"))


def verify(manifest: Manifest, *, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Check every file of a split: presence, checksum, rate, channels, length, finite samples, orphans.

    Checksums are compared where the set was made by s5eval, which records them beside the audio.

    Args:
        manifest: the split, as opened; its own findings (orphans, foreign suffixes, counts) come first.
        progress: is told (mixtures done, mixtures in all).

    Returns:
        All findings: rules `missing`, `empty`, `truncated`, `unreadable`, `rate`, `channels`, `length`,
        `non-finite`, `checksum`, `label` beside the manifest's own.
    """
    findings = list(manifest.findings)
    folder = (manifest.root / manifest.split.soundscape).parent
    for record in read_checksums(folder).values():
        for name, checksum in record.items():
            path = folder / name
            if not path.is_file():
                findings.append(Finding("missing", "error", str(path), "recorded when the set was made, not there"))
            elif file_sha256(path) != checksum:
                findings.append(
                    Finding("checksum", "error", str(path), "not the bytes that were written; make it again")
                )
    for done, scene in enumerate(manifest.scenes, 1):
        findings += _check_scene(scene)
        if progress is not None:
            progress(done, len(manifest.scenes))
    return findings


def _check_scene(scene: Scene) -> list[Finding]:
    length, findings = _check_file(scene.mixture.path, MIXTURE_CHANNELS)
    if length not in (None, MIXTURE_SAMPLES):
        message = f"{length} samples, expected {MIXTURE_SAMPLES} (10 s)"
        findings.append(Finding("length", "error", str(scene.mixture.path), message))
    if scene.problem is not None:
        findings.append(Finding("label", "error", str(scene.mixture.path), scene.problem))
    for reference in scene.references or ():
        samples, found = _check_file(reference.path, 1)
        findings += found
        if samples is not None and length is not None and samples != length:
            message = f"{samples} samples, its mixture has {length}"
            findings.append(Finding("length", "error", str(reference.path), message))
    return findings


def _check_file(path: Path, channels: int) -> tuple[int | None, list[Finding]]:
    """Length in samples (None when it cannot be known) and what is wrong with one file, read with its own header."""
    findings = []

    def add(rule: str, message: str) -> None:
        findings.append(Finding(rule, "error", str(path), message))

    try:
        info = soundfile.info(path) if path.is_file() and path.stat().st_size else None
        rate, found = (info.samplerate, info.channels) if info is not None else (SAMPLE_RATE, channels)
        if rate != SAMPLE_RATE:
            add("rate", f"the sample rate is {rate} Hz, expected {SAMPLE_RATE} Hz")
        if found != channels:
            add("channels", f"{found} channels, expected {channels}")
        return read_audio(path, channels=found, sample_rate=rate).shape[1], findings
    except soundfile.SoundFileError as error:
        add("unreadable", f"cannot be read as audio: {str(error).partition(': ')[2] or error}")
    except AudioError as error:
        message = str(error).removeprefix(f"{path}: ")
        add(next((rule for words, rule in _RULES if words in message), "unreadable"), message)
    return None, findings
