"""Runs the stages of a system over a batch, through the stage store when there is one.

The key of a result is what it was made from: the stage's fingerprint, the *content* of its inputs and the
mixture's bytes. A change upstream that changes no output therefore stops there, as in a build system.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.labels import CLASS_INDEX, label_problem
from s5eval.data_manifests.records import Mixture
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Candidates, Json, Stage, StageStore, sharing


@dataclass(slots=True)
class StageTally:
    """What a stage has cost so far: (stage, mixture) pairs executed and reused, and seconds of execution."""

    executed: int = 0
    reused: int = 0
    seconds: float = 0.0


Tally = Mapping[str, StageTally]
"""What the stages of a system have cost, by their names."""


class Pipeline:
    """A system made of stages, each fed with the previous one's candidates.

    Attributes:
        stages: at least one; names are unique.
        decision: what turns the last stage's candidates into the prediction.
        store: where stage results are kept; None: nowhere.
        tally: per stage name, what was executed and what was reused.
        trained_on: see `System`; a fact about the weights that no output depends on.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        decision: Decision,
        *,
        facts: Mapping[str, Json] | None = None,
        trained_on: Collection[str] = (),
    ) -> None:
        """Take the stages in order; `facts` join the fingerprint (`weights`, and what a reader should know)."""
        if not stages:
            raise ValueError("a pipeline needs at least one stage")
        self.stages = tuple(stages)
        self.decision = decision
        self.store: StageStore | None = None
        self.tally = {stage.name: StageTally() for stage in self.stages}
        self.trained_on = frozenset(trained_on)
        self._facts = dict(facts or {})
        if len(self.tally) < len(self.stages):
            raise ValueError(f"stage names repeat: {[stage.name for stage in self.stages]}")

    def fingerprint(self) -> Mapping[str, Json]:
        """The facts given, and every stage's fingerprint."""
        return {**self._facts, "stages": {stage.name: stage.fingerprint() for stage in self.stages}}

    def propose(self, mixtures: Sequence[Mixture]) -> Sequence[Candidates]:
        """Run every stage that the store has no result of; a batch shrinks to what is missing."""
        digests = [mixture.sha256() for mixture in mixtures] if self.store is not None else []
        results: list[Candidates] | None = None
        for stage in self.stages:
            if self.store is None:
                results = self._execute(stage, mixtures, results)
            else:
                results = self._through_store(self.store, stage, mixtures, digests, results)
        return results or []

    def stored(self, mixture: Mixture) -> list[bool]:
        """For a dry run: which leading stages the store has for a mixture; the first gap makes the rest unknown."""
        hits = [False] * len(self.stages)
        previous: Candidates | None = None
        digest = mixture.sha256()
        for index, stage in enumerate(self.stages):
            previous = self.store.get(_key(stage, digest, previous)) if self.store is not None else None
            if previous is None:
                break
            hits[index] = True
        return hits

    def _through_store(
        self,
        store: StageStore,
        stage: Stage,
        mixtures: Sequence[Mixture],
        digests: Sequence[str],
        inputs: Sequence[Candidates] | None,
    ) -> list[Candidates]:
        keys = [_key(stage, digest, None if inputs is None else inputs[index]) for index, digest in enumerate(digests)]
        found = [store.get(key) for key in keys]
        missing = [index for index, candidates in enumerate(found) if candidates is None]
        self.tally[stage.name].reused += len(found) - len(missing)
        if missing:
            fresh = self._execute(
                stage,
                [mixtures[index] for index in missing],
                None if inputs is None else [inputs[index] for index in missing],
            )
            for index, candidates in zip(missing, fresh, strict=True):
                store.put(keys[index], candidates)
                found[index] = candidates
        return [candidates for candidates in found if candidates is not None]

    def _execute(
        self, stage: Stage, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None
    ) -> list[Candidates]:
        start = time.perf_counter()
        results = _candidates(stage.name, stage.run(mixtures, inputs))
        if len(results) != len(mixtures):
            raise ValueError(
                f"stage {stage.name} returned {len(results)} results for {counted(len(mixtures), 'mixture')}"
            )
        if (pair := sharing(results)) is not None:
            raise ValueError(f"stage {stage.name}: results {pair[0] + 1} and {pair[1] + 1} of a batch share memory")
        tally = self.tally[stage.name]
        tally.seconds += time.perf_counter() - start
        tally.executed += len(mixtures)
        return results


