"""The segmentation loss against a loop over cells, and training with it alone."""

import math

import pytest
import torch

from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaUSS
from s5eval.systems.multistage.train.separation import segmentation_loss
from s5eval.systems.training.data import Batch

SAMPLES = 8000


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
    mixture, targets = uss.cell_power(b.omni), [uss.cell_power(b.targets[:, k]) for k in range(3)]
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
    loss = segmentation_loss(logits, b, uss.cell_power).item()
    assert loss == pytest.approx(total / mixture.numel(), rel=1e-4)


def test_silence_has_a_finite_loss() -> None:
    b = batch()
    silent = b._replace(mixture=torch.zeros_like(b.mixture), targets=torch.zeros_like(b.targets))
    uss = DeFTMambaUSS(load_preset("mini"))
    logits = torch.zeros(*uss.cell_power(b.omni).shape, 18, requires_grad=True)
    loss = segmentation_loss(logits, silent, uss.cell_power)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(18 * math.log(2), rel=1e-4)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
