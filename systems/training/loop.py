"""The training loop: Lightning's Fabric for devices and precision, and a loop of ours that resumes to the bit.

Whatever chance decides in step n is drawn from a generator that is seeded with n, and scene i is the same scene at
every attempt; so a run that was killed anywhere and resumed from any checkpoint ends with the weights of one that
was not (on a CPU, where sums have a fixed order).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.common.files import no_empty_folder
from s5eval.data_manifests.common.lock import InUseError, locked
from s5eval.systems.card import card_held
from s5eval.systems.energy import check_available, energy_text, measured
from s5eval.systems.hooks import Hooks
from s5eval.systems.training import checkpoint
from s5eval.systems.training.batches import batches, heard, never_heard
from s5eval.systems.training.exports import exported
from s5eval.systems.training.learner import Learner
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.sitting import TrainingSitting, make_fabric
from s5eval.systems.training.stopping import Stop, stopping
from s5eval.systems.training.together import alike, anyone, everywhere, first
from s5eval.systems.training.training_plan import TrainingPlan


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a sitting came to.

    Attributes:
        step: steps done in all.
        finished: whether these are all; if so, the parts are exported.
        seconds: of training in all sittings.
        figures: means over the last steps: loss terms and accuracies.
        digests: of the exported files by part; the first process alone knows those it has written just now.
        rank: of this process among those that train together; the others say the same.
    """

    step: int
    finished: bool
    seconds: float
    figures: Mapping[str, float]
    digests: Mapping[str, str]
    rank: int = 0


