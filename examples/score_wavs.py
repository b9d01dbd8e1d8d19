"""Wavs, their score, and where the decibels went.

    python examples/score_wavs.py [FOLDER]

Makes four scenes and the wavs that some system could have written for them, with one mistake of every kind.
"""

from pathlib import Path

import numpy as np
from made_up import RATE, in_folder, sound, write_scenes, write_wav

import s5eval

SCENES = {"m_1": ["Speech"], "m_2": ["Cough", "Pour"], "m_3": ["Dishes", "Typing"], "m_4": []}


def write_estimates(folder: Path) -> Path:
    """What a system answered: `m_1` is right, the others are each wrong in their own way."""
    folder.mkdir()
    rng = np.random.default_rng(7)

    def answer(name: str, label: str, seed: int, error: float) -> None:
        write_wav(folder / name, sound(label, seed, 1.0) + error * rng.normal(size=RATE))

    answer("m_1_0_Speech.wav", "Speech", 0, 0.01)
    answer("m_2_0_Cough.wav", "Cough", 10, 0.02)
    answer("m_2_1_Speech.wav", "Pour", 11, 0.03)  # Pour was separated well, and called Speech
    answer("m_3_0_Dishes.wav", "Dishes", 20, 0.05)  # Typing was missed
    answer("m_4_0_Cough.wav", "Cough", 0, 0.0)  # nothing is there
    return folder


# --8<-- [start:score]
def score(data: Path, wavs: Path, out: Path) -> s5eval.Run:
    """The same as `s5eval score WAVS --data DIR --out OUT`."""
    run = s5eval.run("folder", data, out, settings={"path": str(wavs)})
    print(run)
    print(run.slices.query("group == 'all'").drop(columns=["group", "name"]).round(2))
    print(run.mixtures[["capi_sdri", "zero_floor", "tp", "fp", "fn", "exact"]].round(2))
    print(run.losses.round(2))  # dB of CAPI-SDRi that each class costs, by kind of error
    return run


# --8<-- [end:score]


def score_arrays(data: Path) -> s5eval.MixtureScore:
    """One mixture, from arrays."""
    (scene,) = s5eval.open_data(data, only=["m_2"])
    omni = scene.mixture.audio()[0]
    result = s5eval.score_mixture(estimates={"Cough": omni}, references=scene.references or (), mixture=scene.mixture)
    missed = result.labels.fn if result.labels is not None else 0
    print(f"the mixture as an answer for Cough: {result.capi_sdri:.2f} dB, {missed} target missed")
    return result


def main(work: Path) -> tuple[s5eval.Run, s5eval.MixtureScore]:
    """All of it, in the folder `work`."""
    data = write_scenes(work / "data", SCENES)
    return score(data, write_estimates(work / "wavs"), work / "run"), score_arrays(data)


if __name__ == "__main__":
    in_folder(main)
