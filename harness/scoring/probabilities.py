"""Whether the scores of candidates are probabilities, which priors and expected scores take them for."""

import numpy as np

from s5eval.harness.record.tables import PairTable


def no_probabilities(table: PairTable) -> str | None:
    """Why the class scores of a table are no probabilities, as a clause; None: they are."""
    if table.labels is not None:
        return "its candidates come with fixed classes, without scores of the others"
    if (table.class_scores < 0).any():
        return f"there is a negative one, {table.class_scores.min():.3g}"
    sums = table.class_scores.sum(axis=1)
    if (off := np.abs(sums - 1) > 1e-2).any():
        return (
            f"those of a candidate add up to {sums[off][0]:.3g} (the baseline, for one, scales them so that its "
            "confidences are the official ones)"
        )
    return None
