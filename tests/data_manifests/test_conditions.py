"""What metadata tell of a scene: every undefined case, official files, and the embedded set's own draws."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.conditions import SoundEvent, conditions_of_events, conditions_of_metadata
from s5eval.data_manifests.described import with_conditions
from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import Mixture, Scene
from s5eval.data_manifests.sets import mini
from s5eval.data_manifests.sets.known import Split
from s5eval.data_manifests.synthesis.rooms import RoomPlans, _room_rng, simulate_room


def manifest_of(root: Path, scenes: list[Scene]) -> Manifest:
    split = Split("folder", "soundscape", "oracle_target")
    ids = tuple(scene.mixture.id for scene in scenes)
    return Manifest("folder", split, root, tuple(scenes), ids, (), digests=(), sha256="", sizes_sha256="")


def metadata(*events: dict[str, Any], interference: int = 0) -> dict[str, Any]:
    return {
        "config": {"duration": 10.0},
        "fg_events": list(events),
        "bg_events": [],
        "int_events": [{}] * interference,
        "room": {},
    }


def event(start: float, duration: float, snr: float, *position: float) -> dict[str, Any]:
    return {"event_time": start, "event_duration": duration, "snr": snr, "event_position": [list(position)]}


def brute_overlap(spans: list[tuple[float, float]]) -> float:
    times = np.arange(0, 10, 1e-3) + 5e-4
    sounding = sum((times >= a) & (times < b) for a, b in spans)
    return float(np.mean(sounding[sounding >= 1] >= 2))  # type: ignore[index]


def test_a_scene_without_targets_has_interference_alone() -> None:
    found = conditions_of_metadata(metadata(interference=2))
    assert (found.snr, found.overlap, found.angle, found.duration, found.interference) == (None,) * 4 + (2,)


def test_overlap_and_angle_need_two_targets() -> None:
    found = conditions_of_metadata(metadata(event(8, 5, 12.5, 1, 0, 0)))
    assert (found.overlap, found.angle) == (None, None)
    assert (found.snr, found.duration) == (12.5, 2.0)  # what is beyond the scene's end is not heard


def test_the_softest_the_shortest_and_the_closest_count() -> None:
    found = conditions_of_metadata(
        metadata(event(0, 4, 9, 1, 0, 0), event(2, 6, 7, 0, 2, 0), event(5, 1.5, 15, 0.5, 0.5, 0))
    )
    assert (found.snr, found.duration, found.angle) == (7, 1.5, 45.0)
    assert found.overlap == pytest.approx(brute_overlap([(0, 4), (2, 8), (5, 6.5)]), abs=2e-3)


def test_overlap_agrees_with_a_clock(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        spans = [(float(a), float(a + d)) for a, d in zip(rng.uniform(0, 7, 3), rng.uniform(0.2, 3, 3), strict=True)]
        events = [SoundEvent(a, b - a, 0.0, (1.0, 0.0, 0.0)) for a, b in spans]
        assert conditions_of_events(events, 0, 10.0).overlap == pytest.approx(brute_overlap(spans), abs=3e-3)


def test_metadata_beside_the_mixtures_are_read_and_a_bad_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "a.json").write_text(json.dumps(metadata(event(0, 2, 6, 1, 0, 0))))
    (tmp_path / "metadata" / "b.json").write_text(json.dumps(metadata(event(0, 2, 6, 0, 0, 0))))
    (tmp_path / "metadata" / "c.json").write_text("{")
    scenes = [Scene(Mixture(id_, tmp_path / f"{id_}.wav"), ()) for id_ in "abcd"]
    found = with_conditions(manifest_of(tmp_path, scenes), data=tmp_path)
    assert [scene.conditions is None for scene in found] == [False, True, True, True]
    assert [finding.file for finding in found.findings] == ["b", "c"]
    assert {finding.rule for finding in found.findings} == {"metadata"}


@pytest.mark.parametrize(("start", "seconds"), [(12, 1), (-1, 4), (2, 0)])
def test_a_target_that_does_not_sound_within_its_scene_has_no_conditions(start: float, seconds: float) -> None:
    """One that begins after the end was of a length below 0, and so among the shortest."""
    with pytest.raises(ValueError, match="does not sound within the 10 s"):
        conditions_of_metadata(metadata(event(start, seconds, 6, 1, 0, 0)))


def test_without_metadata_nothing_is_said_and_nothing_looked_for(tmp_path: Path) -> None:
    scenes = [Scene(Mixture("a", tmp_path / "a.wav"), ())]
    assert with_conditions(manifest_of(tmp_path, scenes), data=None) == manifest_of(tmp_path, scenes)


def test_the_embedded_set_is_described_by_its_draws() -> None:
    scene = mini.MiniScene("test", 5)
    made = scene.make()
    found = mini.mini_conditions(scene.id, made.labels)
    assert found is not None
    starts = [np.flatnonzero(dry)[0] for dry in made.dry]
    assert (found.duration is None) == (not starts)
    if found.duration is not None:
        assert 0 < found.duration <= 10
        assert 5 <= (found.snr or math.nan) <= 20
    assert mini.mini_conditions(scene.id, ["Speech"] * 4) is None
    assert mini.mini_conditions("mini_test_0x05", made.labels) is None
    assert mini.mini_conditions("other_0005", made.labels) is None
    assert mini.mini_conditions("mini_test_5", made.labels) is None, "no file of the set is called so"


def test_labels_in_order_of_their_onsets_are_those_of_a_draw_in_any_order() -> None:
    """Of this scene the cupboard is drawn first, and heard from 7.78 s; the cough from 7.22 s, 0.6 s long."""
    found = mini.mini_conditions("mini_test_0013", ["Cough", "CupboardOpenClose"])
    assert found is not None
    assert (found.interference, round(found.duration or 0, 3)) == (2, 0.598)
    assert mini.mini_conditions("mini_test_0013", ["CupboardOpenClose", "Cough"]) is None


def test_a_scene_beyond_the_end_of_the_split_is_none_of_the_set() -> None:
    labels = mini.MiniScene("test", 1512).make().labels
    assert mini.mini_conditions("mini_test_1512", labels) is None


def test_plans_of_rooms_have_the_positions_of_the_rooms() -> None:
    room = simulate_room(_room_rng(2026_03, 2), 4, ambience_seconds=0.1)
    assert RoomPlans(2026_03, 6, 4)[2].positions.tolist() == room.positions.tolist()
