"""Whether scores came from the same system: by all that it says of itself but the decision, not by `weights` alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.same_system import changes, digest_of, made_for_another, refuse_other_systems, system_digest

FACTS: dict[str, Any] = {
    "weights": "sha256:w",
    "m2d": "sha256:m",
    "thresholds": "default",
    "parameters": 7,
    "stages": {"stage1": {"weights": {"m2d": "sha256:m"}}, "stage2": {"af_whisper": {"encoder": "sha256:e"}}},
}
MINE = system_digest("multistage", FACTS)


@pytest.mark.parametrize(
    "change",
    [
        {"m2d": "sha256:another"},
        {"stages": {"stage1": FACTS["stages"]["stage1"]}},
        {"stages": {**FACTS["stages"], "stage2": {"af_whisper": {"encoder": "off"}}}},
        {"stages": {**FACTS["stages"], "filter": {"share": 0.6}}},
        {"missing_parts": ["an ear"]},
    ],
)
def test_another_part_another_setting_or_another_stage_is_another_system(change: dict[str, Any]) -> None:
    assert system_digest("multistage", {**FACTS, **change}) != MINE


def test_the_decision_and_descriptions_make_no_other_system_and_the_name_does() -> None:
    described = {"thresholds": "sha256:t", "parameters": 8, "trainable_parameters": 1, "external_resources": []}
    assert system_digest("multistage", {**FACTS, **described}) == MINE
    backwards = dict(reversed(FACTS.items()))
    assert system_digest("multistage", backwards) == MINE
    assert system_digest("mine:one", {"weights": "none"}) != system_digest("mine:two", {"weights": "none"})


def test_a_decision_is_told_by_its_fingerprint_and_one_of_before_by_its_weights() -> None:
    use = {"weights": "sha256:w", "fingerprint": MINE}
    before = {"weights": "sha256:w"}
    assert made_for_another(before, **use) == ""
    assert made_for_another({"weights": "sha256:v"}, **use) == "for other weights or stages"
    assert made_for_another({**before, "fingerprint": MINE}, **use) == ""
    assert made_for_another({**before, "fingerprint": "sha256:f"}, **use) == "for other weights or settings"
    assert made_for_another({**before, "fingerprint": "sha256:f"}, weights="sha256:w", fingerprint=None) == ""
    assert made_for_another({}, **use) == ""


def test_the_error_names_the_run_and_what_differs(tmp_path: Path, make_tables: Callable[..., Any]) -> None:
    write_run(tmp_path / "run", make_tables(1))
    record = replace(read_run_record(tmp_path / "run"), fingerprint=FACTS)
    tuned = replace(record, fingerprint={**FACTS, "thresholds": "sha256:t"})
    assert digest_of(record) == digest_of(tuned)
    paths = [Path("a"), Path("b")]
    refuse_other_systems(paths, [record, tuned], "why")
    other = replace(record, fingerprint={**FACTS, "m2d": "sha256:n", "odd": "{0}"})
    with pytest.raises(UsageError) as caught:
        refuse_other_systems(paths, [record, other], "they do not go together")
    said = 'b is a run of another system than a (m2d is "sha256:n", not "sha256:m"; odd is "{0}", not nothing): '
    assert str(caught.value) == f"{said}they do not go together"
    renamed = replace(record, about=replace(record.about, system="mine:two"))
    with pytest.raises(UsageError, match='name of the system is "mine:two", not'):
        refuse_other_systems(paths, [record, renamed], "why")


def test_changes_are_named_and_long_values_shortened() -> None:
    before = {"weights": "sha256:" + 64 * "a", "stages": {"stage1": {"revision": 5}}, "kept": 1}
    now = {"weights": "sha256:" + 64 * "b", "stages": {"stage1": {"revision": 6}, "filter": {"share": 0.6}}, "kept": 1}
    said = changes(before, now)
    assert said.startswith('weights was "sha256:aaaa') and 'and is "sha256:bbbb' in said and 64 * "a" not in said
    assert "stages.stage1.revision was 5 and is 6" in said
    assert 'stages.filter was nothing and is {"share": 0.6}' in said
    assert changes({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {}).endswith("; … and 2 more")


def test_three_places_that_differ_are_shown_and_of_more_how_many_there_are() -> None:
    before, now = dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 2)
    assert changes({"a": {"b": 1}, "c": 0}, {"a": {"b": 2}, "c": 0}) == "a.b was 1 and is 2"
    assert changes(before | {"d": 2}, now) == "a was 1 and is 2; b was 1 and is 2; c was 1 and is 2"
    assert changes(before, now) == "a was 1 and is 2; b was 1 and is 2; c was 1 and is 2; … and 1 more"
