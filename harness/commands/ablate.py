"""`s5eval ablate`: run the rows of a grid."""

from pathlib import Path
from typing import Any

import click

from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import (
    PathType,
    data_options,
    read_worker_options,
    timeout_option,
    trust_option,
    worker_options,
)
from s5eval.harness.command_line.progress_bar import show_progress
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo, plugin_output, showing_warnings_of


@click.command(
    "ablate",
    cls=Command,
    short_help="Run the rows of a grid and set them side by side.",
    example="s5eval ablate --axes stages,thresholds --limit 96 --out TABLES",
)
@click.argument("grid", required=False, type=PathType)
@click.option(
    "--axes", metavar="AXES", help="Axes of the grid to combine, such as stages,thresholds; default: the grid's."
)
@click.option("--system", metavar="NAME", help="Installed system or module:factory; default: the grid's.")
@data_options
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting that all rows share.")
@trust_option
@timeout_option
@click.option("--baseline", metavar="ROW", help="Row that the others are compared with; default: the first.")
@worker_options
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Mixtures at once.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--out", type=PathType, help="Folder for rows and tables; called again, it goes on there.")
@click.option("--json", "as_json", is_flag=True, help="Print table.json on standard output, for machines.")
def command(grid: Path | None, **options: Any) -> int:
    """Run every row of GRID (a YAML file) and set the results side by side.

    Without GRID: number of stages x AF-Whisper x thresholds. Rows share stage results, so each is paid for once.
    OUT holds table.md, .csv, .tex, .json, .svg, .pdf and .png, and a run folder per row. The exit code is 4 when a row
    failed; the others stand.
    """
    from s5eval.harness.comparing.ablation_files import write_ablation
    from s5eval.harness.comparing.ablation_grid import dotted_assignments, load_grid, system_of
    from s5eval.harness.comparing.ablation_running import run_grid
    from s5eval.harness.comparing.ablation_tables import ablation_table
    from s5eval.harness.record.config import TRUST, RunConfig, parse_settings, take_trust
    from s5eval.harness.report.terminal_layout import fitted
    from s5eval.harness.runs.plan import default_run_path
    from s5eval.systems.registry import code_named
    from s5eval.systems.stage_store import LOGGER as STORE_LOGGER

    axes = [name.strip() for name in (options["axes"] or "").split(",") if name.strip()]
    _, trusted = take_trust(parse_settings(options["settings"]), options["trust_checkpoint"])
    base = dotted_assignments(options["settings"])
    chosen = load_grid(
        grid,
        axes=axes,
        base={key: value for key, value in base.items() if key != f"system.{TRUST}"},
        baseline=options["baseline"],
        trusted=code_named(parse_settings(options["settings"]).get("system")),
    )
    config = RunConfig(
        system=system_of(chosen, options["system"]),
        trust_checkpoint=trusted,
        mixture_timeout=options["mixture_timeout"],
        **{name: options[name] for name in ("data", "dataset", "split", "limit", "only", "strict")},
        **{name: options[name] for name in ("batch_size", "device")},
        **read_worker_options(options),
    )
    run_path = default_run_path(config)
    out: Path = options["out"] or run_path.with_name(f"{run_path.name}_ablation")
    home = out.absolute()  # a system may change the working folder
    echo(f"folder: {out}", err=True)
    with goes_on_with(this_command("--out", out)), plugin_output(), showing_warnings_of(STORE_LOGGER):
        result = run_grid(chosen, config, home, progress=show_progress, announce=_announce)
    write_ablation(result, home)
    if options["as_json"]:
        echo((home / "table.json").read_text(encoding="utf-8").rstrip())
    else:
        echo(fitted(ablation_table(result)))
        echo(f"\ntables and figure: {out}/table.{{md,csv,tex,json,svg,pdf,png}}")
    return result.exit_code


def _announce(text: str) -> None:
    echo(text, err=True)
