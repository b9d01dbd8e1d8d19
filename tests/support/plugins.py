"""Systems for tests, as somebody else's package would write them: `tests/harness` on the path, `plugins:NAME`."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Candidates


class Omni:
    """Answers with channel 0 as `label`; misbehaves on demand."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.decision = Decision()
        self.trained_on = config.get("trained_on", ())
        self.seen = 0

    def fingerprint(self) -> Mapping[str, Any]:
        return {"weights": "none", **{key: value for key, value in self.config.items() if key != "slow"}}

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Candidates]:
        return [self._one(mixture) for mixture in mixtures]

    def _one(self, mixture: Mixture) -> Candidates:
        self.seen += 1
        if log := self.config.get("log"):
            with Path(log).open("a") as file:
                file.write(mixture.id + "\n")
        if mixture.id == self.config.get("raise_on"):
            raise RuntimeError("the network fell over")
        if mixture.id == self.config.get("exit_on"):
            raise SystemExit(0)
        if mixture.id == self.config.get("interrupt_on"):
            raise KeyboardInterrupt
        if mixture.id == self.config.get("die_on"):
            sys.stderr.write("about to fall over\n")
            os.kill(os.getpid(), signal.SIGKILL)
        while mixture.id == self.config.get("hang_on"):
            with contextlib.suppress(BaseException):
                time.sleep(60)
        if self.seen == self.config.get("kill_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.config.get("slow", 0))
        audio = mixture.audio()[:1]
        if mixture.id == self.config.get("nan_on"):
            audio = audio * np.float32(np.nan)
        if mixture.id == self.config.get("short_on"):
            audio = audio[:, :-5]
        scores = np.zeros((1, 18))
        scores[0, 15] = 1.0
        labels = (self.config["label"],) if "label" in self.config else None
        return Candidates(audio, scores, np.array([self.config.get("p_silence", 0.1)]), labels)


def build(config: Mapping[str, Any], device: str) -> Omni:
    return Omni(config)


def nothing(config: Mapping[str, Any], device: str) -> None:
    return None
