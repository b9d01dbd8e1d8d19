"""Encoder and decoder of the separators: between complex spectra and the map that the hybrid blocks work on."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.band_split import BandDecoder, BandEncoder, cues, input_channels
from s5eval.systems.networks.precision import at_least_float32


class AudioEncoder(nn.Module):
    """Complex spectra → map of D channels; a stride, or a band, merges frames and bins into one cell."""

    def __init__(self, channels: int, config: MultistageConfiguration) -> None:
        super().__init__()
        sizes = config.separator
        self.inputs = sizes.inputs
        maps = input_channels(channels, sizes.inputs)
        self.body: BandEncoder | ConvolutionEncoder = (
            BandEncoder(maps, sizes.width, sizes.time_stride, sizes.bands)
            if sizes.bands
            else ConvolutionEncoder(maps, sizes.width, (sizes.time_stride, sizes.frequency_stride))
        )

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, channels, frames, bins) complex → (B, T', F', D)."""
        maps = cues(spectrum) if self.inputs == "cues" else torch.cat([spectrum.real, spectrum.imag], 1)
        cells: Tensor = self.body(maps)
        return cells

    def pool(self, power: Tensor) -> Tensor:
        """Power (N, frames, bins) → its mean in every cell, (N, T', F')."""
        return self.body.pool(power)


class ConvolutionEncoder(nn.Module):
    """One convolution over real maps, with strides along time and frequency."""

    def __init__(self, maps: int, width: int, strides: tuple[int, int]) -> None:
        super().__init__()
        self.strides = strides
        self.conv = nn.Conv2d(maps, width, (strides[0] + 2, strides[1] + 2), stride=strides, padding=1)
        self.norm = nn.GroupNorm(1, width)
        self.activation = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, maps, frames, bins) → (B, T', F', D), T' and F' rounded up."""
        extra = [-size % stride for size, stride in zip(x.shape[2:], self.strides, strict=True)]
        x = F.pad(x, (0, extra[1], 0, extra[0])).contiguous(memory_format=torch.channels_last)
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y.permute(0, 2, 3, 1)

    def pool(self, power: Tensor) -> Tensor:
        """Power (N, frames, bins) → its mean in every cell, (N, T', F')."""
        extra = [-size % stride for size, stride in zip(power.shape[1:], self.strides, strict=True)]
        return F.avg_pool2d(F.pad(power, (0, extra[1], 0, extra[0])).unsqueeze(1), self.strides).squeeze(1)


class AudioDecoder(nn.Module):
    """Object features → the object's spectrum, directly (`map`) or through a complex mask on every input channel.

    With `enrolled`, masks begin as those that pass the last channel, the enrollment, and nothing else.
    """

    def __init__(self, channels: int, config: MultistageConfiguration, *, enrolled: bool = False) -> None:
        super().__init__()
        sizes = config.separator
        mask = config.decoder == "cmask"
        strides = (sizes.time_stride, sizes.frequency_stride)
        residual = mask and enrolled
        self.body: BandDecoder | ConvolutionDecoder = (
            BandDecoder(channels, sizes.width, sizes.time_stride, sizes.bands, mask=mask, residual=residual)
            if sizes.bands
            else ConvolutionDecoder(channels, sizes.width, strides, mask=mask, residual=residual)
        )

    def arrange(self, spectrum: Tensor) -> list[Tensor]:
        """What `forward` needs of the inputs' spectra (B, channels, frames, bins); the same for all objects."""
        return self.body.arrange(spectrum)

    def forward(self, features: Tensor, arranged: list[Tensor], frames: int, bins: int) -> Tensor:
        """(B, D, T', F') and what `arrange` gave → (B, frames, bins) complex."""
        spectrum: Tensor = self.body(features, arranged, frames, bins)
        return spectrum


class ConvolutionDecoder(nn.Module):
    """The encoder's convolution, transposed; `residual` as in `BandDecoder`."""

    def __init__(
        self, channels: int, width: int, strides: tuple[int, int], *, mask: bool, residual: bool = False
    ) -> None:
        super().__init__()
        kernel = (strides[0] + 2, strides[1] + 2)
        self.mask, self.residual = mask, residual
        self.conv = nn.ConvTranspose2d(width, 2 * channels if mask else 2, kernel, stride=strides, padding=1)
        if residual:
            nn.init.zeros_(self.conv.weight)
            nn.init.zeros_(cast(Tensor, self.conv.bias))

    def arrange(self, spectrum: Tensor) -> list[Tensor]:
        """The spectra as they are."""
        return [spectrum]

    def forward(self, features: Tensor, arranged: list[Tensor], frames: int, bins: int) -> Tensor:
        """As `AudioDecoder.forward`."""
        real, imag = at_least_float32(self.conv(features)[:, :, :frames, :bins]).chunk(2, 1)
        values = torch.complex(real.contiguous(), imag.contiguous())
        if not self.mask:
            return values[:, 0]
        masked = (values * arranged[0]).sum(1)
        return masked + arranged[0][:, -1] if self.residual else masked
