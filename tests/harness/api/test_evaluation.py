"""Whole runs from Python: the commands' functions, with paths as words and runs as objects."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s5eval

pytestmark = pytest.mark.usefixtures("systems_on_path")


def test_open_data_gives_scenes_with_lazy_audio(small_set: Path) -> None:
    data = s5eval.open_data(str(small_set), limit=3)
    assert len(data) == 3
    assert repr(data) == f"<Manifest of {small_set}: 3 of 5 mixtures, with references>"
    assert [scene.mixture.id for scene in data] == ["m_1", "m_10", "m_2"]
    scene = list(data)[2]
    assert scene.labels == ("Cough", "Pour")
    assert scene.mixture.audio().shape == (4, 16000)
    with pytest.raises(s5eval.UsageError, match="m_11"):
        s5eval.open_data(small_set, only=["m_11"])


def test_run_compare_and_continue(small_set: Path, tmp_path: Path) -> None:
    first = s5eval.run("silence", str(small_set), str(tmp_path / "a"))
    second = s5eval.run("plugins:build", small_set, tmp_path / "b", settings={"label": "Speech"}, limit=5)
    assert first.summary.status == second.summary.status == "complete"
    assert second.record.config.settings == {"system": {"label": "Speech"}}
    found = s5eval.compare(first, tmp_path / "b")
    difference = found.differences["metrics", "source_accuracy"]
    assert (difference.first, found.fixed) == (0.0, ("m_1",))
    assert re.fullmatch(rf"<Comparison of {tmp_path}/b minus {tmp_path}/a, 5 mixtures.*: CAPI-SDRi .* dB>", repr(found))
    assert "m_10" not in repr(first.record)
    again = s5eval.run("silence", small_set, tmp_path / "a", go_on=True)
    assert again.summary == first.summary
    with pytest.raises(s5eval.UsageError, match="the options differ"):
        s5eval.run("silence", small_set, tmp_path / "a", limit=2, go_on=True)
    with pytest.raises(s5eval.UsageError, match="holds a run already"):
        s5eval.run("silence", small_set, tmp_path / "a")


def test_a_run_takes_a_loaded_system_by_its_name(small_set: Path, tmp_path: Path) -> None:
    system = s5eval.load_system("plugins:build", label="Cough", device="cpu")
    run = s5eval.run(system, small_set, tmp_path / "run", decision={"max_sources": 1})
    assert run.record.config.system == "plugins:build"
    assert run.record.config.settings == {"system": {"label": "Cough"}, "decision": {"max_sources": 1}}
    assert set(run.estimates["label"]) == {"Cough"}
    assert s5eval.run("silence", small_set, tmp_path / "plain", limit=1).record.about.set == ()
    with pytest.raises(s5eval.UsageError, match="expected a name"):
        s5eval.run(system.system, small_set, tmp_path / "other")  # type: ignore[arg-type]


def test_settings_of_a_run_join_those_of_a_loaded_system_key_by_key(small_set: Path, tmp_path: Path) -> None:
    """As two `--set` of the command do: one key of a mapping takes none of its other keys away."""
    system = s5eval.load_system("plugins:build", clue={"a": 1, "b": 2}, label="Cough", device="cpu")
    run = s5eval.run(system, small_set, tmp_path / "run", limit=1, settings={"clue.b": 3})
    assert run.record.config.settings == {"system": {"clue": {"a": 1, "b": 3}, "label": "Cough"}}
    assert system.settings == {"clue": {"a": 1, "b": 2}, "label": "Cough"}


def test_settings_join_those_of_a_grid_and_a_row_replaces_them(small_set: Path, tmp_path: Path) -> None:
    """Key by key, as they are written: nothing within a value is mixed, and none of its keys is taken for a path."""
    grid = tmp_path / "grid.yaml"
    grid.write_text("base: {system.label: Cough}\nrows:\n- {name: one}\n- {name: two, set: {system.clue: {a: 1}}}\n")
    settings = {"clue": {"b": 5, "c.d": 6}}
    s5eval.ablate(tmp_path / "out", grid=grid, system="plugins:build", data=small_set, limit=1, settings=settings)
    one, two = (
        s5eval.read_run(tmp_path / "out" / "rows" / name).record.config.settings["system"] for name in ("one", "two")
    )
    assert (one["clue"], two["clue"]) == ({"b": 5, "c.d": 6}, {"a": 1})
    assert one["label"] == two["label"] == "Cough"


def test_dotted_settings_of_an_ablation_join_those_of_its_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`clue.b` took `clue.a` of the grid away without a word, where the command's `--set` has joined it."""
    asked: list[Any] = []
    monkeypatch.setattr("s5eval.evaluation.ablate_grid", lambda grid, *rest: asked.extend(grid.rows))
    monkeypatch.setattr("s5eval.evaluation.write_ablation", lambda *given: None)
    for base in ("system.clue: {a: 1, c: 4}", "system.clue.a: 1, system.clue.c: 4"):
        grid = tmp_path / "grid.yaml"
        grid.write_text(f"base: {{{base}}}\nrows:\n- {{name: one}}\n- {{name: other, set: {{system.clue.c: 5}}}}\n")
        asked.clear()
        s5eval.ablate(tmp_path / "out", grid=grid, system="silence", settings={"clue.b": 2, "clue.a": 3})
        found = [row.settings()["system"]["clue"] for row in asked]
        assert found == [{"a": 3, "b": 2, "c": 4}, {"a": 3, "b": 2, "c": 5}]


