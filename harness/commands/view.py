"""`s5eval view`: runs in a browser of this machine."""

from collections.abc import Sequence
from pathlib import Path

import click

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.command_line.help import Command
from s5eval.harness.command_line.options import PathType
from s5eval.harness.terminal import echo


@click.command(
    "view",
    cls=Command,
    short_help="See and hear runs in a browser, move thresholds, set two side by side.",
    example="s5eval view runs --open",
)
@click.argument("folders", nargs=-1, metavar="[RUN | FOLDER]...", type=PathType)
@click.option(
    "--data",
    type=PathType,
    multiple=True,
    metavar="DIR",
    help="Where the audio of the data is, in place of the folder that the run has recorded; may be repeated.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of 127.0.0.1; default: any that is free.")
@click.option("--open/--no-open", "open_browser", help="Open the address in the browser; default: print it alone.")
def command(folders: Sequence[Path], data: Sequence[Path], port: int, open_browser: bool) -> int:
    """See and hear runs in a browser: RUNs, or all below FOLDERs (default: runs).

    It serves this machine alone, under an address with a token, until ctrl-C. A run that is being made may be watched.
    """
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the viewer needs {' and '.join(missing)}: pip install 's5eval[view]'")
    given = list(folders) or [Path("runs")]
    for folder in (*given, *data):
        if not folder.is_dir():
            if folder.is_file():
                raise UsageError(
                    f"{folder} is a file; of a packed run `s5eval unpack {folder} --out RUN` makes a folder"
                )
            raise UsageError(f"no folder at {folder}; name a run, or one that holds runs")
    from s5eval.harness.view.serve import serve

    serve(given, data=data, port=port, open_browser=open_browser, say=_say, warn=_warn)
    return 0


def _say(address: str) -> None:
    echo(f"{address}\nctrl-C ends it")


def _warn(text: str) -> None:
    echo(text, err=True)
