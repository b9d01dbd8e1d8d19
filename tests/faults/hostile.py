"""Systems that misbehave on purpose, as somebody else's package might: `tests/faults` on the path, `hostile:NAME`."""

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from s5eval.data_manifests.audio import BLOCK_FRAMES
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Candidates, StreamedCandidates

SPEECH = 15


class Plain:
    """Answers with channel 0 as Speech; subclasses do something else in one place."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.decision: Any = Decision()

    def fingerprint(self) -> Any:
        return {"weights": "none"}

    def propose(self, mixtures: Sequence[Mixture]) -> Any:
        return [self.one(mixture) for mixture in mixtures]

    def one(self, mixture: Mixture) -> Any:
        return Candidates(mixture.audio()[:1], self.scores(), np.array([0.1]))

    def scores(self) -> Any:
        scores = np.zeros((1, 18))
        scores[0, SPEECH] = 1.0
        return scores


class OneBuffer(Plain):
    """Fills one buffer again and again, and returns views of it: whole batches end up with the last mixture."""

    def one(self, mixture: Mixture) -> Any:
        audio = mixture.audio()[:1]
        if not hasattr(self, "buffer"):
            self.buffer = np.empty_like(audio)
        self.buffer[:] = audio
        return Candidates(self.buffer[:], self.scores(), np.array([0.1]))


class Killer(Plain):
    """Ends the process, or never ends, on the mixture `on`."""

    def one(self, mixture: Mixture) -> Any:
        if log := self.config.get("log"):
            with Path(log).open("a") as file:
                file.write(mixture.id + "\n")
        if mixture.id == self.config["on"]:
            way = self.config.get("way", "exit")
            if way == "exit":
                os._exit(0)
            if way == "segfault":
                ctypes.string_at(0)
            while way == "loop":
                time.sleep(0.01)
            while way == "swallow":
                with contextlib.suppress(BaseException):
                    time.sleep(60)  # long: the alarm must not ring between two of them
        return super().one(mixture)


class Wanderer(Plain):
    """Changes the working folder."""

    def one(self, mixture: Mixture) -> Any:
        os.chdir("/")
        return super().one(mixture)


class Talker(Plain):
    """Prints, in Python and past it."""

    def one(self, mixture: Mixture) -> Any:
        print("hello from the plugin")
        os.write(1, b"hello from native code\n")
        return super().one(mixture)


class Kinds(Plain):
    """Returns candidates of other kinds than the contract's."""

    def one(self, mixture: Mixture) -> Any:
        audio, scores, silence, labels = mixture.audio()[:1], self.scores(), np.array([0.1]), None
        kind = self.config["kind"]
        if kind in ("int16", "complex64", "float64", "bool"):
            audio = audio.astype(kind)
        elif kind == "int scores":
            scores = scores.astype(int)
        elif kind == "nan scores":
            scores[0, 3] = np.nan
        elif kind in ("equal scores", "equal scores, unheard"):
            scores[:] = 0.25
            silence = np.array([0.6 if "unheard" in kind else 0.1])
        elif kind == "set of labels":
            labels = {"Speech"}
        elif kind == "bool silence":
            silence = np.array([False])
        elif kind == "list audio":
            audio = audio.tolist()
        return Candidates(audio, scores, silence, labels)


class Streamed(Plain):
    """Returns candidates that are read when they are looked at, and are of other kinds than the contract's."""

    def one(self, mixture: Mixture) -> Any:
        audio, scores, silence, kind = mixture.audio()[:1], self.scores(), np.array([0.1]), self.config["kind"]
        if kind == "scores of silence too":
            scores = np.append(np.zeros((1, 1)), scores, axis=1)
        elif kind == "two silences":
            silence = np.array([0.1, 0.2])
        elif kind == "two rows":
            audio = np.repeat(audio, 2, axis=0)
        elif kind == "int16 rows":
            audio = (audio * 32768).astype(np.int16)

        def read() -> Any:
            if kind == "exit":
                sys.exit(0)
            return (audio[:, start : start + BLOCK_FRAMES] for start in range(0, audio.shape[1], BLOCK_FRAMES))

        return StreamedCandidates(read, audio.shape[1], scores, silence)


class Answers(Plain):
    """Returns something else than a list of candidates."""

    def propose(self, mixtures: Sequence[Mixture]) -> Any:
        answer = self.config["answer"]
        if answer == "array":
            return mixtures[0].audio()
        if answer == "arrays":
            return [mixture.audio()[:1] for mixture in mixtures]
        if answer == "generator":
            return (self.one(mixture) for mixture in mixtures)
        return None


def misbehaves(how: str) -> None:
    """Raise or end the process, where that is the way asked for."""
    if how == "raise":
        raise RuntimeError("out of order today")
    if how == "exit":
        sys.exit(0)


class Fingerprint(Plain):
    def fingerprint(self) -> Any:
        misbehaves(self.config["how"])
        found = {"none": None, "array": {"weights": np.float32(3)}}
        return found.get(self.config["how"], {"weights": "none", "x": float("nan")})


class Inspect(Plain):
    def inspect(self, mixture_ids: Sequence[str], expected: Sequence[str]) -> Any:
        misbehaves(self.config["how"])
        return None if self.config["how"] == "none" else ["text"]


class Decides(Plain):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.decision = None if config["how"] == "none" else Decision({"default": "high"})  # type: ignore[dict-item]


def factory(kind: type[Plain]) -> Callable[[Any, str], Plain]:
    """What a system's entry point has to be."""
    return lambda config, device: kind(config)


plain, one_buffer, killer, wanderer, kinds = map(factory, (Plain, OneBuffer, Killer, Wanderer, Kinds))
answers, fingerprint, inspects, decides = map(factory, (Answers, Fingerprint, Inspect, Decides))
streamed = factory(Streamed)


def talker(config: Any, device: str) -> Plain:
    print("hello from the factory")
    return Talker(config)


def one_argument(config: Any) -> Plain:
    return Plain(config)


def raises(config: Any, device: str) -> Plain:
    raise {"eof": EOFError, "value": ValueError, "deep": RecursionError}[config["what"]]("the factory is out of order")


def exits(config: Any, device: str) -> Plain:
    sys.exit(0)


def returns_none(config: Any, device: str) -> None:
    return None


def half_a_system(config: Any, device: str) -> Any:
    return SimpleNamespace(decision=Decision())
