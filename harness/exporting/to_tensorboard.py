"""TensorBoard: a folder of event files for each content.

Figures are scalars `summary/<name>`; of the table of mixtures, every column of numbers in dB or seconds is a series
`mixtures/<column>` whose steps are the rows. Scalars have 32 bits: the loader that TensorBoard starts with shows none
of 64, without a word. Whole and to the last bit stand the tables as texts `table/<name>` (JSON with columns and rows),
the figures as text `figures`, and the facts as `facts`.
"""

import json
from pathlib import Path

from s5eval.harness.exporting.content import Content, plain_rows
from s5eval.harness.exporting.export import Place, missing, new_folder


def write(content: Content, folder: Path, place: Place) -> str:
    """Write the event files of a content into a new folder below `folder`; returns that folder.

    Raises:
        UsageError: it is there already, or tensorboard is not installed.
        OSError: it cannot be written.
    """
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError as error:
        raise missing("tensorboard", error) from error
    out = folder / content.name
    with new_folder(out) as draft, SummaryWriter(str(draft)) as writer:
        for name, value in content.figures.items():
            writer.add_scalar(f"summary/{name}", value, 0, new_style=True)
        mixtures = content.tables.get("mixtures")
        for column in () if mixtures is None else mixtures.columns:
            if mixtures is not None and mixtures[column].dtype == "float64":
                for step, value in mixtures[column].dropna().items():
                    writer.add_scalar(f"mixtures/{column}", value, step, new_style=True)
        for name, frame in content.tables.items():
            table = {"columns": list(frame.columns), "data": plain_rows(frame)}
            writer.add_text(f"table/{name}", json.dumps(table, allow_nan=False), 0)
        writer.add_text("figures", json.dumps(dict(content.figures), allow_nan=False), 0)
        writer.add_text("facts", json.dumps(dict(content.facts), allow_nan=False), 0)
    return str(out)
