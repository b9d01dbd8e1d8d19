"""Small scenes and recordings made on the spot, so that every example runs anywhere: no data set, no network.

Every class has a sound of its own: a band of noise in bursts. Scenes are four-channel Ambisonics mixtures of such
sounds, each from its own direction, over a background of noise.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

import s5eval

RATE = 32_000


def sound(label: str, seed: int, seconds: float) -> np.ndarray:
    """One sound of a class, (T,): noise in the band of the class, in bursts."""
    rng = np.random.default_rng([s5eval.CLASSES.index(label), seed])
    length = int(seconds * RATE)
    low = 200 + 700 * s5eval.CLASSES.index(label)
    frequencies = np.fft.rfftfreq(length, 1 / RATE)
    spectrum = np.fft.rfft(rng.normal(size=length)) * ((frequencies > low) & (frequencies < low + 600))
    bursts = np.sin(np.linspace(0, rng.integers(2, 6) * np.pi, length)) ** 2
    samples = np.fft.irfft(spectrum, length) * bursts
    level = rng.uniform(0.04, 0.1)
    return level * samples / np.sqrt(np.mean(samples**2))


def write_scenes(folder: Path, scenes: Mapping[str, Sequence[str]], *, seconds: float = 1.0) -> Path:
    """Write `soundscape/` and `oracle_target/`; `scenes` maps mixture ids to the labels of their targets."""
    for name in ("soundscape", "oracle_target"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (mixture_id, labels) in enumerate(scenes.items()):
        rng = np.random.default_rng(number)
        foa = 0.05 * rng.normal(size=(4, int(seconds * RATE)))
        for index, label in enumerate(labels):
            target = sound(label, 10 * number + index, seconds)
            azimuth = rng.uniform(-np.pi, np.pi)
            foa += np.outer([1, np.sin(azimuth), 0, np.cos(azimuth)], target)  # W, Y, Z, X
            write_wav(folder / "oracle_target" / f"{mixture_id}_{index}_{label}.wav", target)
        write_wav(folder / "soundscape" / f"{mixture_id}.wav", foa)
    return folder


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write (T,) or (channels, T) as 32-bit float."""
    soundfile.write(path, np.asarray(samples).T, RATE, subtype="FLOAT")


def in_folder(main: Callable[[Path], object]) -> None:
    """Run an example in the folder that its call names; without one in a temporary folder, of which nothing stays."""
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory(prefix="s5eval-") as folder:
        main(Path(folder))
