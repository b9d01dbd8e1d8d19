"""A stage of one's own, behind those of the system that ships.

    python examples/own_stage.py [FOLDER]

The stage silences what is far below a candidate's loudest moment. It is not clever, and it is whole: a network would
stand where `gated` compares levels. To put one in the place of a stage, leave that one out of `stages`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from made_up import in_folder

import s5eval

FRAME = 640  # samples, 20 ms


# --8<-- [start:stage]
class Gate:
    """Silences frames of candidates; classes and silence are as the stage before has them."""

    name = "gate"

    def __init__(self, depth: float) -> None:
        self.depth = depth

    def fingerprint(self) -> Mapping[str, Any]:
        """What the results depend on besides the inputs; a network names its weights here."""
        return {"depth": self.depth, "version": 1}

    def run(
        self, mixtures: Sequence[s5eval.Mixture], inputs: Sequence[s5eval.Candidates] | None
    ) -> list[s5eval.Candidates]:
        """One result a mixture; `inputs` are those of the stage before."""
        return [replace(found, audio=gated(found.audio, self.depth)) for found in inputs or ()]


def gated(audio: np.ndarray, depth: float) -> np.ndarray:
    """Waveforms (N, T), silent in the frames that are `depth` dB below the loudest one."""
    padded = np.pad(audio, ((0, 0), (0, -audio.shape[1] % FRAME)))
    power = np.mean(padded.reshape(len(audio), -1, FRAME) ** 2, axis=2)
    kept = power > power.max(axis=1, keepdims=True, initial=0.0) * 10 ** (-depth / 10)
    return audio * np.repeat(kept, FRAME, axis=1)[:, : audio.shape[1]]


def build(config: Mapping[str, Any], device: str) -> s5eval.Pipeline:
    """The stages that ship, with their settings and their decision, and this one behind them."""
    settings = {**config}
    gate = Gate(settings.pop("depth", 40.0))
    shipped = s5eval.load_system("multistage", device=device, **settings).system
    if not isinstance(shipped, s5eval.Pipeline):
        raise TypeError("the system has no stages")
    facts = {key: value for key, value in shipped.fingerprint().items() if key != "stages"}
    return s5eval.Pipeline([*shipped.stages, gate], shipped.decision, facts=facts, trained_on=shipped.trained_on)


# --8<-- [end:stage]


def main(work: Path) -> s5eval.Comparison:
    """What the stage changes on eight embedded scenes; stage 1 of the shipped system is run once for both."""
    first = s5eval.run("multistage", out=work / "shipped", limit=8, settings={"stages": 1})
    second = s5eval.run("own_stage:build", out=work / "own", limit=8, settings={"stages": 1, "depth": 40.0})
    comparison = s5eval.compare(first, second)
    found = comparison.differences["metrics", "capi_sdri"]
    print(f"{found.first:.2f} dB, gated {found.second:.2f} dB; better in {found.better} of {found.n} mixtures")
    return comparison


if __name__ == "__main__":
    in_folder(main)
