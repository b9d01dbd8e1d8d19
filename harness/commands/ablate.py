"""`s5eval ablate`: run the rows of a grid."""

import sys
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.commands.options import PathType, data_options, show_progress, trust_option, with_trust


@click.command("ablate")
@click.argument("grid", required=False, type=PathType)
@click.option(
    "--grid", "axes", metavar="AXES", help="Axes to combine, such as stages,thresholds; default: all of the grid."
)
@click.option("--system", metavar="NAME", help="Installed system or module:factory; default: the grid's.")
@data_options
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting that all rows share.")
@trust_option
@click.option("--baseline", metavar="ROW", help="Row that the others are compared with; default: the first.")
@click.option("--batch-size", type=click.IntRange(min=1), default=1, show_default=True, help="Mixtures at once.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--out", type=PathType, help="Folder for rows and tables; called again, it goes on there.")
@click.option("--json", "as_json", is_flag=True, help="Print table.json on standard output, for machines.")
def command(grid: Path | None, **options: Any) -> int:
    """Run every row of GRID (a YAML file) and set the results side by side.

    Without GRID: number of stages x AF-Whisper x thresholds. Rows share stage results, so each is paid for once.
    OUT holds table.md, .csv, .tex, .json, .svg and .png, and a run folder per row. The exit code is 4 when a row
    failed; the others stand.
    """
    from s5eval.harness.comparing.ablation import ablate
    from s5eval.harness.comparing.ablation_files import write_ablation
    from s5eval.harness.comparing.ablation_grid import load_grid, parse_assignments
    from s5eval.harness.comparing.ablation_tables import ablation_table
    from s5eval.harness.record.config import RunConfig
    from s5eval.harness.runs.run import default_run_path

    axes = [name.strip() for name in (options["axes"] or "").split(",") if name.strip()]
    chosen = load_grid(
        grid,
        axes=axes,
        base=parse_assignments(with_trust(options["settings"], options["trust_checkpoint"])),
        baseline=options["baseline"],
    )
    system = options["system"] or chosen.system
    if system is None:
        raise UsageError("--system is missing, and the grid names none; `s5eval systems` lists what is installed")
    config = RunConfig(
        system=system,
        data=None if options["data"] is None else options["data"].expanduser().resolve(),
        **{name: options[name] for name in ("dataset", "split", "limit", "only", "strict", "batch_size", "device")},
    )
    run_path = default_run_path(config)
    out: Path = options["out"] or run_path.with_name(f"{run_path.name}_ablation")
    result = ablate(chosen, config, out, progress=show_progress, announce=_announce)
    write_ablation(result, out)
    if options["as_json"]:
        click.echo((out / "table.json").read_text(encoding="utf-8").rstrip())
    else:
        click.echo(ablation_table(result))
        click.echo(f"\ntables and figure: {out}/table.{{md,csv,tex,json,svg,png}}")
    return result.exit_code


def _announce(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(text, err=True)
