"""Encoder and decoder over unequal frequency bands, after band-split networks (Luo & Yu, arXiv 2209.15174).

A band is one cell of the separator's map, with weights of its own. Narrow bands below and wide ones above keep low
sounds apart with a fraction of the cells of an even grid; that is what makes preset `mini` small.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.multistage.models.precision import full_precision

_FLOOR = 1e-3
"""Smallest magnitude that counts, relative to the mixture's deviation."""


def cues(spectrum: Tensor) -> Tensor:
    """What a small network hardly finds by itself in complex spectra: level, and the direction sound comes from.

    Args:
        spectrum: (B, channels, frames, bins) complex, channel 0 omnidirectional, level-normalised.

    Returns:
        (B, 4·channels − 1, frames, bins) real: real and imaginary parts compressed to the square root of their
        magnitude, natural log of every channel's magnitude over 4, and for every channel after the first the real
        part of its product with the first, over the energy of all (active intensity, −1 … 1).
    """
    with full_precision(spectrum):
        power = spectrum.real.square() + spectrum.imag.square()
        compressed = spectrum * (power + _FLOOR**2).pow(-0.25)
        level = 0.125 * torch.log(power + _FLOOR**2)
        first, rest = spectrum[:, :1], spectrum[:, 1:]
        intensity = first.real * rest.real + first.imag * rest.imag
        intensity = intensity / (power.sum(1, keepdim=True) + _FLOOR**2)
        return torch.cat([compressed.real, compressed.imag, level, intensity], 1)


def input_channels(channels: int, inputs: str) -> int:
    """Real maps that the encoder gets of so many channels: two of each, or those of `cues`."""
    return 4 * channels - 1 if inputs == "cues" else 2 * channels


class _Bands(nn.Module):
    """The layout: groups of equally wide bands, one after the other from bin 0 on."""

    def __init__(self, layout: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.layout = tuple(layout)
        self.covered = sum(count * bins for count, bins in layout)

    def linear(self, sizes: Sequence[tuple[int, int]]) -> nn.ParameterList:
        """One weight (bands, inputs, outputs) per group."""
        weights = []
        for (count, _), (inputs, outputs) in zip(self.layout, sizes, strict=True):
            weights.append(nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-1, 1) * inputs**-0.5))
        return nn.ParameterList(weights)


class BandEncoder(_Bands):
    """Real maps → one cell per band and `time_stride` frames."""

    def __init__(self, inputs: int, width: int, time_stride: int, layout: Sequence[tuple[int, int]]) -> None:
        """`inputs` maps in, `width` channels out."""
        super().__init__(layout)
        self.time_stride = time_stride
        self.weights = self.linear([(inputs * time_stride * bins, width) for _, bins in layout])
        self.bias = nn.Parameter(torch.zeros(sum(count for count, _ in layout), width))
        self.norm = nn.GroupNorm(1, width)
        self.activation = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, frames, bins) → (B, T', bands, width), T' rounded up."""
        stride = self.time_stride
        x = F.pad(x, (0, max(0, self.covered - x.shape[3]), 0, -x.shape[2] % stride))
        batch, inputs, frames, _ = x.shape
        cells, low = [], 0
        for (count, bins), weight in zip(self.layout, self.weights, strict=True):
            part = x[..., low : low + count * bins].view(batch, inputs, frames // stride, stride, count, bins)
            rows = part.permute(4, 0, 2, 1, 3, 5).reshape(count, batch * (frames // stride), -1)
            cells.append(torch.bmm(rows, weight.to(rows.dtype)).view(count, batch, frames // stride, -1))
            low += count * bins
        y = torch.cat(cells).permute(1, 2, 0, 3) + self.bias
        normed: Tensor = self.activation(self.norm(y.permute(0, 3, 1, 2)))
        return normed.permute(0, 2, 3, 1)


class BandDecoder(_Bands):
    """Object features → a complex value for every channel, frame and bin; bins above the last band get zero."""

    def __init__(self, channels: int, width: int, time_stride: int, layout: Sequence[tuple[int, int]]) -> None:
        """Values for `channels` channels of features with `width` channels."""
        super().__init__(layout)
        self.channels, self.time_stride = channels, time_stride
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.weights = self.linear([(width, time_stride * bins * channels * 2) for _, bins in layout])

    def forward(self, features: Tensor, frames: int, bins: int) -> Tensor:
        """(B, width, T', bands) → (B, frames, bins, channels) complex."""
        hidden = F.mish(self.hidden(self.norm(features.permute(3, 0, 2, 1))))
        batch, cells = hidden.shape[1:3]
        pieces, band = [], 0
        for (count, width), weight in zip(self.layout, self.weights, strict=True):
            rows = hidden[band : band + count].reshape(count, batch * cells, -1)
            values = torch.bmm(rows, weight.to(rows.dtype))
            values = values.view(count, batch, cells, self.time_stride, width, 2 * self.channels)
            pieces.append(values.permute(1, 2, 3, 0, 4, 5).reshape(batch, cells * self.time_stride, count * width, -1))
            band += count
        joint = torch.cat(pieces, 2)[:, :frames, :bins]
        joint = F.pad(joint, (0, 0, 0, bins - joint.shape[2]))
        values = joint.float().reshape(*joint.shape[:3], self.channels, 2)
        return torch.view_as_complex(values.contiguous())