def test_ablate_runs_the_rows_of_a_grid(small_set: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("rows:\n- {name: one, set: {system.label: Cough}}\n- {name: two, set: {system.label: Blender}}\n")
    with pytest.raises(s5eval.UsageError, match="`system` is missing"):
        s5eval.ablate(tmp_path / "out", grid=grid, data=small_set)
    found = s5eval.ablate(tmp_path / "out", grid=grid, system="plugins:build", data=small_set)
    assert [row.name for row in found.rows] == ["one", "two"]
    assert found.rows[1].delta["source_accuracy"].value < 0
    assert all(row.seconds > 0 for row in found.rows), "a system without stages takes time, too"
    assert repr(found) == "<Ablation of plugins:build, 2 rows: one, two; differences to one>"
    assert (tmp_path / "out" / "table.md").is_file()
    assert s5eval.read_run(tmp_path / "out" / "rows" / "two").summary.n_scored == 5


def test_code_that_only_a_grid_file_names_is_run_by_no_ablation(
    small_set: Path, tmp_path: Path, s5eval: Callable[..., Any]
) -> None:
    import s5eval as face

    grid, out = tmp_path / "grid.yaml", tmp_path / "out"
    grid.write_text("system: plugins:build\nrows: [{name: one}]\n")
    with pytest.raises(face.UsageError, match=r"'plugins:build', which is code .* name it yourself: `system=plugins:b"):
        face.ablate(out, grid=grid, data=small_set, limit=1)
    refused = s5eval("ablate", grid, "--data", small_set, "--out", out)
    assert (refused.code, "name it yourself: --system plugins:build" in refused.err) == (2, True), refused.err
    assert f"grid {grid} names the system" in " ".join(refused.err.split()), "which of several files it was"
    assert not out.exists()
    assert face.ablate(out, grid=grid, system="plugins:build", data=small_set, limit=1).rows[0].error is None


def test_trust_in_checkpoints_is_recorded_and_no_setting_of_a_run_or_a_row(small_set: Path, tmp_path: Path) -> None:
    grid, rows = tmp_path / "grid.yaml", tmp_path / "out" / "rows"
    grid.write_text("rows: [{name: one}]\n")
    settings = {"label": "Pour", "trust_checkpoint": True}
    s5eval.ablate(tmp_path / "out", grid=grid, system="plugins:build", data=small_set, limit=1, settings=settings)
    s5eval.run("plugins:build", small_set, tmp_path / "run", limit=1, settings=settings)
    for made in (rows / "one", tmp_path / "run"):
        record = s5eval.read_run(made).record
        assert (record.config.settings, record.trusted_checkpoint) == ({"system": {"label": "Pour"}}, True)
    s5eval.run("plugins:build", small_set, tmp_path / "run", limit=1, settings=settings, go_on=True)


def test_validate_reports_and_never_raises_for_what_is_inside(tmp_path: Path) -> None:
    archive = tmp_path / "Choi_KAIST_task4_1.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("Choi_KAIST_task4_1/eval_results.json", "{}")
    report = s5eval.validate(archive)
    assert not report.ok
    assert "missing-file" in {found.rule for found in report.findings}
    assert re.fullmatch(
        r"<Report on \S+task4_1\.zip: invalid, [1-9]\d* errors, \d+ warnings?; see \.findings>", repr(report)
    )
    with pytest.raises(s5eval.UsageError, match="no zip or folder at"):
        s5eval.validate(tmp_path / "nothing.zip")
    with pytest.raises(s5eval.UsageError, match=r"holds Choi_KAIST_task4_1\.zip"):
        s5eval.validate(tmp_path)


def test_the_face_and_the_command_line_make_the_same_run(small_set: Path, tmp_path: Path, s5eval: Any) -> None:
    import s5eval as face

    arguments = (
        "--system",
        "plugins:build",
        "--data",
        small_set,
        "--out",
        tmp_path / "cli",
        "--set",
        "system.label=Pour",
    )
    assert s5eval("run", *arguments).code == 0
    here, there = face.run("plugins:build", small_set, tmp_path / "api", settings={"label": "Pour"}), tmp_path / "cli"
    assert here.summary == face.read_run(there).summary
    assert here.record.config == face.read_run(there).record.config


def test_a_made_up_array_can_be_run_through_everything(make_tables: Callable[..., Any]) -> None:
    (table,) = make_tables(1)
    score = s5eval.metrics.capi_sdri(
        table.pair_scores,
        estimate_labels=[s5eval.CLASSES[k] for k in np.argmax(table.class_scores, axis=1)],
        reference_labels=table.reference_labels,
    )
    assert score.n_entries >= len(score.pairs)
