"""`s5eval weights`: share folders of weights through a hub of models."""

from pathlib import Path

import click

from s5eval.data_manifests.common.words import counted
from s5eval.harness.command_line.help import Group
from s5eval.harness.command_line.options import PathType
from s5eval.harness.terminal import echo


@click.group("weights", cls=Group, short_help="Push weights to a hub of models, and pull them.")
def command() -> None:
    """Folders of weights on a hub: push one with a page made from its card, pull one and verify it."""


@command.command("push", example="s5eval weights push weights hf://kaist/s5-mini --licence cc-by-4.0 --private")
@click.argument("folder", type=PathType)
@click.argument("address", metavar="hf://OWNER/NAME[@BRANCH]")
@click.option("--licence", metavar="ID", help="An identifier of the hub, such as cc-by-4.0; default: unknown.")
@click.option("--private", is_flag=True, help="Make the repository for its owner alone.")
def push_command(folder: Path, address: str, licence: str | None, private: bool) -> int:
    """Send FOLDER, which must have a card.json, to the hub.

    Address and login are huggingface_hub's: HF_ENDPOINT, HF_TOKEN, or what its own `hf auth login` has stored.
    """
    from s5eval.harness.exporting.hub import parse_address
    from s5eval.harness.exporting.hub import push as send

    echo(f"pushed: {send(folder, parse_address(address), licence=licence, private=private)}")
    return 0


@command.command("pull", example="s5eval weights pull hf://kaist/s5-mini@v1 weights")
@click.argument("address", metavar="hf://OWNER/NAME[@REVISION]")
@click.argument("folder", type=PathType)
def pull_command(address: str, folder: Path) -> int:
    """Fetch weights into FOLDER, checked against their card.

    Nothing that could run code is taken.
    """
    from s5eval.harness.exporting.hub import parse_address
    from s5eval.harness.exporting.hub import pull as fetch

    names = fetch(parse_address(address), folder)
    echo(f"pulled: {folder} ({counted(len(names), 'file')}, verified); --set system.weights={folder} uses them")
    return 0
