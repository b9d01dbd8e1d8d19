"""Weights & Biases: one of its runs for each content, offline unless it is asked to send.

Tables are logged as `wandb.Table`, in pieces of ten thousand rows (`pairs`, `pairs_2`, …), since it cuts longer ones
off; figures stand in the run's summary, facts in its configuration.
"""

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
            for name, frame in content.tables.items():
                rows, columns = plain_rows(frame), list(frame.columns)
                size = wandb.Table.MAX_ROWS
                for piece, start in enumerate(range(0, max(len(rows), 1), size), start=1):
                    key = name if piece == 1 else f"{name}_{piece}"
                    table = wandb.Table(columns=columns, data=rows[start : start + size], allow_mixed_types=True)
                    run.log({key: table}, step=0)
            run.summary.update(dict(content.figures))
        return str(Path(run.dir).parent)
    except wandb.Error as error:
        raise DataError(f"wandb refuses {content.name}: {error}") from error
