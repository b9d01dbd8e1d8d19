"""M2D under its published names, and the two log-mel front ends against independent ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from published_m2d import published_file, published_shapes
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.networks.m2d import M2D, M2DViT, backbone_weights
from s5eval.systems.networks.mel import M2DLogMel, WhisperLogMel, mel_filters
from s5eval.systems.networks.sizes import M2DSizes

SMALL = M2DSizes(mels=80, frames=1001, patch=16, width=16, depth=2, heads=2, stem=())
CONVOLVED = replace(SMALL, stem=(4, 6, 8))
BOTH = pytest.mark.parametrize("sizes", [SMALL, CONVOLVED], ids=["patches", "stem"])


def test_the_paper_preset_is_the_published_transformer() -> None:
    with torch.device("meta"):
        vit = M2DViT(load_preset("paper").m2d)
    shapes = {name: tuple(tensor.shape) for name, tensor in vit.state_dict().items()}
    assert shapes == published_shapes()
    assert len(shapes) == 151
    assert sum(p.numel() for p in vit.parameters()) == 85_492_994


def test_statistics_of_a_file_win_over_the_default() -> None:
    content: dict[str, object] = {**published_file(), "module.ar.runtime.backbone.norm_stats": torch.tensor([1.0, 2.0])}
    found = backbone_weights(content, M2DViT(SMALL).state_dict(), path=Path("m2d.pth"))
    assert found["norm_stats"].tolist() == [1.0, 2.0]
    assert set(found) == set(M2DViT(SMALL).state_dict())


def test_a_file_with_two_sets_of_weights_is_refused() -> None:
    names = M2DViT(SMALL).state_dict()
    one: dict[str, object] = dict(published_file())
    averaged = {key.replace("module.", "ema.module."): value for key, value in published_file().items()}
    for content in ({**one, **averaged}, {"model": one, "model_ema": published_file()}):
        with pytest.raises(DataError, match=r"m2d.pth: holds 2 sets of weights for the same network"):
            backbone_weights(content, names, path=Path("m2d.pth"))


@BOTH
def test_tokens_of_ten_seconds_and_of_other_lengths(sizes: M2DSizes) -> None:
    m2d = M2D(sizes).eval()
    with torch.no_grad():
        assert m2d(torch.randn(2, 320_000)).shape == (2, 5, 62, 16)
        assert m2d(torch.randn(1, 16_000)).shape == (1, 5, 4, 16)
        assert m2d(torch.randn(1, 1)).shape == (1, 5, 1, 16)
        # 1501 frames, padded to 1504: a piece of 1001 (62 patches), and the 503 that are left (31)
        assert m2d(torch.randn(1, 480_000)).shape == (1, 5, 62 + 31, 16)


@BOTH
def test_every_item_is_encoded_for_itself(sizes: M2DSizes) -> None:
    m2d, audio = M2D(sizes).eval(), torch.randn(2, 4, 16_000)
    with torch.no_grad():
        together = m2d(audio.flatten(0, 1)).unflatten(0, (2, 4))
        assert torch.allclose(together[1, 2], m2d(audio[1, 2:3])[0], atol=1e-5)


def literal(vit: M2DViT, log_mel: Tensor) -> Tensor:
    """One piece through the published transformer, step by step: (mels, frames) → (rows, columns, width)."""
    s, width = vit.state_dict(), SMALL.width
    x = (log_mel - s["norm_stats"][0]) / s["norm_stats"][1]
    x = F.pad(x, (0, -x.shape[1] % 16))
    rows, columns = x.shape[0] // 16, x.shape[1] // 16
    tokens = [s["cls_token"][0, 0] + s["pos_embed"][0, 0]]
    for row in range(rows):
        for column in range(columns):
            patch = x[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            token = s["patch_embed.proj.weight"].flatten(1) @ patch.flatten() + s["patch_embed.proj.bias"]
            tokens.append(token + s["pos_embed"][0, 1 + row * 62 + column])
    y = torch.stack(tokens)

    def norm(name: str, z: Tensor) -> Tensor:
        z = (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return z * s[f"{name}.weight"] + s[f"{name}.bias"]

    def linear(name: str, z: Tensor) -> Tensor:
        return z @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    for block in (f"blocks.{k}" for k in range(SMALL.depth)):
        q, k, v = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", y)).split(width, 1)
        heads = [
            (q[:, part] @ k[:, part].T / (width / SMALL.heads) ** 0.5).softmax(1) @ v[:, part]
            for part in (slice(0, 8), slice(8, 16))
        ]
        y = y + linear(f"{block}.attn.proj", torch.cat(heads, 1))
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", y))
        y = y + linear(f"{block}.mlp.fc2", hidden * (1 + torch.erf(hidden / 2**0.5)) / 2)
    return norm("norm", y)[1:].reshape(rows, columns, width)


@pytest.mark.parametrize("frames", [992, 150])
def test_the_transformer_is_the_published_one_step_by_step(frames: int) -> None:
    vit = M2DViT(SMALL).eval().double()
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        vit.patch_embed.proj.weight.mul_(1e-3)  # tokens so small that the norms' epsilon counts
        vit.patch_embed.proj.bias.mul_(1e-3)
        log_mel = 4.2 * torch.randn(2, 80, frames, dtype=torch.float64) - 7.1
        expected = torch.stack([literal(vit, item) for item in log_mel])
        assert torch.allclose(vit(log_mel), expected, atol=1e-8)


def test_patches_are_frequency_major() -> None:
    """Moving one patch of the input moves the token of its row and column most."""
    vit = M2DViT(SMALL).eval()
    x = torch.randn(1, 80, 992)
    changed = x.clone()
    changed[:, 3 * 16 : 4 * 16, 20 * 16 : 21 * 16] += 5.0
    with torch.no_grad():
        moved = (vit(changed) - vit(x)).abs().sum(-1)[0]
    assert divmod(int(moved.argmax()), 62) == (3, 20)


def test_filters_equal_transformers() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    for mels, size, rate, low, high in ((80, 800, 32_000, 50.0, 16_000.0), (128, 400, 16_000, 0.0, 8_000.0)):
        expected = audio_utils.mel_filter_bank(size // 2 + 1, mels, low, high, rate, norm="slaney", mel_scale="slaney")
        assert np.allclose(mel_filters(mels, size, rate, low, high), expected.T, atol=1e-9)


def test_whisper_log_mel_equals_its_extractor() -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=128, sampling_rate=16_000)
    audio = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    expected = extractor(audio, sampling_rate=16_000, return_tensors="np").input_features[0]
    padded = torch.nn.functional.pad(torch.from_numpy(audio)[None], (0, 480_000 - 48_000))
    assert np.allclose(WhisperLogMel(128)(padded)[0].numpy(), expected, atol=1e-4)


def test_the_loudest_decades_are_those_of_every_item() -> None:
    loud, quiet = torch.randn(1, 16_000), 1e-6 * torch.randn(1, 16_000)
    mel = WhisperLogMel(64)
    assert torch.allclose(mel(torch.cat([loud, quiet])), torch.cat([mel(loud), mel(quiet)]), atol=1e-5)


def test_m2d_log_mel_of_a_tone() -> None:
    time = torch.arange(32_000) / 32_000
    tone = 0.5 * torch.sin(2 * torch.pi * 1000.0 * time)
    log_mel = M2DLogMel()(tone[None])[0]
    assert log_mel.shape == (80, 101)
    filters = mel_filters(80, 800, 32_000, 50.0, 16_000.0)
    # a Hann window of 800 gathers amplitude · 800 / 4 in the tone's own bin, and half of it in each neighbour
    power = np.zeros(401)
    power[[24, 25, 26]] = np.array([0.25, 1.0, 0.25]) * (0.5 * 200.0) ** 2
    row = int((filters @ power).argmax())
    assert int(log_mel[:, 50].argmax()) == row
    assert float(log_mel[row, 50]) == pytest.approx(float(np.log((filters @ power)[row])), abs=0.01)
    assert float(M2DLogMel()(torch.zeros(1, 32_000)).max()) == pytest.approx(float(np.log(np.finfo(np.float32).eps)))


@pytest.mark.parametrize(("patch", "stem"), [(16, (4, 6, 8)), (4, (4,)), (32, (8, 8, 8, 8))])
def test_tokens_of_a_stem_lie_where_those_of_patches_do(patch: int, stem: tuple[int, ...]) -> None:
    """A click in the middle of a column moves the tokens of that column and its neighbours most."""
    sizes = replace(SMALL, mels=64, patch=patch, stem=stem, depth=0)
    vit = M2DViT(sizes).eval()
    silent = torch.zeros(1, 64, 20 * patch)
    assert vit(silent).shape == M2DViT(replace(sizes, stem=()))(silent).shape
    for column in (3, 10, 16):
        click = silent.clone()
        middle = column * patch + patch // 2
        click[..., middle - 1 : middle + 1] += 30.0
        with torch.no_grad():
            moved = (vit.patch_embed(click[:, None]) - vit.patch_embed(silent[:, None])).abs().sum((0, 1, 2))
        middle_of_gravity = float((moved * torch.arange(20)).sum() / moved.sum())
        assert abs(middle_of_gravity - column) < 1.0


def test_stems_that_do_not_end_at_a_patch_are_refused() -> None:
    for sizes in (replace(SMALL, stem=(4, 6)), replace(SMALL, patch=12, stem=(4, 6))):
        with pytest.raises(UsageError, match=r"system\.m2d\.stem is \[4, 6\]; every convolution halves the bands"):
            sizes.check("system.m2d")
    replace(SMALL, stem=(4, 6, 8)).check("system.m2d")


def test_bands_that_patches_leave_over_are_refused_with_a_stem() -> None:
    with pytest.raises(UsageError, match=r"system\.m2d\.mels is 88, expected a multiple of its patch 16 with a stem"):
        replace(SMALL, mels=88, stem=(4, 6, 8)).check("system.m2d")
    replace(SMALL, mels=88).check("system.m2d")


@pytest.mark.parametrize(("depth", "stem", "fits"), [(0, (4, 6, 8), True), (0, (), False), (-1, (4, 6, 8), False)])
def test_an_encoder_has_blocks_or_a_stem(depth: int, stem: tuple[int, ...], fits: bool) -> None:
    sizes = replace(SMALL, depth=depth, stem=stem)
    if fits:
        return sizes.check("system.m2d")
    with pytest.raises(UsageError, match=rf"system\.m2d\.depth is {depth}, expected a positive number, or 0 where"):
        sizes.check("system.m2d")


@pytest.mark.parametrize("frames", [200, 1001])
def test_gradients_lie_in_memory_as_their_parameters_do(frames: int) -> None:
    """Several processes that train together warn of every gradient that does not."""
    vit = M2DViT(load_preset("mini").m2d)
    vit(torch.randn(8, 80, frames)).square().sum().backward()
    for name, parameter in vit.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.stride() == parameter.stride(), name
