"""The sounds of one mixture of a run, read and named: mixture, references, estimates, at one level."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.data_manifests.records import SAMPLE_RATE, Audio, Scene
from s5eval.harness.record.inspection import file_problem
from s5eval.harness.record.lines import Line, source_file
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.charted import pairs_of
from s5eval.harness.report.sounds import decode_stereo
from s5eval.harness.report.text import typeset_number


@dataclass(frozen=True, slots=True)
class NamedSound:
    """What one sound of a mixture is.

    Attributes:
        key: `mixture`, `mixture-w`, `reference-0`, `estimate-2`.
        title: what it is called.
        note: what is known of it.
        problem: why there is no audio.
    """

    key: str
    title: str
    note: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Sound(NamedSound):
    """One sound of a mixture, in memory.

    Attributes:
        audio: (T,), or (2, T) of the stereo decoding, full scale 1.0; None: there is none, and `problem` says why.
    """

    audio: Audio | None = None


def sounds_of(run: Path, line: Line, scene: Scene | None) -> list[Sound]:
    """All sounds of a mixture, in the order they are shown.

    Args:
        run: the run folder, for estimates that were saved.
        line: the mixture's, with the digests of what was saved: a wav that is another one by now is not heard.
        scene: where mixture and references are; None: they cannot be reached.
    """
    return [*_of_mixture(scene), *_references(line.score, scene), *_estimates(run, line)]


def common_gain(sounds: list[Sound]) -> np.float32:
    """What all sounds of a mixture are multiplied by so that none clips: 1 wherever that is possible."""
    peak = max((float(np.abs(s.audio).max(initial=0)) for s in sounds if s.audio is not None), default=0.0)
    return np.float32(1.0 if peak <= 1.0 else 1.0 / peak)


def _of_mixture(scene: Scene | None) -> list[Sound]:
    if scene is None:
        return [Sound("mixture", "mixture", problem=_NOT_THERE)]
    foa, problem = _read(scene.mixture.audio)
    if foa is None:
        return [Sound("mixture", "mixture", problem=problem)]
    return [
        Sound("mixture", "mixture", "decoded to stereo", audio=decode_stereo(foa)),
        Sound("mixture-w", "mixture", "channel W, which scores refer to", audio=foa[0]),
    ]


def _references(score: MixtureScore, scene: Scene | None) -> list[Sound]:
    before = {pair.reference: pair.sdr_mixture for pair in pairs_of(score)}
    there = scene is not None and scene.labels == score.reference_labels
    found = []
    for r, label in enumerate(score.reference_labels or ()):
        audio, problem = None, _NOT_THERE
        if there and scene is not None and scene.references is not None:
            audio, problem = _read(scene.references[r].audio)
        note = f"SNR of the mixture {typeset_number(before[r], 2)} dB" if r in before else ""
        found.append(Sound(f"reference-{r}", f"reference {label}", note, problem, audio))
    return found


def _estimates(run: Path, line: Line) -> list[Sound]:
    score = line.score
    pairs = {pair.estimate: pair for pair in pairs_of(score)}
    found = []
    for estimate in score.estimates:
        k, path = estimate.index, run / RUN_AUDIO / source_file(score.mixture_id, estimate)
        audio, problem = _read_wav(path, line.files.get(f"{RUN_AUDIO}/{path.name}"))
        note = f"confidence {typeset_number(estimate.confidence, 2)}"
        note += ", assigned to no reference" if score.reference_labels is not None else ""
        if k in pairs:
            pair = pairs[k]
            note = f"SDR {typeset_number(pair.sdr, 2)} dB, SDRi {typeset_number(pair.sdri, 2)} dB"
            note += f" to reference {pair.reference + 1}"
        found.append(Sound(f"estimate-{k}", f"estimate {estimate.label}", note, problem, audio))
    return found


NOT_SAVED = "not saved: run with --save-audio"
"""Why an estimate cannot be heard."""

_NOT_THERE = "not where the run was made on it, or other data by now"


def _read_wav(path: Path, digest: str | None) -> tuple[Audio | None, str]:
    if not path.is_file():
        return None, NOT_SAVED
    if digest is not None and (problem := file_problem(path, digest)) is not None:
        return None, f"{path.name} {problem}"
    return _read(lambda: read_audio(path, channels=1, sample_rate=SAMPLE_RATE)[0])


def _read(read: Callable[[], Audio]) -> tuple[Audio | None, str]:
    try:
        return read(), ""
    except (S5Error, OSError) as error:
        return None, f"cannot be read: {error}"
