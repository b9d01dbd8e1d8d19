"""ResUNetK for evaluation on a CPU: what `resunet.py` defines, computed faster and in less memory.

A map of 10 s has a million cells of 32 channels, far more than a processor's cache holds, and the plain definition
passes over it dozens of times. Here every block works through a few rows (frames) at a time: what lies between two
convolutions stays in the cache, joined maps and masks never exist as a whole, normalisations are folded into what
follows them, and convolutions with many channels go by Winograd's method. Nothing is approximated but rounding.

Maps are (frames, bins, channels) here, one mixture at a time, so that channels lie side by side in memory.
"""

from collections.abc import Callable, Mapping
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.baseline.models.blocks import ConvBlock, Decoder, Encoder, Shifts
from s5eval.systems.baseline.models.winograd import TILE, Winograd, transform_kernel

CELLS = 8_192
"""Cells of a map that are worked on at once; a matter of caches alone."""

FEWEST = 64
"""Channels, in and out, from which Winograd's method is the faster one."""

RowsOf = Callable[[int, int], Tensor]
"""Gives rows first … last − 1 of a map."""

_Kernels = WeakKeyDictionary[nn.Module, tuple[tuple[int, int], Tensor]]
_kernels: _Kernels = WeakKeyDictionary()


class MaskingUNet(Protocol):
    """What this file reads of `ResUNet`: its layers in order, and how its masks are applied."""

    @property
    def pre_conv(self) -> nn.Conv2d:
        """Widens the features to the first encoder's channels."""

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """By name, from fine to coarse."""

    @property
    def conv_block7a(self) -> Encoder:
        """Between encoders and decoders."""

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """By name, from coarse to fine."""

    @property
    def after_conv(self) -> nn.Conv2d:
        """Makes the masks' parts of the last decoder's map."""

    def apply_masks(self, spectrum: Tensor, maps: Tensor) -> Tensor:
        """Mask and mix down; see `ResUNet.apply_masks`."""
        ...


def separate(network: MaskingUNet, spectrum: Tensor, features: Tensor, shifts: Shifts) -> Tensor:
    """Spectra (B, channels, frames, bins) and their features → masked mixdowns (B, tracks, frames, bins)."""
    masked = [
        _separate(network, spectrum[i : i + 1], features[i], {path: shift[i] for path, shift in shifts.items()})
        for i in range(len(features))
    ]
    return torch.cat(masked)


