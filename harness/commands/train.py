"""`s5eval train`: train a system that ships by a recipe."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.number_type import NumberType
from s5eval.harness.command_line.options import PathType, energy_option, hook_option, hooks_of
from s5eval.harness.command_line.progress_bar import show_count
from s5eval.harness.process import goes_on_with, this_command
from s5eval.harness.terminal import echo

if TYPE_CHECKING:
    from s5eval.systems.hooks import Hook


@click.command(
    "train",
    cls=Command,
    example="s5eval train mini/uss --weights weights --set data.folder=RECORDINGS",
)
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--weights",
    type=PathType,
    default=Path("weights"),
    show_default=True,
    metavar="DIR",
    help="Folder that trained parts are exported to. A recipe reads the parts that it builds on from there.",
)
@click.option("--out", type=PathType, metavar="DIR", help="Checkpoints and logs; default: training/RECIPE.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Setting, such as steps=100, data.folder=D."
)
@click.option(
    "--share",
    type=NumberType(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the recipe's length: 0.1 tries it with a tenth of its steps and kept scenes.",
)
@click.option(
    "--max-minutes",
    type=NumberType(min=0),
    help="End this sitting after so many minutes; call again to go on. Default: none.",
)
@click.option(
    "--checkpoint-minutes",
    type=NumberType(min=0),
    default=2.0,
    show_default=True,
    help="Time from one checkpoint to the next: what a kill costs at the most.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--devices", default="auto", show_default=True, help="Devices (or CPU processes) of a node.")
@click.option("--nodes", default="auto", show_default=True, help="How many machines; torchrun or srun starts the rest.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of each process on a CPU; default: as torch chooses."
)
@click.option("--m2d-weights", type=PathType, metavar="FILE", help="Published M2D weights.")
@click.option(
    "--af-whisper-weights", type=PathType, metavar="DIR", help="A local copy of published AF-Whisper weights."
)
@click.option("--whisper-weights", type=PathType, metavar="DIR", help="A local copy of published Whisper weights.")
@energy_option
@hook_option
@click.option("--dry-run", is_flag=True, help="Print the resolved recipe, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result on standard output, for machines.")
def command(recipe: str, **options: Any) -> int:
    """Train parts of a system by RECIPE.

    Recipes: mini/encoder, m2d, segmentation, uss, dpc, adapt, names, tse2, names2, names3, tse3, refine;
    paper/uss, dpc, names, tse2, names2, tse3, refine; baseline/tagger, separator.

    A recipe builds on the parts that those before it have exported to the same --weights. An interrupted or killed
    training goes on from its last checkpoint when the same command is given again.
    """
    from s5eval.harness.record.config import parse_assignments
    from s5eval.systems.training.training_plan import read_plan

    plan = read_plan(recipe, parse_assignments(options["settings"]), share=options["share"])
    if options["dry_run"]:
        echo(json.dumps(plan.as_dict(), indent=1))
        return 0
    from s5eval.systems.training.loop import train
    from s5eval.systems.training.sitting import TrainingSitting

    devices, nodes = (int(text) if text.isdecimal() else text for text in (options["devices"], options["nodes"]))
    out = options["out"] or Path("training") / plan.name
    sitting = TrainingSitting(
        weights=options["weights"],
        out=out,
        device=options["device"],
        devices=devices,
        nodes=nodes,
        threads=options["threads"],
        max_minutes=options["max_minutes"],
        checkpoint_minutes=options["checkpoint_minutes"],
        m2d_weights=options["m2d_weights"],
        af_whisper_weights=options["af_whisper_weights"],
        whisper_weights=options["whisper_weights"],
        energy=options["energy"],
    )
    echo(f"training: {out}", err=True)
    hooks = hooks_of(options["hook"])
    with _show() as shown, goes_on_with(this_command()):
        hooks.add(shown)
        result = train(plan, sitting, hooks=hooks, say=lambda text: echo(text, err=True))
    if result.rank:
        return 0  # the first process speaks for all
    if options["as_json"]:
        content = {
            "step": result.step,
            "finished": result.finished,
            "seconds": result.seconds,
            "figures": dict(result.figures),
            "files": dict(result.digests),
        }
        echo(json.dumps(content, indent=1))
    elif result.finished:
        echo(f"{plan.name}: {counted(result.step, 'step')} done; exported to {options['weights']}")
    else:
        echo(f"{plan.name}: {result.step} of {plan.recipe.steps} steps done; the same command goes on from {out}")
    return 0


@contextmanager
def _show() -> "Iterator[Hook]":
    """How many steps are done, with the figures, on standard error; the last step always."""
    from s5eval.systems.hooks import Hook

    with show_count("step") as show:

        class Shown(Hook):
            def step(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
                note = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
                show(step, steps, note)
                if step == steps and not sys.stderr.isatty():
                    echo(f"step {step} of {steps}: {note}", err=True)

        yield Shown()
