"""`s5eval train` from the outside."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.training.training_plan import read_plan, recipe_names

Call = Callable[..., Any]


def test_the_resolved_recipe_is_shown(s5eval: Call) -> None:
    result = s5eval("train", "mini/uss", "--dry-run", "--set", "data.seconds=1.5", "--set", "system.mamba=none")
    assert result.code == 0
    assert result.json["recipe"]["data"]["seconds"] == 1.5
    assert result.json["system"]["mamba"] == "none"


def test_a_share_of_a_recipe_has_its_steps_warmup_and_kept_scenes(s5eval: Call) -> None:
    whole = s5eval("train", "mini/names", "--dry-run").json["recipe"]
    tenth = s5eval("train", "mini/names", "--dry-run", "--share", 0.1).json["recipe"]
    assert (whole["steps"], whole["optimiser"]["warmup"], whole["slots"]["scenes"]) == (4000, 100, 5000)
    assert (tenth["steps"], tenth["optimiser"]["warmup"], tenth["slots"]["scenes"]) == (400, 10, 500)
    for recipe in (whole, tenth):
        recipe["steps"] = recipe["optimiser"]["warmup"] = recipe["slots"]["scenes"] = 0
    assert tenth == whole, "nothing else"
    typed = s5eval("train", "baseline/tagger", "--dry-run", "--share", 0.001, "--set", "steps=50").json["recipe"]
    assert typed["steps"] == 1, "a step at least, and of the steps that were typed"
    unkept = s5eval("train", "mini/uss", "--dry-run", "--share", 0.5).json["recipe"]
    assert (unkept["steps"], unkept["slots"]["scenes"]) == (4000, 0)
    with pytest.raises(UsageError, match=r"`share` is 0, expected a share of the recipe's length, above 0, at most 1"):
        read_plan("mini/names", share=0)
    for share in (0, 1.5, "nan"):
        refused = s5eval("train", "mini/names", "--dry-run", "--share", share)
        assert (refused.code, "share" in refused.err) == (2, True)


def test_help_names_every_recipe_in_its_order(s5eval: Call) -> None:
    groups = ("mini", "paper", "baseline")
    named = "; ".join(f"{group}/{', '.join(recipe_names(group))}" for group in groups)
    assert f"Recipes: {named}." in " ".join(s5eval("train", "--help").out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mini/us"], "did you mean 'uss'"),
        (["uss"], "no recipe 'uss'"),
        (["mini/uss", "--set", "steps"], "expected KEY=VALUE"),
        (["mini/uss", "--set", "data.second=3"], "did you mean 'seconds'"),
        (["mini/uss", "--set", "data.material={foley: 0}"], "shares of 0 or more, one above 0"),
        (["mini/uss", "--set", "data.material={foley: 1}", "--set", "data.folder=D"], "has both folder and material"),
        (["mini/uss", "--set", "data.augmentation.speed=2"], "augmentation.speed is 2.0"),
        (["mini/uss", "--set", "data.rooms=0"], "rooms is 0"),
        (["mini/uss", "--device", "gpu"], "device 'gpu': expected auto, cpu, cuda"),
    ],
)
def test_usage_errors(s5eval: Call, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = s5eval("train", *arguments, "--weights", tmp_path / "w", "--out", tmp_path / "o")
    assert result.code == 2
    assert message in result.err


def test_a_missing_part_is_a_data_error(s5eval: Call, tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    result = s5eval("train", "mini/dpc", "--weights", tmp_path / "w", "--out", tmp_path / "o")
    assert result.code == 3
    assert "dpc1.safetensors" in result.err


def test_a_training_that_is_refused_leaves_no_folder(s5eval: Call, tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    for out in (tmp_path / "training" / "mini" / "dpc", tmp_path / "there"):
        assert s5eval("train", "mini/dpc", "--weights", tmp_path / "w", "--out", out).code == 3
    missing = ("--set", f"data.folder={tmp_path / 'nowhere'}")
    assert s5eval("train", "mini/uss", *missing, "--weights", tmp_path / "w", "--out", tmp_path / "o").code == 3
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["notes.txt", "there"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_two_sittings(s5eval: Call, tmp_path: Path, tiny_dev_set: SimpleNamespace) -> None:
    pytest.importorskip("lightning.fabric")
    settings = {
        "steps": 2,
        "data.material": {"foley": 0.5, str(tiny_dev_set.dev): 1.5},
        "data.augmentation": {"equalise": 6, "speed": 0.2, "gain": 3, "join": 0.5, "mix": 0.5, "reverse": 0.5},
        "data.rooms": 1,
        "data.seconds": 0.5,
        "system.separator": {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4},
        "system.mamba2": {"headdim": 8, "chunk": 8},
    }
    words = [f"{key}={json.dumps(value, default=str)}" for key, value in settings.items()]
    sets = [item for word in words for item in ("--set", word)]
    folders = ("--weights", tmp_path / "w", "--out", tmp_path / "o")
    call = ("train", "mini/segmentation", *folders, "--device", "cpu", *sets)
    first = s5eval(*call, "--max-minutes", 0)
    assert first.code == 0
    assert "1 of 2 steps done; the same command goes on" in first.out
    second = s5eval(*call, "--json")
    assert second.code == 0
    assert second.json["finished"] is True
    assert set(second.json["files"]) == {"uss"}
    assert (tmp_path / "w" / "uss.safetensors").is_file()
    card = json.loads((tmp_path / "w" / "card.json").read_text())
    (entry,) = card["history"]
    assert entry["data"] == "foley 0.25, dev_set 0.75"
    (digest,) = entry["recordings"]
    assert card["recordings"][digest]["licences"] == {"not stated": card["recordings"][digest]["files"]}
    assert str(tiny_dev_set.dev) not in json.dumps(card)


def test_a_launch_that_would_train_copies_is_refused(
    s5eval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightning.fabric")
    folders = ("--weights", tmp_path / "w", "--out", tmp_path / "o", "--device", "cpu")
    nodes = s5eval("train", "mini/uss", *folders, "--nodes", 2, "--devices", 4)
    assert (nodes.code, "write torchrun --nnodes 2 --nproc-per-node 4" in nodes.err) == (2, True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    copies = s5eval("train", "mini/uss", *folders)
    assert (copies.code, "start them by torchrun" in copies.err) == (2, True)
    assert not (tmp_path / "o").exists()
