"""Lightning files load strictly, without running code unless trusted; differences are listed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.baseline.checkpoints import load_checkpoint, strip_prefix
from s5eval.systems.baseline.configuration import BaselineConfiguration
from s5eval.systems.baseline.system import new_part

PARTS = ("tagger-1c", "tagger-4c", "separator")


class Foreign:
    """An object that only code can bring back."""


def lightning(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    table = {f"model.{name}": value for name, value in state.items()}
    return {"epoch": 3, "state_dict": {"metric.total": torch.zeros(2), **table}, **others}


@pytest.fixture(params=PARTS)
def network(request: pytest.FixtureRequest, tiny_configuration: BaselineConfiguration) -> nn.Module:
    return new_part(request.param, tiny_configuration)


def filled(network: nn.Module) -> dict[str, Any]:
    """Other weights for the same network; its transforms as they are."""
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    return {
        name: torch.randn_like(value) if name in trained else value.clone()
        for name, value in network.state_dict().items()
    }


def test_a_file_loads(network: nn.Module, tmp_path: Path) -> None:
    state, path = filled(network), tmp_path / "a.ckpt"
    torch.save(lightning(state), path)
    load_checkpoint(network, path, trusted=False)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("order", [("model", "ema_model"), ("ema_model", "model")])
def test_two_sets_of_weights_are_refused_unless_one_is_chosen(
    network: nn.Module, tmp_path: Path, order: tuple[str, str]
) -> None:
    path, states = tmp_path / "a.ckpt", {name: filled(network) for name in order}
    table = {f"{name}.{key}": value for name in order for key, value in states[name].items()}
    torch.save({"state_dict": {**table, "metric.total": torch.zeros(2)}}, path)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(DataError, match=r"2 sets of weights .*'ema_model', 'model'.*system\.checkpoint_weights="):
        load_checkpoint(network, path, trusted=False)
    with pytest.raises(DataError, match=r"no weights named 'best' for this network; it holds"):
        load_checkpoint(network, path, trusted=False, chosen="best")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for name in order:
        load_checkpoint(network, path, trusted=False, chosen=name)
        assert all(torch.equal(value, states[name][key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("other", ["ema_state_dict", "model_ema"])
def test_a_second_table_of_weights_is_a_second_set(network: nn.Module, tmp_path: Path, other: str) -> None:
    path, state, averaged = tmp_path / "a.ckpt", filled(network), filled(network)
    torch.save({**lightning(state), other: averaged}, path)
    with pytest.raises(DataError, match="2 sets of weights"):
        load_checkpoint(network, path, trusted=False)
    for chosen, expected in (("model", state), (other, averaged)):
        load_checkpoint(network, path, trusted=False, chosen=chosen)
        assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_a_file_with_objects_needs_trust(network: nn.Module, tmp_path: Path) -> None:
    state, path = filled(network), tmp_path / "a.ckpt"
    torch.save(lightning(state, hyper_parameters=Foreign()), path)
    with pytest.raises(DataError, match="`trust_checkpoint`"):
        load_checkpoint(network, path, trusted=False)
    load_checkpoint(network, path, trusted=True)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_differences_are_listed(tiny_configuration: BaselineConfiguration, tmp_path: Path) -> None:
    network, path = new_part("separator", tiny_configuration), tmp_path / "a.ckpt"
    state = filled(network)
    for name in ("base.pre_conv.bias", "film.decoder_block1->beta2.weight"):
        del state[name]
    state["base.extra"] = torch.zeros(2)
    state["base.after_conv.weight"] = torch.zeros(12, 4, 1, 1)
    torch.save(lightning(state), path)
    with pytest.raises(DataError) as caught:
        load_checkpoint(network, path, trusted=False)
    text = str(caught.value)
    assert "2 missing: base.pre_conv.bias (4,), film.decoder_block1->beta2.weight (64, 8)" in text
    assert "1 unknown: base.extra (2,)" in text
    assert "1 of another shape: base.after_conv.weight (12, 4, 1, 1), expected (36, 4, 1, 1)" in text
    assert "baseline_checkpoint.zip" in text


@pytest.mark.parametrize(
    ("part", "name", "change"),
    [
        ("separator", "base.stft.conv_real.weight", lambda x: 1.1 * x),
        ("separator", "base.istft.ola_window", lambda x: torch.ones_like(x)),
        ("tagger-4c", "m2d.to_spec.mel_basis", lambda x: x.flip(1)),
    ],
)
def test_other_transforms_are_refused(
    tiny_configuration: BaselineConfiguration, tmp_path: Path, part: str, name: str, change: Callable[..., Any]
) -> None:
    network, path = new_part(part, tiny_configuration), tmp_path / "a.ckpt"
    state = filled(network)
    state[name] = change(state[name])
    torch.save(lightning(state), path)
    with pytest.raises(DataError, match=f"'{name}' is not the transform"):
        load_checkpoint(network, path, trusted=False)


def test_the_sign_of_sines_is_free(tiny_configuration: BaselineConfiguration, tmp_path: Path) -> None:
    network, path = new_part("tagger-1c", tiny_configuration), tmp_path / "a.ckpt"
    state = filled(network)
    state["to_spec.stft.wsin"] *= -1
    torch.save(lightning(state), path)
    load_checkpoint(network, path, trusted=False)


def test_prefixes() -> None:
    assert strip_prefix({"a.b": 1}, "a.b") == {"a.b": 1}
    assert strip_prefix({"loss.w": 0, "model.a.b": 1, "model.c": 2}, "a.b") == {"a.b": 1, "c": 2}
    assert strip_prefix({"xa.b": 1}, "a.b") == {"xa.b": 1}


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut"])
def test_damaged_files(tiny_configuration: BaselineConfiguration, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    for trusted in (False, True):
        with pytest.raises(DataError, match=r"a.ckpt.*baseline_checkpoint.zip"):
            load_checkpoint(new_part("tagger-1c", tiny_configuration), path, trusted=trusted)


def test_a_state_dict_that_is_none(tiny_configuration: BaselineConfiguration, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": [1, 2]}, path)
    with pytest.raises(DataError, match="state_dict is a list"):
        load_checkpoint(new_part("tagger-1c", tiny_configuration), path, trusted=False)
