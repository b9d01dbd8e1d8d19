"""Metrics that rank nothing, on request (`--metrics all`): CASA-SDR from the tables, BSS Eval from the audio."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.records import Audio
from s5eval.harness.record.tables import MixtureScore, PairTable, SecondaryName
from s5eval.metrics.bss import bss_eval
from s5eval.metrics.casa import casa_sdr
from s5eval.metrics.decompose import subset
from s5eval.systems.decision import Selection

BSS: tuple[SecondaryName, ...] = ("bss_sdr", "bss_sir", "bss_sar")
"""Keys of the values that need audio."""


def with_secondary(score: MixtureScore, table: PairTable, candidates: Audio, references: Audio) -> MixtureScore:
    """The score of a mixture with its secondary metrics.

    BSS Eval looks at the pairs that CAPI-SDRi has assigned, and its values are means over these; None where
    there is no pair, or nothing that could interfere.

    Args:
        score: of the mixture.
        table: its pair table.
        candidates: (N, T), all candidates.
        references: (R, T).
    """
    casa = casa_values(table, score.estimates)
    pairs = [(pair.estimate, pair.reference) for pair in score.capi.pairs] if score.capi is not None else []
    bss = bss_eval(estimate=candidates, reference=references, pairs=pairs)
    values = dict(zip(BSS, (_mean(bss.sdr), _mean(bss.sir), _mean(bss.sar)), strict=True))
    return replace(score, secondary={**casa, **values})


def without_bss(score: MixtureScore) -> MixtureScore:
    """The score with its BSS Eval values taken back."""
    if score.secondary is None:
        return score
    kept = {name: None if name in BSS else value for name, value in score.secondary.items()}
    return replace(score, secondary=kept)


def casa_values(table: PairTable, selections: tuple[Selection, ...]) -> dict[SecondaryName, float | None]:
    """The secondary metrics that the tables alone give, dB."""
    casa = casa_sdr(
        subset(table.pair_scores, [s.index for s in selections]),
        estimate_labels=[s.label for s in selections],
        reference_labels=table.reference_labels or (),
    )
    return {"casa_sdr": casa.sdr, "casa_sdri": casa.sdri}


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
