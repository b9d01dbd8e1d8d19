"""A multichannel Wiener filter of what stages hand on, or of what comes out: channels tell where sounds come from.

A separator decides cell by cell of a map. Where sources stand still, one linear filter of the channels for every
frequency, the same for the whole mixture, lets through what comes from a source's direction and turns down the rest,
with no cell cut out. Its statistics come from masks of the estimates (Heymann, Drude, Haeb-Umbach, ICASSP 2016); its
weights are those of the speech-distortion-weighted filter (Spriet, Moonen, Wouters, Signal Processing 84, 2004).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.batching import mixture_batches
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.networks.precision import at_least_float32, full_precision

REVISION = 1
"""Raised whenever the code changes what the filter makes of the same estimates and settings."""

_TINY = 1e-30  # keeps empty frequencies solvable
_LEAST_LOADING = 1e-6  # below, the result in float32 hangs on its last bits
_LARGEST = 1e6  # of what single precision can hold beside the powers of the channels


@dataclass(frozen=True, slots=True)
class SpatialFilterSettings:
    """How the channels are filtered.

    Attributes:
        share: of the filtered waveform in the result, from 0 to 1; the rest is the estimate as it was. 0: no filter.
        enrollment: the same in what an extractor is told to extract.
        window: of the transform, in samples at 32 kHz; its hop is a quarter. Long against the room's reflections.
        noise: weight of what is not the source, above 0: larger values turn it down further and bend the source more.
        loading: added to the diagonal of the channels' power, as a share of its mean, above 0: the filter then trusts
            small differences between channels less. Without any, channels that are alike cannot be solved for.
    """

    share: float
    enrollment: float
    window: int
    noise: float
    loading: float

    def check(self, where: str) -> None:
        """Refuse what cannot be; `where` names the settings. Raises `UsageError`."""
        for name in ("share", "enrollment"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{where}.{name} is {getattr(self, name)}, expected a number from 0 to 1")
        if self.window < 4 or self.window % 4:
            raise UsageError(f"{where}.window is {self.window}, expected a multiple of 4, at least 4")
        if not 0 < self.noise <= _LARGEST:
            raise UsageError(f"{where}.noise is {self.noise}, expected a number above 0, at most {_LARGEST:g}")
        if not _LEAST_LOADING <= self.loading <= _LARGEST:
            raise UsageError(
                f"{where}.loading is {self.loading}, expected a number from {_LEAST_LOADING:g} to {_LARGEST:g}"
            )

    def of_enrollments(self) -> "SpatialFilterSettings | None":
        """The filter that enrollments go through; None: they stay as they are."""
        return replace(self, share=self.enrollment) if self.enrollment > 0 else None

    def recorded(self) -> dict[str, Json]:
        """The settings of one filter, as cards have them."""
        content = asdict(self)
        del content["enrollment"]
        return content

    def fingerprint(self) -> dict[str, Json]:
        """What the result of one filter depends on: its settings, and the code."""
        return {"revision": REVISION, **self.recorded()}


def spatially_filtered(mixture: Tensor, estimates: Tensor, settings: SpatialFilterSettings) -> Tensor:
    """What comes out of the filter for every estimate, mixed with it.

    With X (channels × frames) the mixture and S an estimate at one frequency, every frame belongs to the source with
    the share m = |S|² / (|S|² + |X₀ − S|²). From Φ = Σ m X Xᴴ and N = Σ (1 − m) X Xᴴ follow the weights
    w = (Φ + noise · N + d I)⁻¹ Φ e₀, where d is `loading` times the mean power of a channel, and the waveform wᴴ X.

    Args:
        mixture: (channels, T); the first channel is the one that the estimates are parts of.
        estimates: (N, T).
        settings: see there.

    Returns:
        (N, T); zero, but for the estimate's own share, where mixture or estimate is silent.

    Example:
        >>> settings = SpatialFilterSettings(share=0.6, enrollment=0.0, window=64, noise=0.5, loading=0.1)
        >>> spatially_filtered(torch.zeros(4, 1000), torch.zeros(2, 1000), settings).shape
        torch.Size([2, 1000])
    """
    length = mixture.shape[1]
    # laid by frequency: the products below are then three times as fast
    channels = _transform(mixture, settings.window).transpose(0, 1).contiguous()
    power = channels @ channels.mH
    loading = settings.loading * power.diagonal(dim1=1, dim2=2).real.mean(1)
    diagonal = torch.eye(len(mixture), device=mixture.device) * loading.clamp_min(_TINY).view(-1, 1, 1)
    rows = []
    for estimate in estimates:  # one at a time: the transforms of all would be large
        source = _transform(estimate.unsqueeze(0), settings.window)[0]
        own, rest = source.abs().square(), (channels[:, 0] - source).abs().square()
        mask = own / (own + rest).clamp_min(_TINY)
        target = (mask.unsqueeze(1) * channels) @ channels.mH
        weights = torch.linalg.solve(target + settings.noise * (power - target) + diagonal, target[:, :, :1])
        rows.append(_waveform((weights.mH @ channels).squeeze(1), settings.window, length))
    filtered = torch.stack(rows) if rows else estimates
    return settings.share * filtered + (1 - settings.share) * estimates


def filtered_by_scene(mixtures: Tensor, scene: Tensor, estimates: Tensor, settings: SpatialFilterSettings) -> Tensor:
    """Estimates (N, T) of several mixtures (N, channels, T), each filtered by the channels of its own.

    Args:
        mixtures: the mixture of every estimate.
        scene: (N,), alike where the mixture is the same.
        estimates: in any order.
        settings: of the filter.

    Returns:
        (N, T), at least float32: the transforms need it where the networks run in less.
    """
    with full_precision(estimates):
        filtered = at_least_float32(estimates).clone()
        for number in sorted(set(scene.tolist())):
            rows = torch.nonzero(scene == number)[:, 0]
            filtered[rows] = spatially_filtered(at_least_float32(mixtures[rows[0]]), filtered[rows], settings)
    return filtered


def _transform(signals: Tensor, window: int) -> Tensor:
    """(C, T) → (C, frequencies, frames)."""
    hann = torch.hann_window(window, device=signals.device)
    return torch.stft(signals, window, window // 4, window=hann, pad_mode="constant", return_complex=True)


def _waveform(spectrum: Tensor, window: int, length: int) -> Tensor:
    """(frequencies, frames) → (length,)."""
    hann = torch.hann_window(window, device=spectrum.device)
    return torch.istft(spectrum, window, window // 4, window=hann, length=length)


class SpatialFilterStage:
    """The filter as a system's last stage: waveforms change, scores and silences stay.

    It stands behind all others, so that what networks are told is what they were trained on.
    """

    def __init__(self, name: str, settings: SpatialFilterSettings, device: str, *, tau_skip: float) -> None:
        """`tau_skip`: slots likelier to be silent than this are handed on as they are."""
        self.name, self.settings, self.device, self.tau_skip = name, settings, torch.device(device), tau_skip

    def fingerprint(self) -> Mapping[str, Json]:
        """Every setting that the result depends on."""
        return {"tau_skip": self.tau_skip, **self.settings.fingerprint()}

    @torch.inference_mode()
    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """Filtered candidates; raises `ValueError` when inputs are missing or not as long as their mixtures."""
        if inputs is None or len(inputs) != len(mixtures):
            raise ValueError(f"stage {self.name} needs the candidates of the stage before for every mixture")
        results: list[Candidates] = []
        for audio, rows in mixture_batches(mixtures, self.device):
            results += [self._filter(mixture, own) for mixture, own in zip(audio, inputs[rows], strict=True)]
        return results

    def _filter(self, mixture: Tensor, candidates: Candidates) -> Candidates:
        if candidates.length != mixture.shape[1]:
            raise ValueError(
                f"stage {self.name}: candidates of {candidates.length} samples for a mixture of {mixture.shape[1]}"
            )
        alive = np.flatnonzero(candidates.p_silence <= self.tau_skip)
        audio = candidates.audio.copy()
        estimates = torch.from_numpy(audio[alive]).to(mixture.device)
        audio[alive] = spatially_filtered(mixture, estimates, self.settings).float().cpu().numpy()
        return Candidates(audio, candidates.class_scores.copy(), candidates.p_silence.copy(), candidates.labels)