def train(
    plan: TrainingPlan,
    sitting: TrainingSitting,
    *,
    hooks: Hooks | None = None,
    say: Callable[[str], None] | None = None,
) -> TrainingResult:
    """Train until the recipe is done or the sitting is over; goes on from the newest checkpoint in `sitting.out`.

    A recipe that is done and stands on the card of `sitting.weights` is left alone: later recipes may have gone on
    with its parts. Of these, a file that is gone is exported again.

    Args:
        plan: what is trained.
        sitting: where and for how long.
        hooks: are told of the start, of every step and of the end, in the first of several processes.
        say: is told what a reader must not miss, such as a damaged checkpoint that is passed over.

    Raises:
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGHUP; the step under way is ended and saved first, or the one
            before it where its scenes do not come any more.
        UsageError: the checkpoints there belong to another plan or other frozen parts, there is no such device, other
            processes were started than the sitting asks for, they do not see the same files, the batch does not divide
            among them or leaves too little to each, or another training is at work in `sitting.out`; or energy is asked
            for and cannot be measured.
        DataError: a part that the recipe builds on is missing, a file cannot be read or written, or the loss is not
            finite.
    """
    if sitting.energy:
        check_available()
    fabric = make_fabric(sitting, precision=plan.recipe.precision, say=say)
    if sitting.threads is not None:
        torch.set_num_threads(sitting.threads)  # Fabric has thoughts of its own
    rank = fabric.global_rank
    with ExitStack() as held:
        first(fabric, lambda: held.enter_context(_locked(sitting.out)))
        for logger in fabric.loggers:
            held.callback(logger.finalize, "finished")  # else its thread writes on in a folder that may be gone by then
        digest = everywhere(fabric, plan.digest)  # once: it reads what recordings hold
        state = everywhere(fabric, lambda: checkpoint.load(sitting.out, digest, say=say if rank == 0 else None))
        found = f"{plan.name} ({digest[:19]}) at step {0 if state is None else state.step}"
        alike(fabric, found, f"all nodes must see the same `out` ({sitting.out}), data and settings")
        return _train(plan, digest, sitting, fabric, state, hooks or Hooks(), say)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the folder of the training; a training that is refused leaves none that it has made."""
    with no_empty_folder(out):
        checkpoint.probe(out)
        try:
            lock = locked(out)
        except InUseError as error:
            raise UsageError(
                f"another process trains in {out}; wait for it, or give another `out` ({error})"
            ) from error
        with lock:
            yield


def _train(
    plan: TrainingPlan,
    digest: str,
    sitting: TrainingSitting,
    fabric: Any,
    state: checkpoint.State | None,
    hooks: Hooks,
    say: Callable[[str], None] | None,
) -> TrainingResult:
    recipe, rank = plan.recipe, fabric.global_rank
    done = state is not None and state.step >= recipe.steps
    begun = None if state is None else {"built_on": state.built_on, "started_from": state.started_from}
    on_card = everywhere(fabric, lambda: exported(sitting.weights, plan.name, digest, begun))  # before time is spent
    known = on_card if done else None
    digests = {} if known is None else dict(known.get("files", {}))
    if state is not None and known is not None and _all_there(sitting.weights, digests):
        return TrainingResult(state.step, True, state.seconds, state.figures, digests, rank)
    given = (sitting.m2d_weights, sitting.af_whisper_weights, sitting.whisper_weights)
    parts = PartsFolder(sitting.weights, fabric.device, *given, made_by=plan.made_by, resumed=state is not None)
    torch.manual_seed(recipe.seed)  # for heads that belong to the training alone
    job = everywhere(fabric, lambda: plan.make_job(parts))
    alike(
        fabric,
        str({**parts.built_on, **parts.started_from}),
        f"all nodes must see the same `weights` ({sitting.weights})",
    )
    if (
        state is not None
        and known is not None
        and all((sitting.weights / p.file).is_file() for p in job.parts.values())
    ):
        return TrainingResult(state.step, True, state.seconds, state.figures, digests, rank)
    size, rows = (recipe.batch, "scenes") if job.batches is None else (job.batches.size, "slots")
    if size % fabric.world_size:
        raise UsageError(f"{plan.name}: a batch of {size} {rows} does not divide among {fabric.world_size} devices")
    if size // fabric.world_size < job.least:
        raise UsageError(
            f"{plan.name}: a batch of {size} {rows} leaves {size // fabric.world_size} to each of {fabric.world_size} "
            f"devices; its batch norm expects {job.least} or more: raise `batch`"
        )
    material = everywhere(fabric, lambda: heard(recipe.data))
    if say is not None and rank == 0 and (lacking := never_heard(material)):
        say(f"no recording of {', '.join(lacking)}: what is trained here never hears these classes")
    learner = Learner(plan, digest, job, fabric, parts, material)
    if state is not None:
        learner.restore(state, ended=known is not None)
    fabric.barrier()  # everybody has read before anybody writes
    first(fabric, lambda: checkpoint.probe(sitting.weights))
    first(fabric, lambda: learner.save(sitting.out))
    if not done:
        _Sitting(learner, sitting, hooks if rank == 0 else Hooks(), say if rank == 0 else None).run()
    finished = learner.step >= recipe.steps
    written: dict[str, str] = {}

    def export() -> None:
        with card_held(sitting.weights):
            written.update(learner.export(sitting.weights, known))

    if finished:
        first(fabric, export)
    return TrainingResult(learner.step, finished, learner.seconds, learner.meter.means(), written, rank)


def _all_there(weights: Path, digests: Mapping[str, str]) -> bool:
    """Whether every exported part has its file, as far as the parts' names tell."""
    return all((weights / f"{name}.safetensors").is_file() for name in digests)


_GONE = (RuntimeError, OSError, EOFError)
"""What a loader raises whose processes have died: torch's own, or what becomes of a connection to one of them."""


class _LoaderGoneError(S5Error):
    """The processes that make batches were sent the signal too, by which somebody has asked for the end."""


class _TimeOverError(Exception):
    """The time of the sitting is over before the first step."""


@contextmanager
def _loaders_may_go(stop: Stop) -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        if isinstance(error, S5Error) or not stop.asked:
            raise
        raise _LoaderGoneError(str(error)) from error


