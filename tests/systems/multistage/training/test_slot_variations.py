"""How kept slots are varied: by so many decibels, and hidden in stretches of both axes, each map by itself."""

import math

import pytest
import torch
from torch import Tensor

from s5eval.systems.multistage.training.kept_slots import SlotBatch
from s5eval.systems.multistage.training.multistage_recipe import SlotSettings
from s5eval.systems.multistage.training.slot_draws import vary

MAPS, SIDE = 500, 64


def settings(equalise: float = 0.0, hide: int = 0) -> SlotSettings:
    return SlotSettings(scenes=1, batch=1, silent=0.0, alone=0.0, mix=0.0, equalise=equalise, hide=hide, also=())


@pytest.fixture
def batch() -> SlotBatch:
    """Maps of levels of their own, without a zero."""
    torch.manual_seed(2)
    log_mel = 10.0 * torch.arange(1, MAPS + 1).view(-1, 1, 1) + torch.rand(MAPS, SIDE, SIDE).double()
    features = 1.0 + torch.rand(MAPS, 1, SIDE, SIDE)
    return SlotBatch.unmixed(features, log_mel, torch.zeros(MAPS), torch.zeros(MAPS, dtype=torch.long))


def test_a_random_colour_has_the_decibels_of_power_that_are_asked_for(batch: SlotBatch) -> None:
    torch.manual_seed(3)
    colour = vary(batch, settings(equalise=6.0)).log_mel - batch.log_mel
    decibels = colour[:, :, 0] * 10 / math.log(10)  # natural logarithms of power
    for band in (0, -1):  # the ends are drawn; what lies between two of the knots is nearer to their mean
        assert decibels[:, band].std().item() == pytest.approx(6.0, rel=0.1)
        assert decibels[:, band].mean().item() == pytest.approx(0.0, abs=1.0)
    assert abs(torch.corrcoef(decibels[:, [0, -1]].T)[0, 1]) < 0.2, "low and high are coloured apart"
    assert (decibels.diff(dim=1).abs() < 6.0).all(), "smooth over frequency"


def stretches(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows and which columns of maps (N, R, C) are hidden throughout."""
    return hidden.all(2), hidden.all(1)


@pytest.mark.parametrize("what", ["log_mel", "features"])
def test_a_band_and_a_stretch_of_time_are_hidden_of_every_map(batch: SlotBatch, what: str) -> None:
    torch.manual_seed(4)
    varied = vary(batch, settings(hide=1))
    before, after = (getattr(of, what).view(MAPS, SIDE, SIDE) for of in (batch, varied))
    hidden = after != before
    filled = batch.log_mel.mean((1, 2)) if what == "log_mel" else torch.zeros(MAPS)
    for k in range(MAPS):
        torch.testing.assert_close(after[k][hidden[k]], filled[k].expand(int(hidden[k].sum())))
    for lines in stretches(hidden):
        count = lines.sum(1)
        assert count.max() == SIDE // 8 - 1, "below an eighth of the axis"
        assert (lines.int().diff(dim=1).abs().sum(1) <= 2).all(), "in one piece"
        assert lines.any(0).all(), "anywhere, the ends among it"
    rows, columns = stretches(hidden)
    assert torch.equal(hidden, rows.unsqueeze(2) | columns.unsqueeze(1)), "and nothing else"
    assert not torch.equal(rows.sum(1), columns.sum(1))
