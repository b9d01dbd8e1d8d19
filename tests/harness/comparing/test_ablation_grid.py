"""Grid files: the shipped one, axes, rows, and every way to get one wrong."""

from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.comparing.ablation_grid import dotted_assignments, load_grid


def test_the_shipped_grid_has_ten_rows() -> None:
    grid = load_grid()
    assert grid.system == "multistage"
    assert grid.baseline == "1 stage"
    assert len(grid.rows) == 10
    assert [row.settings()["system"]["stages"] for row in grid.rows] == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert all(not row.settings()["system"]["af_whisper"] for row in grid.rows[:2])
    assert grid.rows[-1].name == "3 stages + AF-Whisper + tuned decision"
    assert grid.rows[-1].settings() == {
        "system": {"stages": 3, "af_whisper": True}, "decision": {"thresholds": "tuned"}
    }  # fmt: skip


def test_axes_can_be_chosen() -> None:
    assert [row.name for row in load_grid(axes=["stages"]).rows] == ["1 stage", "2 stages", "3 stages"]
    assert [row.name for row in load_grid(axes=["thresholds", "stages"]).rows][3] == "tuned decision + 1 stage"
    assert [row.name for row in load_grid(axes=["af-whisper"]).rows] == ["base", "AF-Whisper"]
    with pytest.raises(UsageError, match="did you mean 'stages'"):
        load_grid(axes=["stage"])


def test_encoders_of_frames_are_an_axis_of_their_own() -> None:
    rows = load_grid(axes=["stages", "frame-encoder"]).rows
    assert [row.name for row in rows] == [
        "1 stage", "2 stages", "2 stages + AF-Whisper", "2 stages + M2D frames",
        "3 stages", "3 stages + AF-Whisper", "3 stages + M2D frames",
    ]  # fmt: skip
    assert rows[3].settings()["system"] == {"stages": 2, "frame_encoder": "m2d"}


def test_the_spatial_filter_behind_is_an_axis_too() -> None:
    rows = load_grid(axes=["stages", "filter"]).rows
    assert [row.name for row in rows][:3] == ["1 stage", "1 stage + filter behind", "2 stages"]
    assert [row.settings()["system"]["spatial_filter"]["share"] for row in rows] == [0, 0.6] * 3


def test_a_grid_says_which_axes_are_usual(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    axes = "axes: {a: [{name: x, set: {system.a: 1}}], b: [{name: y, set: {system.b: 1}}]}\n"
    path.write_text(axes)
    assert [row.name for row in load_grid(path).rows] == ["x + y"]
    path.write_text(f"{axes}default: [b]\n")
    assert [row.name for row in load_grid(path).rows] == ["y"]
    path.write_text(f"{axes}default: [c]\n")
    with pytest.raises(UsageError, match="no axis 'c'"):
        load_grid(path)


def test_axes_that_set_one_key_to_two_values_are_not_combined(tmp_path: Path) -> None:
    """`1 stage + 2 stages` would be a run of two stages."""
    with pytest.raises(UsageError, match=r"axis stages sets system\.stages, and so does an axis before it"):
        load_grid(axes=["stages", "stages"])
    path = tmp_path / "grid.yaml"
    one, two = "a: [{name: x, set: {system.a: 1}}]", "b: [{name: y, set: {system.a: 2, system.b: 1}}]"
    path.write_text(f"axes: {{{one}, {two}}}\n")
    with pytest.raises(UsageError, match=r"axis b sets system\.a, and so does an axis before it"):
        load_grid(path)
    path.write_text(f"axes: {{{one}, {two.replace('2', '1', 1)}}}\n")
    assert [dict(row.assignments) for row in load_grid(path).rows] == [{"system.a": 1, "system.b": 1}]


def test_the_base_is_overridden_by_the_call_and_by_rows(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        "base: {system.a: 1, system.b: 1, system.c: 1}\nbaseline: y\nrows: [{name: x, set: {system.c: 3}}, {name: y}]\n"
    )
    grid = load_grid(path, base=dotted_assignments(["system.b=2", "system.c=2"]))
    assert [row.settings()["system"] for row in grid.rows] == [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 2}]
    assert grid.baseline == "y"


def test_a_name_may_be_a_number(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text("axes: {2026: [{name: 1}, {name: 0, set: {system.a: 1}}]}\nbaseline: 0\n")
    grid = load_grid(path)
    assert ([row.name for row in grid.rows], grid.baseline) == (["1", "0"], "0")
    assert load_grid(path, axes=["2026"], baseline="1").baseline == "1"
    assert load_grid(path, baseline=0).baseline == "0"  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no row '2' to be the baseline"):
        load_grid(path, baseline=2)  # type: ignore[arg-type]
    path.write_text("rows: [{name: , set: {system.a: 1}}]")
    assert [row.name for row in load_grid(path).rows] == ["base"], "no name, which is not the word None"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "expected a mapping"),
        ("rows: [{name: a}]\nrow: 1", "unknown key 'row'; did you mean 'rows'"),
        ("system: x", "either axes or rows"),
        ("rows: [{name: a}, {name: a}]", "repeat: a"),
        ("rows: []", "no rows"),
        ("rows: [{name: a, sets: {}}]", "unknown key 'sets'"),
        ("rows: [{name: a, set: [1]}]", "expected settings"),
        ("rows: [{name: a, set: {sistem.x: 1}}]", "did you mean 'system'"),
        ("rows: [{name: a}]\nbaseline: b", "no row 'b'"),
        ("axes: [1]", "axes must map"),
        ("axes: {x: 1}", "axis x: expected a list"),
        ("rows: [", "not readable as YAML"),
        ("axes: {1: [{name: a}]}\ndefault: [b]", r"no axis 'b' \(axes: 1\)"),
        (
            "rows: [{name: a, set: {system.since: 2026-01-01}}]",
            "system.since is read as .*; quote it",
        ),
        ("axes: {2026: [{name: a}], '2026': [{name: b}]}", "axes have names that are the same word: 2026, '2026'"),
        ("rows: [{name: a, set: {system.x: .nan}}]", "system.x is read as nan, which JSON cannot hold$"),
        ("base: {system.x: !!binary aGk=}\nrows: [{name: a}]", "base: system.x is read as b'hi'"),
    ],
)
def test_wrong_grids(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        load_grid(path)


def test_a_missing_grid(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_grid(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "value"), [("2e-3", 2e-3), ("1E5", 1e5), ("-1.5e-2", -0.015), ("3e", "3e"), ("e3", "e3"), ("12", 12)]
)
def test_numbers_with_an_exponent_need_no_point(text: str, value: object) -> None:
    assert dotted_assignments([f"system.b={text}"]) == {"system.b": value}
