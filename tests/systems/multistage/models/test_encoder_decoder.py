"""Encoder and decoder with strides against convolutions written out."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.multistage.configuration import MultistageConfiguration, load_preset
from s5eval.systems.multistage.models.encoder_decoder import AudioDecoder, AudioEncoder


def strided(tiny: dict[str, Any], decoder: str = "map") -> MultistageConfiguration:
    separator = {**tiny["separator"], "bands": [], "inputs": "complex", "frequency_stride": 3, "time_stride": 2}
    return load_preset("mini", {"separator": separator, "mamba2": tiny["mamba2"], "decoder": decoder})


def test_real_and_imaginary_parts_are_convolved_with_the_ends_filled_up_and_normalised(tiny: dict[str, Any]) -> None:
    encoder = AudioEncoder(4, strided(tiny))
    spectrum = torch.randn(2, 4, 5, 7, dtype=torch.complex64)
    maps = torch.zeros(2, 8, 6, 9)  # 3 frames by 3 bins of cells
    maps[:, :4, :5, :7], maps[:, 4:, :5, :7] = spectrum.real, spectrum.imag
    conv = encoder.body.conv
    cells = torch.zeros(2, 8, 3, 3)
    padded = F.pad(maps, (1, 1, 1, 1))
    for t in range(3):
        for f in range(3):
            part = padded[:, :, 2 * t : 2 * t + 4, 3 * f : 3 * f + 5]
            cells[:, :, t, f] = torch.einsum("bchw,dchw->bd", part, conv.weight) + conv.bias
    for parameter in (encoder.body.norm.weight, encoder.body.norm.bias, encoder.body.activation.weight):
        torch.nn.init.normal_(parameter)
    mean = cells.mean((1, 2, 3), keepdim=True)  # of the whole map
    normal = (cells - mean) / ((cells - mean).square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    scaled = encoder.body.norm.weight * normal.permute(0, 2, 3, 1) + encoder.body.norm.bias
    expected = torch.where(scaled > 0, scaled, encoder.body.activation.weight * scaled)
    torch.testing.assert_close(encoder(spectrum), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("decoder", "enrolled"), [("map", False), ("cmask", False), ("cmask", True)])
def test_masks_weigh_every_channel_and_maps_are_the_spectrum(
    tiny: dict[str, Any], decoder: str, enrolled: bool
) -> None:
    made = AudioDecoder(5, strided(tiny, decoder), enrolled=enrolled)
    torch.nn.init.normal_(made.body.conv.weight)
    features, spectrum = torch.randn(2, 8, 3, 3), torch.randn(2, 5, 5, 7, dtype=torch.complex64)
    values = made.body.conv(features)
    assert values.shape == (2, 10 if decoder == "cmask" else 2, 6, 9)
    real, imag = values[:, :, :5, :7].split(values.shape[1] // 2, 1)
    expected = torch.zeros(2, 5, 7, dtype=torch.complex64)
    for channel in range(real.shape[1]):
        weight = real[:, channel] + 1j * imag[:, channel]
        expected = expected + (weight * spectrum[:, channel] if decoder == "cmask" else weight)
    if enrolled:
        expected = expected + spectrum[:, 4]
    torch.testing.assert_close(made(features, made.arrange(spectrum), 5, 7), expected, atol=1e-5, rtol=1e-5)
