"""What priors adapted without labels are worth under known shifts: 0.5, `tune --unlabelled` and labelled tuning, with
thresholds and by expected score.

The mixtures of a run are cut into two halves. The first says what the old priors are, and is what thresholds and
expected score are tuned on with labels; of the second, three sets are drawn: as it is; mixtures of nine classes alone;
mixtures with at most one target four times as often. All from stored tables; without RUN, of the embedded `valid`'s
first mixtures.

    python tests/bench/bench_priors.py [RUN] [--seed N] [--limit N]
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.reading import read_run_record, read_scores
from s5eval.harness.record.run_folder import pairs_path
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.tuning.expected_tuning import tune_expected_score
from s5eval.harness.tuning.priors import OUTCOMES, expectation_maximisation, outcome_probabilities
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_tables
from s5eval.systems.decision import Decision

RESAMPLES = 2000


def main(run: Path, seed: int) -> None:
    """Print a table per set."""
    scores = read_scores(run)
    done = [id_ for id_ in read_run_record(run).mixtures if id_ in scores and scores[id_].status == "scored"]
    tables = [PairTable.load(pairs_path(run, id_)) for id_ in done]
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(tables))
    source = [tables[i] for i in order[: len(tables) // 2]]
    target = [tables[i] for i in order[len(tables) // 2 :]]
    half = set(rng.permutation(np.array(CLASSES))[:9].tolist())
    few = [table for table in target if len(table.reference_labels or ()) <= 1]
    sets = {
        "as it is": target,
        f"{', '.join(sorted(half))} alone": [t for t in target if set(t.reference_labels or ()) <= half],
        "mixtures with at most one target, four times": [*target, *few, *few, *few],
    }
    base = Decision()
    labelled = replace(tune_tables(source, base=base, objective=Objective()).decision, provenance=None)
    expected = replace(tune_expected_score(source, base=base).decision, provenance=None)
    old = outcome_probabilities(source, run).mean(axis=0)
    for name, chosen in sets.items():
        new, *_ = expectation_maximisation(outcome_probabilities(chosen, run), old)
        factors = {outcome: float(value) for outcome, value in zip(OUTCOMES, new / old, strict=True)}
        decisions = {
            "0.5": base,
            "unlabelled": replace(base, prior_factors=factors),
            "labelled, on the source": labelled,
            "expected score": expected,
            "the same, unlabelled": replace(expected, prior_factors=factors),
        }
        print(f"{name}: {len(chosen)} mixtures, half the distance of the priors {np.abs(new - old).sum() / 2:.2f}")
        reference = figures(chosen, base)
        for title, decision in decisions.items():
            values = figures(chosen, decision)
            print(f"  {title:24s} {described(values)}   {interval(reference, values, seed)}")


def embedded_run(out: Path, limit: int) -> Path:
    """A run of the shipped system on the embedded `valid` split."""
    words = ("run", "--system", "multistage", "--dataset", "mini", "--split", "valid", "--limit", str(limit))
    subprocess.run([sys.executable, "-m", "s5eval.harness.cli", *words, "--out", str(out)], check=True)
    return out


def figures(tables: Sequence[PairTable], decision: Decision) -> np.ndarray:
    """CAPI-SDRi (nan where undefined) and whether all labels are right, (N, 2)."""
    rows = []
    for table in tables:
        score = score_candidates("", table, decision)
        rows.append((np.nan if score.capi_sdri is None else score.capi_sdri, float(bool(score.exact))))
    return np.array(rows)


def described(values: np.ndarray) -> str:
    """Both figures in words."""
    return f"{np.nanmean(values[:, 0]):5.2f} dB, {100 * values[:, 1].mean():4.1f} % of mixtures"


def interval(before: np.ndarray, after: np.ndarray, seed: int) -> str:
    """The paired difference in dB with its 95 % bootstrap interval."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(before), size=(RESAMPLES, len(before)))
    drawn = np.nanmean(after[rows, 0], axis=1) - np.nanmean(before[rows, 0], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{np.nanmean(after[:, 0]) - np.nanmean(before[:, 0]):+.2f} [{low:+.2f}, {high:+.2f}] dB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(options.run or embedded_run(Path(folder) / "run", options.limit), options.seed)
