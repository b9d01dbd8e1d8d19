"""What a worker of a run does: plans the run as its driver has, and evaluates the mixtures that it is given."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.manifest import Manifest
from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.data_manifests.records import Scene
from s5eval.harness.dispatch.queue import Task
from s5eval.harness.record.config import RunConfig
from s5eval.harness.report.pictures import without_picture
from s5eval.harness.runs.engine import MixtureResult
from s5eval.harness.runs.guard import TimeLimit
from s5eval.harness.runs.plan import Plan, plan_run
from s5eval.systems.pipeline import Tally, cost_since, tally_of


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
    tally: Tally = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """The run, as its worker is told; implements `Job`.

    Attributes:
        config: what is run.
        devices: the worker at a place computes on the device there, and round again.
        manifest: the driver's, for workers on machines that may not see the data; None: they do.
        scratch: folder of the driver's for what is on its way, which it removes: a worker that is killed cannot; None:
            the worker is on another machine.
    """

    config: RunConfig
    devices: tuple[str, ...]
    manifest: Manifest | None = None
    scratch: Path | None = None

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
            return Evaluation(plan_run(alone), scratch=self.scratch)
        return Evaluation(plan_run(alone, self.manifest), sent=True, scratch=self.scratch)


class Evaluation:
    """A system at work on one mixture after the other; implements `Work`."""

    def __init__(self, plan: Plan, *, sent: bool = False, scratch: Path | None = None) -> None:
        """Take a plan for this process alone; `sent`: the files of a mixture come with its task."""
        self.facts = {**plan.identity, "send": sent}
        self._plan, self._scratch = plan, scratch
        self._scenes = {scene.mixture.id: scene for scene in plan.manifest.scenes}
        self._draws = without_picture(plan.manifest)

    def do(self, task: Task, sent: Any) -> Share:
        """Outcomes of the mixtures of a task, whatever becomes of them."""
        plan = self._plan
        before = tally_of(plan.system)
        with tempfile.TemporaryDirectory(prefix="s5eval-", dir=self._scratch) as root:
            audio = Path(root) / RUN_AUDIO
            audio.mkdir()
            scenes = [_unpacked(self._scenes[id_], sent, Path(root)) for id_ in task]
            engine = plan.engine(audio, TimeLimit(plan.config.mixture_timeout), self._draws, batch_size=len(task))
            outcomes = tuple(engine.evaluate(scenes))
            wavs = {name: (Path(root) / name).read_bytes() for outcome in outcomes for name in outcome.audio}
        return Share(outcomes, wavs, cost_since(before, plan.system))


def _is_visible(manifest: Manifest) -> bool:
    return all(file.is_file() for scene in manifest.scenes for file in scene.files)


def _unpacked(scene: Scene, sent: Mapping[str, bytes] | None, root: Path) -> Scene:
    """A scene with its files where they were sent to: below `root`, under their names. What the driver could not read
    is not there.
    """
    if sent is None:
        return scene

    def put(file: Path) -> Path:
        place = root / file.parent.name / file.name
        place.parent.mkdir(exist_ok=True)
        if str(file) in sent:
            place.write_bytes(sent[str(file)])
        return place

    references = scene.references
    if references is not None:
        references = tuple(replace(reference, path=put(reference.path)) for reference in references)
    return replace(scene, mixture=replace(scene.mixture, path=put(scene.mixture.path)), references=references)
