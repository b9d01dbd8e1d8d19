"""The torchmetrics metric: the official value whatever the batches, the padding and the number of processes."""

import builtins
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.metrics import capi_sdri, pairwise_sdr

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from s5eval.metrics import CapiSDRi  # noqa: E402

NAMES = ("Cough", "Pour", "Speech")
LENGTH = 400


def scenes(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Mixtures with 0 to 3 references, and estimates that are right, wrong, missing, repeated or too many."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        r, n = k % 4, int(rng.integers(0, 4))
        references = 0.1 * rng.normal(size=(r, LENGTH)).astype(np.float32)
        noise = 0.1 * rng.normal(size=(n, LENGTH)).astype(np.float32)
        estimates = noise + np.concatenate([references, np.zeros((n, LENGTH), np.float32)])[:n]
        made.append(
            {
                "estimates": estimates.astype(np.float32),
                "references": references,
                "mixture": (references.sum(0) + 0.05 * rng.normal(size=LENGTH)).astype(np.float32),
                "estimate_labels": list(rng.choice(NAMES, n)),
                "reference_labels": list(rng.choice(NAMES, r)),
            }
        )
    return made


def values(made: list[dict[str, Any]]) -> list[float]:
    found = []
    for scene in made:
        tables = pairwise_sdr(estimate=scene["estimates"], reference=scene["references"], mixture=scene["mixture"])
        labels = {side: scene[side] for side in ("estimate_labels", "reference_labels")}
        found.append(capi_sdri(tables, **labels).value)
    return [value for value in found if value is not None]


def show(metric: Any, made: list[dict[str, Any]]) -> None:
    metric.update(
        [torch.tensor(scene["estimates"]) for scene in made],
        [torch.tensor(scene["references"]) for scene in made],
        [torch.tensor(scene["mixture"]) for scene in made],
        estimate_labels=[scene["estimate_labels"] for scene in made],
        reference_labels=[scene["reference_labels"] for scene in made],
    )


@pytest.mark.parametrize("size", [1, 3, 24])
def test_it_is_the_mean_over_defined_mixtures_whatever_the_batches(size: int) -> None:
    made = scenes(24)
    metric = CapiSDRi(NAMES)
    for start in range(0, len(made), size):
        show(metric, made[start : start + size])
    expected = values(made)
    assert 0 < len(expected) < 24
    assert metric.compute().item() == pytest.approx(float(np.mean(expected)), abs=1e-12)
    assert (int(metric.n_defined), int(metric.n_mixtures)) == (len(expected), 24)


def test_padded_batches_are_told_by_their_labels() -> None:
    made = scenes(12)

    def padded(key: str) -> Any:
        batch = torch.full((12, 4, LENGTH), torch.nan)  # what is padding is not looked at
        for b, scene in enumerate(made):
            batch[b, : len(scene[key])] = torch.tensor(scene[key])
        return batch

    metric = CapiSDRi()
    foa = torch.stack([torch.tensor(scene["mixture"]) for scene in made])[:, None].expand(-1, 4, -1)
    metric.update(
        padded("estimates"),
        padded("references"),
        foa,
        estimate_labels=[[*s["estimate_labels"], *[None] * 4][:4] for s in made],
        reference_labels=[[*s["reference_labels"], *[None] * 4][:4] for s in made],
    )
    assert metric.compute().item() == pytest.approx(float(np.mean(values(made))), abs=1e-12)


def test_silent_scenes_are_left_out_and_false_alarms_in_them_count() -> None:
    metric = CapiSDRi()
    nothing, cough, mixture = torch.zeros(0, LENGTH), torch.randn(1, LENGTH), torch.randn(LENGTH)
    metric.update([nothing], [nothing], mixture[None], estimate_labels=[[]], reference_labels=[[]])
    assert metric.compute().isnan()
    metric.update([cough], [nothing], mixture[None], estimate_labels=[["Cough"]], reference_labels=[[]])
    assert metric.compute().item() == 0.0
    assert (int(metric.n_defined), int(metric.n_mixtures)) == (1, 2)


def test_reset_forgets_and_forward_gives_the_value_of_the_batch() -> None:
    first, second = scenes(8, seed=1), scenes(8, seed=2)
    metric = CapiSDRi()
    show(metric, first)
    arguments = [[torch.tensor(scene[key]) for scene in second] for key in ("estimates", "references", "mixture")]
    labels = {key: [scene[key] for scene in second] for key in ("estimate_labels", "reference_labels")}
    assert metric(*arguments, **labels).item() == pytest.approx(float(np.mean(values(second))), abs=1e-12)
    assert metric.compute().item() == pytest.approx(float(np.mean(values(first + second))), abs=1e-12)
    metric.reset()
    show(metric, second)
    assert metric.compute().item() == pytest.approx(float(np.mean(values(second))), abs=1e-12)


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_sums_and_counts_stay_exact_whatever_the_type(kind: Any) -> None:
    shown = scenes(12, seed=4)
    metric = CapiSDRi().set_dtype(kind)
    show(metric, shown)
    assert (metric.total.dtype, metric.n_defined.dtype) == (torch.float64, torch.int64)
    assert metric.compute().item() == pytest.approx(float(np.mean(values(shown))), abs=1e-12)
    metric.reset()
    assert (metric.total.dtype, metric.n_mixtures.dtype) == (torch.float64, torch.int64)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_and_gradients_are_taken(kind: Any) -> None:
    scene = scenes(4, seed=3)[3]
    metric = CapiSDRi()
    sources = torch.tensor(scene["references"], dtype=kind, requires_grad=True)
    labels = [scene["reference_labels"]]
    metric.update(
        [sources], [sources], [torch.tensor(scene["mixture"])], estimate_labels=labels, reference_labels=labels
    )
    assert metric.compute() > 20
    assert not metric.compute().requires_grad


def test_what_does_not_fit_is_refused_by_mixture_and_adds_nothing() -> None:
    metric = CapiSDRi(NAMES)
    right = {"estimate_labels": [[], ["Cough"]], "reference_labels": [["Pour"], []]}
    one, none, mixture = torch.randn(1, LENGTH), torch.zeros(0, LENGTH), torch.randn(2, LENGTH)
    metric.update([none, one], [one, none], mixture, **right)
    cases: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("mixture 1 of the batch: unknown label 'Coug'; did you mean 'Cough'", [], {"estimate_labels": [[], ["Coug"]]}),
        ("mixture 1 of the batch: 1 estimate rows and 2 labels", [], {"estimate_labels": [[], ["Cough"] * 2]}),
        ("expected as many of each", [], {"estimate_labels": [[]]}),
        ("mixture 1 of the batch: lengths differ", [[none, one[:, 1:]], [one, none], mixture], {}),
        ("NaN or infinite samples in estimate 0", [[none, one * torch.nan], [one, none], mixture], {}),
        ("mixture 1 of the batch: the label 3 of an estimate is no word", [], {"estimate_labels": [[], [3]]}),
        (r"the mixture has shape \(2, 400\), expected \(4, T\)", [[none, one], [one, none], [mixture, mixture]], {}),
        ("the estimate is a ndarray, expected a tensor", [[none, one.numpy()], [one, none], mixture], {}),
        ("expected floating ones", [[none, one.int()], [one, none], mixture], {}),
    ]
    for message, arrays, change in cases:
        with pytest.raises(ValueError, match=message):
            metric.update(*(arrays or ([none, one], [one, none], mixture)), **{**right, **change})
    assert int(metric.n_mixtures) == 2


