"""What commands share: how `--help` is laid out, by what one wants to do, and what is said of words too many or few."""

import os
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import click

from s5eval.data_manifests.common.errors import UsageError

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "Data": (
        "data", "dataset", "split", "limit", "only", "mixtures", "recordings", "root", "layout", "classes", "order",
        "norm", "target_channel", "base_url", "strict",
    ),
    "System": (
        "system", "settings", "trust_checkpoint", "decision", "weights", "m2d_weights", "af_whisper_weights",
        "whisper_weights",
    ),
    "How it is run": (
        "batch_size", "device", "devices", "nodes", "threads", "workers", "engine", "address", "gpus_per_worker",
        "shard", "no_cache", "mixture_timeout", "retry_given_up", "share", "max_minutes", "checkpoint_minutes",
        "energy", "hook", "no_unpack", "repair", "keep_gb", "yes", "dry_run",
    ),
    "What is computed": (
        "metrics", "downmix", "published", "save_audio", "axes", "baseline", "rule", "objective", "weight", "folds",
        "shrinkage", "unlabelled", "source", "strength", "count", "rooms", "draws", "seed", "seconds",
    ),
    "Submission": (
        "author", "affiliation", "number", "systems", "dev_run", "nparams", "meta", "report", "template", "out_suffix",
        "no_folder", "compress", "no_audio", "no_profile",
    ),
    "What is accepted": (
        "allow_partial", "allow_untrained", "allow_test", "allow_different", "allow_other_system", "replace",
        "fail_if_worse",
    ),
    "Output": (
        "name", "to", "out", "place", "project", "online", "licence", "private", "resume", "bundle", "sounds",
        "figures", "figure", "schema", "as_json", "port", "open_browser",
    ),
}  # fmt: skip
"""Options by what they are about; every command shows those that it has."""

COMMAND_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Evaluate": ("run", "score", "merge", "check", "rescore"),
    "Look at": ("runs", "view", "report", "compare", "rank", "profile"),
    "Take along": ("export", "pack", "unpack", "weights"),
    "Improve": ("tune", "ablate", "train"),
    "Submit": ("submit", "host"),
    "Data and surroundings": ("data", "systems", "cache", "info"),
}
"""The commands of `s5eval` by what one wants to do."""


class Command(click.Command):
    """A command whose help groups its options and ends with an example; of a folder too many it says what takes it."""

    def __init__(self, *arguments: Any, example: str = "", **options: Any) -> None:
        """Take what `click.Command` takes, and `example`: what one types, on one line or several."""
        super().__init__(*arguments, **options)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of a call; those left over are refused here, since click knows no option that they go with."""
        ctx.allow_extra_args = True
        try:
            rest = super().parse_args(ctx, args)
        except click.MissingParameter as error:
            raise UsageError(self._missing(ctx, error.param)) from error
        if rest and not ctx.resilient_parsing:
            lacks_data = any(param.name == "data" for param in self.params) and not ctx.params.get("data")
            told = f"; a data set is given as --data {shlex.quote(rest[0])}"
            option = told if lacks_data and os.path.isdir(rest[0]) else ""  # noqa: PTH112 - no error for a long name
            raise click.UsageError(f"more arguments than this command takes: {' '.join(rest)}{option}", ctx)
        return rest

    def _missing(self, ctx: click.Context, param: click.Parameter | None) -> str:
        """That a word is missing which the command needs, what is expected there, and how a whole call looks."""
        name = "a word" if param is None else param.human_readable_name
        expected = ""
        if isinstance(param, click.Option):
            name = max(param.opts, key=len)
            expected = f" ({(param.help or '').rstrip('.')})" if param.help else ""
        if param is not None and isinstance(param.type, click.Choice):
            expected += f", expected {' or '.join(map(str, param.type.choices))}"
        example = f"for example: {self.example.splitlines()[0]}; " if self.example else ""
        return f"{name} is missing{expected}; {example}`{ctx.command_path} --help` lists all"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, then the example."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        rows = {option.name or "": row for option in options if (row := option.get_help_record(ctx))}
        _write_grouped(formatter, rows, HEADINGS, "Options")
        if self.example:
            with formatter.section("Example" if "\n" not in self.example else "Examples"):
                for line in self.example.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Group(click.Group):
    """A group whose help lists commands by section; its own commands are made as `Command`."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under the sections that they belong to."""
        found = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))}
        widest = max(map(len, found))
        limit = formatter.width - 6 - widest
        rows = {name: (name, command.get_short_help_str(limit)) for name, command in found.items()}
        _write_grouped(formatter, rows, COMMAND_SECTIONS, "Commands")


Group.group_class = Group


def _write_grouped(
    formatter: click.HelpFormatter,
    rows: Mapping[str, tuple[str, str]],
    headings: Mapping[str, Iterable[str]],
    rest: str,
) -> None:
    """Definition lists, aligned with each other; those of a heading in its order."""
    named = {name for names in headings.values() for name in names}
    groups = {heading: [rows[name] for name in names if name in rows] for heading, names in headings.items()}
    groups[rest] = [row for name, row in rows.items() if name not in named]
    widest = max((len(term) for term, _ in rows.values()), default=0)
    for heading, of_group in groups.items():
        if of_group:
            with formatter.section(heading):
                # click sets the second column by the longest term: a term is padded to that of all groups
                formatter.write_dl([(f"{term:{min(widest, 30)}}", text) for term, text in of_group])
