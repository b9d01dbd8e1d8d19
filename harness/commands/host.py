"""`s5eval host`: score a submission as a platform that hosts a challenge wants it."""

import json
from pathlib import Path

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.options import PathType
from s5eval.harness.terminal import echo


@click.group("host", cls=Group, short_help="Score submissions on CodaBench and EvalAI.")
def command() -> None:
    """For organisers: what the containers run. A submission with a bad file gets reasons in place of a score."""


@command.command(
    "codabench",
    short_help="Score /app/input into /app/output.",
    example="s5eval host codabench /app/input /app/output",
)
@click.argument("input_folder", metavar="INPUT", type=PathType, default=Path("/app/input"))
@click.argument("output", metavar="OUTPUT", type=PathType, default=Path("/app/output"))
def codabench(input_folder: Path, output: Path) -> int:
    """Score INPUT/res against INPUT/ref; OUTPUT gets scores.json, scores.txt and detailed_results.html."""
    from s5eval.harness.hosting.codabench import score_codabench

    if not input_folder.is_dir():
        raise UsageError(f"no folder at {input_folder}; it holds ref/ and res/")
    echo(json.dumps(score_codabench(input_folder, output), indent=1))
    return 0


@command.command(
    "evalai",
    short_help="Print what EvalAI's `evaluate` returns.",
    example="s5eval host evalai REFERENCES.zip SUBMISSION.zip test",
)
@click.argument("annotations", metavar="REFERENCES", type=PathType)
@click.argument("submission", type=PathType)
@click.argument("phase")
def evalai(annotations: Path, submission: Path, phase: str) -> int:
    """Score SUBMISSION against REFERENCES (zips or folders) for the phase of this code name."""
    from s5eval.harness.hosting.evalai import evaluate

    for path in (annotations, submission):
        if not path.exists():
            raise UsageError(f"no zip or folder at {path}")
    echo(json.dumps(evaluate(str(annotations), str(submission), phase), indent=1))
    return 0
