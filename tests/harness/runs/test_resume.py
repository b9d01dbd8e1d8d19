"""Runs that go on: after an interruption, with failed mixtures, moved data or other options, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plugins
import pytest
from sealed_files import edit_record

import s5eval as face

Call = Callable[..., Any]
PLUGIN = "plugins:build"


pytestmark = pytest.mark.usefixtures("systems_on_path")


def run(s5eval: Call, data: Path, out: Path, *options: object) -> Any:
    return s5eval("run", "--system", PLUGIN, "--data", data, "--out", out, *options)


def test_a_decision_that_changed_cannot_be_resumed(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    decision, out = tmp_path / "d.yaml", tmp_path / "run"
    decision.write_text("max_sources: 3\n")
    run(s5eval, small_set, out, "--decision", decision, "--set", "system.raise_on=m_3")
    decision.write_text("max_sources: 1\n")
    result = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert (result.code, "the decision is not as it was" in result.err) == (2, True)


def test_a_system_that_changed_cannot_be_resumed(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    run(s5eval, small_set, out, "--set", "system.raise_on=m_3")
    monkeypatch.setattr(plugins.Omni, "fingerprint", lambda self: {"weights": "others"})
    result = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert result.code == 2 and 'weights was "none" and is "others"' in result.err


def test_a_finished_run_keeps_its_name(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out, again = tmp_path / "run", ("run", "--system", PLUGIN, "--resume", tmp_path / "run")
    run(s5eval, small_set, out, "--set", "system.interrupt_on=m_3", "--name", "early")
    assert s5eval(*again, "--name", "later").code != 2, "one that goes on takes another"
    assert run(s5eval, small_set, tmp_path / "whole", "--name", "mine").code == 0
    again = ("run", "--system", PLUGIN, "--resume", tmp_path / "whole")
    refused = s5eval(*again, "--name", "other")
    said = f"{tmp_path / 'whole'} is finished and stays as it is: name: 'other', the run was started with 'mine'"
    assert (refused.code, said in refused.err) == (2, True), refused.err
    assert (s5eval(*again, "--name", "mine").code, s5eval(*again).code) == (0, 0)
    assert run(s5eval, small_set, tmp_path / "bare").code == 0
    again = ("run", "--system", PLUGIN, "--resume", tmp_path / "bare")
    assert s5eval(*again, "--name", PLUGIN).code == 0, "what has no name is called as its system"
    refused = s5eval(*again, "--name", "other")
    assert (refused.code, f"the run was started with '{PLUGIN}'" in refused.err) == (2, True)


def test_who_gives_no_name_takes_none_away(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    """The Python interface names no run, and goes on with one that the command line has named."""
    out = tmp_path / "run"
    run(s5eval, small_set, out, "--set", "system.raise_on=m_3", "--name", "mine")
    face.run(PLUGIN, small_set, out, settings={"raise_on": "m_3"}, go_on=True)
    assert face.read_run(out).record.about.name == face.read_run(out).record.config.name == "mine"


def test_a_rescored_part_is_not_resumed(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    run(s5eval, small_set, tmp_path / "run", "--set", "system.raise_on=m_3")
    (tmp_path / "d.yaml").write_text("max_sources: 1\n")
    s5eval("rescore", tmp_path / "run", "--decision", tmp_path / "d.yaml", "--out", tmp_path / "other")
    result = s5eval("run", "--system", "plugins:build", "--resume", tmp_path / "other")
    assert (result.code, "was rescored from" in result.err) == (2, True)


def test_the_page_and_the_costs_of_all_sittings_stand_after_a_resume(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    out = tmp_path / "run"
    run(s5eval, small_set, out, "--set", "system.interrupt_on=m_3")
    assert not (out / "report.html").exists()
    s5eval("run", "--system", "plugins:build", "--resume", out)  # is interrupted at the same place
    record = json.loads((out / "run.json").read_text())
    assert len(record["sittings"]) == 2
    assert record["seconds"] == pytest.approx(sum(sitting["seconds"] for sitting in record["sittings"]), abs=0.002)


def test_interrupted_and_resumed_is_as_if_never_interrupted(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    log = tmp_path / "log"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(s5eval, small_set, whole, "--set", f"system.log={tmp_path / 'other'}")
    first = s5eval(
        "run", "--system", "plugins:build", "--data", small_set, "--out", broken,
        "--set", f"system.log={log}", "--set", "system.interrupt_on=m_3",
    )  # fmt: skip
    assert (first.code, "--resume" in first.err) == (130, True)
    assert len(lines(broken)) == 3
    assert json.loads((broken / "summary.json").read_text())["status"] == "partial"
    # The interruption was a setting of the plugin; take it out of the record as a fixed plugin would.
    edit_record(broken / "run.json", lambda record: record["config"]["settings"]["system"].pop("interrupt_on"))
    edit_record(broken / "run.json", lambda record: record["fingerprint"].pop("interrupt_on"))
    assert s5eval("run", "--system", "plugins:build", "--resume", broken).code == 0
    assert log.read_text().split() == ["m_1", "m_10", "m_2", "m_3", "m_3", "m_4"], "nothing is run twice"
    strip = lambda found: {id_: {**line, "outcome": 0, "sha256": ""} for id_, line in found.items()}  # noqa: E731
    assert strip(lines(broken)) == strip(lines(whole))
    first, second = (json.loads((run / "summary.json").read_text()) for run in (broken, whole))
    assert {**first, "set": 0, "sha256": ""} == {**second, "set": 0, "sha256": ""}, "but for the plugin's log"


def test_a_finished_run_resumes_to_nothing(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    options = ("--set", f"system.log={log}")
    run(s5eval, small_set, out, *options)
    before = (out / "summary.json").read_text()
    for again in (
        ["run", "--resume", out],
        ["run", "--resume", out, "--system", PLUGIN, "--data", small_set, *options],
    ):
        assert s5eval(*again).code == 0
    assert len(log.read_text().split()) == len(lines(out)) == 5
    assert (out / "summary.json").read_text() == before


def test_the_environment_does_not_contradict_a_recorded_run(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(s5eval, small_set, tmp_path / "run")
    monkeypatch.setenv("S5EVAL_DATA", str(tmp_path))
    assert s5eval("run", "--system", "plugins:build", "--resume", tmp_path / "run").code == 0


def test_failed_mixtures_are_tried_again_and_keep_one_line(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    path = small_set / "soundscape" / "m_2.wav"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))  # the same size: only its content is bad
    out = tmp_path / "run"

    def status() -> str:
        return str(json.loads((out / "run.json").read_text())["status"])

    assert (run(s5eval, small_set, out).code, status()) == (4, "partial")
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 4
    assert lines(out)["m_2"]["outcome"]["status"] == "failed"
    path.write_bytes(content)
    assert (s5eval("run", "--system", "plugins:build", "--resume", out).code, status()) == (0, "complete")
    assert {line["outcome"]["status"] for line in lines(out).values()} == {"scored"}
    found = json.loads((out / "summary.json").read_text())
    assert (found["n_predicted"], found["n_scored"], found["n_failed"]) == (5, 5, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "2"], "limit: 2, the run was started with None"),
        (["--set", "system.p_silence=0.9"], "settings"),
        (["--system", "silence"], "system: 'silence'"),
    ],
)
def test_resuming_with_other_options_is_refused(
    small_set: Path, tmp_path: Path, s5eval: Call, options: list[str], message: str
) -> None:
    run(s5eval, small_set, tmp_path / "run", "--limit", "4" if "--limit" not in options else "1")
    if "--limit" in options:
        message = message.replace("None", "1")
    result = s5eval("run", "--system", "plugins:build", "--resume", tmp_path / "run", *options)
    assert result.code == 2
    assert message in result.err


def test_data_that_changed_cannot_be_resumed(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    run(s5eval, small_set, out, "--set", "system.raise_on=m_2")
    (small_set / "oracle_target" / "m_3_0_Dishes.wav").unlink()
    result = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert (result.code, "does not hold the data that" in result.err) == (3, True)


@pytest.mark.parametrize("change", ["one more", "the one that failed is gone"])
def test_neither_more_nor_fewer_mixtures_than_it_began_with_are_taken_for_the_same_data(
    small_set: Path, tmp_path: Path, s5eval: Call, change: str
) -> None:
    """Although all that was scored is as it was."""
    run(s5eval, small_set, tmp_path / "run", "--set", "system.raise_on=m_3")
    if change == "one more":
        shutil.copy(small_set / "soundscape" / "m_10.wav", small_set / "soundscape" / "m_5.wav")
    else:
        (small_set / "soundscape" / "m_3.wav").unlink()
        (small_set / "oracle_target" / "m_3_0_Dishes.wav").unlink()
    result = s5eval("run", "--system", "plugins:build", "--resume", tmp_path / "run")
    assert (result.code, "does not hold the data that" in result.err) == (3, True), result.err


def test_a_part_that_other_metrics_have_scored_is_not_resumed(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    run(s5eval, small_set, out, "--set", "system.raise_on=m_3")
    edit_record(out / "run.json", metric_version=0)
    result = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert (result.code, f"{out} was scored by metric version 0" in result.err) == (2, True), result.err


def test_moved_data_go_on_and_other_data_do_not(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, make_set: Call
) -> None:
    out, moved = tmp_path / "run", tmp_path / "moved"
    assert run(s5eval, small_set, out, "--set", "system.raise_on=m_2").code == 4
    before = lines(out)["m_3"]
    small_set.rename(moved)
    gone = s5eval("run", "--system", "plugins:build", "--resume", out)
    assert (gone.code, "no data folder at" in gone.err) == (3, True)
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--data", moved).code == 4, (
        "m_2 fails again, the others stand"
    )
    place = {"number": 0, "sha256": ""}  # a line that moves up is sealed again
    assert {**lines(out)["m_3"], **place} == {**before, **place}
    assert json.loads((out / "run.json").read_text())["config"]["data"] == str(moved)
    labels = {"m_1": ["Speech"], "m_10": [], "m_2": ["Cough", "Pour"], "m_3": ["Dishes"], "m_4": ["Typing"]}
    other = make_set(tmp_path / "other", labels)
    for folder in (out, tmp_path / "complete"):
        if not folder.exists():
            assert run(s5eval, moved, folder).code == 0
        refused = s5eval("run", "--system", "plugins:build", "--resume", folder, "--data", other)
        assert (refused.code, "does not hold the data that" in refused.err) == (3, True)


def test_audio_may_be_asked_for_later(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    options = ("--set", f"system.log={log}")
    assert run(s5eval, small_set, out, *options).code == 0
    again = s5eval("run", "--system", "plugins:build", "--resume", out, "--save-audio")
    assert again.code == 0, again.err
    assert len(list((out / "audio").glob("*.wav"))) == 5
    assert all(line["as_written"] is not None for line in lines(out).values())
    assert len(log.read_text().split()) == 10
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 0
    assert s5eval("run", "--system", "plugins:build", "--resume", out, "--save-audio").code == 0
    assert len(log.read_text().split()) == 10, "what is there is not made again"
