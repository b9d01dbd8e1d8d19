"""The training loop: Lightning's Fabric for devices and precision, and a loop of ours that resumes to the bit.

Whatever chance decides in step n is drawn from a generator that is seeded with n, and scene i is the same scene at
every attempt; so a run that was killed anywhere and resumed from any checkpoint ends with the weights of one that
was not (on a CPU, where sums have a fixed order).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.lock import FolderLock, InUseError, take_lock
from s5eval.systems.card import card_held
from s5eval.systems.energy import Energy, Meter, check_available, energy_text, measured, total_energy
from s5eval.systems.hooks import Hooks
from s5eval.systems.training import checkpoint
from s5eval.systems.training.batches import batches, heard, heard_entry
from s5eval.systems.training.parts import PartsFolder, TrainingJob
from s5eval.systems.training.sitting import TrainingSitting, device_name, make_fabric
from s5eval.systems.training.steps import RunningMeans, parameter_groups, rate, seed_step
from s5eval.systems.training.stopping import Stop, stopping
from s5eval.systems.training.together import alike, anyone, everywhere, first
from s5eval.systems.training.training_plan import TrainingPlan

_TYPES = {"float32": torch.float32, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a sitting came to.

    Attributes:
        step: steps done in all.
        finished: whether these are all; if so, the parts are exported.
        seconds: of training in all sittings.
        figures: means over the last steps: loss terms and accuracies.
        digests: of the exported files by part.
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
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGHUP; the step under way is ended and saved first.
        UsageError: the checkpoints there belong to another plan or other frozen parts, there is no such device, other
            processes were started than the sitting asks for, they do not see the same files, the batch does not divide
            among them, or another training is at work in `sitting.out`; or energy is asked for and cannot be measured.
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
        first(fabric, lambda: held.callback(_lock(sitting.out).release))
        digest = everywhere(fabric, plan.digest)  # once: it reads what recordings hold
        state = everywhere(fabric, lambda: checkpoint.load(sitting.out, digest, say=say if rank == 0 else None))
        found = f"{plan.name} ({digest[:19]}) at step {0 if state is None else state.step}"
        alike(fabric, found, f"all nodes must see the same --out ({sitting.out}), data and settings")
        return _train(plan, digest, sitting, fabric, state, hooks or Hooks(), say)


def _lock(out: Path) -> FolderLock:
    checkpoint.probe(out)
    try:
        return take_lock(out)
    except InUseError as error:
        raise UsageError(f"another process trains in {out}; wait for it, or give another `out` ({error})") from error


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
    known = checkpoint.exported(sitting.weights, plan.name, digest) if done else None
    digests = {} if known is None else dict(known.get("files", {}))
    if state is not None and known is not None and _all_there(sitting.weights, digests):
        return TrainingResult(state.step, True, state.seconds, state.figures, digests, rank)
    given = (sitting.m2d_weights, sitting.af_whisper_weights, sitting.whisper_weights)
    parts = PartsFolder(sitting.weights, fabric.device, *given)
    torch.manual_seed(recipe.seed)  # for heads that belong to the training alone
    job = everywhere(fabric, lambda: plan.trainer.make_job(plan, parts))
    alike(
        fabric,
        str({**parts.built_on, **parts.started_from}),
        f"all nodes must see the same --weights ({sitting.weights})",
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
    loop = _Loop(plan, digest, job, fabric, parts)
    if state is not None:
        loop.restore(state)
    fabric.barrier()  # everybody has read before anybody writes
    first(fabric, lambda: checkpoint.probe(sitting.weights))
    first(fabric, lambda: loop.save(sitting.out))
    if not done:
        loop.run(sitting, hooks if rank == 0 else Hooks(), say if rank == 0 else None)
    finished = loop.step >= recipe.steps
    if rank == 0 and finished:
        with card_held(sitting.weights):
            digests = loop.export(sitting.weights, digests)
    else:
        digests = {}
    return TrainingResult(loop.step, finished, loop.seconds, loop.meter.means(), digests, rank)


def _all_there(weights: Path, digests: Mapping[str, str]) -> bool:
    """Whether every exported part has its file, as far as the parts' names tell."""
    return all((weights / f"{name}.safetensors").is_file() for name in digests)


