"""What the pages promise: all commands and exit codes, all of the public face, and checks that would see a fault."""

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The checks of `make docs`."""
    return _load(DOCS / "hooks.py")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_of_the_table_are_those_that_exist() -> None:
    from s5eval.harness.cli import cli

    table = (DOCS / "commands.md").read_text().partition("| command |")[2].partition("\n\n")[0]
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z]+)`", row.split("|")[1])}
    assert listed == set(cli.commands)


def test_every_exit_code_of_an_error_is_in_the_table() -> None:
    from s5eval.data_manifests.common.errors import S5Error
    from s5eval.harness import errors as _harness_errors  # noqa: F401
    from s5eval.submissions import errors as _submission_errors  # noqa: F401

    def codes(cls: type[S5Error]) -> set[int]:
        return {cls.exit_code}.union(*(codes(child) for child in cls.__subclasses__()))

    table = (DOCS / "commands.md").read_text().partition("| code |")[2].partition("\n\n")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert codes(S5Error) <= listed
    assert {0, 4, 130} <= listed


@pytest.mark.parametrize("face", ["s5eval", "s5eval.metrics"])
def test_the_python_page_shows_the_whole_face(face: str) -> None:
    page = (DOCS / "python.md").read_text()
    shown = set(re.findall(rf"^::: {re.escape(face)}\.(\w+)$", page, re.MULTILINE))
    assert shown | {"metrics"} == {*importlib.import_module(face).__all__, "metrics"}


@pytest.mark.parametrize("face", ["s5eval", "s5eval.metrics"])
def test_every_public_object_has_a_docstring(hooks: ModuleType, face: str) -> None:
    assert list(hooks.undocumented(importlib.import_module(face))) == []


def test_a_missing_docstring_is_seen(hooks: ModuleType) -> None:
    module = ModuleType("face")
    code = '''
from dataclasses import dataclass
__all__ = ["plain", "Told", "Untold", "Record"]
def plain(): ...
class Told:
    """Told."""
    def method(self): ...
    def _private(self): ...
    @property
    def value(self): ...
class Untold(Told):
    pass
@dataclass
class Record:
    x: int
'''
    exec(code, module.__dict__)
    assert set(hooks.undocumented(module)) == {
        "face",
        "face.plain",
        "face.Told.method",
        "face.Told.value",
        "face.Untold",
        "face.Record",
    }


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/x.js">',
        "<img alt='' src='//example.org/x.png'>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link href="//fonts.example/css" rel="stylesheet">',
    ],
)
def test_a_page_that_loads_from_elsewhere_is_seen(hooks: ModuleType, tag: str) -> None:
    assert hooks.loads_from_elsewhere(f"<html>{tag}</html>")


@pytest.mark.parametrize(
    "tag", ['<a href="https://example.org">', '<script src="js/theme.js">', '<link rel="stylesheet" href="css/x.css">']
)
def test_links_and_local_files_are_no_fault(hooks: ModuleType, tag: str) -> None:
    assert not hooks.loads_from_elsewhere(f"<html>{tag}</html>")


def test_doctests_are_fenced_up_to_their_end() -> None:
    pytest.importorskip("griffe")
    fenced = _load(DOCS / "doctests.py").fenced
    lines = ["One.", "", ">>> f(", "...     1)", "2", "", "More.", ">>> g()"]
    assert list(fenced(lines)) == [
        "One.", "", "```pycon", ">>> f(", "...     1)", "2", "```", "", "More.", "```pycon", ">>> g()", "```"
    ]  # fmt: skip


def test_every_page_is_in_the_navigation() -> None:
    config = yaml.safe_load((ROOT / "properdocs.yml").read_text())

    def pages(entries: list[dict[str, object]]) -> list[str]:
        values = [value for entry in entries for value in entry.values()]
        return [page for value in values for page in (pages(value) if isinstance(value, list) else [str(value)])]

    listed = pages(config["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


@pytest.mark.parametrize("name", sorted(path.name for path in (DOCS / "decisions").glob("*.md")))
def test_every_decision_is_in_the_list_of_decisions(name: str) -> None:
    assert name == "README.md" or f"]({name})" in (DOCS / "decisions" / "README.md").read_text()


def test_the_overview_leads_to_every_page() -> None:
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([a-z]+\.md)", (DOCS / "index.md").read_text()))


def test_what_builds_the_pages_is_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert {re.split(r"[\[>]", requirement)[0] for requirement in extras["docs"]} <= pinned
    assert "torch==2.13.0" in lines


def test_warnings_of_the_build_are_errors() -> None:
    (line,) = re.findall(r"properdocs build(.*)", (ROOT / "Makefile").read_text())
    assert "--strict" in line
    assert "--quiet" not in line  # quiet warnings are not counted
