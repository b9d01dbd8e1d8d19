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


def test_a_hop_that_leaves_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="hop 600"):
        STFT(1024, 600)
