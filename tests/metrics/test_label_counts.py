import pytest

from s5eval.metrics.label_counts import count_labels


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
