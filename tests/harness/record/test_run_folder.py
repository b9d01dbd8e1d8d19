"""A run folder holds no numbers of other lines than those that stand in it, and is on the disk as it grows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import recording

from s5eval.data_manifests.naming import RUN_JOURNAL
from s5eval.harness.record.lines import pairs_path
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.tables import MixtureScore, Outcome, PairTable

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


def test_what_is_appended_is_on_the_disk_within_seconds(
    tmp_path: Path, make_tables: Callable[..., list[PairTable]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables first, then the lines that name them; each once, and the folder itself in those above it."""
    module, now, run = "s5eval.harness.record.run_folder", [100.0], tmp_path / "new" / "run"
    monkeypatch.setattr(f"{module}.time.monotonic", lambda: now[0])
    monkeypatch.setattr(f"{module}.SYNC_SECONDS", 5.0)
    handed: list[str] = []
    with recording(tmp_path, monkeypatch) as disk, RunFolder.open_new(run) as folder:
        assert "new" in disk.names[tmp_path] and "run" in disk.names[run.parent] and "pairs" in disk.names[run]
        hand_over = RunFolder._hand_over

        def told(self: RunFolder, *groups: Any) -> None:
            handed.extend(path.name for group in groups for path in group)
            hand_over(self, *groups)

        monkeypatch.setattr(RunFolder, "_hand_over", told)
        for k, table in enumerate(make_tables(4)):
            now[0] += 3.0
            folder.append(MixtureScore(f"m_{k}", Outcome("predicted")), table)
            synced = disk.content.get((run / RUN_JOURNAL).stat().st_ino, b"")
            assert synced.count(b"\n") == (0, 2, 2, 4)[k]
            assert (pairs_path(run, f"m_{k}").stat().st_ino in disk.content) == (k in (1, 3))
        assert handed == ["m_0.npz", "m_1.npz", RUN_JOURNAL, "m_2.npz", "m_3.npz", RUN_JOURNAL]


def test_a_folder_of_ones_own_that_no_run_could_begin_in_stays(tmp_path: Path) -> None:
    from s5eval.data_manifests.common.errors import DataError

    for path, stays in ((tmp_path / "mine", True), (tmp_path / "made", False)):
        if stays:
            path.mkdir()
        with pytest.raises(DataError), RunFolder.open_new(path):
            raise DataError("the model is not there")
        assert path.exists() == stays
    assert list((tmp_path / "mine").iterdir()) == []
