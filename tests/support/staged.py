"""A system of three quick stages, for tests of what works on stages: cleaner from stage to stage, and with clues."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from s5eval.data_manifests.labels import CLASS_INDEX
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.pipeline import Pipeline

SLOTS = 3


class FakeStage:
    """Looks the references up, which no real system can, and disturbs them by a seeded noise."""

    def __init__(self, number: int, settings: Mapping[str, Json], fail: str | None, *, probable: bool = False) -> None:
        self.name = f"stage{number}"
        self._number = number
        self._settings = dict(settings)
        self._fail = fail
        self._probable = probable

    def fingerprint(self) -> Mapping[str, Json]:
        # `fail` is part of it: else what a stage that does not fail has kept would be found in the store
        more: dict[str, Json] = {"probable": True} if self._probable else {}
        more |= {"fail": self._fail} if self._fail else {}
        return {"weights": "untrained", **self._settings, **more}

    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        if self._fail == "always":
            raise RuntimeError("stage is out of order")
        return [self._one(mixture) for mixture in mixtures]

    def _one(self, mixture: Mixture) -> Candidates:
        if self._fail == mixture.id:
            raise RuntimeError("this mixture cannot be done")
        length = mixture.audio().shape[1]
        rng = np.random.default_rng([self._number, zlib.crc32(f"{mixture.id}{self._settings}".encode())])
        noise = {1: 0.6, 2: 0.3, 3: 0.2}[self._number] * (0.6 if self._settings.get("af_whisper") else 1.0)
        audio = np.zeros((SLOTS, length), np.float32)
        scores = rng.random((SLOTS, len(CLASS_INDEX))) * 0.1
        silence = rng.uniform(0.4, 0.95, SLOTS)
        for slot, file in enumerate(sorted(Path(mixture.path).parents[1].glob(f"oracle_target/{mixture.id}_*"))):
            target, _ = soundfile.read(file)
            audio[slot] = target + noise * np.std(target) * rng.normal(size=length)
            label = file.stem.rsplit("_", 1)[1]
            scores[slot, CLASS_INDEX[label]] = 0.9 if rng.random() < 0.8 else 0.0
            silence[slot] = rng.uniform(0.05, 0.6)
        if self._probable:
            scores /= scores.sum(axis=1, keepdims=True)
        if self._settings.get("names_only"):
            audio = audio[:, :0]
        return Candidates(audio, scores, silence)


def _first(config: Mapping[str, Any]) -> dict[str, Json]:
    return {"names_only": True} if config.get("names_only") else {}


def build(config: Mapping[str, Any], device: str) -> Pipeline:
    """Keys: `stages`, `af_whisper`, `encoder` (False: as if its weights were absent), `tuned`, `fail`, `fail_stage`,
    `names_only` (the first stage separates nothing, as the baseline's tagger), `probable` (class scores add up to 1).
    """
    if config.get("broken"):
        raise ValueError("cannot be built")
    wanted = bool(config.get("af_whisper", True))
    encoder = "off" if not wanted else "toy" if config.get("encoder", True) else "null embedding"
    stages = []
    for number in range(1, int(config.get("stages", 3)) + 1):
        settings = _first(config) if number == 1 else {"af_whisper": wanted, "encoder": encoder}
        fail = config.get("fail") if number == config.get("fail_stage", 1) else None
        stages.append(FakeStage(number, settings, fail, probable=bool(config.get("probable"))))
    decision = Decision()
    if config.get("tuned"):
        decision = Decision({"default": 0.6, "Speech": 0.7}, provenance={"objective": "capi_sdri"})
    facts: dict[str, Json] = {"weights": "untrained"}
    if encoder == "null embedding" and len(stages) > 1:
        facts["missing_parts"] = ["encoder of AF-Whisper"]
    return Pipeline(stages, decision, facts=facts)