class _Loop:
    def __init__(self, plan: TrainingPlan, digest: str, job: TrainingJob, fabric: Any, parts: PartsFolder) -> None:
        self.plan, self.digest, self.job, self.fabric = plan, digest, job, fabric
        self.built_on: Mapping[str, str] = parts.built_on
        self.started_from: Mapping[str, str] = parts.started_from
        job.task.train()
        for module in job.task.children():
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()  # frozen: no dropout
        self.names = {p: name for name, p in job.task.named_parameters() if p.requires_grad}
        settings = plan.recipe.optimiser
        optimiser = torch.optim.AdamW(
            parameter_groups(job, settings), lr=settings.learning_rate, amsgrad=settings.amsgrad
        )
        self.model, self.optimiser = fabric.setup(job.task, optimiser)
        self.raw = cast(torch.optim.Optimizer, optimiser)
        self.step, self.seconds = 0, 0.0
        self.power: Meter | None = None
        self.earlier_energy: Sequence[Energy | None] = ()
        self.meter = RunningMeans({})
        self.average = (
            {name: value.detach().clone() for name, value in job.task.state_dict().items()} if settings.average else {}
        )

    def restore(self, state: checkpoint.State) -> None:
        changed = sorted(name for name, digest in state.built_on.items() if self.built_on.get(name) != digest)
        if changed:
            raise UsageError(
                f"{self.plan.name}: its checkpoint was trained on another {', '.join(changed)} than `weights` holds "
                "now; give another `out` to begin anew"
            )
        self.job.task.load_state_dict(dict(state.weights))
        checkpoint.restore_moments(self.raw, self.names, state.moments)
        device = self.fabric.device
        self.average = {name: value.to(device) for name, value in state.average.items()}
        self.step, self.seconds = state.step, state.seconds
        self.earlier_energy = state.energy
        self.started_from = state.started_from  # a file of that name may be another one by now
        self.meter = RunningMeans(state.figures)

    def save(self, folder: Path) -> None:
        state = checkpoint.State(
            step=self.step,
            seconds=self.seconds,
            digest=self.digest,
            weights=self.job.task.state_dict(),
            average=self.average,
            moments=checkpoint.optimiser_moments(self.raw, self.names),
            figures=self.meter.means(),
            built_on=self.built_on,
            started_from=self.started_from,
            energy=self.energy(),
        )
        checkpoint.save(folder, state)

    def energy(self) -> list[Energy | None]:
        """Of the sittings until now, this one included once it has begun."""
        return [*self.earlier_energy, *([] if self.power is None else [self.power.so_far()])]

    def run(self, sitting: TrainingSitting, hooks: Hooks, say: Callable[[str], None] | None) -> None:
        steps = self.plan.recipe.steps
        facts = {"name": self.plan.name, "plan": self.plan.as_dict(), "steps": steps, "done": self.step}
        hooks.tell("start", "training", sitting.out, facts)
        try:
            with stopping(say) as stop, measured(sitting.energy) as self.power:
                self._run(sitting, hooks, stop, self._source(sitting.out, stop, say))
        finally:
            hooks.tell("end", "finished" if self.step >= steps else "interrupted", self.meter.means())
            if say is not None and self.power is not None and self.power.record is not None:
                say(energy_text(self.power.record))
        if stop.asked and self.step < self.plan.recipe.steps:
            raise KeyboardInterrupt

    def _source(self, out: Path, stop: Stop, say: Callable[[str], None] | None) -> Iterator[Any]:
        recipe, fabric = self.plan.recipe, self.fabric
        first, last = self.step * recipe.accumulate, recipe.steps * recipe.accumulate
        if self.job.batches is None:
            rank, ranks = fabric.global_rank, fabric.world_size
            return batches(recipe.data, recipe.seed, recipe.batch, first=first, last=last, rank=rank, ranks=ranks)
        begun = told = time.monotonic()

        def made(done: int, total: int) -> None:
            nonlocal told
            if anyone(fabric, stop.asked):
                raise KeyboardInterrupt  # what is kept is kept
            if say is not None and time.monotonic() > told + 60:
                told = time.monotonic()
                say(f"{done} of {total} scenes are heard and kept in {out}")

        source = self.job.batches(out, first=first, last=last, progress=made, fabric=fabric)
        self.seconds += time.monotonic() - begun  # what is made before the first step is training as well
        return source

    def _run(self, sitting: TrainingSitting, hooks: Hooks, stop: Stop, source: Iterator[Any]) -> None:
        recipe, fabric = self.plan.recipe, self.fabric
        begun = saved = time.monotonic()
        earlier = self.seconds
        while self.step < recipe.steps:
            try:
                self._advance(source)
            except RuntimeError as error:
                if not stop.asked:
                    raise
                raise KeyboardInterrupt from error  # the loader's processes were sent the signal too
            now = time.monotonic()
            self.seconds = earlier + now - begun
            over = stop.asked or (sitting.max_minutes is not None and now - begun > 60 * sitting.max_minutes)
            over = anyone(fabric, over)
            last = over or self.step == recipe.steps
            if fabric.global_rank == 0:
                if last or now - saved > 60 * sitting.checkpoint_minutes:
                    self.save(sitting.out)
                    saved = time.monotonic()
                if hooks:
                    hooks.tell("step", self.step, recipe.steps, self.meter.means())
                if fabric.loggers and (last or self.step % 20 == 0):
                    fabric.log_dict(self.meter.means(), step=self.step)
            if over:
                return

    def _advance(self, source: Iterator[Any]) -> None:
        recipe, fabric = self.plan.recipe, self.fabric
        for part in range(recipe.accumulate):
            batch = next(source).to(fabric.device)
            seed_step(recipe.seed, self.step, part, fabric.global_rank)
            with fabric.no_backward_sync(self.model, enabled=part + 1 < recipe.accumulate):
                terms = self.model(batch)
                loss = torch.stack([value for name, value in terms.items() if not name.startswith("_")]).sum()
                finite = torch.isfinite(loss)
                if fabric.world_size > 1:  # all stop together: nobody waits for the gradient of one that has stopped
                    finite = fabric.all_reduce(finite.float(), reduce_op="sum") == fabric.world_size
                if not finite:
                    listed = {name: float(value.detach()) for name, value in terms.items()}
                    raise DataError(
                        f"{self.plan.name}: step {self.step}: the loss is not finite: {listed}; lower "
                        "optimiser.learning_rate or optimiser.clip, or take another seed, with another `out`"
                    )
                fabric.backward(loss / recipe.accumulate)
            self.meter.add({**terms, "_loss": loss})
        factor = rate(self.step, recipe.steps, recipe.optimiser)
        for group in self.raw.param_groups:
            group["lr"] = recipe.optimiser.learning_rate * group["factor"] * factor
        norm = nn.utils.clip_grad_norm_(list(self.names), recipe.optimiser.clip)
        usable = torch.isfinite(norm)
        self.meter.add({"_gradient_norm": norm, "_skipped": 1.0 - usable.double()})
        if usable:  # a batch without a usable gradient is passed over
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self._update_average()

    @torch.no_grad()
    def _update_average(self) -> None:
        if not self.average:
            return
        decay = min(self.plan.recipe.optimiser.average, (1 + self.step) / (10 + self.step))
        for name, value in self.job.task.state_dict().items():
            kept = self.average[name]
            if kept.is_floating_point():
                kept.lerp_(value.to(kept.dtype), 1 - decay)
            else:
                kept.copy_(value)

    def export(self, folder: Path, known: Mapping[str, str]) -> dict[str, str]:
        """Write the trained parts, averaged where there is an average, and what they are to the card.

        Of parts that were exported before (`known`, their digests) only those that are gone: what is there may be a
        later recipe's.
        """
        values = self.average or self.job.task.state_dict()
        self.job.task.load_state_dict(values)
        digests, written = {}, {}
        for name, part in self.job.parts.items():
            path = folder / part.file
            if name in known and path.is_file():
                digests[name] = known[name]
                continue
            digests[name] = written[part.file] = checkpoint.write_weights(
                path, part.tensors(part.network), _TYPES[self.plan.recipe.export]
            )
            if part.beside is not None:
                beside = part.beside(path.parent)
                written[str(beside.relative_to(folder))] = f"sha256:{file_sha256(beside)}"
        recipe, energy = self.plan.recipe, total_energy(self.energy())
        if energy is not None and self.fabric.world_size > 1:
            energy = replace(energy, method=f"{energy.method}; of the first of {self.fabric.world_size} processes")
        entry = {
            "recipe": self.plan.name,
            "plan": self.digest,
            "steps": self.step,
            "scenes": self.step * recipe.accumulate * recipe.batch,
            "seconds_per_scene": recipe.data.seconds,
            **heard_entry(material := heard(recipe.data)),
            "seed": recipe.seed,
            "hours": round(self.seconds / 3600, 3),
            **({} if energy is None else {"energy": asdict(energy)}),
            "device": device_name(self.fabric.device),
            "torch": torch.__version__,
            "built_on": dict(self.built_on),
            "started_from": dict(self.started_from),
            **self.job.facts,
            "figures": {name: round(value, 4) for name, value in self.meter.means().items()},
            "files": digests,
        }
        checkpoint.update_card(folder, entry, [*material, *self.job.also_heard], written=written)
        return digests
