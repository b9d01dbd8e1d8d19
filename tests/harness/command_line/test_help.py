"""What `--help` shows: every command under a section, options under headings, and an example that can be typed."""

import importlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from s5eval.harness.cli import cli
from s5eval.harness.command_line.help import COMMAND_SECTIONS, HEADINGS, Command, Group

Call = Callable[..., Any]
ROOT = Path(__file__).parents[3]


def commands(group: click.Group = cli, *above: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)
        else:
            yield " ".join((*above, name)), command


ALL = dict(commands())


def test_every_command_stands_in_one_section() -> None:
    sectioned = [name for names in COMMAND_SECTIONS.values() for name in names]
    assert sorted(sectioned) == sorted(cli.commands)


def test_headings_name_every_option_and_none_that_is_not_there() -> None:
    named = [name for names in HEADINGS.values() for name in names]
    assert len(set(named)) == len(named)
    assert set(named) == {param.name for command in ALL.values() for param in command.params if _listed(param)}


def _listed(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and not param.hidden


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_what_it_does(name: str) -> None:
    assert [param.name for param in ALL[name].params if _listed(param) and not param.help] == []  # type: ignore[attr-defined]


NEEDED = [(name, param) for name, command in ALL.items() for param in command.params if param.required]


@pytest.mark.parametrize(("name", "param"), NEEDED, ids=[f"{name} {param.name}" for name, param in NEEDED])
def test_what_a_command_needs_and_lacks_is_named_with_what_is_expected_and_an_example(
    name: str, param: click.Parameter, s5eval: Call
) -> None:
    words: list[str] = []
    for other in ALL[name].params:
        if other.required and other is not param:
            values = other.type.choices[:1] if isinstance(other.type, click.Choice) else ["x"]
            words += [*other.opts[:1], *values] if isinstance(other, click.Option) else []
    words += ["x"] * sum(isinstance(other, click.Argument) and other is not param for other in ALL[name].params)
    refused = s5eval(*name.split(), *words)
    assert (refused.code, "Usage:" in refused.err, refused.err.count("\n")) == (2, False, 1), refused.err
    if isinstance(param, click.Option):
        assert refused.err.startswith(f"error: {param.opts[0]} is missing (")
        assert (param.help or "").rstrip(".") in refused.err
    else:
        assert " is missing" in refused.err
    assert f"; for example: s5eval {name} " in refused.err and f"{name} --help` lists all\n" in refused.err


def test_a_choice_that_is_missing_is_listed(s5eval: Call) -> None:
    assert "--to is missing (What to write), expected parquet or csv or " in s5eval("export", "run").err


@pytest.mark.parametrize("name", ALL)
def test_the_example_of_a_command_is_a_call_of_it(name: str) -> None:
    command = ALL[name]
    assert isinstance(command, Command) and command.example
    for number, line in enumerate(command.example.splitlines()):
        program, *typed = shlex.split(line)
        called = max((known for known in ALL if typed[: len(known.split())] == known.split()), key=len)
        assert program == "s5eval" and (number or called == name)  # what follows may show what to do with the result
        ALL[called].make_context(called, typed[len(called.split()) :])  # raises on what the command does not take


def test_options_are_grouped_and_none_is_lost(s5eval: Call) -> None:
    shown = s5eval("run", "--help").out
    for heading in ("Data:", "System:", "How it is run:", "What is computed:", "Output:", "Examples:"):
        assert f"\n{heading}\n" in shown
    for name, command in ALL.items():
        text = s5eval(*name.split(), "--help").out
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                assert sum(line.startswith(f"  {param.opts[0]} ") for line in text.splitlines()) == 1, param


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("data", "verify", "a set"),
            "more arguments than this command takes: a set; a data set is given as --data 'a set'",
        ),
        (("run", "a set", "more"), "more arguments than this command takes: a set more; a data set is given as --data"),
        (("data", "verify", "nowhere"), "more arguments than this command takes: nowhere\n"),
        (("data", "verify", "--data", "a set", "a set"), "more arguments than this command takes: a set\n"),
        (("run", 300 * "a"), "more arguments than this command takes: aaa"),
        (("check", "a set", "a set"), "more arguments than this command takes: a set\n"),
    ],
)
def test_a_folder_too_many_is_told_where_it_goes(
    s5eval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a set").mkdir()
    result = s5eval(*words)
    assert (result.code, said in result.err) == (2, True), result.err


def test_short_descriptions_are_whole_at_eighty_columns(s5eval: Call) -> None:
    for group in ((), *((name,) for name, command in cli.commands.items() if isinstance(command, Group))):
        rows = [line for line in s5eval(*group, "--help").out.splitlines() if line.startswith("  ")]
        assert not [row for row in rows if row.endswith("...")]


def test_among_the_commands_lie_commands_alone() -> None:
    """Each file is one command, a group of them or the rest of a group, in place, and none imports another."""
    above = [cli, *(command for command in cli.commands.values() if isinstance(command, Group))]
    registered = {id(command) for group in above for command in group.commands.values()}
    for file in (ROOT / "harness/commands").glob("[a-z]*.py"):
        module = importlib.import_module(f"s5eval.harness.commands.{file.stem}")
        own = module.commands if hasattr(module, "commands") else [module.command]
        assert registered.issuperset(map(id, own)), file.name
        assert "s5eval.harness.commands" not in file.read_text(), f"{file.name} imports another command"
