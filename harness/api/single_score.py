"""One mixture, from arrays to its score."""

from s5eval.arrays import LabelledAudio, Recording, as_channel_0, as_sources, check_rate
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.runs.engine import pair_table
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.secondary_metrics import with_secondary
from s5eval.systems.bounds import labelled_candidates
from s5eval.systems.decision import KEEP_ALL


def score_mixture(
    *,
    estimates: LabelledAudio,
    references: LabelledAudio,
    mixture: Recording,
    sample_rate: int = SAMPLE_RATE,
    mixture_id: str = "mixture",
    secondary: bool = False,
) -> MixtureScore:
    """Score labelled waveforms against labelled references, exactly as a run does.

    Arrays are numpy or torch, full scale 1.0 (int16 and int32 are read as PCM). No scaling, no mean removal.

    Args:
        estimates: `{label: (T,)}`; or `[(label, (T,)), …]`, since labels may repeat; or what `separate` returned.
            Empty: no target is heard.
        references: likewise, or a scene's `references`; empty for a scene without a target.
        mixture: (4, T), of which channel 0 is what scores refer to; or (T,), that channel alone; or that of a scene.
        sample_rate: of all arrays, Hz. Nothing is resampled.
        mixture_id: the name that the score carries.
        secondary: CASA-SDR and the SDR, SIR, SAR of BSS Eval as well (about a second per source of ten seconds).

    Returns:
        The same record as a line of a run: CAPI-SDRi (None for a silent scene answered with silence), floors and
        bounds, label counts, assigned pairs, flags, and where the decibels went. All levels in dB.

    Raises:
        DataError: a label is none of the 18 classes, a shape, length or rate is wrong, or a sample is not finite;
            names the array; or a file of the scene cannot be read.
        UsageError: an argument is no array, or a tensor that requires a gradient (pass `.detach()`).

    Source: the official evaluator, `nttcslab/dcase2026_task4_baseline`, commit 20e6992.

    >>> import numpy as np
    >>> cough, pour = 0.1 * np.random.default_rng(0).normal(size=(2, 3200))
    >>> score = score_mixture(
    ...     estimates=[("Cough", cough), ("Cough", pour)], references=[("Cough", cough)], mixture=cough + pour
    ... )
    >>> score.labels, [str(flag) for flag in score.flags]
    (LabelCounts(tp=1, fp=1, fn=0), ['perfect-estimate:0'])
    >>> score_mixture(estimates={"Speach": cough}, references={}, mixture=cough)
    Traceback (most recent call last):
        ...
    s5eval.data_manifests.common.errors.DataError: estimates: unknown label 'Speach'; did you mean 'Speech'? (expected \
one of the 18 classes)
    """
    check_rate(sample_rate)
    channel = as_channel_0(mixture)
    labels, audio = as_sources(estimates, "estimates", length=len(channel))
    reference_labels, targets = as_sources(references, "references", length=len(channel))
    candidates = labelled_candidates(labels, audio)
    table = pair_table(
        mixture_id, candidates, reference_labels, lambda: [(audio, targets, channel)], length=len(channel)
    )
    score = score_candidates(mixture_id, table, KEEP_ALL)
    return with_secondary(score, table, audio, targets) if secondary else score
