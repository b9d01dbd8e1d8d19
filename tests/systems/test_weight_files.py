"""Weight files that are missing, cut, foreign or dangerous say so; good ones load bit for bit."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.weight_files import file_digest, joint_digest, load_strictly, read_tensors


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_round_trip(network: nn.Module, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = network.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    load_strictly(other, read_tensors(path, "a place"), path=path, source="a place")
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), state.values(), strict=True))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_missing_truncated_foreign(network: nn.Module, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match="no such file; get it from a place"):
        read_tensors(path, "a place")
    state = network.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=rf"{name}.*a place"):
        read_tensors(path, "a place")
    for junk in (b"", b"<html>not found</html>", b"RIFF" + bytes(100)):
        path.write_bytes(junk)
        with pytest.raises(DataError, match=rf"{name}.*a place"):
            read_tensors(path, "a place")


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_file_that_would_run_code_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": _Bomb()}, path)
    with pytest.raises(DataError, match="not a file of plain tensors"):
        read_tensors(path, "a place")
    path.write_bytes(pickle.dumps(_Bomb(), protocol=2))
    with pytest.raises(DataError, match="not a file of plain tensors"):
        read_tensors(path, "a place")
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="holds a list"):
        read_tensors(path, "a place")
    assert "executed" not in capsys.readouterr().out


def test_the_tensor_at_fault_is_named(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"

    def load(**changes: torch.Tensor | None) -> None:
        state = {**network.state_dict(), **{name.replace("__", "."): value for name, value in changes.items()}}
        found = {name: value for name, value in state.items() if value is not None}
        load_strictly(network, found, path=path, source="a place")

    load()
    with pytest.raises(DataError, match=r"'0.bias' of shape \(4,\) is missing \(1 of 7 tensors are\).*a place"):
        load(**{"0__bias": None})
    with pytest.raises(DataError, match=r"'0.weight' has shape \(4, 5\), expected \(4, 3\)"):
        load(**{"0__weight": torch.zeros(4, 5)})
    with pytest.raises(DataError, match=r"'0.weight' has type torch.int64"):
        load(**{"0__weight": torch.zeros(4, 3, dtype=torch.long)})
    with pytest.raises(DataError, match=r"'extra' is not part of this network \(1 such"):
        load(extra=torch.zeros(1))


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    first = file_digest(path)
    assert first == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert file_digest(path) != first
    assert joint_digest({"a": "1", "b": "2"}) == joint_digest({"b": "2", "a": "1"})
    assert joint_digest({"a": "1", "b": "2"}) != joint_digest({"a": "2", "b": "1"})
