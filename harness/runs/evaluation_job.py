"""What a worker of a run does: plans the run as its driver has, and evaluates the mixtures that it is given."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.records import Scene
from s5eval.harness.dispatch.queue import Task
from s5eval.harness.record.config import RunConfig
from s5eval.harness.report.pictures import without_picture
from s5eval.harness.runs.engine import Engine, MixtureResult
from s5eval.harness.runs.guard import TimeLimit
from s5eval.harness.runs.plan import Plan, plan_on, plan_run
from s5eval.systems.pipeline import Pipeline, StageTally


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker hands to the driver for a task.

    Attributes:
        outcomes: of its mixtures.
        wavs: content of the files that the outcomes name, by path below the run folder: the driver writes them.
        tally: what the stages have cost since the last share.
    """

    outcomes: Sequence[MixtureResult]
    wavs: Mapping[str, bytes] = field(default_factory=dict)
    tally: Mapping[str, StageTally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """The run, as its worker is told; implements `Job`.

    Attributes:
        config: what is run.
        devices: the worker at a place computes on the device there, and round again.
        manifest: the driver's, for workers on machines that may not see the data; None: they do.
    """

    config: RunConfig
    devices: tuple[str, ...]
    manifest: Manifest | None = None

    def begin(self, place: int) -> "Evaluation":
        """Open the data and build the system, as the driver has done."""
        alone = replace(
            self.config,
            device=self.devices[place % len(self.devices)],
            workers=None,
            engine="processes",
            address=None,
            gpus_per_worker=None,
            devices=(),
            strict=False,  # the driver has looked, and may have begun before somebody put a file there
        )
        if self.manifest is None or _is_visible(self.manifest):
            return Evaluation(plan_run(alone))
        return Evaluation(plan_on(alone, self.manifest), sent=True)


class Evaluation:
    """A system at work on one mixture after the other; implements `Work`."""

    def __init__(self, plan: Plan, *, sent: bool = False) -> None:
        """Take a plan for this process alone; `sent`: the files of a mixture come with its task."""
        self.facts = {**identity_of(plan), "send": sent}
        self._plan = plan
        self._scenes = {scene.mixture.id: scene for scene in plan.manifest.scenes}
        self._draws = without_picture(plan.manifest)

    def do(self, task: Task, sent: Any) -> Share:
        """Outcomes of the mixtures of a task, whatever becomes of them."""
        plan, config = self._plan, self._plan.config
        before = tally_of(plan)
        with tempfile.TemporaryDirectory(prefix="s5eval-") as root:
            audio = Path(root) / "audio"
            audio.mkdir()
            scenes = [_unpacked(self._scenes[id_], sent, Path(root)) for id_ in task]
            engine = Engine(
                system=plan.system,
                decision=plan.decision,
                batch_size=len(task),
                audio_folder=audio if config.save_audio else None,
                secondary=config.metrics == "all",
                guard=TimeLimit(config.mixture_timeout),
                draws=self._draws,
            )
            outcomes = tuple(engine.evaluate(scenes))
            wavs = {name: (Path(root) / name).read_bytes() for outcome in outcomes for name in outcome.audio}
        return Share(outcomes, wavs, _difference(before, tally_of(plan)))


def _is_visible(manifest: Manifest) -> bool:
    return all(file.is_file() for scene in manifest.scenes for file in scene.files)


def _unpacked(scene: Scene, sent: Mapping[str, bytes] | None, root: Path) -> Scene:
    """A scene with its files where they were sent to: below `root`, under their names."""
    if sent is None:
        return scene

    def put(file: Path) -> Path:
        place = root / file.parent.name / file.name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(sent[str(file)])
        return place

    references = scene.references
    if references is not None:
        references = tuple(replace(reference, path=put(reference.path)) for reference in references)
    return replace(scene, mixture=replace(scene.mixture, path=put(scene.mixture.path)), references=references)


def identity_of(plan: Plan) -> dict[str, Any]:
    """What has to be the same wherever a part of a run is made."""
    return {
        "data": plan.manifest.sha256,
        "fingerprint": dict(plan.fingerprint),
        "decision": plan.decision.as_dict(),
    }


def tally_of(plan: Plan) -> dict[str, StageTally]:
    """What the stages of a system have cost so far; empty for a system without stages."""
    if not isinstance(plan.system, Pipeline):
        return {}
    return {name: dataclasses.replace(tally) for name, tally in plan.system.tally.items()}


def add_to_tally(plan: Plan, more: Mapping[str, StageTally]) -> None:
    """Count in the driver what a worker's stages have cost."""
    if isinstance(plan.system, Pipeline):
        for name, tally in more.items():
            mine = plan.system.tally[name]
            mine.executed, mine.reused = mine.executed + tally.executed, mine.reused + tally.reused
            mine.seconds += tally.seconds


def _difference(before: Mapping[str, StageTally], after: Mapping[str, StageTally]) -> dict[str, StageTally]:
    return {
        name: StageTally(
            tally.executed - before[name].executed,
            tally.reused - before[name].reused,
            tally.seconds - before[name].seconds,
        )
        for name, tally in after.items()
    }
