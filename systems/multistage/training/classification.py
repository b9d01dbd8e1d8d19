"""Training of a stage's classifier on slots that its frozen separator has made before (`kept_slots`)."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.common.progress import CountProgress
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS
from s5eval.systems.multistage.models.dpc import DualPathClassifier, normalise_level, relative_level
from s5eval.systems.multistage.system import REVISION
from s5eval.systems.multistage.training.extraction import EarlierStages
from s5eval.systems.multistage.training.kept_slots import Heard, KeptSlots, SlotBatch, joined
from s5eval.systems.multistage.training.multistage_recipe import LossSettings, MultistageRecipe
from s5eval.systems.multistage.training.separation import classifier_terms
from s5eval.systems.multistage.training.slot_draws import draw
from s5eval.systems.multistage.training.slot_folder import FOLDER
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.training.batches import Batch, batches, heard
from s5eval.systems.training.losses import best_permutation
from s5eval.systems.training.together import ALONE
from s5eval.systems.training.training_plan import TrainingPlan

REST_DECIBELS = (5.0, 35.0)
"""By how many dB the rest of its scene is turned down beside a source that is heard alone, at least and at most."""

Hearing = Callable[[Batch], SlotBatch]
"""What the frozen networks make of scenes."""


class ClassificationTask(nn.Module):
    """The loss of kept slots for a stage's classifier; in stage 1 for the M2D it hears through, too."""

    def __init__(self, dpc: DualPathClassifier, m2d: M2D, weights: LossSettings, *, train_m2d: bool) -> None:
        """`train_m2d` False: M2D is frozen."""
        super().__init__()
        self.dpc = dpc
        self.m2d = m2d if train_m2d else None
        self._hears = (m2d,)  # not a submodule by this: a frozen one is neither trained nor saved
        self.weights = weights

    def forward(self, batch: SlotBatch) -> dict[str, Tensor]:
        """Weighted terms that add up to the loss, and unweighted figures under names that begin with `_`."""
        return classifier_terms(
            self.dpc,
            tokens=self._hears[0].backbone(batch.log_mel),
            features=batch.features,
            level=batch.level,
            labels=batch.labels,
            mixed=(batch.other, batch.share),
            weights=self.weights,
        )


def separated_slots(uss: DeFTMambaUSS, m2d: M2D) -> Hearing:
    """Stage 1: every slot, in the order of the references it was matched to."""

    def hear(batch: Batch) -> SlotBatch:
        out = uss(batch.mixture, foreground_only=True)
        order = best_permutation(out.foreground, batch.targets)
        audio = order.estimates(out.foreground).flatten(0, 1)
        mixture = batch.mixture.repeat_interleave(batch.targets.shape[1], 0)
        features = order.estimates(out.features).flatten(0, 1)
        return as_heard(features, audio, mixture, batch.labels.flatten(), m2d)

    return hear


def extracted_slots(tse: DeFTMambaTSE, earlier: EarlierStages) -> Hearing:
    """Stages 2 and 3: the slots that the stage before has not given up, told what they are told at inference.

    Of a scene whose slots are all given up, one: encoders take no empty batch.
    """

    def hear(batch: Batch) -> SlotBatch:
        slots = earlier(batch)
        alive = torch.nonzero(~slots.dead)[:, 0]
        slots = slots.pick(alive if len(alive) else torch.zeros(1, dtype=torch.long, device=alive.device))
        told = earlier.enroll(slots.audio, slots)
        classes = F.one_hot(slots.predicted, slots.classes).to(told.dtype)
        out = tse(slots.mixture, told, classes, earlier.embed(told, slots.mixture))
        return as_heard(out.features, out.estimate, slots.mixture, slots.labels, earlier.m2d)

    return hear


def as_heard(features: Tensor, audio: Tensor, mixture: Tensor, labels: Tensor, m2d: M2D) -> SlotBatch:
    """What a classifier is shown of estimates (N, T) of mixtures (N, 4, T)."""
    return SlotBatch.unmixed(features, m2d.to_spec(normalise_level(audio)), relative_level(audio, mixture), labels)


def sources_alone(batch: Batch, m2d: M2D) -> tuple[Tensor, Tensor]:
    """M2D's input for the sources of scenes, and their classes.

    The rest of the scene stays in, turned down by what torch's generator draws from `REST_DECIBELS` for every source.
    """
    scene, slot = torch.nonzero(batch.active, as_tuple=True)
    dry = batch.targets[scene, slot]
    quiet, loud = (-x / 20 for x in reversed(REST_DECIBELS))
    left = 10.0 ** (quiet + (loud - quiet) * torch.rand(len(scene), 1)).to(dry.device)
    heard = dry + left * (batch.omni[scene] - dry)
    rows = heard if len(heard) else batch.omni[:1]  # a scene without a target: transforms take no empty batch
    return m2d.to_spec(normalise_level(rows))[: len(heard)], batch.labels[scene, slot]


class SlotSource:
    """Batches of kept slots, in place of the loop's batches of scenes."""

    def __init__(self, plan: TrainingPlan, frozen: Mapping[str, str], hear: Hearing, m2d: M2D) -> None:
        """`frozen`: digests of the networks in `hear`."""
        self.plan, self.hear, self.m2d = plan, hear, m2d
        self.others = plan.recipe.slots.others()
        self.size = plan.recipe.slots.batch
        self.made_by = {
            "revision": REVISION,
            "scenes": plan.scenes_digest(),
            "stage": plan.recipe.stage,
            "system": plan.recorded_system(),
            "frozen": dict(frozen),
            "alone_decibels": REST_DECIBELS,
        }
        if plan.recipe.stage > 1 and plan.recipe.clues.runner_up > 0:
            self.made_by["runner_up"] = plan.recipe.clues.runner_up

    def __call__(
        self, out: Path, *, first: int, last: int, progress: CountProgress | None = None, fabric: Any = ALONE
    ) -> Iterator[SlotBatch]:
        """See `BatchSource`; slots that are missing in `out` are made first, and reported to `progress`."""
        recipe: MultistageRecipe = self.plan.recipe
        slots = KeptSlots(out / FOLDER, self.made_by)
        material = heard(recipe.data)
        slots.prepare(recipe.slots.scenes, self._hear, progress, material=material, others=self.others, fabric=fabric)
        rank, ranks = fabric.global_rank, fabric.world_size
        return draw(slots, recipe.slots, recipe.seed, first=first, last=last, rank=rank, ranks=ranks)

    @torch.no_grad()
    def _hear(self, first: int, last: int) -> Heard:
        recipe, scenes = self.plan.recipe, []
        device = next(self.m2d.parameters()).device
        for number, scene in enumerate(batches(recipe.data, recipe.seed, 1, first=first, last=last), first):
            torch.manual_seed(zlib.crc32(f"{recipe.seed} alone {number}".encode()))
            here = scene.to(device)
            heard_here = Heard(self.hear(here), *sources_alone(here, self.m2d))
            scenes.append(heard_here.to(torch.device("cpu")))
        return joined(scenes)
