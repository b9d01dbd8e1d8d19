"""Slices by what metadata tell: which mixture is in which part, and what has no metadata is in none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from s5eval.data_manifests.conditions import Conditions
from s5eval.harness.record.run_summary import ConditionGroup, SliceGroup
from s5eval.harness.record.tables import MixtureScore, Outcome
from s5eval.harness.scoring.by_condition import GROUP_TITLES, SHORT_TITLES, condition_members

Call = Callable[..., Any]


def score(id_: str, conditions: Conditions | None) -> MixtureScore:
    return MixtureScore(id_, Outcome("scored"), conditions=conditions)


def test_every_mixture_is_in_one_part_of_a_group_that_it_defines() -> None:
    scores = [
        score("a", Conditions(snr=8.0, overlap=0.25, angle=44.9, interference=0, duration=4.0)),
        score("b", Conditions(snr=7.9, overlap=None, angle=None, interference=2, duration=0.5)),
        score("c", Conditions(snr=None, overlap=None, angle=None, interference=1, duration=None)),
        score("d", None),
    ]
    parts: dict[str, dict[str, str]] = {}
    for group, name, member in condition_members(scores):
        parts.setdefault(group, {})[name] = "".join(s.mixture_id for s in scores if member(s))
    assert parts == {
        "snr": {"below 8 dB": "b", "8 to 12 dB": "a"},
        "overlap": {"25 to 50 %": "a"},
        "angle": {"below 45 °": "a"},
        "interference": {"0": "a", "1": "c", "2": "b"},
        "duration": {"below 1 s": "b", "4 s and above": "a"},
    }


def test_every_group_that_can_be_shown_has_its_title_and_its_label() -> None:
    groups = {*get_args(SliceGroup), *get_args(ConditionGroup)} - {"class"}
    assert set(GROUP_TITLES) == set(SHORT_TITLES) == groups


def test_no_metadata_no_parts() -> None:
    assert condition_members([score("a", None)]) == []


@pytest.mark.usefixtures("systems_on_path")
def test_a_run_of_scenes_with_metadata_has_slices_everywhere(
    staged_set: Path, tmp_path: Path, s5eval: Call, summary: Call, lines: Call
) -> None:
    import json

    def event(start: float, snr: float, *position: float) -> dict[str, Any]:
        return {"event_time": start, "event_duration": 0.1, "snr": snr, "event_position": [list(position)]}

    (staged_set / "metadata").mkdir()
    for k in range(10):  # the last two have none
        events = [event(0.05 * j, 6.0 + 2 * j, 1.0, 0.7 * j, 0.0) for j in range(k % 4)]
        content = {"config": {"duration": 0.25}, "fg_events": events, "bg_events": [], "int_events": [], "room": {}}
        (staged_set / "metadata" / f"m_{k:02d}.json").write_text(json.dumps(content))
    runs = [tmp_path / name for name in ("a", "b")]
    for run, stages in zip(runs, (1, 3), strict=True):
        s5eval(
            "run", "--system", "staged:build", "--data", staged_set, "--set", f"system.stages={stages}", "--out", run
        )
    found = summary(runs[0])
    assert found["without_metadata"] == 2
    assert set(found["conditions"]) == {"snr", "overlap", "angle", "interference", "duration"}
    assert found["conditions"]["interference"]["0"]["capi_sdri"]["n"] == 10
    assert found["conditions"]["snr"]["below 8 dB"]["capi_sdri"]["n"] == 7
    assert lines(runs[0])["m_02"]["conditions"]["angle"] == 35.0
    assert lines(runs[0])["m_10"]["conditions"] is None
    page = (runs[0] / "report.html").read_text()
    assert "level of the softest target over the background" in page
    assert "2 of 12 scored mixtures have no metadata" in page
    compared = s5eval("compare", *runs)
    assert "smallest angle between two targets" in compared.out
    again = s5eval("rescore", runs[0], "--out", tmp_path / "again")
    assert again.code == 0
    assert summary(tmp_path / "again")["conditions"] == found["conditions"]
    assert s5eval("check", runs[0]).code == 0
