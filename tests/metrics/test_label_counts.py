from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from s5eval.metrics.capi import capi_sdri
from s5eval.metrics.casa import casa_sdr
from s5eval.metrics.label_counts import count_labels
from s5eval.metrics.sdr import pairwise_sdr


@pytest.mark.parametrize(
    ("estimate", "reference", "counts", "exact"),
    [
        ([], [], (0, 0, 0), True),
        (["Cough"], [], (0, 1, 0), False),
        ([], ["Cough"], (0, 0, 1), False),
        (["Pour", "Cough"], ["Cough", "Pour"], (2, 0, 0), True),
        (["Cough", "Cough"], ["Cough"], (1, 1, 0), False),
        (["Cough", "Cough", "Pour"], ["Cough", "Pour", "Pour"], (2, 1, 1), False),
    ],
)
def test_counts_are_of_multisets(
    estimate: list[str], reference: list[str], counts: tuple[int, int, int], exact: bool
) -> None:
    found = count_labels(estimate=estimate, reference=reference)
    assert (found.tp, found.fp, found.fn) == counts
    assert found.exact is exact


def from_tables(metric: Callable[..., Any]) -> Callable[..., Any]:
    """The metric of two rows of noise each, as a function of the labels alone."""
    rows = np.random.default_rng(0).normal(size=(5, 100))
    tables = pairwise_sdr(estimate=rows[:2], reference=rows[2:4], mixture=rows[4])
    return lambda estimate, reference: metric(tables, estimate_labels=estimate, reference_labels=reference)


@pytest.mark.parametrize("padding", ["silence", None])
@pytest.mark.parametrize("score", [count_labels, from_tables(capi_sdri), from_tables(casa_sdr)])
def test_rows_without_a_source_are_no_class(score: Callable[..., Any], padding: Any) -> None:
    """The official code pads its lists with silence; it was counted as a class that both sides have."""
    labels: Sequence[Any] = ["Cough", padding]
    with pytest.raises(ValueError, match=f"estimate 1 has the label {padding!r}: leave out"):
        score(estimate=labels, reference=["Cough", "Pour"])
    with pytest.raises(ValueError, match=f"reference 1 has the label {padding!r}: leave out"):
        score(estimate=["Cough", "Pour"], reference=labels)
