"""`s5eval tune`: fit silence thresholds to a run."""

import json
from pathlib import Path
from typing import Any

import click

from s5eval.harness.commands.options import PathType
from s5eval.harness.terminal import echo


@click.command("tune")
@click.argument("run", type=PathType)
@click.option("--out", type=PathType, metavar="FILE", help="Decision file to write; default: RUN/thresholds.yaml.")
@click.option(
    "--objective",
    type=click.Choice(["capi_sdri", "mixture_accuracy", "source_accuracy", "mix"]),
    default="capi_sdri",
    show_default=True,
    help="What to maximise.",
)
@click.option(
    "--weight",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="For mix: dB of CAPI-SDRi that one percentage point of mixture accuracy is worth.",
)
@click.option("--folds", type=int, default=5, show_default=True, help="Parts of the cross-validation.")
@click.option(
    "--shrinkage",
    type=click.FloatRange(min=0),
    default=50.0,
    show_default=True,
    help="Pull rare classes towards the common threshold, as so many candidates would.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of folds and search.")
@click.option("--allow-test", is_flag=True, help="Tune although the split forbids it; the file carries the mark.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object, for machines.")
def command(run: Path, **options: Any) -> int:
    """Fit class-specific silence thresholds to RUN, from its stored tables alone.

    The file it writes is for `s5eval run --decision FILE` and `s5eval rescore RUN --decision FILE --out RUN2`.
    """
    from s5eval.harness.record.run_folder import coherent
    from s5eval.harness.report.layout import fitted
    from s5eval.harness.tuning.table import tuning_table
    from s5eval.harness.tuning.threshold_table import Objective
    from s5eval.harness.tuning.tune import tune

    out: Path = options["out"] or run / "thresholds.yaml"
    with coherent(run):
        result = tune(
            run,
            out=out,
            objective=Objective(options["objective"], options["weight"]),
            folds=options["folds"],
            shrinkage=options["shrinkage"],
            seed=options["seed"],
            allow_test=options["allow_test"],
        )
    if options["as_json"]:
        echo(json.dumps({"file": str(out), **result.as_dict()}, indent=1))
        return 0
    echo(fitted(tuning_table(result)))
    echo(f"\ndecision file: {out}")
    return 0
