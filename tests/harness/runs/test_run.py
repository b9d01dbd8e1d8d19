"""Runs with a plugin: isolation of failures, settings, the run folder, resuming, and predictions without references."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plugins
import pytest
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.plan import plan_run

Call = Callable[..., Any]
PLUGIN = "plugins:build"


pytestmark = pytest.mark.usefixtures("systems_on_path")


def run(s5eval: Call, data: Path, out: Path, *options: object) -> Any:
    return s5eval("run", "--system", PLUGIN, "--data", data, "--out", out, *options)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("raise_on", "RuntimeError: the network fell over"),
        ("nan_on", "NaN or infinite samples in estimate 0"),
        ("short_on", "the system returned 15995 samples, the mixture has 16000"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_mixture_that_breaks_the_system_costs_itself_only(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, setting: str, message: str, batch_size: int
) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--set", f"system.{setting}=m_2", "--batch-size", batch_size)
    assert result.code == 4
    failed = {
        id_: line["outcome"]["error"] for id_, line in lines(out).items() if line["outcome"]["status"] == "failed"
    }
    assert list(failed) == ["m_2"]
    assert failed["m_2"].startswith(message), "without the id, which stands beside it"
    if setting == "raise_on":
        assert "Traceback" in (out / "log.txt").read_text()
        assert "Traceback" not in result.err


def test_an_error_of_a_system_says_where_it_came_from(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    """Also where it was raised by a package, on behalf of a line of the system's."""
    out = tmp_path / "run"
    (tmp_path / "falling_system.py").write_text(
        "import numpy as np\nfrom plugins import Omni\n\n\nclass Mine(Omni):\n    def propose(self, mixtures):\n"
        "        return np.stack([])\n\n\ndef build(config, device):\n    return Mine(config)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        shown = s5eval("run", "--system", "falling_system:build", "--data", small_set, "--out", out)
    reason = "ValueError: need at least one array to stack (falling_system.py, line 7)"
    assert shown.code == 4 and f"  all 5 mixtures: {reason}\n" in shown.out
    assert f"  the tracebacks are in {out / 'log.txt'}\n" in shown.out
    assert "np.stack([])" in (out / "log.txt").read_text()


def test_what_is_refused_at_once_is_refused_before_any_scene_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr("s5eval.harness.runs.plan.open_manifest", lambda *_, **__: made.append(1))
    for config in (RunConfig("no-such-system"), RunConfig("silence", device="no-such-device")):
        with pytest.raises(UsageError, match="no-such"):
            plan_run(config)
    assert not made


def test_the_run_folder_holds_what_it_promises(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--save-audio", "--set", "system.p_silence=0.2")
    assert result.code == 0
    assert {entry.name for entry in out.iterdir()} == {
        "run.json", "mixtures.jsonl", "summary.json", "report.html", "log.txt", "pairs", "audio", ".lock",
    }  # fmt: skip
    record = json.loads((out / "run.json").read_text())
    assert record["config"]["settings"] == {"system": {"p_silence": 0.2}}
    assert (record["status"], record["about"]["tune"]) == ("complete", "allowed")
    assert record["provenance"]["packages"]["torch"]
    assert len(record["manifest_sha256"]) == 64
    assert {path.name for path in (out / "audio").iterdir()} == {
        f"m_{k}_0_Speech.wav" for k in (1, 10, 2, 3, 4)
    }  # fmt: skip
    assert {path.stem for path in (out / "pairs").iterdir()} == {"m_1", "m_10", "m_2", "m_3", "m_4"}
    assert str(out) in result.out


def test_a_decision_file_and_set_change_the_prediction(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    (tmp_path / "d.yaml").write_text("silence_thresholds: {Speech: 0.05}\n")
    by_file = run(s5eval, small_set, tmp_path / "a", "--decision", tmp_path / "d.yaml", "--json").json
    by_key = run(s5eval, small_set, tmp_path / "b", "--set", "decision.silence_thresholds.Speech=0.05", "--json").json
    plain = run(s5eval, small_set, tmp_path / "c", "--json").json
    assert by_file["metrics"] == by_key["metrics"]
    assert by_file["metrics"]["source_accuracy"]["value"] == 0.0 < plain["metrics"]["source_accuracy"]["value"]


def test_a_set_without_references_is_predicted_and_complete(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    (small_set / "oracle_target").rename(tmp_path / "away")
    result = run(s5eval, small_set, tmp_path / "run", "--save-audio", "--json")
    assert (result.code, result.json["status"]) == (0, "complete")
    assert (result.json["n_predicted"], result.json["n_scored"], result.json["n_failed"]) == (5, 0, 0)
    assert all(metric["value"] is None for metric in result.json["metrics"].values())
    for line in lines(tmp_path / "run").values():
        assert (line["outcome"]["status"], line["capi"], line["labels"]) == ("predicted", None, None)
        assert line["estimates"][0]["label"] == "Speech"
    assert result.json["n_estimates"] == 5
    again = s5eval("rescore", tmp_path / "run").out
    page = (tmp_path / "run" / "report.html").read_text()
    for shown in (again, page):
        assert "predicted, and not scored: 5 sources in 5 mixtures" in shown
        assert "written to 16-bit wavs: 5 sources, 0 samples clipped" in shown
        assert "mixture acc" not in shown, "no table of dashes"
    table = run(s5eval, small_set, tmp_path / "table")
    assert table.code == 0 and "predicted, and not scored: 5 sources in 5 mixtures" in table.out


def test_a_folder_that_holds_a_run_or_anything_is_refused(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    assert run(s5eval, small_set, out).code == 0
    again = run(s5eval, small_set, out)
    assert (again.code, "--resume" in again.err) == (2, True)
    other = run(s5eval, small_set, small_set)
    assert (other.code, "not an empty folder" in other.err) == (2, True)


def test_what_fails_before_the_run_begins_leaves_no_folder(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for options, code in ((["--split", "nope"], 2), (["--only", "m_99"], 2), (["--decision", tmp_path / "x"], 2)):
        assert run(s5eval, small_set, tmp_path / "run", *options).code == code
        assert not (tmp_path / "run").exists()


def test_a_folder_with_anything_of_somebody_else_is_never_touched(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    theirs = tmp_path / "repo"
    (theirs / ".git").mkdir(parents=True)
    (theirs / ".env").write_text("secret")
    assert s5eval("run", "--system", "typo", "--data", small_set, "--out", theirs).code == 2
    assert (theirs / ".env").read_text() == "secret"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert s5eval("run", "--system", "typo", "--data", small_set, "--out", empty).code == 2
    assert list(empty.iterdir()) == []


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("exit_on=m_2", "SystemExit"),
        ("p_silence=7.0", "expected 0 to 1"),
        ("label=Dog", "unknown label 'Dog'"),
    ],
)
def test_what_a_plugin_may_not_do_fails_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, setting: str, message: str
) -> None:
    assert run(s5eval, small_set, tmp_path / "run", "--set", f"system.{setting}").code == 4
    assert message in lines(tmp_path / "run")["m_2"]["outcome"]["error"]


def test_a_factory_that_returns_no_system_is_a_usage_error(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("run", "--system", "plugins:nothing", "--data", small_set, "--out", tmp_path / "run")
    assert (result.code, "returned a NoneType" in result.err) == (2, True)


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
    assert run(s5eval, small_set, out).code == 4
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 4
    assert lines(out)["m_2"]["outcome"]["status"] == "failed"
    path.write_bytes(content)
    assert s5eval("run", "--system", "plugins:build", "--resume", out).code == 0
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


def test_only_and_limit_choose(small_set: Path, tmp_path: Path, s5eval: Call, lines: Call) -> None:
    run(s5eval, small_set, tmp_path / "a", "--only", "m_4", "--only", "m_2")
    run(s5eval, small_set, tmp_path / "b", "--limit", 2)
    assert list(lines(tmp_path / "a")) == ["m_2", "m_4"]
    assert list(lines(tmp_path / "b")) == ["m_1", "m_10"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    plain, machine = run(s5eval, small_set, out, "--dry-run"), run(s5eval, small_set, out, "--dry-run", "--json")
    assert plain.code == machine.code == 0
    assert "5: m_1, m_10" in plain.out
    assert machine.json["mixtures"] == ["m_1", "m_10", "m_2", "m_3", "m_4"]
    assert machine.json["disk_needed"]["run_bytes"] > 0
    assert not out.exists()


def test_a_dry_run_is_a_page_and_only_its_json_has_everything(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that was tuned carries the digests of all mixtures it was tuned on, and they were one line."""
    digests = " ".join(f"{k:064x}" for k in range(1000))
    provenance = {"data": "mini/valid", "mixture_digests": digests}
    (tmp_path / "d.yaml").write_text(json.dumps({"provenance": provenance}))
    monkeypatch.chdir(small_set)
    options = ("run", "--system", "plugins:build", "--data", ".", "--decision", tmp_path / "d.yaml", "--dry-run")
    more = ("--set", "system.label=Cough", "--limit", 3)
    plain, machine = s5eval(*options, *more), s5eval(*options, *more, "--json")
    assert machine.json["decision"]["provenance"]["mixture_digests"] == digests
    page = [line for line in plain.out.splitlines() if str(small_set) not in line and str(tmp_path) not in line]
    assert max(map(len, page)) <= 80 and len(page) < 30
    assert any(line.split() == ["settings", 'system.label="Cough"'] for line in page)
    assert "thresholds tuned on mini/valid" in " ".join(plain.out.split())
    assert "null" not in plain.out and "{" not in plain.out


def test_untrained_weights_stand_in_table_summary_and_page(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    out = tmp_path / "run"
    result = run(s5eval, small_set, out, "--set", "system.weights=untrained")
    assert "weights: untrained | " in result.out and "RANDOM WEIGHTS: the numbers say nothing" in result.out
    assert "note: RANDOM WEIGHTS: the numbers say nothing about the system" in result.err, "before the first mixture"
    assert json.loads((out / "summary.json").read_text())["weights"] == "untrained"
    assert "weights: untrained" in (out / "report.html").read_text()
    (listed,) = s5eval("runs", out, "--json").json
    assert listed["marks"][0].startswith("RANDOM WEIGHTS")


def test_an_interrupted_run_is_not_damaged(
    small_set: Path, tmp_path: Path, s5eval: Call, systems_on_path: None
) -> None:
    out = tmp_path / "run"
    words = ("--system", "plugins:build", "--data", small_set, "--set", "system.interrupt_on=m_2", "--out", out)
    assert s5eval("run", *words).code == 130
    shown = s5eval("check", out)
    assert (shown.code, "damaged" in shown.out) == (0, False), shown.out
    assert "partial, 2 of 2 mixtures are as they were written, 3 not run yet" in shown.out
    assert "note: the run was interrupted; s5eval run --resume" in shown.out
    assert s5eval("check", out, "--json").json["not_reached"] == 3
    (out / "summary.json").write_text("{}")
    assert s5eval("check", out).code == 3
