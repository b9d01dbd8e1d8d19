"""What `--set` says, in the order in which it is said, and which options a run may go on with."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RESUMABLE, RunConfig, parse_assignments, parse_settings
from s5eval.systems.settings import typed

OF_THE_NUMBERS: dict[str, Any] = {
    "system": "another",
    "dataset": "dcase2026",
    "split": "eval",
    "settings": {"system": {"stages": 2}},
    "decision_file": Path("d.yaml"),
    "limit": 2,
    "only": ("m_1",),
    "strict": True,
    "metrics": "all",
}


def test_the_last_of_equal_keys_wins() -> None:
    assert parse_assignments(["a.b=1", "a.b=2"]) == {"a": {"b": 2}}
    assert parse_assignments(["a={b: 1}", "a={c: 2}"]) == {"a": {"c": 2}}


def test_a_key_within_a_value_that_was_given_whole_joins_it() -> None:
    assert parse_assignments(["slots={alone: 0.5}", "slots.scenes=3"]) == {"slots": {"alone": 0.5, "scenes": 3}}


@pytest.mark.parametrize("before", [["slots.scenes=3"], ["slots={mix: 0.1}", "slots.scenes=3"]])
def test_a_whole_value_does_not_drop_keys_that_were_set_before(before: list[str]) -> None:
    with pytest.raises(
        UsageError, match=r"^`settings` 'slots=\{alone: 0.5\}' would drop slots\.scenes, .*put it first"
    ):
        parse_assignments([*before, "slots={alone: 0.5}"])


def test_sections_of_a_run_are_known_ones() -> None:
    assert parse_settings(["system.stages=2", "system.mamba=none"]) == {"system": {"stages": 2, "mamba": "none"}}
    with pytest.raises(UsageError, match="unknown section 'sistem'"):
        parse_settings(["sistem.stages=2"])


def test_a_run_goes_on_with_the_options_that_its_numbers_hang_on_and_no_others() -> None:
    config = RunConfig("one")
    names = {entry.name for entry in fields(RunConfig)} - RESUMABLE
    assert names == {*OF_THE_NUMBERS, "save_audio", "trust_checkpoint"}, "whoever adds an option says which it is"
    for name, value in OF_THE_NUMBERS.items():
        assert [said.partition(":")[0] for said in config.differences(replace(config, **{name: value}))] == [name]
    chosen = [replace(config, only=ids) for ids in (("m_1", "m_2"), ("m_2", "m_1"))]
    assert chosen[0].differences(chosen[1]) == []
    with_audio = replace(config, save_audio=True)
    assert (config.differences(with_audio), len(with_audio.differences(config))) == ([], 1), "it may be asked for later"


@pytest.mark.parametrize(
    "settings", [{}, {"system": {"stages": 2, "clue": {"dimension": 96}, "bands": [[1, 2]], "a": {}}}]
)
def test_what_is_told_of_settings_can_be_typed(settings: dict[str, Any]) -> None:
    assert parse_assignments(typed(settings)) == settings
    assert all("{" not in word or word.endswith("={}") for word in typed(settings))
    assert typed({"system": {}}) == ()


def test_keys_that_cannot_be_typed_stay_in_their_value() -> None:
    settings = {"system": {"gains": {"layer.0": 2, "a=b": 1}, "names": {"": 3}}}
    assert typed(settings) == ('system.gains={"layer.0": 2, "a=b": 1}', 'system.names={"": 3}')
    assert parse_assignments(typed(settings)) == settings


def test_paths_do_not_hang_on_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ablation, and a run from Python, could not be gone on with from another folder: `weights=w` was written so."""
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = {"system": {"weights": "w", "m2d_weights": "none/there", "stages": 2}, "decision": {"max_sources": 2}}
    found = RunConfig("multistage", data=Path("d"), decision_file=Path("t.yaml"), settings=settings).absolute()
    assert (found.data, found.decision_file) == (tmp_path / "d", tmp_path / "t.yaml")
    own = {"weights": str(tmp_path / "w"), "m2d_weights": "none/there", "stages": 2}
    assert found.settings == {"system": own, "decision": {"max_sources": 2}}
    assert found.absolute() == found
    assert settings["system"]["weights"] == "w", "what was given stays as it was"


@pytest.mark.parametrize("word", ["mini", "untrained", "w" * 5000, "w\0"])
def test_a_setting_that_names_no_file_stays_the_word_that_it_is(word: str) -> None:
    config = RunConfig("multistage", settings={"system": {"weights": word}})
    assert config.absolute() == config


def test_the_path_of_estimates_is_one_even_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = RunConfig("folder", settings={"system": {"path": "est"}}).absolute()
    assert found.settings == {"system": {"path": str(tmp_path / "est")}}
