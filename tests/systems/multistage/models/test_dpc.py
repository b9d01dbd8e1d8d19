"""The dual-path classifier and its heads."""

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.dpc import (
    ArcFace,
    AttentiveStatistics,
    DualPathClassifier,
    normalise_level,
    relative_level,
)


def test_arcface_adds_its_margin_to_the_true_angle() -> None:
    head = ArcFace(2, 3, scale=32.0, margin=0.5)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]]))
    angle = torch.tensor(0.8)
    head.requires_grad_(False)
    embedding = torch.stack([angle.cos(), angle.sin()])[None]
    plain = 32 * torch.stack([angle.cos(), angle.sin(), -angle.cos()])
    assert torch.allclose(head(embedding)[0], plain, atol=1e-4)
    trained = head(embedding, torch.tensor([0]))[0]
    assert trained[0] == pytest.approx(32 * math.cos(0.8 + 0.5), abs=1e-3)
    assert torch.equal(trained[1:], head(embedding)[0, 1:])


def test_arcface_never_rises_with_the_angle() -> None:
    head = ArcFace(2, 2, scale=1.0, margin=0.5)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    angles = torch.linspace(0.0, math.pi, 200)
    embeddings = torch.stack([angles.cos(), angles.sin()], 1).requires_grad_()
    logits = head(embeddings, torch.zeros(200, dtype=torch.long))[:, 0]
    assert (logits.diff() < 1e-6).all()
    logits.sum().backward()
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_pooling_with_even_attention_is_mean_and_deviation() -> None:
    pooling, x = AttentiveStatistics(3, 4), torch.randn(2, 50, 3)
    torch.nn.init.zeros_(pooling.score[2].weight)  # type: ignore[arg-type]
    expected = torch.cat([x.mean(1), x.std(1, unbiased=False)], -1)
    assert torch.allclose(pooling(x), expected, atol=1e-4)


def test_pooling_weighs_by_attention() -> None:
    pooling, x = AttentiveStatistics(3, 4, peaks=True), torch.randn(2, 9, 3)
    score = pooling.score(x).exp()[..., 0]
    expected = []
    for b in range(2):
        weight = score[b] / score[b].sum()
        mean = sum(w * row for w, row in zip(weight, x[b], strict=True))
        variance = sum(w * (row - mean) ** 2 for w, row in zip(weight, x[b], strict=True))
        expected.append(torch.cat([mean, (variance + 1e-6).sqrt(), x[b].max(0).values]))
    assert torch.allclose(pooling(x), torch.stack(expected), atol=1e-5)


def test_levels() -> None:
    audio = torch.stack(
        [torch.full((100,), 0.01), torch.full((100,), 1e-5), torch.full((100,), 1e-8), torch.zeros(100)]
    )
    levels = normalise_level(audio).square().mean(-1).sqrt()
    # the second is lifted by the limit of 40 dB only; what is below 1e-6 counts as silence
    assert torch.allclose(levels, torch.tensor([10 ** (-26 / 20), 1e-3, 0.0, 0.0]), rtol=1e-4)
    mixture = torch.full((4, 4, 100), 0.1)
    mixture[:, 1:] = 0.7  # the first channel alone counts
    assert torch.allclose(relative_level(audio, mixture), torch.tensor([-2.0, -8.0, -10.0, -10.0]), atol=1e-4)


@pytest.mark.parametrize("token_rows", ["mean", "stacked"])
def test_shapes_and_training(
    tiny_configuration: MultistageConfiguration, token_rows: Literal["mean", "stacked"]
) -> None:
    sizes = replace(tiny_configuration.dpc, token_rows=token_rows)
    dpc = DualPathClassifier(sizes, features=8, rows=9, tokens=16, token_rows=5, classes=18)
    features, tokens = torch.randn(4, 8, 20, 9, requires_grad=True), torch.randn(4, 5, 6, 16)
    level = torch.tensor([0.0, -1.0, -10.0, -2.0])
    out = dpc(features, tokens, level, torch.tensor([0, 3, 17, 3]))
    assert out.logits.shape == (4, 18)
    assert torch.allclose(out.embeddings.norm(dim=-1), torch.ones(4), atol=1e-5)
    assert out.silence.shape == (4,)
    (out.logits.logsumexp(-1).sum() + out.silence.sum()).backward()
    assert features.grad is not None
    assert all(p.grad is not None for p in dpc.parameters())


