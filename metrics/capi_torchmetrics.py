"""CAPI-SDRi as a torchmetrics `Metric`: batch by batch, over processes, and equal to the official corpus value.

Source: `nttcslab/dcase2026_task4_baseline`, commit 20e6992, `src/evaluation/metrics`.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.label_counts import NO_SOURCE
from s5eval.metrics.sdr import pairwise_sdr

Labels: TypeAlias = Sequence[str | None]
"""A label per row; None for a row that holds no source (padding), which is then not looked at. So does `silence`."""

_CHANNELS = 4  # of a first-order Ambisonics mixture


class CapiSDRi(Metric):
    """Mean CAPI-SDRi over all mixtures that it has been shown and for which it is defined, dB.

    Sums are float64, and each mixture is scored by the very functions that the official value is made with, on the
    CPU: `compute` is equal to the corpus value of a run over the same waveforms. With several processes, sums and
    counts are added (`dist_reduce_fx="sum"`), so mixtures may be spread unevenly; a sampler that repeats mixtures to
    fill up the last batch changes the value, as it changes any mean.

    A scene without a target that is answered with silence is undefined, and left out. `n_defined` and `n_mixtures`
    say how many there are: the defined set differs between systems.

    Not differentiable; `s5eval.systems.training.capi_loss` has the loss.

    Args:
        classes: the labels that there are; another one is refused, with the closest. None: all labels are taken as
            they come, and a misspelt one is a class of its own.
        options: of `torchmetrics.Metric`.

    >>> import torch, s5eval
    >>> cough, pour = 0.1 * torch.randn(2, 3200, generator=torch.Generator().manual_seed(0))
    >>> metric = CapiSDRi(s5eval.CLASSES)
    >>> metric.update(
    ...     [torch.stack([cough + 0.1 * pour])], [torch.stack([cough, pour])], (cough + pour)[None],
    ...     estimate_labels=[["Cough"]], reference_labels=[["Cough", "Pour"]],
    ... )
    >>> round(metric.compute().item(), 1), int(metric.n_defined)
    (10.0, 1)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    total: Tensor
    n_defined: Tensor
    n_mixtures: Tensor

    def __init__(self, classes: Collection[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.classes = None if classes is None else tuple(classes)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("n_defined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("n_mixtures", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        estimates: Tensor | Sequence[Tensor],
        references: Tensor | Sequence[Tensor],
        mixtures: Tensor | Sequence[Tensor],
        *,
        estimate_labels: Sequence[Labels],
        reference_labels: Sequence[Labels],
    ) -> None:
        """Add a batch of B mixtures.

        Args:
            estimates: per mixture (N, T), N may be 0 and differ; or padded, (B, N, T).
            references: per mixture (R, T), R may be 0 and differ; or padded, (B, R, T).
            mixtures: per mixture (T,), channel 0; or (4, T), of which channel 0 is taken. T may differ between them.
            estimate_labels: per mixture a label for every row, None where the row is padding.
            reference_labels: likewise.

        Raises:
            ValueError: numbers of mixtures, channels, rows or samples do not fit, a label is unknown or no word, or a
                sample is not finite; names the mixture. Nothing of the batch is added then.
        """
        lengths = [len(part) for part in (estimates, references, mixtures, estimate_labels, reference_labels)]
        if len(set(lengths)) != 1:
            raise ValueError(
                "estimates, references, mixtures, estimate_labels, reference_labels are of "
                f"{', '.join(map(str, lengths))} mixtures, expected as many of each"
            )
        values = []
        parts = zip(estimates, references, mixtures, estimate_labels, reference_labels, strict=True)
        for b, (estimate, reference, mixture, labels, targets) in enumerate(parts):
            try:
                values.append(self._score(estimate, reference, mixture, labels, targets))
            except ValueError as error:
                raise ValueError(f"mixture {b} of the batch: {error}") from error
        defined = [value for value in values if value is not None]
        self.total += sum(defined)
        self.n_defined += len(defined)
        self.n_mixtures += len(values)

    def set_dtype(self, dst_type: str | torch.dtype) -> "CapiSDRi":
        """Sums stay float64 and counts whole, whatever is asked for: a half counts to 2,048."""
        return self

    def compute(self) -> Tensor:
        """The mean, float64, dB; NaN where no mixture is defined."""
        return self.total / self.n_defined

    def _score(
        self, estimate: Tensor, reference: Tensor, mixture: Tensor, labels: Labels, targets: Labels
    ) -> float | None:
        channel = _numpy(mixture, "mixture")
        if channel.ndim != 1 and (channel.ndim != 2 or len(channel) != _CHANNELS):
            raise ValueError(
                f"the mixture has shape {channel.shape}, expected ({_CHANNELS}, T), or (T,) of channel 0 alone"
            )
        channel = channel[0] if channel.ndim == 2 else channel
        estimated, kept = self._present(estimate, labels, len(channel), "estimate")
        wanted, true = self._present(reference, targets, len(channel), "reference")
        tables = pairwise_sdr(estimate=estimated, reference=wanted, mixture=channel)
        return capi_sdri(tables, estimate_labels=kept, reference_labels=true).value

    def _present(
        self, audio: Tensor, labels: Labels, length: int, name: str
    ) -> tuple[npt.NDArray[np.floating], list[str]]:
        """The rows that hold a source, with their labels."""
        if len(audio) != len(labels):
            raise ValueError(f"{len(audio)} {name} rows and {len(labels)} labels")
        rows = [k for k, label in enumerate(labels) if label not in NO_SOURCE]
        kept = [label for label in labels if label is not None and label not in NO_SOURCE]
        for label in kept:
            if not isinstance(label, str):
                raise ValueError(
                    f"the label {label!r} of an {name} is no word; expected a class, or None for no source"
                )
        for label in kept if self.classes is not None else ():
            if label not in (known := self.classes or ()):
                close = get_close_matches(label, known, n=1)
                raise ValueError(f"unknown label {label!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        return (_numpy(audio, name)[rows] if rows else np.empty((0, length), np.float32)), kept


def _numpy(samples: Tensor, name: str) -> npt.NDArray[np.floating]:
    if not isinstance(samples, Tensor):
        raise ValueError(f"the {name} is a {type(samples).__name__}, expected a tensor: torch.from_numpy makes one")
    samples = samples.detach().cpu()
    if not samples.is_floating_point():
        raise ValueError(f"the samples are {samples.dtype}, expected floating ones at full scale 1.0")
    return (samples.float() if samples.dtype in (torch.float16, torch.bfloat16) else samples).numpy()
