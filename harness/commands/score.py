"""`s5eval score`: score the wavs of any system, or of many submissions at once."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import (
    WORKER_FIELDS,
    PathType,
    data_options,
    given_options,
    metrics_option,
    output_options,
    read_worker_options,
    refuse_folder_of_mini,
    resumed_folder,
    shard_option,
    worker_options,
)
from s5eval.harness.command_line.progress_bar import show_progress
from s5eval.harness.command_line.run_output import announcing, show_result
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo

if TYPE_CHECKING:
    from s5eval.harness.record.config import RunConfig


@click.command(
    "score",
    cls=Command,
    short_help="Score wavs, zips or submissions of anybody against references.",
    example=("s5eval score MY_WAVS --data DIR\ns5eval score TEAM1.zip TEAM2.zip --data DIR --out RANKING"),
)
@click.argument("estimates", nargs=-1, type=PathType)
@data_options
@metrics_option
@click.option(
    "--downmix", is_flag=True, help="Average estimates of several channels to one, as the official code does."
)
@click.option("--published", is_flag=True, help="Rank it among the published results of the challenge.")
@worker_options
@shard_option
@output_options
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Score a folder or zip of <mixture>_<i>_<Label>.wav files, or a challenge submission, against references.

    A mixture without files counts as "no target heard", and how many mixtures are answered stands beside the numbers.
    Of a run folder its audio/ is scored.
    The exit code is 4 when files could not be used, 3 when not one belongs to a mixture. Several ESTIMATES make a
    ranking; --out (and --resume) then name the folder that holds a run folder for each.
    """
    from s5eval.harness.runs.plan import default_run_path
    from s5eval.harness.runs.resume import resume
    from s5eval.harness.runs.run import start_run

    refuse_folder_of_mini(context)
    estimates: Sequence[Path] = options["estimates"]
    resumed = resumed_folder(options["out"], options["resume"])
    for path in estimates:
        if not path.exists():
            raise UsageError(f"no folder or zip of estimates at {path}")
    if not estimates and resumed is None:
        raise UsageError("name the folder or zip of estimates to score")
    has_data = options["data"] is not None or options["dataset"] == "mini"
    ranked = len(estimates) > 1 or (bool(estimates) and options["published"])
    begun = resumed is not None and not ranked and (resumed / "run.json").is_file()  # its data are on record
    if not has_data and (resumed is None or ranked):
        raise UsageError("--data DIR (or S5EVAL_DATA) is missing: the folder that holds the mixtures and references")
    if len(estimates) > 1 and options["name"] is not None:
        raise UsageError("--name names one run; a ranking takes the names of its files")
    typed = given_options(context)
    if not estimates and (alone := sorted(typed & {"downmix", "published"})):
        raise UsageError(f"--{alone[0]} is of ESTIMATES; name them again beside --resume")
    if ranked:
        return _rank(estimates, options, typed & {*_SHARED, *WORKER_FIELDS})
    config = _config(estimates[0], options) if estimates and (has_data or begun) else None
    if resumed is not None:
        values = _values(options)
        given = {name: values[name] for name in typed & values.keys()}
        if config is not None:
            given["settings"] = config.settings
        result = resume(resumed, given=given, fresh=config, progress=announcing(resumed))
    elif config is not None:
        out = options["out"] or default_run_path(config)
        result = start_run(config, out, progress=announcing(out))
    return show_result(result, options["as_json"])


_SHARED = {"data", "dataset", "metrics", "split", "limit", "only", "strict"}


def _config(estimates: Path, options: dict[str, Any]) -> "RunConfig":
    from s5eval.harness.comparing.ranking import submission_name
    from s5eval.harness.record.config import RunConfig

    values = _values(options)
    return RunConfig(
        system="folder",
        settings={"system": _settings(estimates, options["downmix"])},
        **{**values, "name": values["name"] or submission_name(estimates)},
    )


def _values(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of `RunConfig` that say nothing of the estimates."""
    return {
        **{name: options[name] for name in (*_SHARED, "name", "shard")},
        **read_worker_options(options),
    }


def _settings(estimates: Path, downmix: bool) -> dict[str, Any]:
    from s5eval.systems.estimates import place_of_estimates

    path = str(place_of_estimates(estimates))
    return {"path": path, "downmix": True} if downmix else {"path": path}


def _rank(estimates: Sequence[Path], options: dict[str, Any], typed: set[str]) -> int:
    from s5eval.harness.comparing.ranking import rank
    from s5eval.harness.comparing.ranking_files import write_ranking
    from s5eval.harness.comparing.ranking_table import ranking_table
    from s5eval.harness.report.terminal_layout import fitted
    from s5eval.harness.runs.plan import default_run_path

    folder = options["resume"] or options["out"]
    if folder is None:
        folder = default_run_path(replace(_config(estimates[0], options), name="ranking"))
    echo(f"runs: {folder}", err=True)
    with goes_on_with(this_command("--resume", folder)):
        ranking = rank(
            estimates,
            lambda path: _config(path, options),
            folder,
            resuming=None if options["resume"] is None else {*typed, "settings"},
            progress=show_progress,
        )
    page = write_ranking(ranking, folder)[1]
    if options["as_json"]:
        echo(json.dumps(ranking.as_dict(), indent=1))
    else:
        echo(fitted(ranking_table(ranking)))
        if options["published"] and not (ranking.published or ranking.note):
            echo("\nno published results on these mixtures: they are of the official splits")
        echo(f"\nruns: {ranking.out}\npage: {page}")
    return ranking.exit_code
