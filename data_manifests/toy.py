"""A toy set of six mixtures from a few lines of numpy: a first run with nothing downloaded, not a benchmark.

Tone and noise bursts, panned in first-order Ambisonics, under the labels of classes that they do not resemble.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.cache import cache_folder
from s5eval.data_manifests.files import atomic_path
from s5eval.data_manifests.naming import format_source_name
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE

_SCENES = (
    (),
    ("Doorbell",),
    ("Speech", "Dishes"),
    ("Percussion", "Percussion"),
    ("Cough",),
    ("Pour", "Typing", "Blender"),
)
_SECONDS = 10


def toy_set() -> Path:
    """The toy set's folder below the cache, made when it is not there yet."""
    root = cache_folder() / "toy"
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".toy.", dir=root.parent))
        write_toy_set(unfinished)
        try:
            unfinished.rename(root)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    return root


def write_toy_set(root: Path) -> None:
    """Write `soundscape/` (PCM_16, 4 channels) and `oracle_target/` below `root`; the same samples every time."""
    for folder in ("soundscape", "oracle_target"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, labels in enumerate(_SCENES):
        rng = np.random.default_rng([2026, number])
        mixture = rng.normal(0.0, 0.003, (MIXTURE_CHANNELS, _SECONDS * SAMPLE_RATE))
        for index, label in enumerate(labels):
            dry = _burst(rng)
            azimuth = rng.uniform(-np.pi, np.pi)
            direction = np.array([1.0, np.sin(azimuth), 0.0, np.cos(azimuth)])
            mixture += direction[:, None] * (dry + 0.3 * np.roll(dry, 700))
            _write(root / "oracle_target" / format_source_name(f"toy_{number:04d}", index, label), dry)
        _write(root / "soundscape" / f"toy_{number:04d}.wav", mixture.T)


def _burst(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    length = int(rng.uniform(1.0, 4.0) * SAMPLE_RATE)
    time = np.arange(length) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * rng.uniform(200, 3000) * time) + 0.3 * rng.normal(size=length)
    envelope = np.minimum(1.0, np.minimum(time, time[::-1]) / 0.01) * np.exp(-time * rng.uniform(0.2, 3.0))
    signal = np.zeros(_SECONDS * SAMPLE_RATE)
    start = int(rng.integers(len(signal) - length))
    signal[start : start + length] = 0.1 * tone * envelope
    return signal


def _write(path: Path, samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    with atomic_path(path) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16")
