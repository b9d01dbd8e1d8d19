"""Other people's systems, misbehaving: each costs its mixtures, or the call with the contract named, and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import Plant

HERE = Path(__file__).parent
Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _hostile_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def run(s5eval: Call, name: str, data: Path, out: Path, *options: object) -> Any:
    return s5eval("run", "--system", f"hostile:{name}", "--data", data, "--out", out, *options)


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_one_buffer_for_a_whole_batch_scores_as_arrays_of_their_own(
    small_set: Path, tmp_path: Path, s5eval: Call, batch_size: int
) -> None:
    right = run(s5eval, "plain", small_set, tmp_path / "right", "--json").json
    reused = run(s5eval, "one_buffer", small_set, tmp_path / "reused", "--json", "--batch-size", batch_size)
    assert (reused.code, reused.json["metrics"]) == (0, right["metrics"])
    assert "share memory" in (tmp_path / "reused" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("int16", "candidate audio: of type int16"),
        ("complex64", "candidate audio: of type complex64"),
        ("bool", "candidate audio: of type bool"),
        (
            "float64",
            "of type float64, expected a float32 array (N, T); array.astype(np.float32) is one",
        ),
        ("list audio", "candidate audio: a list"),
        ("int scores", "class scores: of type int64"),
        ("nan scores", "NaN or infinite class scores of candidate 0"),
        ("equal scores", "the class scores of candidate 0 are 0.25 throughout, so that no class is likelier"),
        ("bool silence", "silence probabilities: of type bool"),
        ("set of labels", "labels are {'Speech'}"),
    ],
)
def test_candidates_of_another_kind_are_refused_with_the_mixture_named(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, kind: str, message: str
) -> None:
    result = run(s5eval, "kinds", small_set, tmp_path / "run", "--set", f"system.kind={kind}", "--only", "m_2")
    assert result.code == 4
    assert message in lines(tmp_path / "run")["m_2"]["outcome"]["error"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("scores of silence too", "class scores have shape (1, 19), expected (1, 18)"),
        ("two silences", "class scores have shape (1, 18), expected (2, 18)"),
        ("two rows", "a block of candidates holds float32 (16000,), float32 (16000,); expected 1 row: float32"),
        ("int16 rows", "a block of candidates holds int16 (16000,); expected 1 row: float32 (16000,)"),
        ("exit", "SystemExit: 0"),
    ],
)
def test_candidates_that_are_read_later_keep_the_same_contract(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, kind: str, message: str
) -> None:
    result = run(s5eval, "streamed", small_set, tmp_path / "run", "--set", f"system.kind={kind}", "--only", "m_2")
    assert result.code == 4
    assert message in lines(tmp_path / "run")["m_2"]["outcome"]["error"]


def test_scores_that_name_no_class_are_no_answer_to_another_decision_either(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """What a run may pass over, since nobody hears it, a rescoring does not call by the first class of the alphabet."""
    kind = ("--set", "system.kind=equal scores, unheard")
    assert run(s5eval, "kinds", small_set, tmp_path / "run", *kind, "--only", "m_2").code == 0
    (tmp_path / "all.yaml").write_text("silence_thresholds: {default: 0.9}\n")
    again = s5eval("rescore", tmp_path / "run", "--decision", tmp_path / "all.yaml", "--out", tmp_path / "again")
    assert (again.code, "m_2: the class scores of candidate 0 are 0.25 throughout" in again.err) == (3, True)


@pytest.mark.parametrize("answer", ["array", "arrays", "generator", "none"])
def test_an_answer_that_is_no_list_of_candidates_names_the_contract(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, answer: str
) -> None:
    result = run(s5eval, "answers", small_set, tmp_path / "run", "--set", f"system.answer={answer}", "--only", "m_2")
    assert result.code == 4
    assert "expected" in lines(tmp_path / "run")["m_2"]["outcome"]["error"]
    assert "systems/interface.py" in lines(tmp_path / "run")["m_2"]["outcome"]["error"]


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("one_argument", None, "cannot be called as build(config, device)"),
        ("exits", None, "ended the process (exit code 0)"),
        ("returns_none", None, "returned a NoneType; expected an object with decision, fingerprint(), propose"),
        ("half_a_system", None, "SimpleNamespace, which lacks fingerprint() and propose(mixtures); expected"),
        ("raises", "what=eof", "raised EOFError: the factory is out of order"),
        ("raises", "what=value", "raised ValueError"),
        ("raises", "what=deep", "raised RecursionError"),
        ("fingerprint", "how=raise", "fingerprint() raised RuntimeError"),
        ("fingerprint", "how=exit", "fingerprint() ended the process"),
        ("fingerprint", "how=none", "fingerprint() is a NoneType"),
        ("fingerprint", "how=array", "fingerprint()['weights'] is not what JSON can hold"),
        ("fingerprint", "how=nan", "fingerprint()['x'] is not what JSON can hold"),
        ("inspects", "how=raise", "raised RuntimeError: out of order today"),
        ("inspects", "how=exit", "ended the process"),
        ("inspects", "how=none", "inspect() returned a NoneType"),
        ("inspects", "how=text", "inspect() returned a list"),
        ("decides", "how=none", "its decision is a NoneType"),
        ("decides", "how=text", "its decision: silence_thresholds.default is 'high'"),
    ],
)
def test_what_breaks_the_contract_before_the_first_mixture_is_a_usage_error(
    small_set: Path, tmp_path: Path, s5eval: Call, name: str, setting: str | None, message: str
) -> None:
    options = [] if setting is None else ["--set", f"system.{setting}"]
    for more in ([], ["--dry-run"]):
        result = run(s5eval, name, small_set, tmp_path / "run", *options, *more)
        assert result.code == 2
        assert message in result.err
        assert "unexpected" not in result.err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("code", ["raise RuntimeError('at import')", "import sys; sys.exit(0)", "def f(:"])
def test_a_module_that_breaks_when_imported_is_a_usage_error(
    small_set: Path, tmp_path: Path, s5eval: Call, plant: Plant, code: str
) -> None:
    plant("broken_at_import", code)
    result = s5eval("run", "--system", "broken_at_import:build", "--data", small_set, "--out", tmp_path / "run")
    assert (result.code, "cannot be imported" in result.err) == (2, True)


def test_the_end_of_an_input_is_no_interruption(s5eval: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from s5eval.systems import registry

    def end() -> dict[str, str]:
        raise EOFError("marshal data too short")

    monkeypatch.setattr(registry, "installed_systems", end)
    result = s5eval("systems")
    assert (result.code, "unexpected EOFError: marshal data too short" in result.err) == (1, True)


@pytest.mark.parametrize("way", ["exit", "segfault"])
def test_a_mixture_that_ends_the_process_thrice_is_failed_by_name_and_the_others_are_scored(
    small_set: Path, tmp_path: Path, lines: Call, way: str
) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    options = ["--system", "hostile:killer", "--batch-size", 3]
    settings = ["--set", "system.on=m_2", "--set", f"system.way={way}", "--set", f"system.log={log}"]
    first = in_a_process("run", *options, *settings, "--data", small_set, "--out", out)
    assert "m_2" not in ((out / "mixtures.jsonl").read_text() if (out / "mixtures.jsonl").exists() else "")
    second = in_a_process("run", "--resume", out, *options)
    assert {first.returncode, second.returncode} <= ({0} if way == "exit" else {-11, 139, 245})
    assert set(lines(out)) == {"m_1", "m_10"}, "those beside it in the batch are done alone, before and after"
    third = in_a_process("run", "--resume", out, *options)
    assert third.returncode == second.returncode
    assert "2 of 3 times: it is run alone" in (out / "log.txt").read_text()
    fourth = in_a_process("run", "--resume", out, *options)
    assert fourth.returncode == 4
    outcomes = {id_: line["outcome"] for id_, line in lines(out).items()}
    failed = {id_: outcome["error"] for id_, outcome in outcomes.items() if outcome["status"] == "failed"}
    assert list(failed) == ["m_2"]
    assert "the process ended while the system was at work on it" in failed["m_2"]
    scored = {id_ for id_, outcome in outcomes.items() if outcome["status"] == "scored"}
    assert scored == {"m_1", "m_10", "m_3", "m_4"}
    assert log.read_text().split().count("m_2") == 3, "it is not tried a fourth time"
    assert f"--resume {out} --retry-given-up" in failed["m_2"]
    assert in_a_process("run", "--resume", out, *options, "--retry-given-up").returncode == second.returncode
    assert log.read_text().split().count("m_2") == 4


def test_a_mixture_that_takes_too_long_is_failed_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    settings = ["--set", "system.on=m_2", "--set", "system.way=loop", "--mixture-timeout", 1]
    result = run(s5eval, "killer", small_set, tmp_path / "run", *settings)
    assert result.code == 4
    assert "more than 1 s (mixture_timeout)" in lines(tmp_path / "run")["m_2"]["outcome"]["error"]
    assert sum(line["outcome"]["status"] == "scored" for line in lines(tmp_path / "run").values()) == 4
    assert not (tmp_path / "run" / ".started").exists()


@pytest.mark.slow
def test_code_that_cannot_be_interrupted_is_ended_with_the_process_and_failed_on_resume(
    small_set: Path, tmp_path: Path, lines: Call
) -> None:
    out, system = tmp_path / "run", ["--system", "hostile:killer"]
    settings = ["--set", "system.on=m_2", "--set", "system.way=swallow", "--mixture-timeout", 1]
    first = in_a_process("run", *system, *settings, "--data", small_set, "--out", out)
    assert first.returncode == -9
    assert "cannot be interrupted" in first.stderr
    second = in_a_process("run", "--resume", out, *system)
    assert second.returncode == 4
    assert [id_ for id_, line in lines(out).items() if line["outcome"]["status"] == "failed"] == ["m_2"]


def test_a_system_that_changes_the_working_folder_does_not_move_the_run(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_set.parent)
    result = run(s5eval, "wanderer", Path(small_set.name), Path("here"))
    assert (result.code, Path.cwd()) == (0, Path("/"))
    assert json.loads((small_set.parent / "here" / "summary.json").read_text())["n_scored"] == 5
    assert (small_set.parent / "here" / "report.html").is_file()


def test_json_stays_json_when_a_system_prints(small_set: Path, tmp_path: Path) -> None:
    options = ["--system", "hostile:talker", "--data", small_set, "--json"]
    result = in_a_process("run", *options, "--out", tmp_path / "run")
    assert json.loads(result.stdout)["n_scored"] == 5
    for said in ("hello from the factory", "hello from the plugin", "hello from native code"):
        assert said in result.stderr
    assert json.loads(in_a_process("run", *options, "--dry-run").stdout)["mixtures"]