def _separate(network: MaskingUNet, spectrum: Tensor, features: Tensor, shifts: Shifts) -> Tensor:
    features = features.permute(1, 2, 0).contiguous()
    first = _pointwise(network.pre_conv)
    source: RowsOf = lambda start, stop: first(features[start:stop])  # noqa: E731
    height, width = features.shape[:2]
    skips: list[Tensor] = []
    for name, encoder in network.encoders.items():
        whole = _block(encoder.conv_block1, source, height, width, shifts, f"{name}->conv_block1")
        skips.append(whole)
        pooled = _hwc(F.avg_pool2d(_nchw(whole), encoder.pool))
        height, width = pooled.shape[:2]
        source = _rows(pooled)
    x = _block(network.conv_block7a.conv_block1, source, height, width, shifts, "conv_block7a->conv_block1")
    for name, decoder in network.decoders.items():
        skip = skips.pop()
        source = _joined(decoder, x, skip, shifts[f"{name}->beta1"])
        height, width = skip.shape[:2]
        x = _block(decoder.conv_block2, source, height, width, shifts, f"{name}->conv_block2")
        del skip
    last, frames = _pointwise(network.after_conv), spectrum.shape[2]
    step = max(1, CELLS // x.shape[1])
    parts = [
        network.apply_masks(spectrum[:, :, start : start + step], _nchw(last(x[start : min(frames, start + step)])))
        for start in range(0, frames, step)
    ]
    return torch.cat(parts, 2)


def _block(block: ConvBlock, source: RowsOf, height: int, width: int, shifts: Shifts, path: str) -> Tensor:
    """A block's output (height, width, channels)."""
    outputs, inputs = block.conv1.weight.shape[:2]
    scale1, shift1 = _folded(block.bn1, shifts[f"{path}->beta1"])
    scale2, shift2 = _folded(block.bn2, shifts[f"{path}->beta2"])
    around = None if block.shortcut is None else _pointwise(block.shortcut)
    first, second = _convolution(block.conv1, width), _convolution(block.conv2, width)
    # whole tiles, so that either kind of convolution can take them; rows beyond the map are cut off in the end
    step = TILE * max(1, CELLS // (TILE * width))
    whole = -height % TILE + height
    like = block.conv1.weight
    out = like.new_empty(whole, width, outputs)
    hidden = _bordered(like, whole, width, outputs)
    strip = _bordered(like, min(step, whole), width, inputs)
    for start in range(0, height, step):
        stop = min(height, start + step)
        low, high, size = max(0, start - 1), min(height, stop + 1), min(step, whole - start)
        raw = source(low, high)
        inner = raw[start - low : stop - low]
        out[start:stop].copy_(inner if around is None else around(inner))
        activated = strip[low - start + 1 : high - start + 1, 1:-1]
        torch.addcmul(shift1, raw, scale1, out=activated)
        F.leaky_relu_(activated, block.slope)
        strip[high - start + 1 :].zero_()
        mapped = first(strip[: size + 2])
        between = _like(mapped, hidden[start + 1 : start + 1 + size, 1:-1])
        torch.addcmul(shift2, mapped, scale2, out=mapped)
        torch.ops.aten.leaky_relu(mapped, block.slope, out=between)
    # rows beyond the map were computed with the others
    hidden[height + 1 :].zero_()
    for start in range(0, height, step):
        size = min(step, whole - start)
        mapped = second(hidden[start : start + size + 2])
        _like(mapped, out[start : start + size]).add_(mapped)
    return out[:height]


def _bordered(like: Tensor, height: int, width: int, channels: int) -> Tensor:
    """An empty map with a border of zeros."""
    made = like.new_empty(height + 2, width + 2, channels)
    for edge in (made[0], made[-1], made[:, 0], made[:, -1]):
        edge.zero_()
    return made


def _like(mapped: Tensor, target: Tensor) -> Tensor:
    """The target cut into tiles if the convolution's result is."""
    if mapped.dim() == target.dim():
        return target
    row, column, channel = target.stride()
    return target.as_strided(mapped.shape, (TILE * row, row, TILE * column, column, channel), target.storage_offset())


def _joined(decoder: Decoder, x: Tensor, skip: Tensor, shift: Tensor) -> RowsOf:
    """Rows of the enlarged map and of the encoder's, side by side."""
    scale, offset = _folded(decoder.bn1, shift)
    factor = decoder.conv1.stride[0]

    def rows(start: int, stop: int) -> Tensor:
        low, high = start // factor, -(-stop // factor)
        activated = F.leaky_relu_(torch.addcmul(offset, x[low:high], scale), decoder.slope)
        larger = _hwc(decoder.conv1(_nchw(activated)))
        begin = start - low * factor
        return torch.cat([larger[begin : begin + stop - start], skip[start:stop]], 2)

    return rows


def _folded(norm: nn.BatchNorm2d, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Normalisation and shift as one factor and one offset per channel, both (channels,)."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a normalisation without running statistics cannot be evaluated")
    scale = norm.weight * (variance + norm.eps).rsqrt()
    return scale, norm.bias - mean * scale + shift


def _convolution(layer: nn.Conv2d, width: int) -> Callable[[Tensor], Tensor]:
    """Applies a 3 x 3 layer to a map (H + 2, W + 2, inputs) with its border, H a multiple of the tile.

    The result may come cut into tiles, and lasts until the next call.
    """
    if min(layer.weight.shape[:2]) >= FEWEST and width % TILE == 0:
        return Winograd(_kernel(layer))
    weight = layer.weight.contiguous(memory_format=torch.channels_last)
    return lambda padded: _hwc(F.conv2d(_nchw(padded), weight))


def _kernel(layer: nn.Conv2d) -> Tensor:
    """The layer's transformed kernel; kept until its weights change, since there are four times as many values."""
    weight = layer.weight
    if weight.is_inference():  # made in inference mode: changes would go unnoticed
        return transform_kernel(weight)
    state = (weight.data_ptr(), weight._version)
    known = _kernels.get(layer)
    if known is None or known[0] != state:
        known = state, transform_kernel(weight.detach())
        _kernels[layer] = known
    return known[1]


def _pointwise(layer: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """Applies a 1 x 1 layer: channels lie last, so that it is a matrix product."""
    weight = layer.weight.flatten(1)
    return lambda x: F.linear(x, weight, layer.bias)


def _rows(x: Tensor) -> RowsOf:
    return lambda start, stop: x[start:stop]


def _nchw(x: Tensor) -> Tensor:
    # (frames, bins, channels) → (1, channels, frames, bins), the same memory; in this order PyTorch sees channels last
    return x.unsqueeze(0).permute(0, 3, 1, 2)


def _hwc(x: Tensor) -> Tensor:
    # and back
    return x[0].permute(1, 2, 0)