@pytest.mark.parametrize("padding", [None, "silence"])
@pytest.mark.parametrize("classes", [None, NAMES])
def test_rows_without_a_source_are_no_class_of_their_own(padding: Any, classes: Any) -> None:
    """`silence` is what the official code calls them; as a class it would cost or earn entries without a word."""
    made = scenes(8)
    plain, padded = CapiSDRi(classes), CapiSDRi(classes)
    show(plain, made)
    for scene in made:
        for side in ("estimate", "reference"):
            noise = np.full((1, LENGTH), 0.3, np.float32)
            scene[f"{side}s"] = np.concatenate([noise, scene[f"{side}s"]])
            scene[f"{side}_labels"] = [padding, *scene[f"{side}_labels"]]
    show(padded, made)
    assert padded.compute().item() == pytest.approx(plain.compute().item(), abs=1e-12)
    assert int(padded.n_defined) == int(plain.n_defined)


WORKER = """
import json, sys, torch
import torch.distributed as dist
sys.path.insert(0, {folder!r})
from test_capi_torchmetrics import scenes, show
from s5eval.metrics import CapiSDRi
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://{store}", rank=rank, world_size=2)
made = scenes(13)
metric = CapiSDRi()
show(metric, made[:4] if rank == 0 else made[4:])
print(json.dumps([metric.compute().item(), int(metric.n_mixtures)]))
dist.destroy_process_group()
"""


def test_two_processes_with_unequal_shares_give_the_value_of_one(tmp_path: Path) -> None:
    code = WORKER.format(folder=str(Path(__file__).parent), store=tmp_path / "store")
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(rank)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    said = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    found = [json.loads(out.decode().splitlines()[-1]) for out, _ in said]
    expected = float(np.mean(values(scenes(13))))
    assert [value for value, _ in found] == [pytest.approx(expected, abs=1e-12)] * 2


@pytest.fixture
def without_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "torchmetrics":
            raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")
        return original(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "s5eval.metrics.capi_torchmetrics")
    monkeypatch.setattr(builtins, "__import__", refuse)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("without_torchmetrics")
def test_without_torchmetrics_the_extra_is_named_and_the_rest_works() -> None:
    import s5eval

    with pytest.raises(ImportError, match=r"pip install 's5eval\[torchmetrics\]'"):
        s5eval.metrics.CapiSDRi  # noqa: B018
    assert s5eval.metrics.count_labels(estimate=[], reference=[]).exact
