"""The hybrid block: what is computed the short way equals what the figure draws."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models import hybrid
from s5eval.systems.multistage.models.hybrid import Attention, GatedConvolution, Hybrid, Restore


def test_gated_convolution_is_a_twin_convolution_over_unfolded_steps() -> None:
    gated, x = GatedConvolution(3, unfold=4, kernel=3), torch.randn(2, 11, 3)
    # one zero beyond each end, four neighbours per step, then twin convolutions over three such steps
    unfolded = F.pad(x, (0, 0, 1, 1)).unfold(1, 4, 1).permute(0, 3, 2, 1).reshape(2, 12, 10)
    kernels = gated.weight.permute(3, 1, 2, 0).reshape(6, 12, 3)
    a, g = F.conv1d(unfolded, kernels, gated.bias).chunk(2, 1)
    expected = (a * F.mish(g)).transpose(1, 2)
    assert expected.shape == (2, 8, 3)
    assert torch.allclose(gated(x), expected, atol=1e-6)


def test_restore_is_a_transposed_convolution() -> None:
    restore, x = Restore(3, taps=4), torch.randn(2, 8, 3)
    kernel = restore.weight.flip(0).permute(1, 2, 0)
    expected = F.conv_transpose1d(x.transpose(1, 2), kernel, restore.bias).transpose(1, 2)
    assert expected.shape == (2, 11, 3)
    assert torch.allclose(restore(x), expected, atol=1e-6)


def test_attention_is_that_of_every_head_for_itself() -> None:
    attention, x = Attention(6, heads=2, head_dim=5, dropout=0.0), torch.randn(3, 7, 6)
    q, k, v = attention.qkv(x).split(10, -1)
    heads = []
    for part in (slice(0, 5), slice(5, 10)):
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 5**0.5
        heads.append(scores.exp() / scores.exp().sum(-1, keepdim=True) @ v[..., part])
    assert torch.allclose(attention(x), attention.proj(torch.cat(heads, -1)), atol=1e-5)


@pytest.mark.parametrize("use_mamba", [True, False])
@pytest.mark.parametrize("length", [2, 4, 13])
def test_the_block_is_the_figure_s(tiny_configuration: MultistageConfiguration, use_mamba: bool, length: int) -> None:
    block = Hybrid(tiny_configuration.separator, tiny_configuration.mamba2, use_mamba=use_mamba)
    for norm in block.norms:
        torch.nn.init.normal_(norm.weight)  # type: ignore[arg-type]
    x = torch.randn(3, length, 8)
    h = F.pad(block.norms[0](x), (0, 0, 0, max(0, 4 - length) if use_mamba else 0))
    y = block.convolution(h)
    y = y + block.attention(block.norms[1](y))
    z = block.norms[2](y)
    y = y + block.feed_forward.narrow(F.mish(block.feed_forward.wide(z)))
    expected = x + block.restore(y)[:, :length]
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_nothing_is_dropped_but_in_training(tiny_configuration: MultistageConfiguration) -> None:
    sizes = replace(tiny_configuration.separator, dropout=0.5)
    block, x = Hybrid(sizes, tiny_configuration.mamba2, use_mamba=False), torch.randn(3, 6, 8)
    assert not torch.allclose(block(x), block(x))
    assert not torch.allclose(block.attention(x), block.attention(x))
    block.eval()
    assert torch.equal(block(x), block(x))


@pytest.mark.parametrize("use_mamba", [True, False])
@pytest.mark.parametrize("length", [1, 2, 4, 13])
def test_any_length(tiny_configuration: MultistageConfiguration, use_mamba: bool, length: int) -> None:
    block = Hybrid(tiny_configuration.separator, tiny_configuration.mamba2, use_mamba=use_mamba)
    x = torch.randn(3, length, 8)
    out = block(x)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()


def test_slabs_and_checkpoints_change_nothing(
    tiny_configuration: MultistageConfiguration, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = Hybrid(tiny_configuration.separator, tiny_configuration.mamba2, use_mamba=True)
    x = torch.randn(7, 12, 8)
    expected = block(x)
    expected.square().sum().backward()
    gradients = [p.grad.clone() for p in block.parameters() if p.grad is not None]
    monkeypatch.setitem(hybrid._SLAB_STEPS, "cpu", 24)
    with torch.no_grad():
        assert torch.allclose(block(x), expected, atol=1e-6)
    block.zero_grad()
    block.checkpointing = True
    block(x).square().sum().backward()
    again = [p.grad for p in block.parameters() if p.grad is not None]
    assert len(again) == len(list(block.parameters()))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(again, gradients, strict=True))


def test_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel 2 is even"):
        GatedConvolution(3, unfold=4, kernel=2)
