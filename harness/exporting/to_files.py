"""Parquet and CSV: a folder for each content, a file for each table, and `facts.json`.

Parquet keeps types and what is missing. In a CSV file a missing value is the bare word NA, a text that is empty is
nothing; numbers have as many digits as bring them back to the bit:

    pd.read_csv(file, dtype=…, keep_default_na=False, na_values=["NA"])
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.harness.exporting.content import Content
from s5eval.harness.exporting.export import missing, new_folder

if TYPE_CHECKING:
    import pandas as pd

NA = "NA"
"""What stands in a CSV file for a missing value."""


def write(content: Content, folder: Path, kind: Literal["parquet", "csv"]) -> str:
    """Write a content into a new folder below `folder`; returns that folder.

    Raises:
        UsageError: it is there already, or pyarrow is not installed.
        OSError: it cannot be written.
    """
    out = folder / content.name
    if kind == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise missing("pyarrow", error) from error
    with new_folder(out) as draft:
        for name, frame in content.tables.items():
            path = draft / f"{name}.{kind}"
            if kind == "parquet":
                frame.to_parquet(path, engine="pyarrow", index=False)
            else:
                frame.to_csv(path, index=False, na_rep=NA, lineterminator=_line_end(frame))
        facts = {**content.facts, "figures": dict(content.figures)}
        write_atomically(draft / "facts.json", json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return str(out)


def _line_end(frame: "pd.DataFrame") -> str:
    r"""What rows end with: Python before 3.13 quotes a text for the line ends of its own file alone, and readers end
    a row at a bare `\r`, which the error of a system may hold.
    """
    returns = any(frame[column].str.contains("\r", regex=False).any() for column in _texts(frame))
    return "\r\n" if returns else "\n"


def _texts(frame: "pd.DataFrame") -> Sequence[str]:
    """The columns that hold texts."""
    return list(frame.columns[(frame.dtypes == "string").to_numpy()])


def refuse_missing_word(contents: Sequence[Content]) -> None:
    """Refuse texts that would be read back from CSV as missing. Raises `UsageError`."""
    for content in contents:
        for name, frame in content.tables.items():
            for column in _texts(frame):
                if _holds(frame, column):
                    where = f"{content.name}: {name}.{column}"
                    raise UsageError(f"{where} holds the text {NA!r}, which means missing in CSV; use parquet")


def _holds(frame: "pd.DataFrame", column: str) -> bool:
    return bool((frame[column] == NA).fillna(value=False).any())
