"""ResUNetK, the label-queried separator: all queried sources at once, from the four channels of a mixture.

Parameters carry the names of the published checkpoint (nttcslab/dcase2026_task4_baseline, `resunetk.ckpt`), whose
architecture is the residual U-Net of AudioSep (Liu et al., arXiv 2308.05037) with FiLM shifts.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.baseline.configuration import ResUNetSizes
from s5eval.systems.baseline.models import fast
from s5eval.systems.baseline.models.blocks import Decoder, Encoder, Shifts, initialise
from s5eval.systems.baseline.models.frozen import FrozenISTFT, FrozenSTFT
from s5eval.systems.networks.precision import at_least_float32

COMPONENTS = 3
"""What a mask consists of: a magnitude, and the real and imaginary part of a rotation."""

SMALLEST_POWER = 1e-10
"""Smallest power of a bin as the network sees it, and smallest length that a rotation is divided by."""


class FiLM(nn.Module):
    """One linear layer per normalisation: embedded query → shifts of its channels."""

    def __init__(self, condition: int, widths: dict[str, int]) -> None:
        """`widths`: number of channels by path."""
        super().__init__()
        for path, width in widths.items():
            self.add_module(path, nn.Linear(condition, width))
        initialise(self)

    def forward(self, condition: Tensor) -> Shifts:
        """(B, condition) → (B, channels) by path."""
        return {path: layer(condition) for path, layer in self.named_children()}


class ResUNet(nn.Module):
    """The U-Net between two transforms."""

    def __init__(self, sizes: ResUNetSizes, channels: int, tracks: int) -> None:
        """`channels` of the mixture, `tracks` separated at once."""
        super().__init__()
        self.sizes, self.channels, self.tracks = sizes, channels, tracks
        self.stft = FrozenSTFT(sizes.window, sizes.hop)
        self.istft = FrozenISTFT(sizes.window, sizes.hop)
        common = (sizes.momentum, sizes.slope)
        self.bn0 = nn.BatchNorm2d(sizes.window // 2 + 1, momentum=sizes.momentum)
        widths, pools = sizes.widths, sizes.pools
        self.pre_conv = nn.Conv2d(channels, widths[0], 1)
        for index, (width, pool) in enumerate(zip(widths, pools, strict=True)):
            self.add_module(f"encoder_block{index + 1}", Encoder(widths[max(0, index - 1)], width, pool, *common))
        self.conv_block7a = Encoder(widths[-1], widths[-1], (1, 1), *common)
        inputs = widths[-1]
        for index, (width, pool) in enumerate(zip(reversed(widths), reversed(pools), strict=True)):
            self.add_module(f"decoder_block{index + 1}", Decoder(inputs, width, pool, *common))
            inputs = width
        self.after_conv = nn.Conv2d(widths[0], tracks * channels * COMPONENTS, 1)
        self.out_conv = nn.Conv2d(channels, 1, 1)
        initialise(self)

    @property
    def encoders(self) -> dict[str, Encoder]:
        """By name, in order, without the bottleneck."""
        return {
            name: child
            for name, child in self.named_children()
            if isinstance(child, Encoder) and child is not self.conv_block7a
        }

    @property
    def decoders(self) -> dict[str, Decoder]:
        """By name, in order."""
        return {name: child for name, child in self.named_children() if isinstance(child, Decoder)}

    def shift_widths(self) -> dict[str, int]:
        """Number of channels of every shift, by path."""
        blocks: dict[str, Encoder | Decoder] = {**self.encoders, "conv_block7a": self.conv_block7a, **self.decoders}
        return {
            f"{name}->{key}": width for name, block in blocks.items() for key, width in block.shift_widths().items()
        }

    def forward(self, mixture: Tensor, shifts: Shifts) -> Tensor:
        """Mixtures (B, channels, T) → (B, tracks, T)."""
        spectrum = self.stft(mixture)
        features = self.features(spectrum)
        if self.training or torch.is_grad_enabled() or spectrum.device.type != "cpu":
            masked = self.apply_masks(spectrum, self.after_conv(self.unet(features, shifts)))
        else:
            masked = fast.separate(self, spectrum, features, shifts)
        waveforms: Tensor = self.istft(masked.flatten(0, 1), mixture.shape[-1])
        return waveforms.reshape(len(mixture), self.tracks, -1)

    def features(self, spectrum: Tensor) -> Tensor:
        """Complex (B, channels, frames, bins) → normalised magnitudes, their frames padded, their last bin left out."""
        power = spectrum.real.square() + spectrum.imag.square()
        magnitude = power.clamp_min(SMALLEST_POWER).sqrt()
        normalised = self.bn0(magnitude.transpose(1, 3)).transpose(1, 3)
        short = -normalised.shape[2] % self.sizes.frame_multiple
        return F.pad(normalised, (0, -1, 0, short))

    def unet(self, features: Tensor, shifts: Shifts) -> Tensor:
        """(B, channels, frames, bins) → (B, widths[0], frames, bins)."""
        x: Tensor = self.pre_conv(features)
        skips = []
        for name, encoder in self.encoders.items():
            x, skip = encoder(x, shifts, name)
            skips.append(skip)
        x, _ = self.conv_block7a(x, shifts, "conv_block7a")
        for name, decoder in self.decoders.items():
            x = decoder(x, skips.pop(), shifts, name)
        return x

    def apply_masks(self, spectrum: Tensor, maps: Tensor) -> Tensor:
        """Mask every channel for every track, and mix the channels down.

        Args:
            spectrum: complex (B, channels, frames, bins).
            maps: (B, tracks · channels · 3, at least as many frames, bins − 1): magnitude and rotation of the masks.

        Returns:
            Complex (B, tracks, frames, bins). The last bin, which no map has, is nothing but the mixdown's offset.
        """
        frames, bins = spectrum.shape[2], maps.shape[3]
        parts = maps[:, :, :frames].reshape(len(maps), self.tracks, self.channels, COMPONENTS, frames, bins)
        size, real, imag = at_least_float32(parts).unbind(3)  # no complex number has the halves of mixed precision
        real, imag = real.tanh(), imag.tanh()
        # the floor stands within the root, whose slope at zero is no number
        length = (real.square() + imag.square()).clamp_min(SMALLEST_POWER**2).sqrt()
        mask = torch.complex(real, imag) * (size.sigmoid() / length)
        weight = self.out_conv.weight[0, :, 0, 0].view(1, 1, -1, 1, 1)
        mixed = (mask * spectrum[:, None, ..., :bins] * weight).sum(2)
        offset = self.out_conv.bias
        return F.pad(mixed, (0, 1)) + (0.0 if offset is None else torch.complex(offset, offset))


class ResUNetK(nn.Module):
    """The separator with its query."""

    def __init__(self, sizes: ResUNetSizes, *, channels: int, tracks: int, classes: int) -> None:
        """`channels` of the mixture; `tracks` of `classes` values each make the query."""
        super().__init__()
        self.tracks, self.classes = tracks, classes
        self.base = ResUNet(sizes, channels, tracks)
        self.label_embedding = nn.Sequential(
            nn.Linear(tracks * classes, sizes.condition),
            nn.LayerNorm(sizes.condition),
            nn.ReLU(),
            nn.Linear(sizes.condition, sizes.condition),
            nn.LayerNorm(sizes.condition),
            nn.ReLU(),
        )
        self.film = FiLM(sizes.condition, self.base.shift_widths())

    def forward(self, mixture: Tensor, query: Tensor) -> Tensor:
        """Separate what is asked for.

        Args:
            mixture: (B, channels, T) at 32 kHz, full scale 1.0.
            query: (B, tracks, classes): one-hot, or zeros for a track that is to be silent.

        Returns:
            Waveforms (B, tracks, T); exactly zero where a track's query is zero. On a CPU, when neither
            training nor recording gradients, computed by `fast`, which agrees within 1e-4 of the loudest value.

        Raises:
            ValueError: a query of another shape.
        """
        if query.shape != (len(mixture), self.tracks, self.classes):
            raise ValueError(
                f"query has shape {tuple(query.shape)}, expected {(len(mixture), self.tracks, self.classes)}"
            )
        wanted = (query.sum(2) != 0).to(query.dtype)
        waveforms: Tensor = self.base(mixture, self.film(self.label_embedding(query.flatten(1))))
        return waveforms * wanted.unsqueeze(2)
