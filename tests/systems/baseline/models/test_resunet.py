"""ResUNetK against a slow, literal twin, and what silence and odd lengths must come to."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.baseline.configuration import BaselineConfiguration, ResUNetSizes, load_preset
from s5eval.systems.baseline.models import fast
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.system import new_part

Unsettle = Callable[[nn.Module], nn.Module]


def literal(state: Mapping[str, Tensor], sizes: ResUNetSizes, mixture: Tensor, query: Tensor) -> Tensor:
    """The official forward pass step by step, with plain functions on a state: (B, 4, T), (B, 3, 18) → (B, 3, T)."""
    s = {name.removeprefix("base."): value for name, value in state.items()}
    levels = len(sizes.widths)

    def bn(name: str, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, s[f"{name}.running_mean"], s[f"{name}.running_var"], s[f"{name}.weight"], s[f"{name}.bias"]
        )

    def pre(name: str, beta: str, x: Tensor) -> Tensor:
        shift = condition @ s[f"film.{beta}.weight"].T + s[f"film.{beta}.bias"]
        x = bn(name, x) + shift[:, :, None, None]
        return torch.where(x >= 0, x, sizes.slope * x)

    def block(name: str, x: Tensor) -> Tensor:
        path = name.replace(".", "->")
        hidden = F.conv2d(pre(f"{name}.bn1", f"{path}->beta1", x), s[f"{name}.conv1.weight"], padding=1)
        hidden = F.conv2d(pre(f"{name}.bn2", f"{path}->beta2", hidden), s[f"{name}.conv2.weight"], padding=1)
        if f"{name}.shortcut.weight" in s:
            x = F.conv2d(x, s[f"{name}.shortcut.weight"], s[f"{name}.shortcut.bias"])
        return x + hidden

    batch, _, length = mixture.shape
    condition = query.flatten(1)
    for i in (0, 3):
        condition = condition @ s[f"label_embedding.{i}.weight"].T + s[f"label_embedding.{i}.bias"]
        mean, variance = condition.mean(1, keepdim=True), condition.var(1, keepdim=True, unbiased=False)
        condition = (condition - mean) / (variance + 1e-5).sqrt()
        condition = (condition * s[f"label_embedding.{i + 1}.weight"] + s[f"label_embedding.{i + 1}.bias"]).relu()

    half = sizes.window // 2
    padded = F.pad(mixture.flatten(0, 1)[:, None], (half, half), mode="reflect")
    real = F.conv1d(padded, s["stft.conv_real.weight"], stride=sizes.hop).transpose(1, 2).unflatten(0, (batch, 4))
    imag = F.conv1d(padded, s["stft.conv_imag.weight"], stride=sizes.hop).transpose(1, 2).unflatten(0, (batch, 4))
    magnitude = (real**2 + imag**2).clamp_min(1e-10) ** 0.5
    cosine, sine = real / magnitude, imag / magnitude

    x = bn("bn0", magnitude.transpose(1, 3)).transpose(1, 3)
    frames = x.shape[2]
    x = F.pad(x, (0, 0, 0, -frames % sizes.frame_multiple))[..., :-1]
    x = F.conv2d(x, s["pre_conv.weight"], s["pre_conv.bias"])
    skips = []
    for i in range(levels):
        x = block(f"encoder_block{i + 1}.conv_block1", x)
        skips.append(x)
        x = F.avg_pool2d(x, sizes.pools[i])
    x = block("conv_block7a.conv_block1", x)
    for i in range(levels):
        name = f"decoder_block{i + 1}"
        x = pre(f"{name}.bn1", f"{name}->beta1", x)
        x = F.conv_transpose2d(x, s[f"{name}.conv1.weight"], stride=sizes.pools[-1 - i])
        x = block(f"{name}.conv_block2", torch.cat([x, skips[-1 - i]], 1))
    x = F.conv2d(x, s["after_conv.weight"], s["after_conv.bias"])
    x = F.pad(x, (0, 1))[:, :, :frames]

    waveforms = []
    for track in range(3):
        mixed_real, mixed_imag = s["out_conv.bias"], s["out_conv.bias"]
        for channel in range(4):
            first = (track * 4 + channel) * 3
            size, a, b = x[:, first].sigmoid(), x[:, first + 1].tanh(), x[:, first + 2].tanh()
            turn = ((a**2 + b**2) ** 0.5).clamp_min(1e-10)
            c, d = a / turn, b / turn
            level = (magnitude[:, channel] * size).relu()
            weight = s["out_conv.weight"][0, channel, 0, 0]
            mixed_real = mixed_real + weight * level * (cosine[:, channel] * c - sine[:, channel] * d)
            mixed_imag = mixed_imag + weight * level * (sine[:, channel] * c + cosine[:, channel] * d)
        whole_real = torch.cat([mixed_real, mixed_real[..., 1:-1].flip(-1)], -1)
        whole_imag = torch.cat([mixed_imag, -mixed_imag[..., 1:-1].flip(-1)], -1)
        pieces = whole_real @ s["istft.conv_real.weight"][..., 0].T - whole_imag @ s["istft.conv_imag.weight"][..., 0].T
        total = torch.zeros(batch, (frames - 1) * sizes.hop + sizes.window)
        weight = torch.zeros_like(total)
        for t in range(frames):
            total[:, t * sizes.hop : t * sizes.hop + sizes.window] += pieces[:, t]
            weight[:, t * sizes.hop : t * sizes.hop + sizes.window] += s["istft.ola_window"]
        waveform = (total / weight.clamp_min(1e-11))[:, half : half + length]
        waveforms.append(waveform * (query[:, track].sum(1) != 0)[:, None])
    return torch.stack(waveforms, 1)


def query(*labels: int | None) -> Tensor:
    rows = [torch.zeros(18) if label is None else F.one_hot(torch.tensor(label), 18).float() for label in labels]
    return torch.stack(rows)[None]


@pytest.fixture
def network(tiny_configuration: BaselineConfiguration, unsettle: Unsettle) -> ResUNetK:
    made = unsettle(new_part("separator", tiny_configuration)).eval()
    assert isinstance(made, ResUNetK)
    return made


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-4 * b.abs().max())


@pytest.mark.parametrize("samples", [33, 500, 777, 2048, 3001])
@torch.no_grad()
def test_both_ways_equal_the_twin(network: ResUNetK, tiny_configuration: BaselineConfiguration, samples: int) -> None:
    mixture, asked = 0.1 * torch.randn(2, 4, samples), torch.cat([query(3, 5, None), query(7, 7, 1)])
    expected = literal(network.state_dict(), tiny_configuration.separator, mixture, asked)
    assert expected.shape == (2, 3, samples)
    assert close(network(mixture, asked), expected)
    with torch.enable_grad():
        assert close(network(mixture, asked), expected)


@torch.no_grad()
def test_strips_change_nothing(network: ResUNetK, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture, asked = 0.1 * torch.randn(1, 4, 3001), query(3, 5, 6)
    whole = network(mixture, asked)
    for cells, fewest in ((1, 1), (100, 1), (300, 10_000)):
        monkeypatch.setattr(fast, "CELLS", cells)
        monkeypatch.setattr(fast, "FEWEST", fewest)
        assert close(network(mixture, asked), whole)


@torch.no_grad()
def test_new_weights_are_noticed(network: ResUNetK) -> None:
    mixture, asked = 0.1 * torch.randn(1, 4, 1000), query(3, 5, 6)
    before = network(mixture, asked)
    for value in network.parameters():
        if value.dim() == 4:
            value.mul_(1.5)
    after = network(mixture, asked)
    assert not close(after, before)
    with torch.enable_grad():
        assert close(after, network(mixture, asked))


def test_a_network_made_in_inference_mode(tiny_configuration: BaselineConfiguration) -> None:
    mixture, asked = 0.1 * torch.randn(1, 4, 1000), query(3, 5, 6)
    with torch.inference_mode():
        there = new_part("separator", tiny_configuration).eval()(mixture, asked)
    with torch.no_grad():
        assert close(there, new_part("separator", tiny_configuration).eval()(mixture, asked))


@torch.no_grad()
@pytest.mark.parametrize("samples", [1, 100, 1001])
def test_silence_is_exactly_silent(network: ResUNetK, samples: int) -> None:
    network.base.out_conv.bias.fill_(0.3)  # type: ignore[union-attr]
    mixture = torch.randn(1, 4, samples)
    assert not network(mixture, query(None, None, None)).any()
    for slot in range(3):
        labels: list[int | None] = [2, 9, 9]
        labels[slot] = None
        energy = network(mixture, query(*labels)).abs().sum(2)[0]
        assert [bool(value > 0) for value in energy] == [k != slot for k in range(3)]


@torch.no_grad()
def test_a_batch_gives_what_each_alone_gives(network: ResUNetK) -> None:
    mixture, asked = 0.1 * torch.randn(2, 4, 900), torch.cat([query(3, 5, None), query(7, 7, 1)])
    together = network(mixture, asked)
    for i in range(2):
        assert close(network(mixture[i : i + 1], asked[i : i + 1])[0], together[i])


@torch.no_grad()
def test_padding_is_undone(tiny_configuration: BaselineConfiguration) -> None:
    """Masks of one and a mixdown of the first channel give that channel back, whatever the length."""
    network = new_part("separator", tiny_configuration).eval()
    assert isinstance(network, ResUNetK)
    base = network.base
    base.after_conv.weight.zero_()
    base.after_conv.bias.copy_(torch.tensor([50.0, 50.0, 0.0]).repeat(12))  # type: ignore[union-attr]
    base.out_conv.weight.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 4, 1, 1))
    for samples in (64, 333, 1023, 2047):
        time = torch.arange(samples)
        mixture = torch.randn(1, 4, 1) * torch.sin(2 * torch.pi * 0.1 * time) * torch.hann_window(samples)
        out = network(mixture, query(1, 2, 3))
        assert out.shape == (1, 3, samples)
        assert (out - mixture[:, :1]).abs().max() < 2e-2 * mixture.abs().max()


def test_it_trains(tiny_configuration: BaselineConfiguration) -> None:
    network = new_part("separator", tiny_configuration).train()
    out = network(0.1 * torch.randn(2, 4, 640), torch.cat([query(3, 5, None), query(7, None, None)]))
    out.square().sum().backward()
    unused = {name for name, value in network.named_parameters() if value.requires_grad and value.grad is None}
    # the second normalisation of every decoder is carried along and never applied; so is its shift
    assert all("decoder_block" in name and (".bn2." in name or "->beta2" in name) for name in unused)
    assert not any("conv_block2" in name for name in unused)
    assert all(bool(value.grad.isfinite().all()) for value in network.parameters() if value.grad is not None)
    assert int(network.state_dict()["base.bn0.num_batches_tracked"]) == 1


def test_running_statistics_follow_at_the_preset_s_pace(tiny_configuration: BaselineConfiguration) -> None:
    network = new_part(
        "separator", replace(tiny_configuration, separator=replace(tiny_configuration.separator, momentum=0.25))
    )
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and {layer.momentum for layer in norms} == {0.25}
    assert load_preset("official").separator.momentum == 0.01


def test_silent_input_has_finite_gradients(tiny_configuration: BaselineConfiguration) -> None:
    network = new_part("separator", tiny_configuration).train()
    network(torch.zeros(2, 4, 640), torch.cat([query(3, 5, 2), query(7, 1, 1)])).sum().backward()
    assert all(bool(value.grad.isfinite().all()) for value in network.parameters() if value.grad is not None)


def test_a_query_of_another_shape_is_refused(network: ResUNetK) -> None:
    with pytest.raises(ValueError, match=r"query has shape \(1, 54\), expected \(1, 3, 18\)"):
        network(torch.zeros(1, 4, 100), torch.zeros(1, 54))


@pytest.mark.slow
@torch.no_grad()
def test_the_official_sizes_equal_the_twin(unsettle: Unsettle) -> None:
    config = load_preset("official")
    network = unsettle(new_part("separator", config)).eval()
    mixture, asked = 0.1 * torch.randn(1, 4, 20_001), query(3, 5, None)
    assert close(network(mixture, asked), literal(network.state_dict(), config.separator, mixture, asked))
