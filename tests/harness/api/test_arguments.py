"""Arguments as notebooks have them: taken for what they mean, or refused before anything is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s5eval

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 0}, "`batch_size` is 0, expected at least 1"),
        ({"batch_size": -1}, "`batch_size` is -1, expected at least 1"),
        ({"batch_size": "2"}, "`batch_size` is '2', expected a whole number"),
        ({"limit": 2.5}, "`limit` is 2.5, expected a whole number"),
        ({"limit": True}, "`limit` is True, expected a whole number"),
        ({"limit": 0}, "`limit` is 0, expected at least 1"),
        ({"workers": "auto"}, "`workers` is 'auto', expected a whole number"),
        ({"metrics": "al"}, "`metrics` is 'al', expected one of 'ranking', 'all'"),
        ({"save_audio": "no"}, "`save_audio` is 'no', expected true or false"),
        ({"cache": 0}, "`cache` is 0, expected true or false"),
        ({"device": None}, "`device` is None"),
        ({"split": 3}, "`split` is 3"),
        ({"only": "m_1"}, "`only` is 'm_1', expected a list of words"),
        ({"only": [1]}, "`only` holds 1, expected words alone"),
        ({"settings": ["label"]}, "`settings` is a list, expected a mapping"),
        ({"settings": {"label": {1, 2}}}, "`settings`: label is {1, 2}, which JSON cannot hold"),
        ({"settings": {"label": float("nan")}}, "`settings`: label is nan, which JSON cannot hold"),
        ({"settings": {"a": 1, "a.b": 2}}, "`settings`: a.b: 'a' has a value already, and cannot hold keys"),
        ({"settings": {"a.b": 1, "a": {"b": 2}}}, "`settings`: a.b is set twice"),
        ({"settings": {"a": {"b": 2}, "a.b": 1}}, "`settings`: a.b is set twice"),
        ({"decision": s5eval.Decision(max_sources=1)}, "`decision` is a Decision"),
        ({"decision": 3}, "`decision` is a int, expected a path"),
        ({"hooks": s5eval.Hook()}, "`hooks` is one Hook, expected a list"),
        ({"data": ""}, "`data` is an empty path"),
        ({"out": ""}, "`out` is an empty path"),
        ({"batch_size": None}, "`batch_size` is None, expected a whole number"),
        ({"dataset": "mini"}, "`dataset=mini` is made in the cache and takes no `data`"),
    ],
)
def test_what_means_nothing_is_refused_before_it_runs(
    small_set: Path, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    out = tmp_path / "run"
    with pytest.raises(s5eval.UsageError) as refused:
        s5eval.run("silence", **{"data": small_set, "out": out, **given})
    assert message in str(refused.value)
    assert "--" not in str(refused.value), "options are the command line's"
    assert not (out / "mixtures.jsonl").exists()


def test_numbers_of_numpy_and_paths_are_taken(small_set: Path, tmp_path: Path) -> None:
    settings = {"label": np.str_("Cough"), "note": tmp_path, "parts": (np.int64(1), np.array([2.0]))}
    run = s5eval.run("plugins:build", small_set, tmp_path / "run", limit=np.int64(2), settings=settings)
    assert run.record.config.limit == 2
    assert run.record.config.settings == {"system": {"label": "Cough", "note": str(tmp_path), "parts": [1, [2.0]]}}
    assert len(s5eval.open_data(small_set, limit=np.int32(2), only=(id_ for id_ in ("m_1", "m_2")))) == 2


def test_dotted_keys_mean_what_they_mean_on_the_command_line(small_set: Path, tmp_path: Path) -> None:
    run = s5eval.run(
        "plugins:build",
        small_set,
        tmp_path / "run",
        settings={"label": "Cough", "depth.of.it": 2},
        decision={"silence_thresholds.default": 0.3},
    )
    assert run.record.config.settings == {
        "system": {"label": "Cough", "depth": {"of": {"it": 2}}},
        "decision": {"silence_thresholds": {"default": 0.3}},
    }
    assert run.record.about.set == ('system.label="Cough"', "system.depth.of.it=2")
    with pytest.raises(
        s5eval.UsageError, match=r'settings: system\.label="Pour", the run was started with system\.label'
    ):
        s5eval.run("plugins:build", small_set, tmp_path / "run", settings={"label": "Pour"}, go_on=True)


def test_a_run_that_is_there_is_told_of_in_words_of_python(small_set: Path, tmp_path: Path) -> None:
    s5eval.run("silence", small_set, tmp_path / "run")
    for given in ({}, {"go_on": True, "limit": 2}):
        with pytest.raises(s5eval.UsageError) as refused:
            s5eval.run("silence", small_set, tmp_path / "run", **given)
        assert "--" not in str(refused.value)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(s5eval.UsageError, match="choose another `out`"):
        s5eval.run("silence", small_set, tmp_path / "other")


def test_the_command_line_says_it_in_options(small_set: Path, tmp_path: Path, s5eval: Callable[..., Any]) -> None:
    words = ("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run")
    assert s5eval(*words).code == 0
    again = s5eval(*words)
    assert (again.code, "go on there with --resume, or choose another --out" in again.err) == (2, True), again.err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: s5eval.load_system(3), "`name` is a int"),  # type: ignore[arg-type]
        (lambda: s5eval.load_system("silence", device=None), "`device` is None"),  # type: ignore[arg-type]
        (lambda: s5eval.open_data(""), "`path` is an empty path"),
        (lambda: s5eval.open_data("folder", dataset="mini"), "made in the cache and takes no `path`, which is folder"),
        (lambda: s5eval.ablate(None), "`out` is None, expected a path"),  # type: ignore[arg-type]
        (lambda: s5eval.validate(""), "`path` is an empty path"),
        (lambda: s5eval.read_run(None), "`path` is None, expected a path"),  # type: ignore[arg-type]
        (lambda: s5eval.compare("", "run"), "`first` is an empty path"),
        (lambda: s5eval.compare(".", ["run"]), "`second` is a list, expected a path"),  # type: ignore[arg-type]
        (lambda: s5eval.tune(5), "`run` is a int, expected a path"),  # type: ignore[arg-type]
        (lambda: s5eval.tune([]), "`run` is a list, expected a path"),
        (lambda: s5eval.tune([3]), "`run` is a int, expected a path"),  # type: ignore[list-item]
        (lambda: s5eval.tune("run", allow_test="no"), "`allow_test` is 'no', expected true or false"),  # type: ignore[arg-type]
        (lambda: s5eval.compare("a", "b", allow_different=0), "`allow_different` is 0, expected true or false"),  # type: ignore[arg-type]
        (lambda: s5eval.run("silence", "data", "out", go_on="no"), "`go_on` is 'no', expected true or false"),  # type: ignore[arg-type]
        (lambda: s5eval.rescore("run", decision="t.yaml"), "`decision` changes the result: name a new run folder"),
        (lambda: s5eval.run("silence", "data", decision=s5eval.Decision()), "could not be repeated from"),  # type: ignore[arg-type]
        (lambda: s5eval.open_data(only="m_1"), "`only` is 'm_1'"),
        (lambda: s5eval.ablate("out", axes="stages"), "`axes` is 'stages', expected a list"),
        (lambda: _separate({"max_sorces": 1}), "unknown key 'max_sorces'; did you mean 'max_sources'?"),
        (lambda: _separate(3), "`decision` is a int, expected an s5eval.Decision, a decision file, or keys"),
        (lambda: _separate("nowhere.yaml"), "decision file nowhere.yaml: No such file"),
        (lambda: _separate(s5eval.Decision(max_sources=-1)), "max_sources is -1"),
        (lambda: _separate(s5eval.Decision({"Speach": 0.5})), "unknown class 'Speach'; did you mean 'Speech'?"),
    ],
)
def test_other_calls_refuse_likewise(call: Callable[[], object], message: str) -> None:
    with pytest.raises(s5eval.UsageError) as refused:
        call()
    assert message in str(refused.value)


def _separate(decision: Any) -> object:
    return s5eval.load_system("silence").separate(np.zeros((4, 3200), np.float32), decision=decision)
