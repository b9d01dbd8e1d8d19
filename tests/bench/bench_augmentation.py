"""What drawing short and long Percussion in training is worth: its recall with and without, at the same budget.

The classifier of stage 1 is trained from random weights beside the shipped separator, once without and once with the
duration-based augmentation (Kwon et al., arXiv 2606.24512), everything else equal. Both are then run on scenes of the
embedded `valid` kind, half of them with Percussion, and compared. A quarter of an hour on one core.

    python tests/bench/bench_augmentation.py [--steps N] [--scenes N] [--out FOLDER]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from itertools import count, islice
from pathlib import Path
from typing import Any

from s5eval.data_manifests.sets.mini import RECIPE, SPLITS, MiniScene, mini_material
from s5eval.data_manifests.synthesis.scene import draw_scene
from s5eval.data_manifests.synthesis.write import write_scenes

SHIPPED = Path(__file__).parents[2] / "systems" / "multistage" / "weights"
LABEL = "Percussion"
VARIANTS = ("off", "concat")


def main(out: Path, steps: int, scenes: int) -> int:
    """Train, run and compare below `out`; the exit code of the first command that fails."""
    data = out / "data"
    write_scenes([*picked(scenes // 2, with_label=True), *picked(scenes // 2, with_label=False)], data)
    for variant in VARIANTS:
        weights = out / f"weights-{variant}"
        weights.mkdir(exist_ok=True)
        for part in ("uss.safetensors", "m2d.safetensors"):
            shutil.copyfile(SHIPPED / part, weights / part)
        settings = {"starts_from.dpc1": "null", "data.duration_augmentation": variant, "steps": steps}
        trained = call(
            "train", "mini/dpc", "--weights", weights, "--out", out / f"training-{variant}", *words(settings)
        )
        settings = {"system.stages": 1, "system.weights": weights}
        run = ("run", "--system", "multistage", "--data", data, "--out", out / variant, *words(settings))
        if code := trained or call(*run):
            return code
    compare = [sys.executable, "-m", "s5eval.harness.cli", "compare", *(str(out / v) for v in VARIANTS), "--json"]
    report(json.loads(subprocess.run(compare, check=True, stdout=subprocess.PIPE).stdout))
    return 0


def picked(number: int, *, with_label: bool) -> list[MiniScene]:
    """The first scenes of the kind of `valid`, behind those of the split itself, that have Percussion or have not."""
    seed, material = SPLITS["valid"].seed, mini_material("valid")
    first = SPLITS["valid"].scenes or 0

    def wanted(index: int) -> bool:
        drawn = draw_scene(seed=seed, index=index, material=material, recipe=RECIPE)
        return (LABEL in [event.label for event in drawn.targets]) == with_label

    return [MiniScene("valid", index) for index in islice(filter(wanted, count(first)), number)]


def words(settings: dict[str, object]) -> list[str]:
    """As options of a command."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def call(*arguments: object) -> int:
    """One command of s5eval, its output where it belongs; its exit code."""
    line = [str(argument) for argument in arguments]
    print(f"\n$ s5eval {' '.join(line)}", flush=True)
    return subprocess.run([sys.executable, "-m", "s5eval.harness.cli", *line], check=False).returncode


def report(comparison: dict[str, Any]) -> None:
    """The rows of Percussion, and the score."""
    rows = comparison["slices"]["class"][LABEL] | {"CAPI-SDRi": comparison["metrics"]["capi_sdri"]}
    print(f"\n{'':10} {VARIANTS[0]:>7} {VARIANTS[1]:>7}   difference [95 %], paired")
    for name, row in rows.items():
        first, second, change, low, high = (
            "–" if row[key] is None else f"{row[key]:.2f}" for key in ("first", "second", "delta", "ci_low", "ci_high")
        )
        print(f"{name:10} {first:>7} {second:>7}   {change} [{low}, {high}], {row['n']} mixtures")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(options.out or Path(folder), options.steps, options.scenes))
