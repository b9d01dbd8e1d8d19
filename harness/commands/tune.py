"""`s5eval tune`: fit silence thresholds or an expected score to a run, or its priors to a data set without labels."""

import json
from pathlib import Path
from typing import Any

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.number_type import NumberType
from s5eval.harness.command_line.options import (
    PathType,
    RunType,
    given_options,
    json_option,
    read_workers,
    workers_option,
)
from s5eval.harness.terminal import echo

_OF_THRESHOLDS = ("workers", "objective", "weight", "shrinkage", "figure")
_LABELLED = (*_OF_THRESHOLDS, "rule", "folds", "seed")
_UNLABELLED = ("source", "strength")


@click.command(
    "tune",
    cls=Command,
    short_help="Fit a decision or priors to a run, without running it again.",
    example="s5eval tune runs/VALID --out thresholds.yaml",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunType)
@click.option(
    "--out",
    type=PathType,
    metavar="FILE",
    help="Decision file to write; default: RUN/thresholds.yaml.",
)
@click.option(
    "--rule",
    type=click.Choice(["thresholds", "expected_score"]),
    default="thresholds",
    show_default=True,
    help="What to fit: a silence threshold for every class, or how many of the likeliest candidates are worth keeping.",
)
@click.option(
    "--objective",
    type=click.Choice(["capi_sdri", "mixture_accuracy", "source_accuracy", "mix"]),
    default="capi_sdri",
    show_default=True,
    help="What to maximise.",
)
@click.option(
    "--weight",
    type=NumberType(min=0),
    default=0.1,
    show_default=True,
    help="For mix: dB of CAPI-SDRi that one percentage point of mixture accuracy is worth.",
)
@click.option("--folds", type=int, default=5, show_default=True, help="Parts of the cross-validation.")
@click.option(
    "--shrinkage",
    type=NumberType(min=0),
    default=50.0,
    show_default=True,
    help="Pull rare classes towards the common threshold: its weight, as a number of candidates.",
)
@workers_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of folds and search.")
@click.option("--allow-test", is_flag=True, help="Tune although the split forbids it; the file carries the mark.")
@click.option("--unlabelled", is_flag=True, help="Adapt class and silence priors instead; references are not used.")
@click.option(
    "--source",
    type=RunType,
    metavar="RUN0",
    help="With --unlabelled: a run of the same weights on data like those they were tuned for.",
)
@click.option(
    "--strength",
    type=NumberType(min=0),
    default=300.0,
    show_default=True,
    help="With --unlabelled: weight of the old priors, as a number of candidates.",
)
@click.option("--figure", type=PathType, metavar="FILE", help="A figure: .svg, .pdf, .png; without a suffix all three.")
@json_option
@click.pass_context
def command(context: click.Context, /, runs: tuple[Path, ...], **options: Any) -> int:
    """Fit class-specific silence thresholds to RUN, from its stored tables alone; to several together, mixture by
    mixture, where the thresholds have to serve them all. Shards of one run, all of them, are that run.

    With --rule expected_score, no threshold is fitted but a temperature of the class scores: of the candidates of a
    mixture as many are kept, the likeliest to be right first, as make the score to be expected the highest.

    With --unlabelled, RUN needs no references: how often every class and silence occurs in it is estimated from the
    system's own probabilities (expectation-maximisation), and these follow. Thresholds and expected score stay.

    The file it writes is for `s5eval run --decision FILE` and `s5eval rescore RUN --decision FILE --out RUN2`.
    """
    given = given_options(context)
    alone = sorted(given & ({*_LABELLED} if options["unlabelled"] else {*_UNLABELLED}))
    if alone:
        raise UsageError(f"--{alone[0]} {'does not go' if options['unlabelled'] else 'goes'} with --unlabelled")
    of_thresholds = sorted(given & {*_OF_THRESHOLDS})
    if of_thresholds and options["rule"] == "expected_score":
        raise UsageError(f"--{of_thresholds[0]} is of thresholds and does not go with --rule expected_score")
    run, *others = runs
    if options["unlabelled"]:
        if others:
            raise UsageError("--unlabelled adapts to one RUN; expected no other")
        return _adapt(run, options)
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.tuning.threshold_table import Objective
    from s5eval.harness.tuning.tune import tune_runs
    from s5eval.harness.tuning.tuned_table import tuning_table

    out: Path = options["out"] or run / "thresholds.yaml"
    with coherent(*runs):
        result = tune_runs(
            run,
            others=others,
            out=out,
            rule=options["rule"],
            objective=Objective(options["objective"], options["weight"]),
            folds=options["folds"],
            shrinkage=options["shrinkage"],
            seed=options["seed"],
            allow_test=options["allow_test"],
            workers=read_workers(options["workers"]),
        )
        if options["figure"] is not None:
            from s5eval.harness.tuning.threshold_curves import write_tuning_figure

            for path in write_tuning_figure(runs, result, options["figure"]):
                echo(f"figure: {path}", err=True)
    return _show(tuning_table(result), result.as_dict(), out, as_json=options["as_json"])


def _adapt(run: Path, options: dict[str, Any]) -> int:
    from s5eval.harness.record.reading import coherent
    from s5eval.harness.tuning.priors import adapt_priors
    from s5eval.harness.tuning.priors_table import priors_table

    out: Path = options["out"] or run / "priors.yaml"
    source: Path | None = options["source"]
    with coherent(*([run] if source is None else [run, source])):
        result = adapt_priors(
            run, source=source, out=out, strength=options["strength"], allow_test=options["allow_test"]
        )
    return _show(priors_table(result), result.as_dict(), out, as_json=options["as_json"])


def _show(table: str, content: dict[str, Any], file: Path, *, as_json: bool) -> int:
    from s5eval.harness.report.terminal_layout import fitted

    if as_json:
        echo(json.dumps({"file": str(file), **content}, indent=1))
    else:
        echo(fitted(table))
        echo(f"\ndecision file: {file}")
    return 0
