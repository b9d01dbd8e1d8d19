"""The printed schema is that of the files: real run folders are valid, and damaged ones are not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from s5eval.harness.record.codec import MismatchError, from_json, to_json
from s5eval.harness.record.run_record import RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.schema import FILES, descriptions
from s5eval.harness.record.tables import MixtureScore

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.fixture
def validators(s5eval: Call) -> dict[str, Any]:
    jsonschema = pytest.importorskip("jsonschema")
    printed = s5eval("info", "--schema").json
    assert list(printed) == ["run", "summary", "mixtures"]
    for schema in printed.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    return {name: jsonschema.Draft202012Validator(schema) for name, schema in printed.items()}


@pytest.fixture
def runs(staged_set: Path, small_set: Path, tmp_path: Path, s5eval: Call) -> list[Path]:
    staged = ("run", "--system", "staged:build", "--data", staged_set)
    calls: dict[str, tuple[object, ...]] = {
        "all": (*staged, "--metrics", "all", "--save-audio", "--set", "decision.thresholds=tuned"),
        "failed": (*staged, "--set", "system.fail=m_03", "--limit", 5),
        "scored": ("score", small_set / "estimate", "--data", small_set),
        "bound": ("run", "--system", "oracle-gain", "--data", small_set),
    }
    for name, call in calls.items():
        assert s5eval(*call, "--out", tmp_path / name).code == (4 if name == "failed" else 0)
    assert s5eval("rescore", tmp_path / "all", "--out", tmp_path / "again").code == 0
    for path in (small_set / "oracle_target").iterdir():
        path.unlink()
    (small_set / "oracle_target").rmdir()
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "predicted").code == 0
    return [tmp_path / name for name in (*calls, "again", "predicted")]


def contents(run: Path) -> Iterator[tuple[str, Any]]:
    for name in ("run", "summary"):
        yield name, json.loads((run / f"{name}.json").read_text())
    for line in (run / "mixtures.jsonl").read_text().splitlines():
        yield "mixtures", json.loads(line)


def test_every_file_of_real_runs_is_valid_and_comes_back_as_it_was(
    runs: list[Path], validators: dict[str, Any]
) -> None:
    for run in runs:
        for name, content in contents(run):
            validators[name].validate(content)
            seal = {key: content[key] for key in ("files", "number", "sha256") if key in content}
            assert {**to_json(from_json(FILES[name], content)), **seal} == content, (run, name)


def test_schema_and_reader_agree_on_what_is_wrong(runs: list[Path], validators: dict[str, Any]) -> None:
    """Every key is taken away, and every leaf replaced by a list, in turn."""
    seen: set[tuple[str, str]] = set()
    for name, content in contents(runs[0]):
        for path in paths(content):
            shape = (name, "/".join("#" if isinstance(key, int) else key for key in path))
            if (
                shape in seen
                or path == ("number",)
                or path[-1] in ("sha256", "files")
                or path[0] in ("fingerprint", "files")
            ):
                continue
            seen.add(shape)
            for broken in (without(content, path), replaced(content, path)):
                assert reads(name, broken) == validators[name].is_valid(broken), (name, path)
    assert len(seen) > 250


def reads(name: str, content: object) -> bool:
    try:
        from_json(FILES[name], content)
    except MismatchError:
        return False
    return True


def paths(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from paths(value, (*at, key))


def without(content: Any, path: tuple[Any, ...]) -> Any:
    copy, node = parent(content, path)
    del node[path[-1]]
    return copy


def replaced(content: Any, path: tuple[Any, ...]) -> Any:
    copy, node = parent(content, path)
    node[path[-1]] = [[[[]]]]
    return copy


def parent(content: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    copy = json.loads(json.dumps(content))
    node = copy
    for key in path[:-1]:
        node = node[key]
    return copy, node


@pytest.mark.parametrize("kind", [RunRecord, Summary, MixtureScore])
def test_every_field_is_described(kind: type[Any]) -> None:
    assert is_dataclass(kind)
    assert {entry.name for entry in fields(kind)} <= descriptions(kind).keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_failed": None}, "'n_failed' is None, expected a whole number"),
        ({"status": "done"}, "'status' is 'done', expected one of 'running', 'complete', 'partial', 'failed'"),
        ({"metrics": {}}, "the key 'metrics.capi_sdri' is missing"),
        ({"n_scored": True}, "'n_scored' is True, expected a whole number"),
        ({"n_scored": 10**30}, "'n_scored' is 1000"),
        ({"set": ["a", 1]}, r"'set\[1\]' is 1, expected a text"),
        ({"undefined_reason": 3}, "'undefined_reason' is 3, expected a text or null"),
        ({"decomposition": {"value": "x"}}, "'decomposition.value' is 'x', expected a number"),
        ({"flags": [1]}, r"'flags' is \[1\], expected an object"),
    ],
)
def test_the_first_key_that_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    path = Path(__file__).parent / "recorded" / "version_2" / "scored" / "summary.json"
    with pytest.raises(MismatchError, match=message):
        from_json(Summary, {**json.loads(path.read_text()), **change})


def test_a_file_that_does_not_exist_is_refused_with_its_name(s5eval: Call) -> None:
    result = s5eval("info", "--schema", "sumary")
    assert (result.code, "did you mean 'summary'" in result.err) == (2, True)
    assert s5eval("info", "summary").code == 2
    assert s5eval("info", "--schema", "run").json["title"] == "RunRecord"
