"""The taggers against a literal head, and what training needs of them."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.systems.baseline.configuration import BaselineConfiguration
from s5eval.systems.baseline.models.tagger import Tagger1c, Tagger4c
from s5eval.systems.baseline.system import new_part


def literal_head(state: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """(B, tokens, features) → (B, 3, 19), a track after the other."""
    x = tokens.mean(1)
    x = (x - state["head.m2d_out_norm.running_mean"]) / (state["head.m2d_out_norm.running_var"] + 1e-5).sqrt()
    x = x @ state["head.linear.0.weight"].T + state["head.linear.0.bias"]
    x = F.layer_norm(x, x.shape[1:], state["head.linear.1.weight"], state["head.linear.1.bias"]).relu()
    outputs = []
    for track, part in enumerate(x.chunk(3, 1)):
        s = {name.removeprefix(f"head.tracks.{track}."): value for name, value in state.items()}
        hidden = F.linear(part, s["0.weight"], s["0.bias"])
        hidden = F.layer_norm(hidden, hidden.shape[1:], s["1.weight"], s["1.bias"]).relu()
        outputs.append(F.linear(hidden, s["3.weight"], s["3.bias"]))
    return torch.stack(outputs, 1)


@torch.no_grad()
def test_one_channel(tiny_configuration: BaselineConfiguration, unsettle: object) -> None:
    tagger = unsettle(new_part("tagger-1c", tiny_configuration)).eval()  # type: ignore[operator]
    assert isinstance(tagger, Tagger1c)
    mixture = 0.1 * torch.randn(2, 4, 16_000)
    tokens = tagger.backbone(tagger.to_spec(mixture[:, 0])).flatten(1, 2)
    assert torch.allclose(tagger(mixture), literal_head(tagger.state_dict(), tokens), atol=1e-5)
    mixture[:, 1:] = 0.0
    assert torch.allclose(tagger(mixture), literal_head(tagger.state_dict(), tokens), atol=1e-5)


@torch.no_grad()
def test_four_channels_lie_side_by_side(tiny_configuration: BaselineConfiguration, unsettle: object) -> None:
    tagger = unsettle(new_part("tagger-4c", tiny_configuration)).eval()  # type: ignore[operator]
    assert isinstance(tagger, Tagger4c)
    mixture = 0.1 * torch.randn(2, 4, 16_000)
    heard = [tagger.m2d.backbone(tagger.m2d.to_spec(mixture[:, channel])).flatten(1, 2) for channel in range(4)]
    assert torch.allclose(tagger(mixture), literal_head(tagger.state_dict(), torch.cat(heard, 2)), atol=1e-5)


@pytest.mark.parametrize("name", ["tagger-1c", "tagger-4c"])
def test_it_trains(tiny_configuration: BaselineConfiguration, name: str) -> None:
    tagger = new_part(name, tiny_configuration).train()
    logits = tagger(0.1 * torch.randn(2, 4, 8000))
    assert logits.shape == (2, 3, 19)
    F.cross_entropy(logits.flatten(0, 1), torch.tensor([3, 18, 18, 5, 5, 18])).backward()
    trained = {key: value for key, value in tagger.named_parameters() if value.requires_grad}
    assert all(value.grad is not None and bool(value.grad.isfinite().all()) for value in trained.values())
