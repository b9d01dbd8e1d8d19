"""Every argument of the face reaches what does the work: one that goes unread is a result of something else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import s5eval
from s5eval.harness.record.config import RunConfig
from s5eval.harness.tuning.threshold_table import Objective


class _ArrivedError(Exception):
    """Ends a call once its arguments have arrived."""


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the last call of any of the functions behind the face was given."""
    told = SimpleNamespace(positional=(), named={}, grid={})

    def take(*positional: Any, **named: Any) -> None:
        told.positional, told.named = positional, named
        raise _ArrivedError

    def grid(*positional: Any, **named: Any) -> Any:
        told.grid = {"path": positional[0], **named}
        return SimpleNamespace(system="silence")

    for name in ("run_config", "ablate_grid", "open_manifest", "find_expected"):
        monkeypatch.setattr(f"s5eval.evaluation.{name}", take)
    monkeypatch.setattr("s5eval.evaluation.load_grid", grid)
    for name in ("tune_runs", "pair_of_runs.compare_runs", "rescore_folder"):
        monkeypatch.setattr(f"s5eval.finished_runs.{name}", take)
    monkeypatch.setattr("s5eval.finished_runs.run_folder_of", lambda path: path)
    return told


def test_of_data(arrived: SimpleNamespace, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"split": "valid", "dataset": "dcase2026", "limit": 3, "progress": print}
    with pytest.raises(_ArrivedError):
        s5eval.open_data(tmp_path, only=["b", "a"], **asked)
    assert (arrived.positional, arrived.named) == ((tmp_path,), {**asked, "only": ("b", "a")})


def test_of_a_run(arrived: SimpleNamespace, tmp_path: Path) -> None:
    same: dict[str, Any] = {
        "split": "valid", "dataset": "dcase2026", "limit": 3, "batch_size": 4, "device": "cuda:1", "save_audio": True,
        "cache": False, "strict": True, "metrics": "all", "workers": 2, "energy": True,
    }  # fmt: skip
    rules = {"max_sources": 2}
    with pytest.raises(_ArrivedError):
        s5eval.run("name", tmp_path, tmp_path / "out", only=["a"], settings={"a": 1}, decision=rules, **same)
    sections = {"system": {"a": 1}, "decision": rules}
    expected = RunConfig(system="name", data=tmp_path.resolve(), only=("a",), settings=sections, **same)
    assert arrived.positional == (expected, tmp_path / "out")
    with pytest.raises(_ArrivedError):
        s5eval.run("name", tmp_path, tmp_path / "out", decision=tmp_path / "d.yaml")
    assert arrived.positional[0].decision_file == (tmp_path / "d.yaml").resolve()


def test_what_is_given_beside_a_loaded_system_goes_before_its_own(arrived: SimpleNamespace, tmp_path: Path) -> None:
    loaded = s5eval.load_system("silence", device="cpu")
    system = s5eval.LoadedSystem("name", {"a": 1, "b": 2}, "cpu", loaded.system, loaded.decision)
    for device, found in (("auto", "cpu"), ("cuda", "cuda")):
        with pytest.raises(_ArrivedError):
            s5eval.run(system, tmp_path, tmp_path / "out", settings={"b": 3}, device=device)
        config = arrived.positional[0]
        assert (config.system, config.settings, config.device) == ("name", {"system": {"a": 1, "b": 3}}, found)


def test_of_an_ablation(arrived: SimpleNamespace, tmp_path: Path) -> None:
    same: dict[str, Any] = {"split": "v", "dataset": "dcase2026", "limit": 3, "batch_size": 4, "device": "cuda:1"}
    grid: dict[str, Any] = {"axes": ["stages"], "baseline": "one"}
    with pytest.raises(_ArrivedError):
        s5eval.ablate(
            tmp_path / "out", grid=tmp_path / "g.yaml", data=tmp_path, only=["a"], settings={"a": 1}, **grid, **same
        )
    assert arrived.grid == {"path": tmp_path / "g.yaml", "base": {"system.a": 1}, **grid}
    config = RunConfig(system="silence", data=tmp_path.resolve(), only=("a",), **same)
    assert arrived.positional[1:] == (config, tmp_path / "out")
    with pytest.raises(_ArrivedError):
        s5eval.ablate(tmp_path / "out", system="mine")
    assert arrived.positional[1].system == "mine"


@pytest.mark.parametrize("audio", [True, False])
def test_of_a_check(arrived: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio: bool) -> None:
    with pytest.raises(_ArrivedError):
        s5eval.validate(tmp_path, data=tmp_path / "data", dataset="dcase2026", split="valid", audio=audio)
    known = {"data": tmp_path / "data", "dataset": "dcase2026", "split": "valid", "mixtures": None}
    assert arrived.named == known
    monkeypatch.setattr("s5eval.evaluation.find_expected", lambda **_: "expected")
    monkeypatch.setattr("s5eval.evaluation.checks.check_submission", lambda path, **named: (path, named))
    found: Any = s5eval.validate(tmp_path, audio=audio)
    assert found == (tmp_path, {"expected": "expected", "audio": audio})


def test_of_a_fit(arrived: SimpleNamespace, tmp_path: Path) -> None:
    same: dict[str, Any] = {"rule": "expected_score", "folds": 3, "shrinkage": 2.0, "seed": 7, "allow_test": True}
    with pytest.raises(_ArrivedError):
        s5eval.tune([tmp_path / "a", tmp_path / "b"], out=tmp_path / "t", objective="mix", weight=0.5, **same)
    assert arrived.positional == (tmp_path / "a",)
    expected = {"others": [tmp_path / "b"], "out": tmp_path / "t", "objective": Objective("mix", 0.5), **same}
    assert arrived.named == expected
    with pytest.raises(_ArrivedError):
        s5eval.tune(tmp_path / "a")
    assert not arrived.named["allow_test"]


@pytest.mark.parametrize("allow", [True, False])
def test_of_a_comparison(arrived: SimpleNamespace, tmp_path: Path, allow: bool) -> None:
    with pytest.raises(_ArrivedError):
        s5eval.compare(tmp_path / "a", tmp_path / "b", allow_different=allow)
    assert (arrived.positional, arrived.named) == ((tmp_path / "a", tmp_path / "b"), {"allow_different": allow})


def test_of_a_rescoring(arrived: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(_ArrivedError):
        s5eval.rescore(tmp_path / "a", tmp_path / "b", decision=tmp_path / "d.yaml")
    assert arrived.positional == (tmp_path / "a",)
    assert arrived.named == {"decision_file": tmp_path / "d.yaml", "out": tmp_path / "b"}
