"""Time and memory of tuning thresholds on made-up tables: 1,512 mixtures, 3 candidates, 18 classes.

    python tests/bench/bench_tune.py [--mixtures 1512] [--candidates 3]

Tuned is twice: tables in memory (the search and its cross-validation), and a run folder (reading its tables
too). Goal: under 5 s and 500 MB.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_runs, tune_tables
from s5eval.metrics.sdr import PairScores
from s5eval.systems.decision import Decision

SECONDS, MEGABYTES = 5.0, 500.0


def made_up_table(rng: np.random.Generator, candidates: int) -> PairTable:
    """One mixture with 0 to 3 references and as many good candidates."""
    count = int(rng.integers(0, 4))
    references = rng.integers(0, len(CLASSES), count)
    mixture = rng.normal(-3, 4, count)
    sdr = rng.normal(-8, 3, (candidates, count))
    silence = rng.beta(4, 1.2, candidates)
    scores = rng.random((candidates, len(CLASSES)))
    for r, k in zip(range(count), rng.permutation(candidates), strict=False):
        sdr[k, r] = mixture[r] + rng.normal(9, 4)
        silence[k] = rng.beta(1.2, 4)
        scores[k, references[r]] = 2.0 * (rng.random() < 0.8)
    pairs = PairScores(sdr, mixture, mixture, np.eye(candidates), np.ones(candidates), np.ones(count))
    return PairTable(pairs, scores, silence, None, tuple(CLASSES[k] for k in references))


def write_run(path: Path, tables: list[PairTable]) -> None:
    """A run folder that holds these tables."""
    ids = [f"m_{k:05d}" for k in range(len(tables))]
    decision = Decision()
    about = {"system": "made-up", "weights": "none", "dataset": "made-up", "split": "valid", "tune": "allowed"}
    with RunFolder.open_new(path) as folder:
        folder.write_run(
            {
                "schema_version": 1,
                "status": "complete",
                "config": {"system": "made-up"},
                "about": about,
                "decision": decision.as_dict(),
                "mixtures": ids,
                "n_expected": len(ids),
                "manifest_sha256": "",
            }
        )
        for id_, table in zip(ids, tables, strict=True):
            folder.append(score_candidates(id_, table, decision), table)


def main() -> None:
    """Measure, print one JSON object, and end with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=int, default=1512)
    parser.add_argument("--candidates", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(2026)
    tables = [made_up_table(rng, options.candidates) for _ in range(options.mixtures)]
    start, cpu = time.perf_counter(), time.process_time()
    tune_tables(tables, base=Decision(), objective=Objective())
    figures = {"tables_s": time.perf_counter() - start, "tables_cpu_s": time.process_time() - cpu}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run, tables)
        start, cpu = time.perf_counter(), time.process_time()
        tune_runs(run)
        figures |= {"run_s": time.perf_counter() - start, "run_cpu_s": time.process_time() - cpu}
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"bench": "tune", "mixtures": options.mixtures, **{k: round(v, 2) for k, v in figures.items()}}))
    if figures["tables_s"] > SECONDS or figures["peak_mb"] > MEGABYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
