"""Numbers from arrays and labels. Pure functions on numpy arrays; depends on no other part of s5eval.

`pairwise_sdr` is the only one that looks at waveforms, apart from `bss_eval`; the others work on its small tables.

>>> import numpy as np
>>> cough, pour = 0.1 * np.random.default_rng(0).normal(size=(2, 3200))
>>> tables = pairwise_sdr(estimate=cough[None] + 0.1 * pour, reference=np.stack([cough, pour]), mixture=cough + pour)
>>> score = capi_sdri(tables, estimate_labels=["Cough"], reference_labels=["Cough", "Pour"])
>>> round(score.value, 1), score.n_entries
(10.0, 2)

`CapiSDRi`, a torchmetrics `Metric`, needs the extra `torchmetrics`; it and torch are imported when it is asked for.
"""

from typing import TYPE_CHECKING

from s5eval.metrics.bootstrap import Intervals, bootstrap, paired_bootstrap
from s5eval.metrics.bss import BssScores, bss_eval
from s5eval.metrics.capi import CapiScore, capi_sdri
from s5eval.metrics.casa import CasaScore, casa_sdr
from s5eval.metrics.decompose import Decomposition, decompose
from s5eval.metrics.label_counts import LabelCounts, count_labels
from s5eval.metrics.sdr import PairScores, pairwise_sdr, snr

if TYPE_CHECKING:
    from s5eval.metrics.capi_torchmetrics import CapiSDRi

__all__ = [
    "BssScores",
    "CapiSDRi",
    "CapiScore",
    "CasaScore",
    "Decomposition",
    "Intervals",
    "LabelCounts",
    "PairScores",
    "bootstrap",
    "bss_eval",
    "capi_sdri",
    "casa_sdr",
    "count_labels",
    "decompose",
    "paired_bootstrap",
    "pairwise_sdr",
    "snr",
]


if not TYPE_CHECKING:  # to type checkers it would say that any name is there

    def __getattr__(name: str) -> object:
        """`CapiSDRi`, imported on use (PEP 562)."""
        if name != "CapiSDRi":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from s5eval.metrics.capi_torchmetrics import CapiSDRi
        except ModuleNotFoundError as error:
            if error.name not in ("torchmetrics", "torch"):
                raise
            raise ImportError(
                f"CapiSDRi needs {error.name}, which is not installed: pip install 's5eval[torchmetrics]'",
                name=error.name,
            ) from error
        return CapiSDRi


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
