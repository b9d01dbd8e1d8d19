import pytest
import torch

from s5eval.systems.networks.stft import STFT


@pytest.mark.parametrize("length", [1, 2, 511, 512, 513, 1023, 5000, 32_001])
@pytest.mark.parametrize(("window", "hop"), [(1024, 512), (1024, 320), (64, 7)])
def test_the_inverse_gives_the_signal_back(length: int, window: int, hop: int) -> None:
    stft, x = STFT(window, hop), torch.randn(2, 3, length)
    spectrum = stft(x)
    assert spectrum.shape == (2, 3, stft.frames(length), stft.bins)
    assert torch.allclose(stft.inverse(spectrum, length), x, atol=1e-5)


def test_ten_seconds_are_626_frames_of_513_bins() -> None:
    stft = STFT(1024, 512)
    assert (stft.frames(320_000), stft.bins) == (626, 513)


def test_a_frame_is_centred_at_its_hop() -> None:
    x = torch.zeros(1, 4096)
    x[0, 1024] = 1.0
    energy = STFT(1024, 512)(x).abs().square().sum(-1)[0]
    assert int(energy.argmax()) == 2


def test_a_frame_is_the_fourier_transform_under_a_hann_window() -> None:
    x, place = torch.randn(1, 200, dtype=torch.float64), torch.arange(64)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * place / 64)  # periodic: the overlaps of half a window add up to one
    piece = x[0, 3 * 20 - 32 : 3 * 20 + 32] * window
    angle = 2 * torch.pi * torch.arange(33)[:, None] * place / 64
    expected = torch.complex((piece * angle.cos()).sum(1), -(piece * angle.sin()).sum(1))
    found = STFT(64, 20).double()(x)[0, 3]
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_hop_that_leaves_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="hop 600"):
        STFT(1024, 600)
