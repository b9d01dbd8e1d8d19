"""Stages through a store: what is shared, what stops early, and what is counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Candidates
from s5eval.systems.pipeline import Pipeline, StageTally, add_to_tally, cost_since, stage_key, tally_of
from s5eval.systems.stage_store import DiskStore


@dataclass
class Gain:
    """A stage that scales what it gets; `rounded` hides small gains from the next stage."""

    name: str
    gain: float
    rounded: bool = False
    calls: list[list[str]] = field(default_factory=list)

    def fingerprint(self) -> Mapping[str, Any]:
        return {"gain": self.gain}

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        self.calls.append([mixture.id for mixture in mixtures])
        audio = [m.audio()[:2] for m in mixtures] if inputs is None else [i.audio for i in inputs]
        scale = np.float32(round(self.gain) if self.rounded else self.gain)
        return [Candidates(a * scale, np.full((2, 18), 1 / 18), np.zeros(2)) for a in audio]


@pytest.fixture
def mixtures(small_set: Path) -> list[Mixture]:
    return [scene.mixture for scene in open_manifest(small_set).scenes]


def pipeline(store: DiskStore | None, *stages: Gain) -> Pipeline:
    built = Pipeline(stages, Decision())
    built.store = store
    return built


def executed(built: Pipeline) -> dict[str, tuple[int, int]]:
    return {name: (tally.executed, tally.reused) for name, tally in built.tally.items()}


def test_results_are_the_same_with_and_without_a_store(tmp_path: Path, mixtures: list[Mixture]) -> None:
    plain = pipeline(None, Gain("a", 2.0), Gain("b", 3.0)).propose(mixtures)
    store = DiskStore(tmp_path / "store")
    for _ in range(2):
        stored = pipeline(store, Gain("a", 2.0), Gain("b", 3.0)).propose(mixtures)
        assert [c.sha256() for c in stored] == [c.sha256() for c in plain]


def test_a_stage_may_yield_its_results(mixtures: list[Mixture]) -> None:
    class Lazy(Gain):
        def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
            found = super().run(mixtures, inputs)
            return (entry for entry in found)  # type: ignore[return-value]

    answers = pipeline(None, Lazy("a", 2.0)).propose(mixtures)
    assert [c.sha256() for c in answers] == [c.sha256() for c in pipeline(None, Gain("a", 2.0)).propose(mixtures)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "stage odd returned a NoneType, expected a list of Candidates"),
        (Candidates(np.zeros((1, 8), np.float32), np.zeros((1, 18)), np.zeros(1)), "stage odd returned a Candidates"),
        ([None] * 5, "stage odd returned a list with a NoneType"),
        ([], "stage odd returned 0 results for 5 mixtures"),
    ],
)
@pytest.mark.parametrize("stored", [True, False])
def test_a_stage_that_answers_with_something_else_is_named(
    tmp_path: Path, mixtures: list[Mixture], answer: Any, message: str, stored: bool
) -> None:
    class Odd(Gain):
        def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
            return answer  # type: ignore[no-any-return]

    store = DiskStore(tmp_path / "store") if stored else None
    with pytest.raises(ValueError, match=message):
        pipeline(store, Gain("a", 2.0), Odd("odd", 1.0)).propose(mixtures)


def test_a_shared_prefix_is_paid_for_once(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0)).propose(mixtures)
    longer = pipeline(store, Gain("a", 2.0), Gain("b", 3.0))
    longer.propose(mixtures)
    assert executed(longer) == {"a": (0, 5), "b": (5, 0)}


def test_a_change_that_changes_no_output_stops_there(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0, rounded=True), Gain("b", 3.0)).propose(mixtures)
    changed = pipeline(store, Gain("a", 2.1, rounded=True), Gain("b", 3.0))
    changed.propose(mixtures)
    assert executed(changed) == {"a": (5, 0), "b": (0, 5)}


def test_other_inputs_are_another_key(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0), Gain("b", 3.0)).propose(mixtures)
    changed = pipeline(store, Gain("a", 4.0), Gain("b", 3.0))
    found = changed.propose(mixtures)
    assert executed(changed) == {"a": (5, 0), "b": (5, 0)}
    for mixture, candidates in zip(mixtures, found, strict=True):
        assert np.allclose(candidates.audio, 12 * mixture.audio()[:2], atol=1e-6)


def test_a_batch_shrinks_to_what_is_missing(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0)).propose(mixtures[1:3])
    stage = Gain("a", 2.0)
    pipeline(store, stage).propose(mixtures)
    assert stage.calls == [[m.id for m in (mixtures[0], *mixtures[3:])]]


def test_every_mixture_of_a_shrunk_batch_meets_its_own_inputs(tmp_path: Path, mixtures: list[Mixture]) -> None:
    plain = pipeline(None, Gain("a", 2.0), Gain("b", 3.0)).propose(mixtures)
    assert len({c.sha256() for c in plain}) == 5
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0), Gain("b", 3.0)).propose(mixtures[1:3])
    shrunk = pipeline(store, Gain("a", 2.0), Gain("b", 3.0))
    assert [c.sha256() for c in shrunk.propose(mixtures)] == [c.sha256() for c in plain]
    assert executed(shrunk) == {"a": (3, 2), "b": (3, 2)}


def test_a_dry_run_is_told_the_stages_up_to_the_first_gap(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store, mixture = DiskStore(tmp_path / "store"), mixtures[0]
    longer = pipeline(store, Gain("a", 2.0), Gain("b", 3.0))
    assert longer.stored(mixture) == [False, False]
    pipeline(store, Gain("a", 2.0)).propose([mixture])
    assert longer.stored(mixture) == [True, False]
    longer.propose([mixture])
    assert longer.stored(mixture) == [True, True]
    assert longer.stored(mixtures[1]) == [False, False]
    assert pipeline(store, Gain("a", 5.0), Gain("b", 3.0)).stored(mixture) == [False, False]


class Short(Gain):
    """Gives one result too few."""

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        return super().run(mixtures, inputs)[1:]


class Reusing(Gain):
    """Gives the same arrays for all mixtures."""

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        return [*super().run(mixtures[:1], inputs)] * len(mixtures)


def test_results_that_belong_to_no_mixture_or_to_several_are_refused(mixtures: list[Mixture]) -> None:
    with pytest.raises(ValueError, match="stage a returned 4 results for 5 mixtures"):
        pipeline(None, Short("a", 1.0)).propose(mixtures)
    with pytest.raises(ValueError, match="stage a: results 1 and 2 of a batch share memory"):
        pipeline(None, Reusing("a", 1.0)).propose(mixtures)


def test_what_other_processes_did_is_counted_with_what_was_done_here(mixtures: list[Mixture]) -> None:
    built = pipeline(None, Gain("a", 2.0))
    before = tally_of(built)
    built.propose(mixtures)
    spent = cost_since(before, built)["a"]
    assert (spent.executed, spent.reused) == (5, 0)
    add_to_tally(built, {"a": StageTally(executed=2, reused=3, seconds=10.0)})
    later = tally_of(built)
    total = later["a"]
    assert (total.executed, total.reused, total.seconds) == (7, 3, pytest.approx(10.0 + spent.seconds))
    add_to_tally(built, {"a": StageTally(executed=1, reused=4, seconds=2.0)})
    assert later["a"].executed == 7  # a copy
    more = cost_since(later, built)["a"]
    assert (more.executed, more.reused, more.seconds) == (1, 4, pytest.approx(2.0))


def test_other_mixture_content_is_another_key(tmp_path: Path, mixtures: list[Mixture]) -> None:
    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0)).propose(mixtures[:1])
    mixtures[0].path.write_bytes(mixtures[1].path.read_bytes())
    again = pipeline(store, Gain("a", 2.0))
    again.propose(mixtures[:1])
    assert executed(again) == {"a": (1, 0)}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, mixtures: list[Mixture], damage: str) -> None:
    store = DiskStore(tmp_path / "store")
    (right,) = pipeline(store, Gain("a", 2.0)).propose(mixtures[:1])
    (entry,) = store.entries()
    content = bytearray(entry.path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:  # the entry of another key under this key's name
        pipeline(store, Gain("a", 5.0)).propose(mixtures[:1])
        (other,) = [e for e in store.entries() if e.path != entry.path]
        content = bytearray(other.path.read_bytes())
    entry.path.write_bytes(content)
    again = pipeline(store, Gain("a", 2.0))
    (result,) = again.propose(mixtures[:1])
    assert executed(again) == {"a": (1, 0)}
    assert result.sha256() == right.sha256()


def test_an_unwritable_store_costs_the_cache_only(tmp_path: Path, mixtures: list[Mixture]) -> None:
    (tmp_path / "file").write_text("in the way")
    built = pipeline(DiskStore(tmp_path / "file" / "store"), Gain("a", 2.0))
    assert len(built.propose(mixtures)) == 5


def test_prune_removes_the_longest_unused(tmp_path: Path, mixtures: list[Mixture]) -> None:
    import os

    store = DiskStore(tmp_path / "store")
    pipeline(store, Gain("a", 2.0)).propose(mixtures)
    entries = sorted(store.entries(), key=lambda entry: entry.path.name)
    for age, entry in enumerate(entries):
        os.utime(entry.path, (1e9 - age, 1e9 - age))
    removed, freed = store.prune(keep_bytes=2 * entries[0].size)
    assert (removed, freed) == (3, sum(entry.size for entry in entries[2:]))
    assert {entry.path for entry in store.entries()} == {entry.path for entry in entries[:2]}


def test_stage_names_must_differ_and_one_is_needed() -> None:
    with pytest.raises(ValueError, match="repeat"):
        Pipeline([Gain("a", 1.0), Gain("a", 2.0)], Decision())
    with pytest.raises(ValueError, match="at least one"):
        Pipeline([], Decision())


@pytest.mark.parametrize("labels", [None, ("Speech", "Cough")])
def test_what_was_kept_behind_labels_when_no_stage_that_ships_heard_them_is_made_again(
    tmp_path: Path, mixtures: list[Mixture], labels: tuple[str, ...] | None
) -> None:
    store, (mixture,) = DiskStore(tmp_path / "store"), mixtures[:1]
    inputs = Candidates(np.ones((2, 10), np.float32), np.zeros((2, 18)), np.zeros(2), labels)
    before = {"stage": "b", "fingerprint": {"gain": 3.0}, "input": inputs.sha256(), "mixture": mixture.sha256()}
    store.put(before, inputs)
    found = store.get(stage_key("b", {"gain": 3.0}, mixture.sha256(), inputs))
    assert (found is None) == (labels is not None)
