"""Transforms by FFT equal the convolutions whose weights the checkpoints hold."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.systems.baseline.models.frozen import FrozenISTFT, FrozenLogMel, FrozenSTFT
from s5eval.systems.networks.mel import M2DLogMel


def convolved(stft: FrozenSTFT, audio: Tensor) -> Tensor:
    """(B, T) → complex (B, frames, bins), as torchlibrosa computes it."""
    padded = F.pad(audio[:, None], (stft.size // 2, stft.size // 2), mode="reflect")
    real = F.conv1d(padded, stft.conv_real.weight, stride=stft.hop)
    imag = F.conv1d(padded, stft.conv_imag.weight, stride=stft.hop)
    return torch.complex(real, imag).transpose(1, 2)


def overlapped(istft: FrozenISTFT, spectrum: Tensor, length: int) -> Tensor:
    """Complex (frames, bins) → (length,), as torchlibrosa computes it: whole spectrum, product, frame after frame."""
    mirrored = spectrum[:, 1:-1].flip(1).conj()
    whole = torch.cat([spectrum, mirrored], 1)
    frames = whole.real @ istft.conv_real.weight[:, :, 0].T - whole.imag @ istft.conv_imag.weight[:, :, 0].T
    samples = (len(frames) - 1) * istft.hop + istft.size
    total, weight = torch.zeros(samples), torch.zeros(samples)
    for index, frame in enumerate(frames):
        total[index * istft.hop : index * istft.hop + istft.size] += frame
        weight[index * istft.hop : index * istft.hop + istft.size] += istft.ola_window
    return (total / weight.clamp_min(1e-11))[istft.size // 2 :][:length]


@pytest.mark.parametrize(("size", "hop", "samples"), [(64, 10, 1001), (1024, 160, 4321)])
def test_transform_and_inverse(size: int, hop: int, samples: int) -> None:
    stft, istft = FrozenSTFT(size, hop), FrozenISTFT(size, hop)
    audio = torch.randn(2, samples)
    spectrum = stft(audio[:, None])[:, 0]
    expected = convolved(stft, audio)
    assert spectrum.shape == expected.shape == (2, samples // hop + 1, size // 2 + 1)
    assert (spectrum - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (istft(spectrum, samples) - audio).abs().max() < 1e-5
    changed = spectrum * torch.rand(spectrum.shape)
    changed = torch.complex(changed.real, changed.imag * (torch.arange(size // 2 + 1) % (size // 2) > 0))
    assert (istft(changed, samples)[0] - overlapped(istft, changed[0], samples)).abs().max() < 1e-5


@pytest.mark.parametrize("samples", [1, 15, 500, 513])
def test_signals_shorter_than_the_window(samples: int) -> None:
    audio = torch.randn(1, 1, samples)
    spectrum = FrozenSTFT(1024, 160)(audio)
    assert spectrum.shape[2] == samples // 160 + 1
    assert FrozenISTFT(1024, 160)(spectrum[:, 0], samples).shape == (1, samples)


def test_log_mel_equals_convolution_with_its_tensors() -> None:
    front, audio = FrozenLogMel(80), 0.1 * torch.randn(1, 8000)
    padded = F.pad(audio[:, None], (400, 400), mode="reflect")
    power = sum(F.conv1d(padded, kernel, stride=320).square() for kernel in (front.stft.wsin, front.stft.wcos))
    assert isinstance(power, Tensor)
    expected = torch.log(front.mel_basis @ power + torch.finfo(torch.float32).eps)
    assert torch.allclose(front(audio), expected, atol=1e-4)
    assert torch.equal(front(audio), M2DLogMel(80)(audio))
    assert torch.allclose(front.stft.window_mask[0, :, 0], torch.hann_window(800), atol=1e-6)
