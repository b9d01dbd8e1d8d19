"""Encoder and decoder over unequal bands against a literal loop over cells."""

import math

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.multistage.models.band_split import BandDecoder, BandEncoder, cues, input_channels

LAYOUT = [(3, 2), (2, 5)]


def test_the_encoder_is_one_product_per_band_and_pair_of_frames() -> None:
    encoder = BandEncoder(3, 4, 2, LAYOUT)
    encoder.bias.data.normal_()
    x = torch.randn(2, 3, 5, 20)
    y = encoder(x)
    assert y.shape == (2, 3, 5, 4)
    padded = F.pad(x, (0, 0, 0, 1))
    cells = torch.zeros(2, 3, 5, 4)
    low, band = 0, 0
    for (count, bins), weight in zip(LAYOUT, encoder.weights, strict=True):
        for k in range(count):
            for t in range(3):
                part = padded[:, :, 2 * t : 2 * t + 2, low : low + bins].reshape(2, -1)
                cells[:, t, band] = part @ weight[k] + encoder.bias[band]
            low, band = low + bins, band + 1
    expected = encoder.activation(encoder.norm(cells.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("mask", [True, False])
def test_the_decoder_gives_every_bin_its_band_and_nothing_above_the_last(mask: bool) -> None:
    decoder = BandDecoder(2, 4, 2, LAYOUT, mask=mask)
    features, spectrum = torch.randn(2, 4, 3, 5), torch.randn(2, 2, 5, 20, dtype=torch.complex64)
    values = decoder(features, decoder.arrange(spectrum), 5, 20)
    assert values.shape == (2, 5, 20)
    assert values.dtype == torch.complex64
    assert not values[:, :, 16:].any()
    hidden = F.mish(decoder.hidden(decoder.norm(features.permute(0, 2, 3, 1))))
    low, band = 0, 0
    for (count, bins), weight in zip(LAYOUT, decoder.weights, strict=True):
        for k in range(count):
            for t in range(5):
                row = (hidden[:, t // 2, band] @ weight[k]).view(2, 2, bins, -1, 2)[:, t % 2]
                cell = torch.view_as_complex(row.contiguous())
                inputs = spectrum[:, :, t, low : low + bins].transpose(1, 2)
                expected = (cell * inputs).sum(-1) if mask else cell[..., 0]
                torch.testing.assert_close(values[:, t, low : low + bins], expected)
            low, band = low + bins, band + 1


def test_intensity_points_where_the_sound_comes_from() -> None:
    w = torch.randn(1, 1, 4, 6, dtype=torch.complex64) + 1
    plane = torch.cat([w, 0.5 * w, torch.zeros_like(w), -0.25 * w], 1)  # a plane wave: real multiples
    maps = cues(plane)
    assert maps.shape[1] == input_channels(4, "cues") == 15
    assert input_channels(4, "complex") == 8
    energy = 1 + 0.25 + 0.0625
    for channel, gain in enumerate((0.5, 0.0, -0.25)):
        expected = torch.full((1, 4, 6), gain / energy)
        torch.testing.assert_close(maps[:, 12 + channel], expected, atol=1e-3, rtol=1e-3)


def test_cues_are_what_they_are_said_to_be() -> None:
    x = torch.tensor([3 + 4j, -1 + 2j, 0.5j]).view(1, 3, 1, 1)  # magnitudes far above the floor
    maps = cues(x).flatten().tolist()
    size = [5.0, 5.0**0.5, 0.5]
    compressed = [value / magnitude**0.5 for value, magnitude in zip((3 + 4j, -1 + 2j, 0.5j), size, strict=True)]
    energy = 25 + 5 + 0.25
    expected = [value.real for value in compressed] + [value.imag for value in compressed]
    expected += [math.log(magnitude) / 4 for magnitude in size]
    expected += [(3 * -1 + 4 * 2) / energy, (3 * 0 + 4 * 0.5) / energy]
    assert maps == pytest.approx(expected, abs=1e-5)


def test_silence_gives_finite_cues() -> None:
    assert torch.isfinite(cues(torch.zeros(1, 4, 3, 5, dtype=torch.complex64))).all()


def test_an_enrollment_leaves_the_cues_of_the_mixture_as_they_are() -> None:
    mixture = torch.randn(2, 4, 3, 5, dtype=torch.complex64)
    enrollment = 30 * torch.randn(2, 1, 3, 5, dtype=torch.complex64)
    alone, both = cues(mixture), cues(torch.cat([mixture, enrollment], 1))
    kept = [group * 5 + channel for group in range(4) for channel in range(4)][:15]
    assert torch.equal(both[:, kept], alone)
    assert both[:, -1].abs().max() <= 0.5
    assert alone[:, -3:].abs().max() <= 0.5


@pytest.mark.parametrize("level", [1e-6, 1.0, 1e3])
def test_compression_takes_the_square_root_of_the_magnitude(level: float) -> None:
    x = torch.full((1, 1, 1, 1), level, dtype=torch.complex64)
    expected = level / (level**2 + 1e-6) ** 0.25
    assert cues(x)[0, 0].item() == pytest.approx(expected, rel=1e-4)
