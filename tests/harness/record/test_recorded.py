"""Run folders that earlier versions have left are read, and every command goes on working on them.

The folders in `recorded/` were written by the code of their version: nothing in them is made up.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded_scenes import SCENES, write_scenes
from sealed_files import edit_record, flat

from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.lines import parse_line
from s5eval.harness.record.reading import SCHEMA_VERSION, read_run_record, read_scores, read_summary
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.report.table import data_name, summary_table

Call = Callable[..., Any]

RECORDED = Path(__file__).parent / "recorded"
FOLDERS = sorted(path for version in RECORDED.iterdir() for path in version.iterdir())
LATER = ("+ no candidate", "+ separation", "CAPI-SDRi with one thing put right")
"""How lines of a table begin that say more when a run is scored today."""

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return shutil.copytree(RECORDED / "version_2" / name, tmp_path / name)

    return copy


def test_every_version_before_is_recorded_from_the_second_on() -> None:
    assert {path.name for path in RECORDED.iterdir()} == {f"version_{n}" for n in range(2, SCHEMA_VERSION)}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_written_is_what_is_read(folder: Path) -> None:
    """Against the files themselves: no value is lost or changed on the way."""
    plain = [json.loads(line) for line in (folder / "mixtures.jsonl").read_text().splitlines()]
    scores = read_scores(folder)
    assert list(scores) == [line["mixture_id"] for line in plain]
    for line in plain:
        again = flat({**scores[line["mixture_id"]].as_dict(), "files": line["files"], "sha256": line["sha256"]})
        if "conditions" not in line:  # of later versions
            assert again.pop("conditions") is None
        assert again == line
    record, content = read_run_record(folder), json.loads((folder / "run.json").read_text())
    assert (record.status, list(record.mixtures)) == (content["status"], content["mixtures"])
    config, default = record.config.as_dict(), RunConfig(system=record.config.system).as_dict()
    assert config == {**default, **content["config"]}  # what came later is as if nobody had asked for it
    assert record.decision.as_dict() == content["decision"]
    assert len(record.sittings) == len(content["sittings"])
    summary, content = read_summary(folder), json.loads((folder / "summary.json").read_text())
    for group in ("metrics", "bounds"):
        for name, value in content[group].items():
            found: Any = getattr(summary, group)[name]
            assert (found["capi_sdri"].value if group == "bounds" else found.value) == (
                value["capi_sdri"]["value"] if group == "bounds" else value["value"]
            )
    assert summary.failures == content["failures"]


def test_facts_that_stood_in_words_are_fields(recorded: Call) -> None:
    about = read_run_record(recorded("complete")).about
    assert (about.thresholds, about.missing_parts) == ("default", ("tuned thresholds",))


def test_report_check_compare_runs_and_tune_work_on_it(recorded: Call, s5eval: Call, tmp_path: Path) -> None:
    complete, scored = recorded("complete"), recorded("scored")
    assert s5eval("check", complete).code == 0
    assert s5eval("report", complete).code == 0
    assert "WITHOUT tuned thresholds" in (complete / "report.html").read_text()
    compared = s5eval("compare", complete, scored)
    assert (compared.code, "5 mixtures compared" in compared.out) == (0, True), compared.err
    assert [run["status"] for run in s5eval("runs", complete.parent, "--json").json] == ["complete", "partial"]
    tuned = s5eval("tune", complete, "--folds", 3, "--out", tmp_path / "t.yaml")
    assert (tuned.code, "WITHOUT" in tuned.out) == (0, False), tuned.err


def test_rescoring_gives_the_same_numbers_in_the_form_of_today(recorded: Call, s5eval: Call, tmp_path: Path) -> None:
    for name, out in (("complete", None), ("scored", tmp_path / "out")):
        run = recorded(name)
        before, old = read_scores(run), read_summary(run)
        assert s5eval("rescore", run, *([] if out is None else ["--out", out])).code == (4 if old.n_failed else 0)
        fresh = run if out is None else out
        assert read_run_record(fresh).schema_version == SCHEMA_VERSION
        assert all("outcome" in json.loads(line) for line in (fresh / "mixtures.jsonl").read_text().splitlines())
        for id_, score in read_scores(fresh).items():
            assert (score.labels, score.estimates, score.flags) == (
                before[id_].labels,
                before[id_].estimates,
                before[id_].flags,
            )
            assert score.capi_sdri == pytest.approx(before[id_].capi_sdri, abs=1e-9)
        assert values(read_summary(fresh)) == pytest.approx(values(old), abs=1e-9, nan_ok=True)


def values(summary: Summary) -> list[float]:
    found = [*summary.metrics.values(), *(value for bound in summary.bounds.values() for value in bound.values())]
    return [float("nan") if metric.value is None else metric.value for metric in found]


def test_an_interrupted_run_goes_on_on_the_same_data(recorded: Call, s5eval: Call, tmp_path: Path) -> None:
    run, data = recorded("interrupted"), write_scenes(tmp_path / "scenes")
    before = read_scores(run)
    assert len(before) == 3
    result = s5eval("run", "--resume", run, "--system", "staged:build", "--data", data)
    assert result.code == 0, result.err
    after = read_scores(run)
    assert list(after) == list(SCENES)
    assert {id_: after[id_] for id_ in before} == before
    record = read_run_record(run)
    assert (record.schema_version, record.status, len(record.sittings)) == (SCHEMA_VERSION, "complete", 2)
    assert s5eval("check", run).code == 0


def test_a_resume_that_was_killed_leaves_lines_of_both_forms_and_goes_on(
    recorded: Call, s5eval: Call, tmp_path: Path
) -> None:
    run, data = recorded("interrupted"), write_scenes(tmp_path / "scenes")
    journal = run / "mixtures.jsonl"
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(parse_line(first).text().encode() + b"".join(rest))
    assert len(read_scores(run)) == 3
    assert s5eval("run", "--resume", run, "--system", "staged:build", "--data", data).code == 0
    assert len(read_scores(run)) == 6


def test_the_table_of_a_folder_of_before_is_that_of_today(recorded: Call, s5eval: Call) -> None:
    run = recorded("scored")
    before = summary_table(read_summary(run))
    assert "answers 4 of 6 mixtures" in before and "in no number above: 1 mixture" in before
    assert s5eval("rescore", run).code == 4
    assert [line for line in summary_table(read_summary(run)).splitlines() if not line.startswith(LATER)] == [
        line.replace("data: folder |", "data: folder scenes |")  # whose name the options tell, and summaries did not
        for line in before.splitlines()
        if not line.startswith(LATER)
    ]


def test_a_folder_of_a_later_version_is_refused(recorded: Call, s5eval: Call) -> None:
    run = recorded("complete")
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION + 1, "sha256": 0}))
    result = s5eval("report", run)
    assert (result.code, "of a later version of s5eval" in result.err) == (3, True)


def test_a_record_whose_digests_are_not_those_of_its_mixtures_is_refused(recorded: Call, s5eval: Call) -> None:
    run = recorded("complete")
    edit_record(run / "run.json", lambda record: record["mixture_digests"].pop())
    result = s5eval("report", run)
    assert (result.code, "digests of" in result.err) == (3, True), result.err


def test_a_plain_folder_has_its_name_from_the_options_of_before() -> None:
    record = read_run_record(RECORDED / "version_2" / "complete")
    assert record.config.data is not None
    assert record.about.folder == record.config.data.name
    assert data_name(record.about) == f"folder {record.config.data.name}"
