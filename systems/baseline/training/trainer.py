"""How `s5eval train` reaches the baseline: its tagger, and its separator queried with true labels.

Source of both losses: nttcslab/dcase2026_task4_baseline, commit 20e6992.
"""

import re
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.baseline.configuration import BaselineConfiguration, load_preset
from s5eval.systems.baseline.models.frozen import trained_tensors
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.models.tagger import Tagger
from s5eval.systems.baseline.system import new_part
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.losses import permutations
from s5eval.systems.training.parts import Part, PartsFolder, TrainingJob
from s5eval.systems.training.training_plan import Trainer, TrainingPlan
from s5eval.systems.training.training_recipe import TrainingRecipe

_PARTS = {"tagger": "tagger-4c", "separator": "separator"}

_UNUSED = re.compile(r"base\.decoder_block\d+\.bn2\.|film\.decoder_block\d+->beta2\.")
"""What the published network holds without using it; it gets no gradient."""


class TaggerTask(nn.Module):
    """Cross-entropy over classes and silence, the best assignment of tracks to sources."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Terms of the loss, and the share of tracks named rightly."""
        logits = self.tagger(batch.mixture)
        wanted = torch.where(batch.active, batch.labels, len(CLASSES))
        loss, order = track_loss(logits, wanted)
        chosen = logits.argmax(2).gather(1, order)
        return {"tracks": loss.mean(), "_track_accuracy": (chosen == wanted).double().mean()}


class SeparatorTask(nn.Module):
    """Negative SNR of the queried sources, the best assignment among those of one class."""

    def __init__(self, separator: ResUNetK) -> None:
        super().__init__()
        self.separator = separator

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Terms of the loss; sources are named in random order, empty tracks last, as at inference."""
        order = torch.rand(batch.labels.shape).to(batch.labels.device) + ~batch.active
        order = order.argsort(1)
        labels = batch.labels.gather(1, order)
        targets = batch.targets.gather(1, order.unsqueeze(2).expand_as(batch.targets))
        active = labels >= 0
        query = F.one_hot(labels.clamp_min(0), len(CLASSES)) * active.unsqueeze(2)
        estimates = self.separator(batch.mixture, query.to(batch.mixture.dtype))
        loss = class_aware_loss(estimates, targets, labels)
        return {"separation": loss.mean(), "_snr": -(loss * active.shape[1]).sum() / active.sum()}


def track_loss(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Permutation-invariant cross-entropy.

    Args:
        logits: (B, tracks, classes + 1), the last of silence.
        wanted: (B, tracks), classes, or `classes` for a track that is to be silent.

    Returns:
        (B,) the mean over tracks of the best assignment, and (B, tracks) which track was assigned to each of `wanted`.
    """
    tracks = logits.shape[1]
    costs = -logits.log_softmax(2).gather(2, wanted.unsqueeze(1).expand(-1, tracks, -1))  # (B, track, wanted)
    orders = permutations(tracks, logits.device)
    totals = costs[:, orders, torch.arange(tracks, device=logits.device)].mean(-1)
    best = totals.argmin(1)
    return totals.gather(1, best.unsqueeze(1))[:, 0], orders[best]


def class_aware_loss(estimates: Tensor, references: Tensor, labels: Tensor) -> Tensor:
    """Negative SNR in dB, averaged over all tracks, silent ones counting 0: (B,).

    Args:
        estimates: (B, tracks, T).
        references: (B, tracks, T).
        labels: (B, tracks), −1 for a silent track; only tracks of one label may be exchanged.
    """
    tracks = labels.shape[1]
    small = torch.finfo(estimates.dtype).eps
    error = (references.unsqueeze(1) - estimates.unsqueeze(2)).square().sum(-1)  # (B, estimate, reference)
    target = references.square().sum(-1).unsqueeze(1)
    costs = -10 * torch.log10((target + small) / (error + small))
    costs = torch.where((labels < 0).unsqueeze(1), torch.zeros_like(costs), costs)
    allowed = labels.unsqueeze(2) == labels.unsqueeze(1)
    costs = costs.masked_fill(~allowed, torch.inf)
    orders = permutations(tracks, labels.device)
    totals = costs[:, orders, torch.arange(tracks, device=labels.device)].sum(-1)
    return totals.amin(1) / tracks


def make_job(plan: TrainingPlan, parts: PartsFolder) -> TrainingJob:
    """Network and loss of a plan.

    Raises:
        DataError: the part that the recipe starts from is missing.
        UsageError: published M2D weights for the tagger.
    """
    recipe: TrainingRecipe = plan.recipe
    config: BaselineConfiguration = plan.configuration
    (name,) = recipe.trains
    if name == "tagger" and parts.m2d_weights is not None:
        raise UsageError(
            "the tagger starts from what starts_from names in `weights`, and takes no published M2D weights: expected "
            f"no `m2d_weights`, got {parts.m2d_weights}"
        )
    module = new_part(_PARTS[name], config)
    start = recipe.starts_from.get(name)
    module = parts.trained(module, start, prefix="m2d.backbone." if start == "m2d" else "")
    if name == "tagger":
        tagger = cast(Tagger, module)
        task: nn.Module = TaggerTask(tagger)
    else:
        for entry, parameter in module.named_parameters():
            if _UNUSED.search(entry):
                parameter.requires_grad_(False)
        task = SeparatorTask(cast(ResUNetK, module))
    # the norm of the tagger's head takes one value of every scene
    least = 2 if name == "tagger" else 1
    return TrainingJob(task, {name: Part(module, f"{name}.safetensors", trained_tensors)}, least=least)


def check_recipe(recipe: TrainingRecipe, config: BaselineConfiguration, where: str) -> None:
    """Refuse parts that the baseline does not have, and scenes with more targets than tracks. Raises `UsageError`."""
    if len(recipe.trains) != 1 or recipe.trains[0] not in _PARTS:
        raise UsageError(f"{where}.trains is {list(recipe.trains)}, expected one of {', '.join(_PARTS)}")
    if len(recipe.data.target_counts) - 1 != config.tracks:
        raise UsageError(
            f"{where}.data.target_counts is {list(recipe.data.target_counts)}, expected chances of 0 to {config.tracks}"
        )


TRAINER = Trainer(
    TrainingRecipe,
    load_preset,
    check_recipe,
    make_job,
    recorded=lambda sizes, _: sizes.recorded(),
    part_settings=lambda name, sizes: sizes.part_settings(name),
)
"""What `s5eval train` asks for."""
