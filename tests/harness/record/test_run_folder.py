"""A run folder holds no numbers of other lines than those that stand in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.run_folder import RunFolder

Call = Callable[..., Any]


def test_a_sitting_that_is_killed_leaves_no_summary_and_no_page_of_the_one_before(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """As `--resume --save-audio` does it, which runs all mixtures of a finished run again."""
    run = tmp_path / "run"
    options = ("run", "--system", "oracle-gain", "--data", small_set)
    assert s5eval(*options, "--out", run).code == 0
    (run / "report_2.html").write_text("of many mixtures")
    (run / "reports.html").write_text("somebody else's")
    with RunFolder.open_existing(run) as folder:
        folder.rewrite(())
        folder.write_run(replace(read_run_record(run), status="running", lines=None))
    assert [path.name for path in sorted(run.glob("*.html"))] == ["reports.html"]
    (listed,) = s5eval("runs", run, "--json").json
    assert (listed["status"], listed["n_done"], listed["metrics"]) == ("running", None, {})
    for command in (("report", run), ("export", run, "--to", "csv", "--out", tmp_path / "out"), ("rank", run)):
        shown = s5eval(*command)
        assert shown.code == 3 and f"s5eval run --resume {run}` goes on" in shown.err, shown.err
    assert s5eval("run", "--system", "oracle-gain", "--resume", run).code == 0
    (listed,) = s5eval("runs", run, "--json").json
    assert (listed["status"], listed["n_done"]) == ("complete", 5)
    assert (run / "report.html").is_file()
