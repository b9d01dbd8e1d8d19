"""Short-time Fourier transform with exact inverse for any signal length."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.networks.precision import full_precision


class STFT(nn.Module):
    """Centred Hann-window transform.

    A signal is padded with zeros to a whole number of hops, so that the frames cover its last sample as well as
    its first, and `inverse(forward(x), length)` is `x` for every length.
    """

    window: Tensor

    def __init__(self, window: int, hop: int) -> None:
        """Window length (also the transform's size) and hop, in samples; the hop at most half the window."""
        super().__init__()
        if not 0 < hop <= window // 2:
            raise ValueError(f"hop {hop} does not suit window {window}: expected 1 to {window // 2}")
        self.size, self.hop = window, hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.size // 2 + 1

    def frames(self, length: int) -> int:
        """Number of frames of a signal of `length` samples; frame t is centred at sample t·hop."""
        return -(-length // self.hop) + 1

    def forward(self, signal: Tensor) -> Tensor:
        """Real (..., T) → complex (..., frames, bins), computed in float32 at least."""
        length = signal.shape[-1]
        with full_precision(signal):
            flat = signal.reshape(-1, length).to(self.window.dtype)
            flat = F.pad(flat, (0, -length % self.hop))
            spectrum = torch.stft(
                flat, self.size, self.hop, window=self.window, pad_mode="constant", return_complex=True
            )
        return spectrum.transpose(-1, -2).reshape(*signal.shape[:-1], -1, self.bins)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Complex (..., frames, bins) → real (..., length)."""
        with full_precision(spectrum):
            frames = torch.fft.irfft(spectrum.reshape(-1, *spectrum.shape[-2:]), self.size) * self.window
            weights = self.window.square().expand(1, frames.shape[1], -1)
            total, weight = self._overlap(frames), self._overlap(weights)
        start = self.size // 2
        signal = total[:, start : start + length] / weight[:, start : start + length]
        return signal.reshape(*spectrum.shape[:-2], length)

    def _overlap(self, frames: Tensor) -> Tensor:
        # (B, frames, size) → (B, samples): frames added up, a hop apart
        samples = (frames.shape[1] - 1) * self.hop + self.size
        return F.fold(frames.transpose(1, 2), (1, samples), (1, self.size), stride=(1, self.hop))[:, 0, 0]
