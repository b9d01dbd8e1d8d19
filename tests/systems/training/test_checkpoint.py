"""Checkpoints and cards where the disk is full, the folder is foreign, or somebody looks while they are written."""

import errno
import json
import os
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sealed_files import flip_bit
from torch import nn

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.training import checkpoint
from s5eval.systems.training.checkpoint import State, load, save
from s5eval.systems.training.exports import exported, update_card


def state(step: int) -> State:
    table = {"a": torch.full((3,), float(step)), "n": torch.tensor(step)}
    return State(
        step=step,
        seconds=1.5,
        digest="sha256:x",
        weights=table,
        average={},
        moments={"exp_avg": {"a": torch.ones(3)}},
        figures={"loss": 2.0},
        built_on={"m2d": "sha256:m"},
        started_from={"uss": "sha256:u"},
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path, state(3))
    save(tmp_path, state(5))
    found = load(tmp_path, "sha256:x")
    assert found is not None
    assert (found.step, found.seconds, found.average) == (5, 1.5, {})
    assert (found.figures, found.built_on) == ({"loss": 2.0}, {"m2d": "sha256:m"})
    assert found.started_from == {"uss": "sha256:u"}
    assert torch.equal(found.weights["a"], torch.full((3,), 5.0))
    assert found.weights["n"].item() == 5
    assert torch.equal(found.moments["exp_avg"]["a"], torch.ones(3))
    save(tmp_path, state(7))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000005", "step-00000007"], "the last two"


@pytest.mark.parametrize("file", ["weights.safetensors", "optimiser.exp_avg.safetensors", "state.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_with_a_word(tmp_path: Path, file: str) -> None:
    save(tmp_path, state(3))
    path = save(tmp_path, state(5)) / file
    content = bytearray(path.read_bytes())
    content[-3] ^= 1 << 4  # a bit of a weight, or of the record
    path.write_bytes(content)
    said: list[str] = []
    found = load(tmp_path, "sha256:x", said.append)
    assert found is not None and found.step == 3
    assert file in said[0] and "going on from the checkpoint before it, step-00000003" in said[0]
    save(tmp_path, state(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000005"]
    again = load(tmp_path, "sha256:x", said.append)
    assert again is not None and again.step == 5 and len(said) == 1


def test_flipped_bits_in_the_only_checkpoint_are_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, state(3)) / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"weights\.safetensors: not what was written"):
        load(tmp_path, "sha256:x")


@pytest.mark.parametrize("name", ["weights.safetensors", "optimiser.exp_avg.safetensors", "state.json"])
@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_in_a_checkpoint_is_named_and_the_one_before_goes_on(
    tmp_path: Path, name: str, seed: int
) -> None:
    folder = save(tmp_path, state(3))
    flip_bit(folder / name, random.Random(seed))
    with pytest.raises(DataError, match=re.escape(str(folder / name))):
        load(tmp_path, "sha256:x")
    newer = save(tmp_path, state(5))
    flip_bit(newer / name, random.Random(seed))
    with pytest.raises(DataError, match=re.escape(str(newer / name))):
        load(tmp_path, "sha256:x")
    save(tmp_path, state(7))
    shutil.rmtree(newer)
    last = save(tmp_path, state(9))
    flip_bit(last / name, random.Random(seed))
    found = load(tmp_path, "sha256:x")
    assert found is not None
    assert found.step == 7


def test_a_checkpoint_of_before_without_digests_is_read(tmp_path: Path) -> None:
    folder = save(tmp_path, state(3))
    content = json.loads((folder / "state.json").read_text())
    del content["files"], content["sha256"]
    (folder / "state.json").write_text(json.dumps(content))
    found = load(tmp_path, "sha256:x")
    assert found is not None
    assert found.step == 3


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    folder = save(tmp_path, state(3))
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (folder / "weights.safetensors").stat().st_mode == plain.stat().st_mode


def test_nothing_is_loaded_from_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none", "sha256:x") is None
    (tmp_path / "step-x").mkdir()
    assert load(tmp_path, "sha256:x") is None


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, state(3))

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match=r"step-00000005: the checkpoint cannot be written: No space left"):
            save(tmp_path, state(5))
    found = load(tmp_path, "sha256:x")
    assert found is not None
    assert found.step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path, state(3))
    (folder / "optimiser.exp_avg.safetensors").unlink()
    with pytest.raises(DataError, match=r"optimiser\.exp_avg\.safetensors: no such file"):
        load(tmp_path, "sha256:x")


