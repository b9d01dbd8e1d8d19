"""The shipped `mini` systems on the embedded test split, and on real mixtures where there are some.

The ablation table (stages x frame embeddings x thresholds) with paired intervals; the baseline of the same size beside
the three stages, with a paired interval; the same three on recordings nobody trained on. Some minutes on two cores.

    python tests/bench/bench_mini.py [--out FOLDER] [--real FOLDER] [--limit N]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

REAL = Path(__file__).parents[3] / "shared" / "audio" / "realtest"
"""Mixtures made of recordings; not part of the repository, and left out where they are not there."""

BASELINE = ("--system", "baseline-4c", "--set", "system.preset=mini")


def main(out: Path, real: Path | None, limit: tuple[str, ...] = ()) -> int:
    """Run everything below `out`; the exit code of the worst."""
    test = ("--dataset", "mini", "--split", "test", *limit)
    sets = {"test": test} if real is None else {"test": test, "real": ("--data", str(real), *limit)}
    codes = [call("ablate", *test, "--out", str(out / "ablation"))]
    for name, data in sets.items():
        print(f"\n{name}: three stages against the baseline", flush=True)
        pair = str(out / f"{name}-multistage"), str(out / f"{name}-baseline")
        codes.append(call("run", "--system", "multistage", *data, "--out", pair[0]))
        codes.append(call("run", *BASELINE, *data, "--out", pair[1]))
        codes.append(call("compare", pair[1], pair[0]))
    return max(codes)


def call(*words: str) -> int:
    """One command of s5eval, its table on standard output."""
    print(f"\n$ s5eval {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "s5eval.harness.cli", *words], check=False).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--real", type=Path, default=REAL if REAL.is_dir() else None)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    few = () if options.limit is None else ("--limit", str(options.limit))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(options.out or Path(folder), options.real, few))
