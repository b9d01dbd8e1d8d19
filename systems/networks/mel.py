"""Log-mel front ends: one filter bank, and the two spectrogram conventions that M2D and Whisper were trained with."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.networks.precision import full_precision


def mel_filters(mels: int, size: int, sample_rate: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """Triangular filters on Slaney's mel scale (linear below 1 kHz, logarithmic above), each of unit area.

    Args:
        mels: number of filters.
        size: length of the Fourier transform.
        sample_rate: in Hz.
        low: lower edge of the first filter in Hz.
        high: upper edge of the last filter in Hz.

    Returns:
        (mels, size // 2 + 1) weights of the power spectrum's bins.
    """
    step, corner, ratio = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
    edges = np.array([low, high])
    ends = np.where(edges < corner, edges / step, corner / step + np.log(np.maximum(edges, corner) / corner) / ratio)
    scale = np.linspace(ends[0], ends[1], mels + 2)
    hertz = np.where(scale < corner / step, scale * step, corner * np.exp((scale - corner / step) * ratio))
    bins = np.linspace(0.0, sample_rate / 2, size // 2 + 1)
    rising = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    filters: npt.NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters * (2.0 / (hertz[2:] - hertz[:-2]))[:, None]


class MelSpectrogram(nn.Module):
    """Mel power spectrogram: Hann window as long as the transform, centred frames."""

    window: Tensor
    filters: Tensor

    def __init__(self, *, sample_rate: int, size: int, hop: int, mels: int, low: float, high: float) -> None:
        """Sizes in samples, edges in Hz; see `mel_filters`."""
        super().__init__()
        self.sample_rate, self.size, self.hop = sample_rate, size, hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        filters = torch.from_numpy(mel_filters(mels, size, sample_rate, low, high).astype(np.float32))
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, T) → (B, mels, T // hop + 1), frame j centred at sample j·hop; in the filters' type."""
        half = self.size // 2
        with full_precision(audio):
            # Reflection needs more samples than it adds; shorter audio is extended by zeros.
            signal = F.pad(audio.to(self.window.dtype), (0, max(0, half + 1 - audio.shape[-1])))
            spectrum = torch.stft(signal, self.size, self.hop, window=self.window, return_complex=True)
            power = spectrum.real.square() + spectrum.imag.square()
            return (self.filters @ power)[..., : audio.shape[-1] // self.hop + 1]


class M2DLogMel(MelSpectrogram):
    """The input of M2D at 32 kHz (nttcslab/m2d, `80x1001p16x16p32k`): natural logarithm, 25 ms window, 10 ms hop."""

    def __init__(self, mels: int = 80) -> None:
        super().__init__(sample_rate=32_000, size=800, hop=320, mels=mels, low=50.0, high=16_000.0)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, T) at 32 kHz → (B, mels, T // 320 + 1), not yet normalised."""
        return torch.log(super().forward(audio) + torch.finfo(torch.float32).eps)


class WhisperLogMel(MelSpectrogram):
    """The input of Whisper encoders (transformers' `WhisperFeatureExtractor`): 25 ms window, 10 ms hop at 16 kHz."""

    def __init__(self, mels: int) -> None:
        super().__init__(sample_rate=16_000, size=400, hop=160, mels=mels, low=0.0, high=8_000.0)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, T) at 16 kHz → (B, mels, T // 160): the loudest eight decades of each item, about −1 … 1."""
        level = super().forward(audio)[..., :-1].clamp_min(1e-10).log10()
        level = torch.maximum(level, level.amax((-2, -1), keepdim=True) - 8.0)
        return (level + 4.0) / 4.0