def test_a_draft_of_the_same_process_number_is_no_obstacle(tmp_path: Path) -> None:
    draft = tmp_path / f".step-00000003.{os.getpid()}"
    draft.mkdir()
    (draft / "rest").write_text("")
    assert save(tmp_path, state(3)).is_dir()


def test_another_plan_is_refused(tmp_path: Path) -> None:
    save(tmp_path, state(3))
    with pytest.raises(UsageError, match="another recipe or other settings"):
        load(tmp_path, "sha256:y")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"step": "x"}', "\x00"])
def test_a_broken_record_is_an_error_with_its_path(tmp_path: Path, text: str) -> None:
    folder = save(tmp_path, state(3))
    (folder / "state.json").write_text(text)
    with pytest.raises(DataError, match=r"state\.json"):
        load(tmp_path, "sha256:x")


def test_the_optimiser_comes_back(tmp_path: Path) -> None:
    def stepped(net: nn.Linear, optimiser: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        net(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    nets = [nn.Linear(3, 2) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    optimisers = [torch.optim.AdamW(net.parameters(), lr=0.1, amsgrad=True) for net in nets]
    stepped(nets[0], optimisers[0], 1)
    moments = checkpoint.optimiser_moments(optimisers[0], {p: n for n, p in nets[0].named_parameters()})
    assert set(moments) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
    nets[1].load_state_dict(nets[0].state_dict())
    checkpoint.restore_moments(optimisers[1], {p: n for n, p in nets[1].named_parameters()}, moments)
    for net, optimiser in zip(nets, optimisers, strict=True):
        stepped(net, optimiser, 2)
    assert torch.equal(nets[0].weight, nets[1].weight)


def test_the_card_keeps_its_history_without_repeats(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"history": [], "scores": {"test": 1.0}}')
    for recipe, plan, steps in (("uss", "1", 3), ("dpc", "2", 4), ("uss", "1", 3), ("uss", "9", 8)):
        update_card(tmp_path, {"recipe": recipe, "plan": plan, "steps": steps}, written={})
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["scores"] == {"test": 1.0}
    assert [(old["recipe"], old["steps"]) for old in card["history"]] == [("uss", 3), ("dpc", 4), ("uss", 8)]


@pytest.mark.parametrize("text", ["", "[1]", '{"history": 3}', '{"history": ["x"]}'])
def test_a_card_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(DataError, match=r"card\.json: cannot be read as a card"):
        update_card(tmp_path, {"recipe": "uss", "plan": "1"}, written={})


def test_the_card_knows_what_was_exported(tmp_path: Path) -> None:
    assert exported(tmp_path, "uss", "1") is None
    update_card(tmp_path, {"recipe": "uss", "plan": "1", "steps": 3}, written={})
    assert exported(tmp_path, "uss", "2") is None
    assert exported(tmp_path, "uss", "1") == {"recipe": "uss", "plan": "1", "steps": 3}
    begun = {"built_on": {"m2d": "sha256:1"}, "started_from": {"uss": "sha256:2"}}
    assert exported(tmp_path, "uss", "1", begun) is not None, "an early card does not say"
    update_card(tmp_path, {"recipe": "dpc", "plan": "1", **begun}, written={})
    assert exported(tmp_path, "dpc", "1", begun) is not None
    assert exported(tmp_path, "dpc", "1", {**begun, "built_on": {"m2d": "sha256:3"}}) is None


def test_seconds_grow_where_the_step_stands_already(tmp_path: Path) -> None:
    path = save(tmp_path, state(0))
    tables = {file.name: file.read_bytes() for file in path.glob("*.safetensors")}
    save(tmp_path, replace(state(0), seconds=9.5))
    save(tmp_path, replace(state(0), seconds=4.0))  # of a process that knew less
    found = load(tmp_path, "sha256:x")
    assert found is not None
    assert (found.step, found.seconds) == (0, 9.5)
    assert {file.name: file.read_bytes() for file in path.glob("*.safetensors")} == tables


def test_a_checkpoint_whose_digest_was_taken_out_is_none(tmp_path: Path) -> None:
    """Those of before had neither it nor digests of their files."""
    folder = save(tmp_path, state(3))
    content = json.loads((folder / "state.json").read_text())
    del content["sha256"]
    (folder / "state.json").write_text(json.dumps({**content, "seconds": 9.0}))
    with pytest.raises(DataError, match=r"state\.json: cannot be read \(its digest is gone\)"):
        load(tmp_path, "sha256:x")
