"""Training of stage 1: universal separation with assigned slots, and the classifier on what comes out."""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaUSS, cell_power
from s5eval.systems.multistage.models.dpc import DualPathClassifier, normalise_level, relative_level
from s5eval.systems.multistage.training.multistage_recipe import LossSettings
from s5eval.systems.multistage.training.segmentation import SegmentationHead, idle
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.networks.precision import full_precision
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.losses import (
    Assignment,
    best_choice,
    best_permutation,
    classification_loss,
    sa_sdr_loss,
    scale_gradient,
    silence_loss,
    silent_slot_loss,
    source_snr_loss,
)


class SeparationTask(nn.Module):
    """The loss of a batch for `uss`, `dpc1`, or both; with `dpc1` for the M2D it hears through, too."""

    def __init__(
        self,
        uss: DeFTMambaUSS,
        dpc: DualPathClassifier | None,
        m2d: M2D | None,
        weights: LossSettings,
        *,
        train_uss: bool,
        train_m2d: bool = False,
    ) -> None:
        """`dpc` None: no classifier is trained. `train_uss`, `train_m2d` False: what they name is frozen."""
        super().__init__()
        self.uss, self.dpc = uss, dpc
        self.m2d = m2d if train_m2d else None
        self._hears = (m2d,)  # not a submodule by this: a frozen one is neither trained nor saved
        self.weights, self.train_uss = weights, train_uss
        self.segmentation = SegmentationHead(uss) if train_uss and weights.segmentation > 0 else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted terms that add up to the loss, and unweighted figures under names that begin with `_`."""
        everything = self.train_uss and (self.weights.interference > 0 or self.weights.noise > 0)
        by_direction = self.weights.assignment == "direction"
        choose = functools.partial(choose_clusters, batch=batch, uss=self.uss)
        out = self.uss(batch.mixture, foreground_only=not everything, choose=choose if by_direction else None)
        order = self._assign(out.foreground, batch)
        estimates = order.estimates(out.foreground)
        terms: dict[str, Tensor] = {}
        if self.train_uss:
            terms |= separation_terms(estimates, batch.targets, batch.active, batch.omni, self.weights)
            terms["separation"] = terms["separation"] + idle(self.uss)
            if out.interference is not None and out.interference.shape[1]:
                others = batch.interference
                matched = best_permutation(out.interference, others).estimates(out.interference)
                loss = sa_sdr_loss(matched, others, batch.omni)
                loss = loss.where(others.flatten(1).any(1), self.weights.silent_mixture * loss)
                terms["interference"] = self.weights.interference * loss.mean()
            if out.noise is not None and out.noise.shape[1]:
                loss = sa_sdr_loss(out.noise, batch.noise, batch.omni).mean()
                terms["noise"] = self.weights.noise * loss
            if self.segmentation is not None:
                terms["segmentation"] = self.weights.segmentation * self.segmentation(out.map, batch, self.uss)
            if out.directed is not None:
                chosen = out.directed.chosen if by_direction else choose(out.directed.shares, out.directed.logits)
                loss = cluster_loss(out.directed.logits, chosen, batch.active)
                terms["directions"] = self.weights.directions * loss
        if self.dpc is not None:
            mixture = batch.mixture.repeat_interleave(out.foreground.shape[1], 0)
            tokens, level = hear(self._hears[0], estimates.flatten(0, 1), mixture)
            terms |= classifier_terms(
                self.dpc,
                tokens=tokens,
                level=level,
                features=order.estimates(out.features).flatten(0, 1),
                labels=batch.labels.flatten(),
                weights=self.weights,
            )
        return terms

    def _assign(self, foreground: Tensor, batch: Batch) -> Assignment:
        if self.weights.assignment == "class":
            return assign_by_class(batch)
        if self.weights.assignment == "direction":
            return Assignment(torch.arange(foreground.shape[1], device=foreground.device).expand(len(foreground), -1))
        return best_permutation(foreground, batch.targets)


def assign_by_class(batch: Batch) -> Assignment:
    """Slots in the order of the classes; sources of one class, the louder first; slots without a source last.

    With exact assignment, slots that are nearly alike get hardly any gradient that tells them apart. An order that
    the network can make out breaks the tie.
    """
    power = batch.targets.square().sum(-1)
    louder = power / (power.amax(1, keepdim=True) + 1e-12)
    label = torch.where(batch.active, batch.labels, len(CLASSES))
    rank = (label - 0.5 * louder).argsort(1)  # which reference comes k-th
    return Assignment(rank.argsort(1))


def choose_clusters(shares: Tensor, logits: Tensor, *, batch: Batch, uss: DeFTMambaUSS) -> Tensor:
    """Which cluster of directions every reference is to be extracted from, (B, slots).

    Of all choices the one by which most of the sources' power, the total of each counting one, lies in the cells of
    their own clusters, up to 0.001 per slot; slots without a source get the likeliest of the other clusters, as at
    inference.

    Args:
        shares: (B, T', F', K + 1) of `direction_shares`.
        logits: (B, K), how likely each is to hold a target.
        batch: the scenes.
        uss: has the map.
    """
    with torch.no_grad(), full_precision(shares):
        power = cell_power(uss, batch.targets.flatten(0, 1)).view(*batch.targets.shape[:2], -1)
        power = power / power.sum(-1, keepdim=True).clamp_min(1e-12)
        overlap = power @ shares[..., :-1].flatten(1, 2)  # (B, slots, K)
        return best_choice(torch.where(batch.active.unsqueeze(-1), overlap, 1e-3 * logits.sigmoid().unsqueeze(1)))


def cluster_loss(logits: Tensor, chosen: Tensor, active: Tensor) -> Tensor:
    """Mean binary cross-entropy of which clusters hold a target.

    Args:
        logits: (B, K).
        chosen: (B, slots) of `choose_clusters`.
        active: (B, slots), which of those have a source.
    """
    wanted = torch.zeros_like(logits).scatter(1, chosen, active.to(logits.dtype))
    return F.binary_cross_entropy_with_logits(logits, wanted)


def separation_terms(
    estimates: Tensor, references: Tensor, active: Tensor, omni: Tensor, weights: LossSettings
) -> dict[str, Tensor]:
    """Terms for slots (B, K, T) in the order of the references: SA-SDR, single sources, silent slots and mixtures.

    The figure `_sdr` is the mean SA-SDR in dB of the mixtures that have a target; NaN where none has.
    """
    aggregated = sa_sdr_loss(estimates, references, omni)
    single = source_snr_loss(estimates, references, active)
    silent = silent_slot_loss(estimates, omni, active)
    some = active.any(1)
    count = active.sum(1).clamp_min(1)
    joint = (1 - weights.source) * aggregated + weights.source * single.sum(1) / count
    zero = weights.silent_mixture * aggregated
    return {
        "separation": weights.separation * joint.where(some, zero).mean(),
        "silent_slots": weights.silent_slot * silent.mean(),
        "_sdr": (-aggregated.detach() * some).sum() / some.sum(),
    }


def classifier_terms(
    dpc: DualPathClassifier,
    *,
    tokens: Tensor,
    features: Tensor,
    level: Tensor,
    labels: Tensor,
    weights: LossSettings,
    mixed: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """ArcFace on slots with a source and the silence head on all; figures are accuracies on the batch, NaN of no slot.

    Args:
        dpc: trained.
        tokens: of M2D, see `hear`.
        features: (N, D, T', F') object features.
        level: (N,), see `hear`.
        labels: (N,), −1 for a slot without a source.
        weights: of the terms, and of the gradient that goes back through the features.
        mixed: (N,) other labels, −1 for none, and (N,) shares of `labels` beside them.
    """
    active = labels >= 0
    out = dpc(scale_gradient(features, weights.object_gradient), tokens, level, labels.clamp_min(0))
    chosen = out.plain.argmax(1)
    return {
        "classes": weights.classes
        * classification_loss(
            out.logits[active],
            labels[active],
            None if mixed is None else (mixed[0][active], mixed[1][active]),
            smoothing=weights.smoothing,
        ),
        "silence": weights.silence * silence_loss(out.silence, active),
        "_class_accuracy": (chosen[active] == labels[active]).double().sum() / active.sum(),
        "_silence_accuracy": ((out.silence < 0) == active).double().mean(),
    }


def hear(m2d: M2D | None, audio: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor]:
    """What a classifier is told of estimates (N, T) of mixtures (N, 4, T) beside their features: tokens and level.

    No gradient goes back into the estimates.
    """
    if m2d is None:
        raise ValueError("a classifier needs M2D's tokens")
    heard = audio.detach()
    return m2d(normalise_level(heard)), relative_level(heard, mixture)
