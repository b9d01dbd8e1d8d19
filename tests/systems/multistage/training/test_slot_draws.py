"""What is drawn from kept slots: the same at every attempt, some of every kind, and varied as the recipe says."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.multistage.training.kept_slots import Heard, KeptSlots
from s5eval.systems.multistage.training.multistage_recipe import SlotSettings
from s5eval.systems.multistage.training.slot_draws import draw, mix, vary

MadeUpSlots = Callable[[int], Heard]


def settings_of(**changes: Any) -> SlotSettings:
    settings = {
        "scenes": 120,
        "batch": 8,
        "silent": 0.25,
        "alone": 0.0,
        "mix": 0.0,
        "equalise": 0.0,
        "hide": 0,
        "also": (),
    }
    return SlotSettings(**{**settings, **changes})


@pytest.mark.parametrize("alone", [0.0, 0.5])
def test_a_batch_is_the_same_at_every_attempt_and_holds_its_share_of_silence(
    made_up_slots: MadeUpSlots, tmp_path: Path, alone: float
) -> None:
    store = KeptSlots(tmp_path, {})
    store.prepare(120, lambda first, last: made_up_slots(2 * (last - first)))
    settings = settings_of(alone=alone, equalise=3.0, hide=2)
    whole = list(draw(store, settings, 1, first=0, last=4))
    for number in range(4):
        (again,) = draw(store, settings, 1, first=number, last=number + 1)
        assert all(torch.equal(a, b) for a, b in zip(again, whole[number], strict=True))
        assert len(again.labels) == 8
        assert int((again.labels < 0).sum()) == (1 if alone else 2)
        clear = again.labels >= 10
        assert int(clear.sum()) == 8 * alone
        assert not again.features[clear].any()
        assert again.features[~clear].flatten(1).any(1).all()
        shares = [next(draw(store, settings, 1, first=number, last=number + 1, rank=k, ranks=2)) for k in range(2)]
        for column, both in zip(again, zip(*shares, strict=True), strict=True):
            assert torch.equal(torch.stack(both, 1).flatten(0, 1), column)


def test_another_seed_and_another_batch_have_draws_of_their_own(made_up_slots: MadeUpSlots, tmp_path: Path) -> None:
    store = KeptSlots(tmp_path, {})
    store.prepare(120, lambda first, last: made_up_slots(2 * (last - first)))
    drawn = [batch for seed in (1, 2) for batch in draw(store, settings_of(), seed, first=0, last=3)]
    assert len({tuple(batch.level.tolist()) for batch in drawn}) == 6


def test_sources_alone_are_mixed_with_others_as_often_as_is_asked_for_and_slots_never(
    made_up_slots: MadeUpSlots, tmp_path: Path
) -> None:
    store = KeptSlots(tmp_path, {})
    store.prepare(50, lambda first, last: made_up_slots(2 * (last - first)))
    (batch,) = draw(store, settings_of(batch=400, alone=0.5, mix=0.4), 1, first=0, last=1)
    alone = batch.labels >= 10
    mixed = batch.share < 1
    assert not mixed[~alone].any()
    assert mixed[alone].double().mean().item() == pytest.approx(0.4, abs=0.1)
    assert torch.equal(mixed, batch.other >= 0)
    other = (batch.other != batch.labels)[mixed].double().mean().item()  # the sources are of three classes
    assert other == pytest.approx(2 / 3, abs=0.15)


def test_slots_that_are_not_varied_stay_as_they_are(made_up_slots: MadeUpSlots) -> None:
    batch = made_up_slots(5).slots
    same = vary(batch, settings_of())
    assert all(torch.equal(a, b) for a, b in zip(same, batch, strict=True))
    other = vary(batch, settings_of(hide=3))
    hidden = (other.features == 0).float().mean()
    assert 0 < hidden < 0.5
    coloured = vary(batch, settings_of(equalise=6.0)).log_mel - batch.log_mel
    torch.testing.assert_close(coloured, coloured[:, :, :1].expand_as(coloured), rtol=0, atol=1e-5)


def test_two_sources_alone_are_mixed_in_power_and_both_are_wanted(made_up_slots: MadeUpSlots) -> None:
    first, others = (made_up_slots(40).slots for _ in range(2))
    others = others._replace(labels=torch.arange(40) % 7)
    torch.manual_seed(5)
    mixed = mix(first, others, 0.5)
    there = mixed.share < 1
    assert 8 < int(there.sum()) < 32
    assert torch.equal(mixed.log_mel[~there], first.log_mel[~there])
    assert (mixed.other[~there] == -1).all()
    assert torch.equal(mixed.other[there], others.labels[there])
    share = mixed.share[there].view(-1, 1, 1)
    power = share * first.log_mel[there].exp() + (1 - share) * others.log_mel[there].exp()
    torch.testing.assert_close(mixed.log_mel[there].exp(), power)
    assert float(mixed.share.min()) >= 0.5
    assert all(torch.equal(a, b) for a, b in zip(mix(first, others, 0.0), first, strict=True))


def test_scenes_without_any_source_cannot_teach_a_classifier(made_up_slots: MadeUpSlots, tmp_path: Path) -> None:
    heard, store = made_up_slots(2), KeptSlots(tmp_path, {})
    silent = heard._replace(slots=heard.slots._replace(labels=torch.tensor([-1, -1])))
    store.prepare(2, lambda first, last: silent)
    with pytest.raises(DataError, match=r"no slot has a source; raise slots\.scenes"):
        next(draw(store, settings_of(scenes=2), 1, first=0, last=1))


def test_the_bench_of_single_factors_draws_from_all_of_its_shards(made_up_slots: MadeUpSlots, tmp_path: Path) -> None:
    bench = runpy.run_path(str(Path(__file__).parents[3] / "bench" / "bench_factors.py"))
    each = bench["_SHARD"]
    shards = [made_up_slots(each) for _ in range(2)]
    for k, heard in enumerate(shards):
        KeptSlots(tmp_path / f"slots-{(k + 1) * each:05d}", {}).prepare(each, lambda first, last, heard=heard: heard)
    joined = bench["Joined"](tmp_path, {}, 2 * each)
    level = torch.cat([heard.slots.level for heard in shards])
    torch.testing.assert_close(joined.pick(torch.arange(2 * each)).level, level, rtol=0, atol=0)
    assert len(joined.pick_alone(torch.arange(4 * each)).labels) == 4 * each
