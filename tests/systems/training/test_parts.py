"""Parts as a training reads them: frozen ones for evaluation, and what another one starts from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.weight_files import file_digest


class Network(nn.Module):
    """A hundred weights, with what behaves otherwise in training."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(10, width, bias=False), nn.Dropout(0.5)


@pytest.fixture
def parts(tmp_path: Path) -> PartsFolder:
    """A folder with the part `uss`, of ones."""
    save_file({"layer.weight": torch.ones(10, 10).half()}, tmp_path / "uss.safetensors")
    return PartsFolder(tmp_path, torch.device("cpu"))


def test_a_frozen_part_neither_learns_nor_drops_anything_out_and_is_known_by_its_digest(parts: PartsFolder) -> None:
    network = parts.frozen(Network().train(), "uss")
    assert not any(module.training for module in network.modules())
    assert not network.layer.weight.requires_grad
    assert torch.equal(network.layer.weight, torch.ones(10, 10))
    assert parts.built_on == {"uss": file_digest(parts.folder / "uss.safetensors")}
    assert parts.started_from == {}


def test_a_part_starts_from_another_s_weights_and_learns_in_single_precision(parts: PartsFolder) -> None:
    network = parts.trained(Network(), "uss")
    assert torch.equal(network.layer.weight, torch.ones(10, 10)) and network.layer.weight.dtype == torch.float32
    assert network.layer.weight.requires_grad
    assert parts.started_from == {"uss": file_digest(parts.folder / "uss.safetensors")}
    assert parts.built_on == {}


def test_what_it_starts_from_may_be_a_part_of_it_or_be_made_to_fit(parts: PartsFolder) -> None:
    whole = nn.ModuleDict({"inner": Network(), "other": nn.Linear(2, 2)})
    before = whole["other"].weight.clone()  # type: ignore[union-attr]
    parts.trained(whole, "uss", prefix="inner.")
    assert torch.equal(whole["inner"].layer.weight, torch.ones(10, 10))  # type: ignore[union-attr]
    assert torch.equal(whole["other"].weight, before)

    def doubled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.cat([value, value]) for name, value in tensors.items()}

    assert torch.equal(parts.trained(Network(20), "uss", adapt=doubled).layer.weight, torch.ones(20, 10))  # type: ignore[arg-type]


def test_what_a_resumed_training_began_with_is_not_read_again(parts: PartsFolder) -> None:
    (parts.folder / "uss.safetensors").write_bytes(b"what an interrupted export left")
    resumed = PartsFolder(parts.folder, torch.device("cpu"), resumed=True)
    network, before = Network(), Network()
    before.load_state_dict(network.state_dict())
    assert torch.equal(resumed.trained(network, "uss").layer.weight, before.layer.weight)
    assert resumed.started_from == {}


def test_a_part_of_other_sizes_is_nothing_to_start_from(parts: PartsFolder) -> None:
    with pytest.raises(DataError, match=r"uss\.safetensors: only 0 of its 100 numbers fit .* null in `starts_from`"):
        parts.trained(Network(11), "uss")
