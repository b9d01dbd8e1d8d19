"""Weights & Biases: one of its runs for each content, offline unless it is asked to send.

Tables are logged as `wandb.Table`, in pieces of ten thousand rows (`pairs`, `pairs_2`, …), since it cuts longer ones
off; figures stand in the run's summary, facts in its configuration.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.exporting.content import Content, plain_rows
from s5eval.harness.exporting.export import Place, missing


def write(content: Content, folder: Path, place: Place) -> str:
    """Write a content below `folder`, and send it where `place.online` says so.

    Returns:
        The folder of W&B's run.

    Raises:
        UsageError: wandb is not installed.
        DataError: wandb refuses.
    """
    try:
        import wandb
    except ImportError as error:
        raise missing("wandb", error) from error
    settings: Any = wandb.Settings(
        mode="online" if place.online else "offline",
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
    )
    try:
        run = wandb.init(
            dir=str(folder), project=place.project, name=content.name, config=dict(content.facts), settings=settings
        )
        with run:
            run.log({key: table for name in content.tables for key, table in _pieces(wandb, content, name)})
            run.summary.update(dict(content.figures))
        wandb.teardown()  # its own process writes on after the run has ended: whoever reads now would see a part
        return str(Path(run.dir).parent)
    except wandb.Error as error:
        raise DataError(f"wandb refuses {content.name}: {error}") from error


def _pieces(wandb: Any, content: Content, name: str) -> Iterator[tuple[str, Any]]:
    """A table as W&B's, in as many as its limit asks for."""
    frame, size = content.tables[name], wandb.Table.MAX_ROWS
    rows, columns = plain_rows(frame), list(frame.columns)
    for piece, start in enumerate(range(0, max(len(rows), 1), size), start=1):
        key = name if piece == 1 else f"{name}_{piece}"
        yield key, wandb.Table(columns=columns, data=rows[start : start + size], allow_mixed_types=True)
