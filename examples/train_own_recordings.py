"""From a folder of recordings to weights that run.

    python examples/train_own_recordings.py [FOLDER]

Makes recordings of four classes in the official layout, trains the small form of the challenge's baseline on scenes
that are made of them, and runs it. Networks and steps are far too few to learn anything: this shows the way. Leave
`TINY` out, and give `steps` the thousands that the recipe asks for, to train in earnest.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_up import in_folder, sound, write_scenes, write_wav

import s5eval

TINY: Mapping[str, Any] = {
    "m2d": {"width": 16, "depth": 1, "heads": 2},
    "separator": {"widths": [4, 4, 8, 8, 8, 8], "condition": 8},
}


def write_recordings(folder: Path) -> Path:
    """`sound_event/train/<Class>/*.wav`: what a folder of one's own has to look like."""
    for label in ("Speech", "Cough", "Pour", "Typing"):
        place = folder / "sound_event" / "train" / label
        place.mkdir(parents=True)
        for take in range(3):
            write_wav(place / f"take_{take}.wav", sound(label, 1000 + take, 0.6))
    return folder


# --8<-- [start:train]
def train(recipe: str, recordings: Path, weights: Path, **changes: Any) -> None:
    """The same as `s5eval train RECIPE --weights WEIGHTS --set data.folder=RECORDINGS --set …`."""
    settings = {"data.folder": str(recordings), **changes}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    command = str(Path(sys.executable).with_name("s5eval"))
    folders = ["--weights", str(weights), "--out", str(weights.parent / "training" / recipe)]
    subprocess.run([command, "train", recipe, *folders, "--device", "cpu", *sets], check=True)


def train_baseline(recordings: Path, weights: Path, *, steps: int) -> None:
    """Its two networks, each by its recipe. `starts_from` without a part: from random weights."""
    for part in ("tagger", "separator"):
        changes = {"steps": steps, "system": TINY, "data.seconds": 0.5, f"starts_from.{part}": None}
        train(f"baseline/{part}", recordings, weights, **changes)


# --8<-- [end:train]


def main(work: Path, *, steps: int = 2) -> s5eval.Run:
    """All of it, in the folder `work`."""
    weights = work / "weights"
    train_baseline(write_recordings(work / "recordings"), weights, steps=steps)
    data = write_scenes(work / "data", {"m_1": ["Speech"], "m_2": ["Cough", "Pour"]})
    settings = {"preset": "mini", "weights": str(weights), **TINY}
    run = s5eval.run("baseline-4c", data, work / "run", settings=settings, device="cpu")
    print(run)
    print("weights:", run.summary.weights)
    return run


if __name__ == "__main__":
    in_folder(main)
