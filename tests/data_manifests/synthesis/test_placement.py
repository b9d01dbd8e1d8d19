import json
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.synthesis.placement import draw_start, start_intervals

CASES = json.loads((Path(__file__).parents[2] / "parity" / "overlap_cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES)
def test_admissible_starts_are_the_official_ones(case: dict) -> None:
    placed = [(event["event_time"], event["event_duration"]) for event in case["existing"]]
    intervals = start_intervals(
        duration=case["mixture_duration"],
        length=case["event_duration"],
        placed=placed,
        max_overlap=case["max_overlap"],
    )
    assert np.allclose(np.array(intervals).reshape(-1, 2), np.array(case["start_intervals"]).reshape(-1, 2), atol=1e-9)


def test_there_are_24_cases() -> None:
    assert len(CASES) == 24


def test_an_event_longer_than_the_scene() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        start_intervals(duration=2, length=3, placed=[], max_overlap=3)


def test_an_event_as_long_as_the_scene_has_no_place_once_there_are_as_many_as_may_sound() -> None:
    """Not even where they would not meet: the official program does not look."""
    assert start_intervals(duration=10, length=10, placed=[(0, 1), (5, 1)], max_overlap=2) == []
    assert start_intervals(duration=10, length=10, placed=[(0, 1)], max_overlap=2) == [(0, 0)]


def test_stretches_are_equally_likely_whatever_their_length() -> None:
    rng = np.random.default_rng(0)
    starts = np.array([draw_start(rng, [(0.0, 0.1), (5.0, 9.0)]) for _ in range(4000)])
    assert abs((starts < 1).mean() - 0.5) < 0.03
    assert starts[starts > 1].min() >= 5.0 and starts.max() <= 9.0
    assert draw_start(rng, []) is None
