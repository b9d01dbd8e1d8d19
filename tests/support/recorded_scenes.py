"""The scenes that the run folders in `tests/harness/record/recorded` were made on: whole numbers, alike everywhere."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 32_000
LENGTH = 1_600

SCENES = {
    "m_0": ("Speech",),
    "m_1": (),
    "m_2": ("Cough", "Pour"),
    "m_3": ("Dishes",),
    "m_4": ("Typing", "Typing"),
    "m_5": ("Speech", "Cough", "Doorbell"),
}

ESTIMATES = {"m_0": ("Speech",), "m_2": ("Cough", "Speech"), "m_4": ("Typing", "Typing"), "m_5": ("Speech",)}
"""Of the run `scored`: m_3 has no file, and the last file of m_5 is cut."""


def write_scenes(root: Path) -> Path:
    """A set with references, and `estimate` beside it."""
    for folder in ("soundscape", "oracle_target", "estimate"):
        (root / folder).mkdir(parents=True)
    for number, (id_, labels) in enumerate(SCENES.items()):
        rng = np.random.default_rng(number)
        dry = [_noise(rng, 3_000) for _ in labels]
        mixture = np.stack([sum(dry, start=_noise(rng, 1_000)) for _ in range(4)], axis=1)
        _write(root / "soundscape" / f"{id_}.wav", mixture)
        for index, (label, signal) in enumerate(zip(labels, dry, strict=True)):
            _write(root / "oracle_target" / f"{id_}_{index}_{label}.wav", signal)
        for index, label in enumerate(ESTIMATES.get(id_, ())):
            _write(root / "estimate" / f"{id_}_{index}_{label}.wav", dry[index] + _noise(rng, 300))
    cut = root / "estimate" / "m_5_0_Speech.wav"
    cut.write_bytes(cut.read_bytes()[:100])
    return root


def _noise(rng: np.random.Generator, scale: int) -> np.ndarray:
    return rng.integers(-scale, scale, LENGTH, dtype=np.int16)


def _write(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples, RATE, subtype="PCM_16")
