"""What exports are compared with: the tables of a run as they are exported, and rows of JSON against a frame."""

from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.testing import assert_frame_equal

from s5eval.harness.exporting.content import TABLES

if TYPE_CHECKING:
    from s5eval import Run


def frames(run: "Run") -> dict[str, pd.DataFrame]:
    """The tables of a run as they are exported: what was an index is a column."""
    found = {name: getattr(run, name) for name in TABLES}
    return {name: frame if frame.index.name is None else frame.reset_index() for name, frame in found.items()}


def assert_rows_equal(columns: list[str], rows: list[list[Any]], wanted: pd.DataFrame) -> None:
    """JSON's rows against a frame: the same values to the bit, null for what is missing."""
    assert columns == list(wanted.columns)
    back = pd.DataFrame(
        {name: pd.Series([row[k] for row in rows], dtype=wanted[name].dtype) for k, name in enumerate(columns)}
    )
    assert_frame_equal(back, wanted, check_exact=True)
