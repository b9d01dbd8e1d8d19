"""How often rank intervals hold the true ranks of a simulated challenge of 30 systems.

    python tests/bench/bench_ranks.py [--challenges 300] [--mixtures 1512] [--systems 30] [--resamples 2000]

Three fields: *spread* as the results of 2026 were, *close* (all within half a decibel) and *tied* (groups of five with
the same true value; all places of a group have to be held). Every mixture has a difficulty that all systems share; a
wrong label earns 0 dB; a sixth of the scenes is silent and counts only where a system hears something in it. The true
values are those of the distribution, so the true ranks are known. Beside it: percentiles of the ranks in resamples,
the interval that one would think of first. Goal: at least 93 % at 95 % (own intervals, mean over systems).
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from s5eval.metrics.ranks import rank_intervals

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from simulated_challenge import FIELDS, draw, percentile_ranks, true_places


def main() -> None:
    """Print coverage and mean width for every field."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("challenges", 300), ("mixtures", 1512), ("systems", 30), ("resamples", 2000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(f"{options.challenges} challenges of {options.systems} systems and {options.mixtures} mixtures")
    print(f"{'field':8s} {'intervals':12s} {'held, mean':>10s} {'held, least':>11s} {'all held':>9s} {'places':>7s}")
    for field in FIELDS:
        rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"own": [], "all at once": [], "percentiles": []}
        start = time.perf_counter()
        for seed in range(options.challenges):
            numerator, denominator, truth = draw(field, options.systems, options.mixtures, seed)
            places = true_places(truth)
            found = rank_intervals(numerator, denominator, resamples=options.resamples, seed=seed)
            naive = percentile_ranks(numerator, denominator, options.resamples, seed)
            for name, (low, high) in zip(
                rows, ((found.low, found.high), (found.low_all, found.high_all), naive), strict=True
            ):
                rows[name].append(((low <= places[0]) & (high >= places[1]), high - low + 1))
        for name, entries in rows.items():
            held = np.array([entry[0] for entry in entries])
            width = np.mean([entry[1] for entry in entries])
            mean, least, together = held.mean(), held.mean(axis=0).min(), held.all(axis=1).mean()
            print(f"{field:8s} {name:12s} {mean:10.1%} {least:11.1%} {together:9.1%} {width:7.1f}")
        print(f"{'':8s} {(time.perf_counter() - start) / options.challenges:.2f} s a challenge", flush=True)


if __name__ == "__main__":
    main()
