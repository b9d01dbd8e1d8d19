"""A system of one's own: asked about an array, and run over a data set.

    python examples/own_system.py [FOLDER]

The system masks the bands in which `made_up` puts the classes. It is not clever, and it is whole: a network would
stand where `separate` does its Fourier transform.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up import RATE, in_folder, write_scenes

import s5eval

SCENES = {"m_1": ["Speech"], "m_2": ["Cough", "Pour"], "m_3": ["Dishes", "Typing"], "m_4": []}


# --8<-- [start:system]
class LoudBands:
    """Calls the loudest bands by the class that lives there; as many candidates as `slots`."""

    decision = s5eval.Decision(max_sources=3)

    def __init__(self, slots: int = 3) -> None:
        self.slots = slots

    def fingerprint(self) -> Mapping[str, Any]:
        """What the output depends on."""
        return {"weights": "none", "slots": self.slots, "version": 1}

    def propose(self, mixtures: Sequence[s5eval.Mixture]) -> list[s5eval.Candidates]:
        """Candidates for every mixture, the silent ones among them."""
        return [self.separate(mixture.audio()) for mixture in mixtures]

    def separate(self, foa: np.ndarray) -> s5eval.Candidates:
        """(4, T) → candidates."""
        length = foa.shape[1]
        spectrum, frequencies = np.fft.rfft(foa[0]), np.fft.rfftfreq(length, 1 / RATE)
        lows = [200 + 700 * k for k in range(len(s5eval.CLASSES))]
        bands = [(frequencies > low) & (frequencies < low + 600) for low in lows]
        audio = np.stack([np.fft.irfft(spectrum * band, length) for band in bands])
        power = np.mean(audio**2, axis=1)
        loudest = np.argsort(-power)[: self.slots]
        return s5eval.Candidates(
            audio=audio[loudest].astype(np.float32),
            class_scores=np.eye(len(s5eval.CLASSES))[loudest],
            p_silence=1 / (1 + (power[loudest] / 5e-4) ** 2),  # 0.5 at a level of -33 dB
        )


def build(config: Mapping[str, Any], device: str) -> LoudBands:
    """What `own_system:build` names; `config` holds what `--set system.KEY=VALUE` says."""
    return LoudBands(**config)


# --8<-- [end:system]


# --8<-- [start:array]
def ask(foa: np.ndarray) -> tuple[s5eval.Estimate, ...]:
    """What the system hears in one recording (4, T), after its decision."""
    system = s5eval.load_system("own_system:build", slots=2)
    estimates = system.separate(foa)
    for estimate in estimates:
        print(f"{estimate.label}: confidence {estimate.confidence:.2f}, {len(estimate.audio)} samples")
    return estimates


# --8<-- [end:array]


def main(work: Path) -> s5eval.Run:
    """All of it, in the folder `work`."""
    data = write_scenes(work / "data", SCENES)
    ask(next(iter(s5eval.open_data(data, only=["m_2"]))).mixture.audio())
    run = s5eval.run("own_system:build", data, work / "run", settings={"slots": 3})
    print(run)
    print(run.mixtures[["capi_sdri", "zero_floor", "gain_floor", "exact"]].round(2))
    return run


if __name__ == "__main__":
    in_folder(main)
