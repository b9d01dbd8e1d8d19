"""A pair table comes back as it was saved, however its arrays lay in memory, or not at all."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.record.tables import PairTable
from s5eval.metrics.sdr import PairScores

Array = np.ndarray[Any, np.dtype[np.float64]]
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "a view": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
}


@pytest.mark.parametrize("labels", [None, ("Speech", "Cough", "Speech")])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_table_comes_back_as_it_was_saved(
    tmp_path: Path,
    make_tables: Callable[..., list[PairTable]],
    layout: Callable[[Array], Array],
    labels: tuple[str, ...] | None,
) -> None:
    for made_up in make_tables(6):
        pairs = {entry.name: layout(getattr(made_up.pair_scores, entry.name)) for entry in fields(PairScores)}
        table = replace(
            made_up, pair_scores=PairScores(**pairs), class_scores=layout(made_up.class_scores), labels=labels
        )
        found = PairTable.load(tmp_path / "m.npz", table.save(tmp_path / "m.npz"))
        for name, array in pairs.items():
            assert np.array_equal(getattr(found.pair_scores, name), array), name
        assert np.array_equal(found.class_scores, made_up.class_scores)
        assert np.array_equal(found.p_silence, made_up.p_silence)
        assert (found.labels, found.reference_labels) == (labels, made_up.reference_labels)


def test_a_table_of_another_digest_is_refused(tmp_path: Path, make_tables: Callable[..., list[PairTable]]) -> None:
    first, second = (table.save(tmp_path / "m.npz") for table in make_tables(2))
    assert PairTable.load(tmp_path / "m.npz", second)
    with pytest.raises(DataError, match="its digest is another one"):
        PairTable.load(tmp_path / "m.npz", first)
