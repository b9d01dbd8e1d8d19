"""Encoder and decoder over unequal frequency bands, after band-split networks (Luo & Yu, arXiv 2209.15174).

A band is one cell of the separator's map, with weights of its own. Narrow bands below and wide ones above keep low
sounds apart with a fraction of the cells of an even grid; that is what makes preset `mini` small.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.systems.networks.mish import mish
from s5eval.systems.networks.precision import at_least_float32, full_precision

_FLOOR = 1e-3
"""Smallest magnitude that counts, relative to the mixture's deviation."""


def cues(spectrum: Tensor) -> Tensor:
    """What a small network hardly finds by itself in complex spectra: level, and the direction sound comes from.

    Args:
        spectrum: (B, channels, frames, bins) complex, channel 0 omnidirectional, level-normalised.

    Returns:
        (B, 4·channels − 1, frames, bins) real: real and imaginary parts compressed to the square root of their
        magnitude, natural log of every channel's magnitude over 4, and for every channel after the first the real
        part of its product with the first, over the mixture's energy (active intensity, −½ … ½). Channels beyond the
        mixture's count in their own denominator alone: what they hold leaves the others' cues as they are.
    """
    with full_precision(spectrum):
        power = spectrum.real.square() + spectrum.imag.square()
        compressed = spectrum * (power + _FLOOR**2).pow(-0.25)
        level = 0.125 * torch.log(power + _FLOOR**2)
        first, rest = spectrum[:, :1], spectrum[:, 1:]
        intensity = first.real * rest.real + first.imag * rest.imag
        energy = power[:, :MIXTURE_CHANNELS].sum(1, keepdim=True).repeat(1, rest.shape[1], 1, 1)
        energy[:, MIXTURE_CHANNELS - 1 :] += power[:, MIXTURE_CHANNELS:]
        intensity = intensity / (energy + _FLOOR**2)
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

    def pool(self, power: Tensor) -> Tensor:
        """Power (N, frames, bins) → its mean in every cell, (N, T', bands)."""
        stride = self.time_stride
        x = F.pad(power, (0, max(0, self.covered - power.shape[2]), 0, -power.shape[1] % stride))
        x = x.reshape(len(x), -1, stride, x.shape[2]).mean(2)
        cells, low = [], 0
        for count, bins in self.layout:
            part = x[..., low : low + count * bins]
            cells.append(part.reshape(*part.shape[:2], count, bins).mean(-1))
            low += count * bins
        return torch.cat(cells, -1)


class BandDecoder(_Bands):
    """Object features → the object's spectrum; bins above the last band get zero.

    With `mask` a cell holds a complex weight for every input channel, frame and bin in it, and the spectrum is the
    weighted sum of the inputs; otherwise the cell holds the spectrum itself. With `residual` the last input, an
    estimate to improve, is added to that sum, and all weights start at zero.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        time_stride: int,
        layout: Sequence[tuple[int, int]],
        *,
        mask: bool,
        residual: bool = False,
    ) -> None:
        """`channels` inputs, features with `width` channels."""
        super().__init__(layout)
        self.residual = residual
        self.channels, self.time_stride, self.mask = (channels if mask else 1), time_stride, mask
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, width)
        self.weights = self.linear([(width, time_stride * bins * self.channels * 2) for _, bins in layout])
        if residual:
            for weight in self.weights:
                nn.init.zeros_(weight)

    def arrange(self, spectrum: Tensor) -> list[Tensor]:
        """The inputs' spectra (B, channels, frames, bins) in the order of the cells' values, once for all objects."""
        if not self.mask:
            return []
        x = F.pad(spectrum, (0, max(0, self.covered - spectrum.shape[3]), 0, -spectrum.shape[2] % self.time_stride))
        batch, channels, frames, _ = x.shape
        groups, low = [], 0
        for count, bins in self.layout:
            part = x[..., low : low + count * bins]
            part = part.view(batch, channels, frames // self.time_stride, self.time_stride, count, bins)
            groups.append(part.permute(4, 0, 2, 3, 5, 1).contiguous())
            low += count * bins
        return groups

    def forward(self, features: Tensor, arranged: list[Tensor], frames: int, bins: int) -> Tensor:
        """(B, width, T', bands) and what `arrange` gave → (B, frames, bins) complex."""
        hidden = mish(self.hidden(self.norm(features.permute(3, 0, 2, 1))))
        batch, cells = hidden.shape[1:3]
        pieces, band = [], 0
        for k, ((count, width), weight) in enumerate(zip(self.layout, self.weights, strict=True)):
            rows = hidden[band : band + count].reshape(count, batch * cells, -1)
            values = at_least_float32(torch.bmm(rows, weight.to(rows.dtype)))
            values = values.view(count, batch, cells, self.time_stride, width, self.channels, 2)
            joint = torch.view_as_complex(values)
            single = (joint * arranged[k]).sum(-1) if self.mask else joint[..., 0]
            if self.residual:
                single = single + arranged[k][..., -1]
            pieces.append(single.permute(1, 2, 3, 0, 4).reshape(batch, cells * self.time_stride, count * width))
            band += count
        missing = max(0, bins - self.covered)
        return F.pad(torch.cat(pieces, 2)[:, :frames, :bins], (0, missing))