def test_the_classifier_is_computed_as_it_is_drawn(tiny_configuration: MultistageConfiguration) -> None:
    """Two convolutions and one over all rows, statistics of both paths, their fusion, an embedding, and both heads."""
    sizes = replace(
        tiny_configuration.dpc, widths=(6, 7), strides=((2, 3), (1, 2)), token_rows="mean", token_peaks=False
    )
    dpc = DualPathClassifier(sizes, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
    for parameter in dpc.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    features, tokens, level = torch.randn(2, 8, 10, 9), torch.randn(2, 5, 6, 16), torch.tensor([-1.0, -4.0])
    s = dpc.state_dict()

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    def normal(name: str, x: torch.Tensor, over: int) -> torch.Tensor:
        """Over the last `over` axes; scale and offset belong to the last one."""
        axes = tuple(range(-over, 0))
        mean = x.mean(axes, keepdim=True)
        x = (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + 1e-5).sqrt()
        return x * s[f"{name}.weight"] + s[f"{name}.bias"]

    x = features
    for n, stride in ((0, (2, 3)), (3, (1, 2))):
        name = f"object_path.{n}"
        x = F.conv2d(x, s[f"{name}.weight"], s[f"{name}.bias"], stride=stride, padding=1).permute(0, 2, 3, 1)
        x = normal(f"object_path.{n + 1}", x, 3)
        x = (x / (1 + torch.exp(-x))).permute(0, 3, 1, 2)
    assert x.shape == (2, 7, 5, 2)
    x = torch.einsum("bcth,dch->btd", x, s["object_path.6.weight"][:, :, 0]) + s["object_path.6.bias"]
    columns = normal("token_norm", tokens.sum(1) / 5, 1)
    fused = linear("fusion.0", torch.cat([dpc.object_pooling(x), dpc.token_pooling(columns)], 1))
    fused = normal("fusion.1", fused, 1)
    fused = fused / (1 + torch.exp(-fused))
    embedding = normal("embedding.1", linear("embedding.0", fused), 1)
    embedding = embedding / embedding.norm(dim=1, keepdim=True)
    towards = s["arcface.weight"] / s["arcface.weight"].norm(dim=1, keepdim=True)
    hidden = linear("silence.0", torch.cat([fused, level[:, None]], 1))
    out = dpc(features, tokens, level)
    torch.testing.assert_close(out.embeddings, embedding, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out.plain, sizes.scale * embedding @ towards.T, atol=1e-3, rtol=1e-3)
    silence = linear("silence.2", hidden / (1 + torch.exp(-hidden)))[:, 0]
    torch.testing.assert_close(out.silence, silence, atol=1e-3, rtol=1e-3)


def test_a_classifier_s_margin_and_dropout_are_its_sizes(tiny_configuration: MultistageConfiguration) -> None:
    """Of the true class alone, and in training alone."""
    sizes = replace(tiny_configuration.dpc, scale=10.0, margin=0.3, dropout=0.5)
    dpc = DualPathClassifier(sizes, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
    told = torch.randn(3, 8, 20, 9), torch.randn(3, 5, 6, 16), torch.zeros(3)
    labels = torch.tensor([0, 3, 17])
    out = dpc(*told, labels)
    angle = (out.plain / 10.0).acos().gather(1, labels[:, None])
    expected = out.plain.scatter(1, labels[:, None], 10.0 * (angle + 0.3).cos())
    torch.testing.assert_close(out.logits, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(dpc(*told).logits, out.plain)
    dpc.train()
    assert not torch.equal(dpc(*told).plain, dpc(*told).plain)


def test_in_float64_it_stays_float64(tiny_configuration: MultistageConfiguration) -> None:
    dpc = (
        DualPathClassifier(tiny_configuration.dpc, features=8, rows=9, tokens=16, token_rows=5, classes=18)
        .eval()
        .double()
    )
    out = dpc(torch.randn(1, 8, 20, 9).double(), torch.randn(1, 5, 6, 16).double(), torch.zeros(1).double())
    assert {v.dtype for v in (out.logits, out.plain, out.embeddings, out.silence)} == {torch.float64}


def test_the_silence_head_sees_the_level(tiny_configuration: MultistageConfiguration) -> None:
    dpc = DualPathClassifier(tiny_configuration.dpc, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
    features, tokens = torch.randn(1, 8, 20, 9), torch.randn(1, 5, 6, 16)
    loud, quiet = dpc(features, tokens, torch.zeros(1)), dpc(features, tokens, torch.full((1,), -10.0))
    assert torch.equal(loud.logits, quiet.logits)
    assert not torch.equal(loud.silence, quiet.silence)


def test_objects_are_heard_to_their_end(tiny_configuration: MultistageConfiguration) -> None:
    dpc = DualPathClassifier(tiny_configuration.dpc, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
    features, tokens = torch.randn(1, 8, 20, 9), torch.randn(1, 5, 6, 16)
    heard: list[torch.Tensor] = []
    dpc.object_pooling.register_forward_pre_hook(lambda _module, inputs: heard.append(inputs[0]))
    dpc(features, tokens, torch.zeros(1))
    torch.testing.assert_close(heard[0], dpc.object_path(features)[..., 0].permute(0, 2, 1))
    assert heard[0].shape == (1, 10, 8)  # every second frame


def test_the_same_sound_at_higher_frequencies_is_another(tiny_configuration: MultistageConfiguration) -> None:
    dpc = DualPathClassifier(tiny_configuration.dpc, features=8, rows=32, tokens=16, token_rows=5, classes=18).eval()
    features, tokens = torch.zeros(1, 8, 20, 32), torch.randn(1, 5, 6, 16)
    features[..., 10:12] = torch.randn(1, 8, 20, 2)
    low = dpc(features, tokens, torch.zeros(1)).logits
    high = dpc(features.roll(8, -1), tokens, torch.zeros(1)).logits  # far from both ends, where padding would tell
    assert (low - high).abs().max() > 1e-3


@pytest.mark.parametrize("token_rows", ["mean", "stacked"])
def test_tokens_are_heard_column_by_column(
    tiny_configuration: MultistageConfiguration, token_rows: Literal["mean", "stacked"]
) -> None:
    """Columns in another order are pooled to the same; the rows of one column are not those of another."""
    sizes = replace(tiny_configuration.dpc, token_rows=token_rows)
    dpc = DualPathClassifier(sizes, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
    features, tokens = torch.randn(1, 8, 20, 9), torch.randn(1, 5, 6, 16)
    logits, mixed = dpc(features, tokens, torch.zeros(1)).logits, tokens.clone()
    mixed[:, 0] = tokens[:, 0].roll(1, 1)
    assert torch.allclose(dpc(features, tokens[:, :, [3, 0, 5, 1, 4, 2]], torch.zeros(1)).logits, logits, atol=1e-4)
    assert (dpc(features, mixed, torch.zeros(1)).logits - logits).abs().max() > 1e-3


def test_stacked_tokens_tell_at_which_frequency_they_are(tiny_configuration: MultistageConfiguration) -> None:
    features, tokens = torch.zeros(1, 8, 20, 9), torch.randn(1, 5, 6, 16)
    for token_rows, tells in (("mean", False), ("stacked", True)):
        sizes = replace(tiny_configuration.dpc, token_rows=token_rows)
        dpc = DualPathClassifier(sizes, features=8, rows=9, tokens=16, token_rows=5, classes=18).eval()
        low, high = (dpc(features, shown, torch.zeros(1)).logits for shown in (tokens, tokens.flip(1)))
        assert ((low - high).abs().max() > 1e-3) == tells
