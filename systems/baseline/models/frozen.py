"""Transforms computed by FFT, with the tensors that the published checkpoints keep of them.

The official code computes its transforms by convolution (torchlibrosa in the separator, nnAudio in the tagger) and
its checkpoints hold the convolutions' weights. Here they are state entries of the same names and shapes, so that the
files load strictly, and so that a file of other windows is recognised; nothing is computed with them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.networks.mel import M2DLogMel
from s5eval.systems.networks.precision import full_precision

TOLERANCE = 1e-4
"""How far a file's transform may lie from ours, relative to its largest value; rounding stays far below it."""


class _Kernel(nn.Module):
    """A convolution's weight that is never applied."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float(), requires_grad=False)


class _Frozen(nn.Module):
    """Marks a module all of whose own tensors follow from its sizes."""


class FrozenSTFT(_Frozen):
    """Centred Hann-window transform with reflected ends (torchlibrosa's `STFT`)."""

    window: Tensor

    def __init__(self, size: int, hop: int) -> None:
        """Window length, which is also the transform's size, and hop, in samples."""
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        window, angle = _hann(size), _angles(size)[: size // 2 + 1]
        self.conv_real = _Kernel((angle.cos() * window).unsqueeze(1))
        self.conv_imag = _Kernel((-angle.sin() * window).unsqueeze(1))

    def forward(self, audio: Tensor) -> Tensor:
        """Real (B, C, T) → complex (B, C, T // hop + 1, bins), float32; frame t is centred at sample t·hop."""
        half = self.size // 2
        with full_precision(audio):
            # Reflection needs more samples than it adds; shorter audio is extended by zeros.
            signal = F.pad(audio.flatten(0, 1).float(), (0, max(0, half + 1 - audio.shape[-1])))
            spectrum = torch.stft(signal, self.size, self.hop, window=self.window, return_complex=True)
        frames = audio.shape[-1] // self.hop + 1
        return spectrum.transpose(1, 2)[:, :frames].reshape(*audio.shape[:2], frames, -1)


class FrozenISTFT(_Frozen):
    """Its inverse by overlap-add (torchlibrosa's `ISTFT`); `ola_window` holds the squared window."""

    window: Tensor

    def __init__(self, size: int, hop: int) -> None:
        """Sizes as in `FrozenSTFT`."""
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        window, angle = _hann(size), _angles(size)
        self.conv_real = _Kernel((angle.cos() * window[:, None] / size).unsqueeze(2))
        self.conv_imag = _Kernel((angle.sin() * window[:, None] / size).unsqueeze(2))
        self.register_buffer("ola_window", window.square().float())

    def forward(self, spectrum: Tensor, length: int) -> Tensor:
        """Complex (B, frames, bins) → real (B, length), float32."""
        with full_precision(spectrum):
            frames = torch.fft.irfft(spectrum, self.size) * self.window
            total = self._overlap(frames)
            weight = self._overlap(self.window.square().expand(1, frames.shape[1], -1))
        start = self.size // 2
        return total[:, start : start + length] / weight[:, start : start + length].clamp_min(1e-11)

    def _overlap(self, frames: Tensor) -> Tensor:
        # (B, frames, size) → (B, samples): frames added up, a hop apart
        samples = (frames.shape[1] - 1) * self.hop + self.size
        return F.fold(frames.transpose(1, 2), (1, samples), (1, self.size), stride=(1, self.hop))[:, 0, 0]


class _FourierKernels(_Frozen):
    """nnAudio's transform: windowed sines and cosines, and the window."""

    def __init__(self, size: int) -> None:
        super().__init__()
        window, angle = _hann(size), _angles(size)[: size // 2 + 1]
        self.register_buffer("wsin", (angle.sin() * window).float().unsqueeze(1))
        self.register_buffer("wcos", (angle.cos() * window).float().unsqueeze(1))
        self.register_buffer("window_mask", window.float()[None, :, None])


class FrozenLogMel(M2DLogMel, _Frozen):
    """M2D's log-mel front end with nnAudio's tensors beside it."""

    mel_basis: Tensor

    def __init__(self, mels: int) -> None:
        """As `M2DLogMel`."""
        super().__init__(mels)
        self.register_buffer("mel_basis", self.filters.clone())
        self.stft = _FourierKernels(self.size)


def frozen_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Those entries of a network's state that its sizes alone determine."""
    found: dict[str, Tensor] = {}
    for prefix, module in network.named_modules():
        if isinstance(module, _Frozen):
            found |= {f"{prefix}.{name}" if prefix else name: value for name, value in module.state_dict().items()}
    return found


def trained_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The rest of its state: what a weight file of ours holds."""
    frozen = frozen_tensors(network)
    return {name: value for name, value in network.state_dict().items() if name not in frozen}


def _hann(size: int) -> Tensor:
    return torch.hann_window(size, dtype=torch.float64)


def _angles(size: int) -> Tensor:
    # (size, size): 2π·k·n / size, the product reduced first so that it stays exact
    index = torch.arange(size)
    return (index[:, None] * index % size).double() * (2 * torch.pi / size)
