"""What learns in a training: the networks of a recipe, their optimiser and the average of their weights.

Whatever chance decides in step n is drawn from a generator that is seeded with n, so that a run which goes on from a
checkpoint takes the steps of one that was never killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.energy import Energy, Meter, total_energy
from s5eval.systems.training import checkpoint
from s5eval.systems.training.batches import heard_entry
from s5eval.systems.training.exports import update_card, write_weights
from s5eval.systems.training.parts import PartsFolder, TrainingJob
from s5eval.systems.training.sitting import device_name
from s5eval.systems.training.steps import RunningMeans, parameter_groups, rate, seed_step
from s5eval.systems.training.training_plan import TrainingPlan

_TYPES = {"float32": torch.float32, "float16": torch.float16}

_MOST_SKIPPED = 20
"""Steps in a row that may be without a finite gradient."""


class Learner:
    """The networks of a recipe: a step at a time, between checkpoints, and exported at the end.

    Attributes:
        plan: what is trained.
        material: what it hears, as cards tell it.
        job: its networks, its loss and, perhaps, its batches.
        fabric: of the devices.
        step: steps done.
        seconds: of training in all sittings until now.
        skipped: steps in a row, up to the last one, that had no finite gradient.
        power: the meter of this sitting, once it has begun.
        meter: means of the loss terms and accuracies over the last steps.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        digest: str,
        job: TrainingJob,
        fabric: Any,
        parts: PartsFolder,
        material: Sequence[Mapping[str, Any]],
    ) -> None:
        """`digest`: that of the plan; `parts`: where the networks of the job came from; `material`: see `heard`."""
        self.plan, self.digest, self.job, self.fabric, self.material = plan, digest, job, fabric, material
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
        self.skipped = 0
        self.power: Meter | None = None
        self.earlier_energy: Sequence[Energy | None] = ()
        self.meter = RunningMeans({})
        self.average = (
            {name: value.detach().clone() for name, value in job.task.state_dict().items()} if settings.average else {}
        )

    def restore(self, state: checkpoint.State, *, ended: bool = False) -> None:
        """Go on from a checkpoint.

        Args:
            state: the checkpoint.
            ended: nothing is trained any more, and the card tells of it: whatever the frozen parts are by now.

        Raises:
            UsageError: the frozen parts are others by now, or there is one that was not there before.
        """
        if not ended:
            self._check_frozen(state)
        self.built_on = state.built_on
        self.job.task.load_state_dict(dict(state.weights))
        checkpoint.restore_moments(self.raw, self.names, state.moments)
        device = self.fabric.device
        self.average = {name: value.to(device) for name, value in state.average.items()}
        self.step, self.seconds = state.step, state.seconds
        self.earlier_energy = state.energy
        self.started_from = state.started_from  # a file of that name may be another one by now
        self.meter = RunningMeans(state.figures)

    def _check_frozen(self, state: checkpoint.State) -> None:
        changed = sorted(name for name, digest in state.built_on.items() if self.built_on.get(name) != digest)
        if changed:
            raise UsageError(
                f"{self.plan.name}: its checkpoint was trained on another {', '.join(changed)} than `weights` holds "
                "now; give another `out` to begin anew"
            )
        if added := sorted(self.built_on.keys() - state.built_on.keys()):
            raise UsageError(
                f"{self.plan.name}: its checkpoint was trained without {', '.join(added)}, which is there now; give "
                "another `out` to begin anew"
            )

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
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

    def advance(self, batches: Sequence[Any]) -> None:
        """One step, on as many batches as the recipe accumulates.

        Raises:
            DataError: the loss is not finite, or the gradient in `_MOST_SKIPPED` steps in a row.
        """
        recipe, fabric = self.plan.recipe, self.fabric
        for part, loaded in enumerate(batches):
            batch = loaded.to(fabric.device)
            seed_step(recipe.seed, self.step, part, fabric.global_rank)
            with fabric.no_backward_sync(self.model, enabled=part + 1 < recipe.accumulate):
                terms = self.model(batch)
                loss = torch.stack([value for name, value in terms.items() if not name.startswith("_")]).sum()
                finite = torch.isfinite(loss)
                if fabric.world_size > 1:  # all stop together: nobody waits for the gradient of one that has stopped
                    finite = fabric.all_reduce(finite.float(), reduce_op="sum") == fabric.world_size
                if not finite:
                    listed = {name: float(value.detach()) for name, value in terms.items() if not name.startswith("_")}
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
        self.skipped = 0 if usable else self.skipped + 1
        if usable:  # a batch without a usable gradient is passed over
            self.optimiser.step()
        elif self.skipped == _MOST_SKIPPED:  # the same in every process, and the weights do not change any more
            raise DataError(
                f"{self.plan.name}: step {self.step}: no gradient of the last {self.skipped} steps was finite, so "
                "nothing is learned; lower optimiser.learning_rate, or train in precision float32, with another `out`"
            )
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

    def export(self, folder: Path, known: Mapping[str, Any] | None) -> dict[str, str]:
        """Write the trained parts, averaged where there is an average, and what they are to the card.

        Where the card tells of this training already (`known`, its entry), only parts are written that are gone: what
        is there may be a later recipe's. The entry stays as it is: what was heard then may be another file by now.
        """
        before = {} if known is None else dict(known.get("files", {}))
        values = self.average or self.job.task.state_dict()
        self.job.task.load_state_dict(values)
        digests, written = {}, {}
        for name, part in self.job.parts.items():
            path = folder / part.file
            if name in before and path.is_file():
                digests[name] = before[name]
                continue
            digests[name] = written[part.file] = write_weights(
                path, part.tensors(part.network), _TYPES[self.plan.recipe.export]
            )
            if part.beside is not None:
                beside = part.beside(path.parent)
                written[str(beside.relative_to(folder))] = f"sha256:{file_sha256(beside)}"
        entry = self._entry(digests) if known is None else {**known, "files": {**before, **digests}}
        update_card(folder, entry, [*self.material, *self.job.also_heard], written=written)
        return digests

    def _entry(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """What the card tells of the training that these files came from."""
        recipe, energy = self.plan.recipe, total_energy(self.energy())
        if energy is not None and self.fabric.world_size > 1:
            energy = replace(energy, method=f"{energy.method}; of the first of {self.fabric.world_size} processes")
        return {
            "recipe": self.plan.name,
            "plan": self.digest,
            "steps": self.step,
            "scenes": self.step * recipe.accumulate * recipe.batch,
            "seconds_per_scene": recipe.data.seconds,
            **heard_entry(self.material),
            "seed": recipe.seed,
            "hours": round(self.seconds / 3600, 3),
            **({} if energy is None else {"energy": asdict(energy)}),
            "device": device_name(self.fabric.device),
            "torch": torch.__version__,
            "built_on": dict(self.built_on),
            "started_from": dict(self.started_from),
            **self.job.facts,
            "figures": {name: round(value, 4) for name, value in self.meter.means().items()},
            "files": dict(digests),
        }
