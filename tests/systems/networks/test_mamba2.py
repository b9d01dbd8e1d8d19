"""Mamba-2: the library's parameters, transformers' numbers, and what reversing time does."""

import copy

import pytest
import torch

from s5eval.systems.networks.mamba2 import BiMamba2, Mamba2


def layer() -> Mamba2:
    made = Mamba2(16, d_state=8, d_conv=4, expand=2, headdim=8, chunk=16)
    with torch.no_grad():
        for parameter in made.parameters():  # away from initial values such as D = 1
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def test_parameters_are_the_library_s() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in layer().state_dict().items()}
    assert shapes == {
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "in_proj.weight": (2 * 32 + 2 * 8 + 4, 16),
        "conv1d.weight": (48, 1, 4),
        "conv1d.bias": (48,),
        "norm.weight": (32,),
        "out_proj.weight": (16, 32),
    }


@pytest.mark.parametrize("length", [1, 3, 16, 37])
def test_equals_transformers_with_the_same_weights(length: int) -> None:
    pytest.importorskip("transformers")
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    ours = layer()
    config = Mamba2Config(
        hidden_size=16,
        state_size=8,
        expand=2,
        head_dim=8,
        num_heads=4,
        n_groups=1,
        conv_kernel=4,
        chunk_size=16,
        use_bias=False,
        use_conv_bias=True,
    )
    theirs = Mamba2Mixer(config, layer_idx=0)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, length, 16)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 4, 9])
def test_convolution_and_its_gradients_are_pytorch_s(length: int) -> None:
    ours = layer()
    x = torch.randn(3, length, 48, requires_grad=True)
    gradient = torch.randn(3, length, 48)
    inputs = (x, ours.conv1d.weight, ours.conv1d.bias)
    expected = torch.nn.functional.silu(ours.conv1d(x.transpose(1, 2))[..., :length].transpose(1, 2))
    found = ours._convolve(x)
    assert torch.allclose(found, expected, atol=1e-6)
    wanted, got = (torch.autograd.grad(out, inputs, gradient) for out in (expected, found))  # type: ignore[arg-type]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (100.0, 0.0), (1.0, 8.0), (100.0, 8.0)])
def test_gradients_are_those_of_a_float64_layer(scale: float, bias: float) -> None:
    ours = layer()
    with torch.no_grad():
        ours.dt_bias.fill_(bias)
    exact = copy.deepcopy(ours).double()
    x, gradient = scale * torch.randn(3, 150, 16), torch.randn(3, 150, 16)
    wanted = torch.autograd.grad(exact(x.double()), list(exact.parameters()), gradient.double())
    got = torch.autograd.grad(ours(x), list(ours.parameters()), gradient)
    for (name, _), a, b in zip(ours.named_parameters(), got, wanted, strict=True):
        # what float32 makes of dt alone is some 1e-5 of it; sums that cancel left 3e-3
        assert (a.double() - b).abs().max() < 1e-4 * b.abs().max(), name


def test_a_float64_layer_stays_float64() -> None:
    exact = layer().double()
    x = torch.randn(1, 5, 16, dtype=torch.float64, requires_grad=True)
    assert exact(x).dtype == torch.float64
    # Differences over a millionth: float32 anywhere on the way would leave no digit of them.
    assert torch.autograd.gradcheck(lambda x, *_: exact(x), (x, *exact.parameters()))


def test_causal() -> None:
    ours, x = layer(), torch.randn(1, 20, 16)
    changed = x.clone()
    changed[:, 12:] += 1
    assert torch.allclose(ours(x)[:, :12], ours(changed)[:, :12], atol=1e-6)
    assert not torch.allclose(ours(x)[:, 12:], ours(changed)[:, 12:], atol=1e-3)


def test_swapping_the_directions_reverses_time() -> None:
    both = BiMamba2(16, d_state=8, d_conv=4, expand=2, headdim=8)
    swapped = copy.deepcopy(both)
    swapped.ahead, swapped.back = swapped.back, swapped.ahead
    x = torch.randn(2, 21, 16)
    out, mirrored = both(x), swapped(x.flip(1)).flip(1)
    assert out.shape == (2, 21, 64)
    assert torch.allclose(out, torch.cat(mirrored.chunk(2, -1)[::-1], -1), atol=1e-6)


def test_two_way_layer_sees_both_ends() -> None:
    both, x = BiMamba2(16, d_state=8, d_conv=4, expand=2, headdim=8), torch.randn(1, 10, 16)
    changed = x.clone()
    changed[:, 9] += 1
    assert (both(x) - both(changed)).abs()[:, 0].max() > 1e-6


def test_bfloat16_autocast() -> None:
    ours, x = layer(), torch.randn(2, 30, 16)
    with torch.autocast("cpu", torch.bfloat16):
        out = ours(x)
    assert (out.float() - ours(x)).abs().max() < 0.1 * ours(x).abs().max()


def test_impossible_head_dimension() -> None:
    with pytest.raises(ValueError, match="not a multiple of headdim"):
        Mamba2(16, d_state=8, d_conv=4, expand=2, headdim=5)


def test_the_library_s_kernels_agree() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    pytest.importorskip("mamba_ssm")
    from mamba_ssm import Mamba2 as Library

    ours = layer().cuda()
    theirs = Library(16, d_state=8, d_conv=4, expand=2, headdim=8, use_mem_eff_path=False).cuda()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 100, 16, device="cuda")
    expected = theirs(x)
    assert (ours(x) - expected).abs().max() < 1e-3 * expected.abs().max()
    assert (ours.cpu()(x.cpu()) - expected.cpu()).abs().max() < 1e-3 * expected.abs().max().cpu()