def _candidates(stage: str, found: object) -> list[Candidates]:
    """What a stage has returned or yields, if all are candidates; raises `ValueError` that names the stage."""
    if not isinstance(found, Iterable):
        raise ValueError(
            f"stage {stage} returned a {type(found).__name__}, expected a list of Candidates, one a mixture"
        )
    entries = list(found)
    for entry in entries:
        if not isinstance(entry, Candidates):
            raise ValueError(f"stage {stage} returned a list with a {type(entry).__name__}, expected Candidates")
    return entries


def class_clues(stage: str, inputs: Candidates, wanted: Iterable[int]) -> list[int]:
    """What a stage is told of the classes of candidates: the labels, where there are any, else the arg-max of scores.

    Args:
        stage: which is told it, for errors.
        inputs: the candidates of the stage before.
        wanted: which of them.

    Returns:
        Their classes by index in `CLASSES`, as `wanted` lists them.

    Raises:
        ValueError: a label is no class; or there are none, and the scores of a candidate are all the same, so that the
            first class would be its clue.
    """
    clues = []
    for k in wanted:
        row = inputs.class_scores[k]
        if inputs.labels is not None:
            if problem := label_problem(inputs.labels[k]):
                raise ValueError(f"stage {stage}: candidate {k} of the stage before: {problem}")
            clues.append(CLASS_INDEX[inputs.labels[k]])
        elif (row == row[0]).all():
            raise ValueError(
                f"stage {stage} is told classes, and the class scores of candidate {k} of the stage before are "
                f"{row[0]:g} throughout; give scores that tell classes apart, or `labels`"
            )
        else:
            clues.append(int(row.argmax()))
    return clues


def tally_of(system: object) -> Tally:
    """What the stages of a system have cost so far, as a copy; empty for a system without stages."""
    return {name: replace(tally) for name, tally in system.tally.items()} if isinstance(system, Pipeline) else {}


def cost_since(before: Tally, system: object) -> Tally:
    """What the stages of a system have cost since `before`, which `tally_of` returned."""
    return {
        name: StageTally(
            tally.executed - before[name].executed,
            tally.reused - before[name].reused,
            tally.seconds - before[name].seconds,
        )
        for name, tally in tally_of(system).items()
    }


def add_to_tally(system: object, more: Tally) -> None:
    """Count in a system what the stages of its like have cost in another process."""
    if isinstance(system, Pipeline):
        for name, tally in more.items():
            mine = system.tally[name]
            mine.executed, mine.reused = mine.executed + tally.executed, mine.reused + tally.reused
            mine.seconds += tally.seconds


def stage_key(
    stage: str, fingerprint: Mapping[str, Json], mixture_sha256: str, inputs: Candidates | None
) -> dict[str, Json]:
    """What a stage's result is known by in the store.

    Args:
        stage: its name.
        fingerprint: its own.
        mixture_sha256: see `Mixture.sha256`.
        inputs: the candidates of the stage before; None for the first stage.
    """
    # What was kept behind labels before stages that ship heard them is not taken for a result of today.
    heard: dict[str, Json] = {} if inputs is None or inputs.labels is None else {"labels": "heard"}
    return {
        "stage": stage,
        "fingerprint": fingerprint,
        "input": None if inputs is None else inputs.sha256(),
        "mixture": mixture_sha256,
        **heard,
    }


def _key(stage: Stage, mixture_sha256: str, inputs: Candidates | None) -> dict[str, Json]:
    return stage_key(stage.name, stage.fingerprint(), mixture_sha256, inputs)
