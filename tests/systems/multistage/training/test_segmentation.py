"""The segmentation loss against a loop over cells, and training with it alone."""

import math
from typing import Any

import pytest
import torch

from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaUSS, cell_power
from s5eval.systems.multistage.training.segmentation import SegmentationTask, segmentation_loss
from s5eval.systems.multistage.training.separation import SeparationTask, assign_by_class
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.training_plan import read_plan

SAMPLES = 8000
SMALL: dict[str, Any] = {"mamba2": {"d_state": 4, "headdim": 8, "chunk": 8}, "clue": {"dimension": 6, "width": 4}}


def batch() -> Batch:
    targets = torch.zeros(2, 3, SAMPLES)
    targets[0, 0, SAMPLES // 2 :] = 0.1 * torch.randn(SAMPLES // 2)
    targets[0, 1] = 0.1 * torch.sin(0.05 * torch.arange(SAMPLES))
    labels = torch.tensor([[4, 9, -1], [-1, -1, -1]])
    mixture = 0.05 * torch.randn(2, 4, SAMPLES)
    mixture[:, 0] += targets.sum(1)
    return Batch(mixture, targets, labels, torch.zeros(2, 2, SAMPLES), torch.zeros(2, 1, SAMPLES))


def test_every_cell_is_told_its_classes_shares_of_its_power() -> None:
    b = batch()
    uss = DeFTMambaUSS(load_preset("mini"))
    mixture, targets = cell_power(uss, b.omni), [cell_power(uss, b.targets[:, k]) for k in range(3)]
    logits = torch.randn(*mixture.shape, 18)
    total = 0.0
    for scene in range(2):
        weights = mixture[scene].pow(0.25)
        for frame in range(mixture.shape[1]):
            for band in range(mixture.shape[2]):
                weight = float(weights[frame, band] / weights.mean())
                wanted = [0.0] * 18
                for slot in range(3):
                    if (label := int(b.labels[scene, slot])) >= 0:
                        wanted[label] = min(1, float(targets[slot][scene, frame, band] / mixture[scene, frame, band]))
                for label, share in enumerate(wanted):
                    probability = 1 / (1 + math.exp(-float(logits[scene, frame, band, label])))
                    total -= weight * (share * math.log(probability) + (1 - share) * math.log(1 - probability))
    loss = segmentation_loss(logits, b, uss).item()
    assert loss == pytest.approx(total / mixture.numel(), rel=1e-4)


def test_silence_has_a_finite_loss() -> None:
    b = batch()
    silent = b._replace(mixture=torch.zeros_like(b.mixture), targets=torch.zeros_like(b.targets))
    uss = DeFTMambaUSS(load_preset("mini"))
    logits = torch.zeros(*cell_power(uss, b.omni).shape, 18, requires_grad=True)
    loss = segmentation_loss(logits, silent, uss)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(18 * math.log(2), rel=1e-4)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_slots_in_the_order_of_the_classes() -> None:
    targets = torch.zeros(3, 3, 100)
    targets[0, 0], targets[0, 1], targets[0, 2] = 0.1, 0.2, 0.3
    targets[1, 1] = 0.5
    labels = torch.tensor([[9, 2, 9], [-1, 5, -1], [-1, -1, -1]])
    b = Batch(torch.zeros(3, 4, 100), targets, labels, torch.zeros(3, 2, 100), torch.zeros(3, 1, 100))
    order = assign_by_class(b).order
    assert order[0].tolist() == [2, 0, 1]  # class 2 first, then the louder of class 9
    assert order[1, 1] == 0
    assert all(sorted(row) == [0, 1, 2] for row in order.tolist())


def test_stages_learn_the_cells_too() -> None:
    config = load_preset("mini", {"separator": {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4}, **SMALL})
    b = batch()
    uss = DeFTMambaUSS(config)
    task = SegmentationTask(uss, 2.0)
    alone = task(b)
    assert set(alone) == {"segmentation"}
    expected = segmentation_loss(task.segmentation.head(uss(b.mixture).map), b, uss)
    torch.testing.assert_close(alone["segmentation"], 2.0 * expected)
    weights = read_plan("mini/uss").recipe.loss
    beside = SeparationTask(uss, None, None, weights, train_uss=True)(b)
    assert {"segmentation", "separation"} <= set(beside)
    assert "interference" not in beside
