"""What `--set` says, in the order in which it is said."""

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import parse_assignments, parse_settings


def test_the_last_of_equal_keys_wins() -> None:
    assert parse_assignments(["a.b=1", "a.b=2"]) == {"a": {"b": 2}}
    assert parse_assignments(["a={b: 1}", "a={c: 2}"]) == {"a": {"c": 2}}


def test_a_key_within_a_value_that_was_given_whole_joins_it() -> None:
    assert parse_assignments(["slots={alone: 0.5}", "slots.scenes=3"]) == {"slots": {"alone": 0.5, "scenes": 3}}


@pytest.mark.parametrize("before", [["slots.scenes=3"], ["slots={mix: 0.1}", "slots.scenes=3"]])
def test_a_whole_value_does_not_drop_keys_that_were_set_before(before: list[str]) -> None:
    with pytest.raises(UsageError, match=r"--set 'slots=\{alone: 0.5\}' would drop slots\.scenes, .*; put it first"):
        parse_assignments([*before, "slots={alone: 0.5}"])


def test_sections_of_a_run_are_known_ones() -> None:
    assert parse_settings(["system.stages=2", "system.mamba=none"]) == {"system": {"stages": 2, "mamba": "none"}}
    with pytest.raises(UsageError, match="unknown section 'sistem'"):
        parse_settings(["sistem.stages=2"])