class _Sitting:
    """Steps of a learner until the recipe is done or the sitting is over, with a checkpoint now and then."""

    def __init__(
        self, learner: Learner, sitting: TrainingSitting, hooks: Hooks, say: Callable[[str], None] | None
    ) -> None:
        self.learner, self.settings, self.hooks, self.say = learner, sitting, hooks, say
        self.recipe, self.fabric = learner.plan.recipe, learner.fabric
        self.earlier = learner.seconds
        self.begun = self.saved = self.told = time.monotonic()

    def run(self) -> None:
        learner, steps = self.learner, self.recipe.steps
        plan = learner.plan
        facts = {"name": plan.name, "plan": plan.as_dict(), "steps": steps, "done": learner.step}
        self.hooks.tell("start", "training", self.settings.out, facts)
        try:
            with stopping(self.say) as stop, measured(self.settings.energy) as learner.power:
                try:
                    self._steps(self._source(stop), stop)
                except _TimeOverError:
                    pass  # the next sitting goes on with what is left to make
                except _LoaderGoneError as error:
                    raise KeyboardInterrupt from error
        finally:
            self.hooks.tell("end", "finished" if learner.step >= steps else "interrupted", learner.meter.means())
            if self.say is not None and learner.power is not None and learner.power.record is not None:
                self.say(energy_text(learner.power.record))
        if stop.asked and learner.step < steps:
            raise KeyboardInterrupt

    def _source(self, stop: Stop) -> Iterator[Any]:
        recipe, fabric, batches_of_job = self.recipe, self.fabric, self.learner.job.batches
        first, last = self.learner.step * recipe.accumulate, recipe.steps * recipe.accumulate
        if batches_of_job is None:
            rank, ranks = fabric.global_rank, fabric.world_size
            return batches(recipe.data, recipe.seed, recipe.batch, first=first, last=last, rank=rank, ranks=ranks)

        def made(done: int, total: int) -> None:
            self._count()
            asked = anyone(fabric, stop.asked)
            over = asked or (done < total and anyone(fabric, self._late()))
            self._keep(over)  # what was made stays, and so do the seconds that it took
            if over:
                raise KeyboardInterrupt if asked else _TimeOverError
            if self.say is not None and time.monotonic() > self.told + 60:
                self.told = time.monotonic()
                self.say(f"{done} of {total} scenes are heard and kept in {self.settings.out}")

        with _loaders_may_go(stop):
            return batches_of_job(self.settings.out, first=first, last=last, progress=made, fabric=fabric)

    def _steps(self, source: Iterator[Any], stop: Stop) -> None:
        learner, recipe, fabric = self.learner, self.recipe, self.fabric
        while learner.step < recipe.steps:
            try:
                batches_of_step = everywhere(fabric, lambda: self._drawn(source, stop))
            except _LoaderGoneError:
                self._keep(True)  # the last whole step's
                raise
            learner.advance(batches_of_step)
            self._count()
            over = anyone(fabric, stop.asked or self._late())
            last = over or learner.step == recipe.steps
            self._keep(last)
            if fabric.global_rank == 0:
                if self.hooks:
                    self.hooks.tell("step", learner.step, recipe.steps, learner.meter.means())
                if fabric.loggers and (last or learner.step % 20 == 0):
                    fabric.log_dict(learner.meter.means(), step=learner.step)
            if over:
                return

    def _drawn(self, source: Iterator[Any], stop: Stop) -> list[Any]:
        """All batches of the next step: where one is missing, nothing of the step is done yet."""
        with _loaders_may_go(stop):
            return [next(source) for _ in range(self.recipe.accumulate)]

    def _late(self) -> bool:
        minutes = (time.monotonic() - self.begun) / 60
        return self.settings.max_minutes is not None and minutes > self.settings.max_minutes

    def _count(self) -> None:
        self.learner.seconds = self.earlier + time.monotonic() - self.begun

    def _keep(self, now: bool) -> None:
        """Save a checkpoint, `now` (in every process) or where one is due; where that fails, it ends all processes."""
        due = self.fabric.global_rank == 0 and time.monotonic() - self.saved > 60 * self.settings.checkpoint_minutes
        if now or anyone(self.fabric, due):
            first(self.fabric, lambda: self.learner.save(self.settings.out))
            self.saved = time.monotonic()
