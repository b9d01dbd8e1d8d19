"""Tune silence thresholds on one split, and check on another what they bring over 0.5.

    python examples/thresholds.py [FOLDER]

The system is that of `own_system.py`, made too shy for quiet sounds: it drops many that are there. Tuning reads the
stored tables of a run; no system is asked again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up import in_folder, write_scenes
from own_system import LoudBands

import s5eval


class Shy(LoudBands):
    """Doubts what it hears."""

    def separate(self, foa: np.ndarray) -> s5eval.Candidates:
        """As its parent, but everything seems more silent."""
        heard = super().separate(foa)
        return s5eval.Candidates(heard.audio, heard.class_scores, heard.p_silence**0.15)


def build(config: Mapping[str, Any], device: str) -> Shy:
    """What `thresholds:build` names."""
    return Shy(**config)


def made_up_scenes(seed: int, count: int) -> dict[str, Sequence[str]]:
    """Ids with one to three labels each, now and then with none."""
    rng = np.random.default_rng(seed)
    labels = np.array(s5eval.CLASSES[:6])
    return {f"m_{k}": [str(x) for x in rng.choice(labels, k % 4, replace=False)] for k in range(count)}


# --8<-- [start:tune]
def tune_and_check(valid: Path, test: Path, out: Path) -> tuple[Any, Any]:
    """Thresholds from `valid`; what they change on `test`, which they have not seen."""
    run = s5eval.run("thresholds:build", valid, out / "valid")
    tuned = s5eval.tune(run, out=out / "thresholds.yaml")
    print("thresholds:", {k: round(v, 3) for k, v in tuned.decision.silence_thresholds.items()})
    print(f"cross-validated gain on the tuning split: {tuned.gain['value']:+.2f} dB")

    plain = s5eval.run("thresholds:build", test, out / "plain")
    better = s5eval.run("thresholds:build", test, out / "tuned", decision=out / "thresholds.yaml")
    difference = s5eval.compare(plain, better).differences["metrics", "capi_sdri"]
    interval = f"[{difference.ci_low:+.2f}, {difference.ci_high:+.2f}]"
    print(f"on the test split: {difference.delta:+.2f} dB {interval}")
    return tuned, difference


# --8<-- [end:tune]


def main(work: Path) -> tuple[Any, Any]:
    """All of it, in the folder `work`."""
    valid = write_scenes(work / "valid", made_up_scenes(0, 24), seconds=0.25)
    test = write_scenes(work / "test", made_up_scenes(1, 16), seconds=0.25)
    return tune_and_check(valid, test, work / "runs")


if __name__ == "__main__":
    in_folder(main)
