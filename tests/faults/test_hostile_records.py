"""Run folders as anybody may have made or damaged them: every command ends with one clear error that names the file."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sealed_files import edit_record

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.structured import check_shape, parse_json, read_json
from s5eval.data_manifests.common.yaml_text import load_yaml

Call = Callable[..., Any]
DEEP = "[" * 100_000 + "]" * 100_000
EXPECTED = {0, 2, 3, 4}  # done, refused, data wrong, mixtures failed; never 1, unexpected


@pytest.fixture
def finished(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    out = tmp_path / "run"
    assert s5eval("score", small_set / "estimate", "--data", small_set, "--out", out).code == 0
    return out


def commands(run: Path, out: Path) -> list[list[object]]:
    return [
        ["run", "--resume", run],
        ["rescore", run, "--out", out / "rescored"],
        ["report", run],
        ["compare", run, run],
        ["tune", run, "--out", out / "t.yaml"],
        ["submit", "build", run, "--dev-run", run, "--author", "A", "--affiliation", "B", "--out", out / "s"],
    ]


@pytest.mark.parametrize("file", ["run.json", "summary.json", "mixtures.jsonl"])
def test_json_nested_beyond_the_stack_is_one_clear_error(
    finished: Path, tmp_path: Path, s5eval: Call, file: str
) -> None:
    content = (finished / file).read_text()
    (finished / file).write_text(DEEP if file != "mixtures.jsonl" else DEEP + "\n" + content)
    for command in commands(finished, tmp_path):
        result = s5eval(*command)
        assert result.code in EXPECTED, (command, result.err)
        assert "RecursionError" not in result.err
        if file == "run.json":
            assert (result.code, "run.json: cannot be read as JSON: nested" in result.err) == (3, True)


def test_a_missing_key_is_named_with_its_file(finished: Path, s5eval: Call) -> None:
    edit_record(finished / "run.json", lambda record: record["about"].pop("dataset"))
    result = s5eval("report", finished)
    assert (result.code, "run.json: the key 'about.dataset' is missing" in result.err) == (3, True)


def paths(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from paths(value, (*at, key))


def damaged(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(content))
    node = copy
    for key in path[:-1]:
        node = node[key]
    if value is DEL:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return copy


DEL = object()
VALUES = (DEL, None, "x", -1, 1.5, [], {}, [[]], {"x": {"y": []}}, True, 10**30)


def sweep(finished: Path, tmp_path: Path, s5eval: Call, file: str, draws: int) -> None:
    original = (finished / file).read_text()
    rng = random.Random(file)
    lines = original.splitlines() if file == "mixtures.jsonl" else [original]
    for draw in range(draws):
        number = rng.randrange(len(lines))
        content = json.loads(lines[number])
        path, value = rng.choice(list(paths(content))), rng.choice(VALUES)
        text = json.dumps(damaged(content, path, value))
        (finished / file).write_text("\n".join([*lines[:number], text, *lines[number + 1 :]]) + "\n")
        command = commands(finished, tmp_path / f"{file}{draw}")[draw % 6]
        result = s5eval(*command)
        assert result.code in EXPECTED, (command[0], path, value, result.err)
        assert "Traceback" not in result.err
        (finished / file).write_text(original)
        if command[0] == "run":  # in place: what the resume did may have changed the files
            assert s5eval("rescore", finished).code == 0


@pytest.mark.parametrize("file", ["run.json", "summary.json", "mixtures.jsonl"])
def test_no_damaged_key_is_unexpected(finished: Path, tmp_path: Path, s5eval: Call, file: str) -> None:
    sweep(finished, tmp_path, s5eval, file, 12)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["run.json", "summary.json", "mixtures.jsonl"])
def test_no_damaged_key_is_unexpected_at_length(finished: Path, tmp_path: Path, s5eval: Call, file: str) -> None:
    sweep(finished, tmp_path, s5eval, file, 400)


@pytest.mark.parametrize("file", ["decision", "grid", "recipe", "set"])
def test_yaml_nested_beyond_the_stack_is_one_clear_error(
    small_set: Path, tmp_path: Path, s5eval: Call, file: str
) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 3_000)
    command: list[object] = {
        "decision": ["run", "--system", "silence", "--data", small_set, "--decision", path],
        "grid": ["ablate", path, "--data", small_set],
        "recipe": ["train", f"{path}:x", "--dry-run"],
        "set": ["run", "--system", "silence", "--data", small_set, "--set", "system.x=" + "[" * 3_000],
    }[file]  # type: ignore[assignment]
    result = s5eval(*command)
    assert (result.code, "unexpected" in result.err) == (2, False)


def test_the_reader_refuses_what_is_not_plain_data(tmp_path: Path) -> None:
    for text, message in (
        (DEEP, "nested"),
        ('{"a": NaN}', "NaN"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested"),
        ("{", "line 1"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_json(text)
    with pytest.raises(ValueError, match="nested"):
        load_yaml("[" * 3_000)
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"x\.json: cannot be read as JSON.*expected a card"):
        read_json(tmp_path / "x.json", what="a card")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "the key 'a' is missing"),
        ({"a": {"b": True}}, "'a.b' is True, expected a whole number"),
        ({"a": {"b": 1, "c": [1, "x"]}}, r"'a.c\[1\]' is 'x', expected a number"),
        ({"a": {"b": 10**30}}, "'a.b' is 10*, expected a whole number"),
        ([], "it holds .*, expected an object"),
    ],
)
def test_a_shape_names_the_first_key_that_is_wrong(content: object, message: str) -> None:
    with pytest.raises(DataError, match=f"f.json: {message}.*; do this"):
        check_shape(content, {"a": {"b": int, "c?": [float]}}, "f.json", "do this")
