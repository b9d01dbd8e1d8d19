"""Every option reaches what does the work, under its own name: one that goes unread is a result of something else."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.importing import Convention
from s5eval.harness.record.config import RunConfig
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.systems.training.sitting import TrainingSitting

Catch = Callable[..., SimpleNamespace]
DATA = ("--split", "valid", "--limit", 3, "--only", "b", "--only", "a", "--strict")
OF_DATA: dict[str, Any] = {"split": "valid", "limit": 3, "only": ("b", "a"), "strict": True}
WORKERS = ("--workers", 2, "--engine", "ray", "--address", "host:1", "--gpus-per-worker", 0.5)
OF_WORKERS: dict[str, Any] = {"workers": 2, "engine": "ray", "address": "host:1", "gpus_per_worker": 0.5}


@pytest.fixture
def catch(monkeypatch: pytest.MonkeyPatch, s5eval: Callable[..., Any]) -> Catch:
    """`catch("package.function", *words)`: what the function is given by the command of these words, which it ends."""

    def caught(target: str, *words: object) -> SimpleNamespace:
        told = SimpleNamespace(positional=None, named={})

        def take(*positional: Any, **named: Any) -> None:
            told.positional, told.named = positional, named
            raise UsageError("it has arrived")

        with monkeypatch.context() as patch:
            patch.setattr(f"s5eval.{target}", take)
            done = s5eval(*words)
        assert (done.code, done.err.strip().splitlines()[-1]) == (2, "error: it has arrived"), done.err
        return told

    return caught


def test_of_run(catch: Catch, tmp_path: Path) -> None:
    told = catch(
        "harness.runs.run.start_run", "run", "--system", "name", "--data", tmp_path, "--dataset", "dcase2026", *DATA,
        "--set", "system.a=1", "--decision", tmp_path / "d.yaml", "--mixture-timeout", 9, "--batch-size", 4,
        "--device", "cuda:1", *WORKERS, "--shard", "1/2", "--metrics", "all", "--save-audio", "--energy", "--no-cache",
        "--trust-checkpoint", "--name", "ours", "--out", tmp_path / "out",
    )  # fmt: skip
    assert told.positional == (
        RunConfig(
            system="name", data=tmp_path.resolve(), dataset="dcase2026", **OF_DATA, settings={"system": {"a": 1}},
            decision_file=(tmp_path / "d.yaml").resolve(), mixture_timeout=9, batch_size=4, device="cuda:1",
            **OF_WORKERS, shard="1/2", metrics="all", save_audio=True, energy=True, cache=False, trust_checkpoint=True,
            name="ours",
        ),
        tmp_path / "out",
    )  # fmt: skip


def test_of_score(catch: Catch, tmp_path: Path) -> None:
    told = catch(
        "harness.runs.run.start_run", "score", tmp_path, "--data", tmp_path, "--dataset", "dcase2026", *DATA,
        "--metrics", "all", "--downmix", *WORKERS, "--shard", "1/2", "--name", "ours", "--out", tmp_path / "out",
    )  # fmt: skip
    settings = {"system": {"path": str(tmp_path.resolve()), "downmix": True}}
    config = RunConfig(
        system="folder", settings=settings, data=tmp_path.resolve(), dataset="dcase2026", metrics="all", shard="1/2",
        name="ours", **OF_DATA, **OF_WORKERS,
    )  # fmt: skip
    assert told.positional == (config, tmp_path / "out")


def test_of_ablate(catch: Catch, tmp_path: Path) -> None:
    told = catch(
        "harness.comparing.ablation_running.run_grid", "ablate", "--axes", "stages", "--data", tmp_path,
        "--dataset", "dcase2026", *DATA, "--set", "system.a=1", "--trust-checkpoint", "--mixture-timeout", 9,
        "--baseline", "2 stages", *WORKERS, "--batch-size", 4, "--device", "cuda:1", "--out", tmp_path / "out",
    )  # fmt: skip
    grid, config, out = told.positional
    assert [row.settings() for row in grid.rows] == [{"system": {"a": 1, "stages": k}} for k in (1, 2, 3)]
    assert (grid.baseline, out) == ("2 stages", tmp_path / "out")
    assert config == RunConfig(
        system="multistage", data=tmp_path.resolve(), dataset="dcase2026", **OF_DATA, **OF_WORKERS,
        trust_checkpoint=True, mixture_timeout=9, batch_size=4, device="cuda:1",
    )  # fmt: skip


def test_of_tune(catch: Catch, tmp_path: Path) -> None:
    runs, out = [tmp_path / "a", tmp_path / "b"], tmp_path / "t.yaml"
    told = catch(
        "harness.tuning.tune.tune_runs", "tune", *runs, "--out", out, "--objective", "mix", "--weight", 0.5,
        "--folds", 3, "--shrinkage", 2, "--workers", 2, "--seed", 7, "--allow-test",
    )  # fmt: skip
    assert told.positional == (runs[0],)
    assert told.named == {
        "others": [runs[1]], "out": out, "rule": "thresholds", "objective": Objective("mix", 0.5), "folds": 3,
        "shrinkage": 2, "seed": 7, "allow_test": True, "workers": 2,
    }  # fmt: skip
    told = catch("harness.tuning.tune.tune_runs", "tune", runs[0], "--rule", "expected_score")
    assert (told.named["rule"], told.named["allow_test"]) == ("expected_score", False)
    words = ("--unlabelled", "--source", runs[1], "--strength", 9, "--out", out, "--allow-test")
    told = catch("harness.tuning.priors.adapt_priors", "tune", runs[0], *words)
    assert told.positional == (runs[0],)
    assert told.named == {"source": runs[1], "out": out, "strength": 9, "allow_test": True}


def test_of_report(catch: Catch, tmp_path: Path) -> None:
    words = ("report", tmp_path, "--bundle", tmp_path / "b", "--sounds", 2, "--seed", 7)
    told = catch("harness.report.bundle.write_bundle", *words)
    assert (told.positional, told.named) == ((tmp_path, tmp_path / "b"), {"sounds": 2, "seed": 7})


def test_of_cache(catch: Catch) -> None:
    told = catch("systems.stage_store.DiskStore.prune", "cache", "prune", "--keep-gb", 1.5)
    assert told.named == {"keep_bytes": 1_500_000_000}


def test_of_train(catch: Catch, tmp_path: Path) -> None:
    told = catch(
        "systems.training.loop.train", "train", "mini/uss", "--weights", tmp_path / "w", "--out", tmp_path / "o",
        "--set", "batch=3", "--device", "cuda:1", "--devices", 2, "--nodes", 3, "--threads", 4,
        "--max-minutes", 5, "--checkpoint-minutes", 6, "--m2d-weights", tmp_path / "m2d",
        "--af-whisper-weights", tmp_path / "af", "--whisper-weights", tmp_path / "whisper", "--energy",
    )  # fmt: skip
    plan, sitting = told.positional
    assert (plan.name, plan.recipe.batch) == ("mini/uss", 3)
    assert sitting == TrainingSitting(
        weights=tmp_path / "w", out=tmp_path / "o", device="cuda:1", devices=2, nodes=3, threads=4, max_minutes=5,
        checkpoint_minutes=6, m2d_weights=tmp_path / "m2d", af_whisper_weights=tmp_path / "af",
        whisper_weights=tmp_path / "whisper", energy=True,
    )  # fmt: skip


def test_of_data(catch: Catch, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    folders = ("--recordings", tmp_path / "a", "--recordings", tmp_path / "b")
    words = ("--split", "test", "--count", 3, "--seed", 7, "--rooms", 2, "--workers", 4)
    told = catch("data_manifests.sets.recorded.make_recorded", "data", "make", *folders, *words, *out)
    assert told.positional == ((tmp_path / "a", tmp_path / "b"),)
    asked = {name: told.named[name] for name in ("split", "count", "seed", "out", "rooms", "workers")}
    assert list(asked.values()) == ["test", 3, 7, tmp_path / "out", 2, 4]
    words = ("mini", "--split", "valid", "--count", 3, "--workers", 4)
    told = catch("data_manifests.sets.mini.make_mini", "data", "make", *words, *out)
    asked = {name: told.named[name] for name in ("out", "count", "workers")}
    assert (told.positional, *asked.values()) == (("valid",), tmp_path / "out", 3, 4)
    words = ("m.csv", "--classes", "c.csv", "--order", "fuma", "--norm", "n3d", "--target-channel", 2)
    told = catch("data_manifests.importing.import_set", "data", "import", *words, *out)
    assert told.positional == (Path("m.csv"), tmp_path / "out")
    assert (told.named["classes"], told.named["convention"]) == (Path("c.csv"), Convention("fuma", "n3d", 2))


@pytest.mark.parametrize("flag", ["partial", "untrained", "other-system"])
def test_of_submit(catch: Catch, tmp_path: Path, flag: str) -> None:
    runs = (tmp_path / "run", tmp_path / "dev")
    words = ("--dev-run", runs[1], "--author", "A", "--affiliation", "B", "--out", tmp_path, "--nparams", 5)
    told = catch(
        "harness.runs.to_submission.gather_submission", "submit", "build", runs[0], *words, f"--allow-{flag}"
    )  # fmt: skip
    allowed = {f"allow_{name}": name == flag.replace("-", "_") for name in ("partial", "untrained", "other_system")}
    assert (told.positional, told.named) == (runs, {"nparams": 5, **allowed})
