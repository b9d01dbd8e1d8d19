"""The baseline's losses against loops, and its two recipes at toy size up to a system that runs."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.models.tagger import Tagger
from s5eval.systems.baseline.training.trainer import SeparatorTask, TaggerTask, class_aware_loss, track_loss
from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.training.batches import Batch, batches
from s5eval.systems.training.loop import train
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.sitting import TrainingSitting
from s5eval.systems.training.training_plan import read_plan

SYSTEM: dict[str, Any] = {
    "m2d": {"width": 16, "depth": 1, "heads": 2, "stem": []},
    "separator": {"widths": [4, 4, 8, 8, 8, 8], "condition": 8},
}


def test_the_tagger_may_order_its_tracks() -> None:
    logits = torch.randn(5, 3, 19)
    wanted = torch.tensor([[1, 2, 18], [4, 4, 18], [18, 18, 18], [0, 1, 2], [7, 18, 18]])
    loss, order = track_loss(logits, wanted)
    for b in range(5):
        every = {
            perm: F.cross_entropy(logits[b, list(perm)], wanted[b]).item() for perm in itertools.permutations(range(3))
        }
        assert loss[b].item() == pytest.approx(min(every.values()), abs=1e-5)
        assert every[tuple(order[b].tolist())] == pytest.approx(min(every.values()), abs=1e-5)


def test_only_sources_of_one_class_may_be_exchanged() -> None:
    references = torch.randn(3, 3, 40)
    labels = torch.tensor([[4, 4, 7], [4, 5, 7], [4, 4, -1]])
    references[2, 2] = 0
    estimates = references[:, [1, 0, 2]] + 0.1 * torch.randn(3, 3, 40)
    loss = class_aware_loss(estimates, references, labels)
    for b in range(3):
        totals = []
        for perm in itertools.permutations(range(3)):
            if any(labels[b, perm[k]] != labels[b, k] for k in range(3)):
                continue
            total = 0.0
            for k in range(3):
                if labels[b, k] >= 0:
                    error = (references[b, k] - estimates[b, perm[k]]).square().sum().item()
                    total -= 10 * math.log10(references[b, k].square().sum().item() / error)
            totals.append(total / 3)
        assert loss[b].item() == pytest.approx(min(totals), abs=1e-3)
    assert loss[0] < -10 < loss[1]


def test_the_separator_is_asked_for_the_sources_in_any_order_and_for_silence_last() -> None:
    sounds, silence = torch.randn(2, 40), torch.zeros(1, 40)
    labels = torch.tensor([[4, 7, -1]]).expand(30, -1)
    targets = torch.cat([sounds, silence]).expand(30, -1, -1)
    batch = Batch(torch.zeros(30, 4, 40), targets, labels, torch.zeros(30, 2, 40), torch.zeros(30, 1, 40))
    asked: list[torch.Tensor] = []

    def answer(mixture: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        asked.append(query)
        return query[:, :, [4, 7]] @ sounds  # whatever is asked for, without a fault

    task = SeparatorTask(cast(ResUNetK, torch.nn.Identity()))
    task.separator.forward = answer
    assert task(batch)["separation"] < -40
    (query,) = asked
    assert not query[:, 2].any() and query[:, :2].sum() == 60
    assert {tuple(classes) for classes in query[:, :2].argmax(2).tolist()} == {(4, 7), (7, 4)}


def test_the_snr_is_told_of_the_sources_alone_and_silence_dilutes_the_loss() -> None:
    """Estimates at 0.9 of their sources: 20 dB of each of three sources in two scenes of three tracks."""
    targets = torch.randn(2, 3, 40)
    labels = torch.tensor([[4, -1, 7], [5, -1, -1]])
    targets[labels < 0] = 0.0
    batch = Batch(torch.zeros(2, 4, 40), targets, labels, torch.zeros(2, 2, 40), torch.zeros(2, 1, 40))
    task = SeparatorTask(cast(ResUNetK, torch.nn.Identity()))

    def answer(mixture: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        wanted = [[list(labels[b]).index(int(q.argmax())) if q.any() else 1 for q in query[b]] for b in range(2)]
        return 0.9 * torch.stack([targets[b, wanted[b]] for b in range(2)])

    task.separator.forward = answer
    terms = task(batch)
    assert terms["_snr"].item() == pytest.approx(20.0, abs=0.01)
    assert terms["separation"].item() == pytest.approx(-20.0 * 3 / 6, abs=0.01)


def test_the_tagger_is_told_classes_and_silence_and_its_accuracy_is_of_the_tracks_as_they_were_assigned() -> None:
    labels = torch.tensor([[4, 7, -1], [9, -1, -1]])
    batch = Batch(
        torch.zeros(2, 4, 40), torch.zeros(2, 3, 40), labels, torch.zeros(2, 2, 40), torch.zeros(2, 1, 40)
    )  # fmt: skip
    said = torch.tensor([[18, 4, 7], [18, 3, 18]])  # all of the first scene in another order; of the second no 9
    task = TaggerTask(cast(Tagger, torch.nn.Identity()))
    task.tagger.forward = lambda mixture: 30.0 * F.one_hot(said, 19)
    terms = task(batch)
    assert terms["_track_accuracy"].item() == pytest.approx(5 / 6)
    assert terms["tracks"].item() == pytest.approx(30.0 / 6, abs=0.01)


def test_a_part_that_the_baseline_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"tagger.trains is \['uss'\], expected one of tagger, separator"):
        read_plan("baseline/tagger", {"trains": ["uss"]})


def test_the_tagger_starts_from_an_m2d_of_its_own_sizes_which_is_the_other_system_s_or_not_at_all(
    tmp_path: Path,
) -> None:
    plan = read_plan("baseline/tagger")
    assert plan.recipe.starts_from == {"tagger": "m2d"}
    for change, fits in (({}, True), ({"width": 96, "depth": 4, "stem": []}, False)):
        m2d = M2D(load_preset("mini", {"m2d": change}).m2d).backbone
        save_file(m2d.state_dict(), tmp_path / "m2d.safetensors")
        parts = PartsFolder(tmp_path, torch.device("cpu"))
        if fits:
            tagger = plan.trainer.make_job(plan, parts).parts["tagger"].network.state_dict()
            own = {
                name.partition("m2d.backbone.")[2]: value for name, value in tagger.items() if "m2d.backbone." in name
            }
            assert own and all(torch.equal(own[name], value) for name, value in m2d.state_dict().items())
        else:
            with pytest.raises(DataError, match=r"m2d\.safetensors: only 2 of its [\d,]+ numbers fit what"):
                plan.trainer.make_job(plan, parts)


def test_the_tagger_starts_from_no_published_m2d(tmp_path: Path) -> None:
    """Else it would be trained from something else than what was given, without a word."""
    plan = read_plan("baseline/tagger", {"starts_from": {"tagger": None}, "system": SYSTEM})
    parts = PartsFolder(tmp_path, torch.device("cpu"), m2d_weights=tmp_path / "published.pth")
    with pytest.raises(UsageError, match=r"expected no `m2d_weights`, got .*published\.pth"):
        plan.trainer.make_job(plan, parts)


@pytest.mark.parametrize("name", ["tagger", "separator"])
def test_whatever_is_trained_gets_a_gradient(name: str, tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    data = {"folder": str(tiny_dev_set.dev), "seconds": 0.5}
    plan = read_plan(f"baseline/{name}", {"system": SYSTEM, "data": data, "starts_from": {name: None}})
    job = plan.trainer.make_job(plan, PartsFolder(tmp_path, torch.device("cpu")))
    job.task.train()
    terms = job.task(next(batches(plan.recipe.data, 2, 4, first=0, last=1)))
    torch.stack([value for key, value in terms.items() if not key.startswith("_")]).sum().backward()
    assert not [key for key, p in job.task.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_tagger_does_not_learn_from_single_scenes(tiny_dev_set: SimpleNamespace, tmp_path: Path) -> None:
    """The norm of its head would have one value of each kind, which torch refuses with an error of its own."""
    changes = {"data": {"folder": str(tiny_dev_set.dev), "seconds": 0.5}, "starts_from": {"tagger": None}}
    plan = read_plan("baseline/tagger", {"system": SYSTEM, "steps": 1, "batch": 1, **changes})
    with pytest.raises(UsageError, match=r"a batch of 1 scenes leaves 1 to each of 1 devices.*expects 2 or more"):
        train(plan, TrainingSitting(tmp_path / "weights", tmp_path / "out", device="cpu"))


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_both_recipes_make_a_system_that_runs(
    precision: str,
    tiny_dev_set: SimpleNamespace,
    tmp_path: Path,
    s5eval: Callable[..., Any],
    make_set: Callable[..., Path],
) -> None:
    pytest.importorskip("lightning.fabric")
    weights = tmp_path / "weights"
    data = {"folder": str(tiny_dev_set.dev), "seconds": 0.5}
    for name, start in (("tagger", {"tagger": None}), ("separator", {})):
        changes = {"system": SYSTEM, "steps": 2, "batch": 2, "precision": precision, "data": data, "starts_from": start}
        plan = read_plan(f"baseline/{name}", changes)
        result = train(plan, TrainingSitting(weights, tmp_path / name, device="cpu"))
        assert all(math.isfinite(value) for value in result.figures.values())
    scenes = make_set(tmp_path / "set", {"a": ["Speech"]}, seconds=0.5)
    flat = {"preset": "mini", "weights": str(weights), **SYSTEM}
    words = [item for key, value in flat.items() for item in ("--set", f"system.{key}={json.dumps(value)}")]
    outcome = s5eval("run", "--system", "baseline-4c", "--data", scenes, "--out", tmp_path / "run", *words)
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["fingerprint"]["weights"].startswith("sha256:")
    assert "WITHOUT" not in outcome.out
    slope = ("--set", "system.separator.slope=0.2")
    other = s5eval("run", "--system", "baseline-4c", "--data", scenes, "--out", tmp_path / "other", *words, *slope)
    assert "WITHOUT weights trained with separator.slope=0.2 (separator: 0.01)" in other.out.replace("\n  ", " ")
