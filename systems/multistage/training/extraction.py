"""Training of stages 2 and 3: slots assigned by stage 1, clues made on the spot by the frozen stages before.

What the earlier stages hand on is disturbed (`ClueSettings`), so that the network learns to correct a wrong class
and to use the mixture where the enrollment is poor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS, TSEOutput, cell_power
from s5eval.systems.multistage.models.dpc import DualPathClassifier, normalise_level, relative_level
from s5eval.systems.multistage.models.frame_encoders import FrameEncoder
from s5eval.systems.multistage.training.multistage_recipe import ClueSettings, LossSettings
from s5eval.systems.multistage.training.segmentation import cell_loss
from s5eval.systems.multistage.training.separation import classifier_terms, hear, separation_terms
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.networks.mish import mish
from s5eval.systems.spatial_filter import SpatialFilterSettings, filtered_by_scene
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.losses import best_permutation


@dataclass(frozen=True, slots=True)
class EarlierStages:
    """The frozen stages before: networks of stage 1, then (extractor, classifier) of stage 2 where 3 is trained.

    `enrollments`: what they are filtered by; None: an extractor is told the estimate as it is. `runner_up`: see
    `ClueSettings`; drawn from torch's generator.
    """

    uss: DeFTMambaUSS
    dpc1: DualPathClassifier
    refinements: Sequence[tuple[DeFTMambaTSE, DualPathClassifier]]
    m2d: M2D
    encoder: FrameEncoder | None
    af_source: Literal["estimate", "mixture"]
    tau_skip: float
    classes: int
    enrollments: SpatialFilterSettings | None
    runner_up: float = 0.0

    @torch.no_grad()
    def __call__(self, batch: Batch) -> "Slots":
        """Estimates and predicted classes for every slot, in the order of the references they were matched to."""
        out = self.uss(batch.mixture, foreground_only=True)
        order = best_permutation(out.foreground, batch.targets)
        audio = order.estimates(out.foreground).flatten(0, 1)
        features = order.estimates(out.features).flatten(0, 1)
        slots = Slots.of(batch, audio, self.classes)
        self._classify(self.dpc1, features, slots)
        for extractor, classifier in self.refinements:
            kept, named, dead = slots.audio, slots.predicted, slots.dead.clone()
            told = self.enroll(kept, slots)
            classes = F.one_hot(slots.predicted, slots.classes).to(audio.dtype)
            extracted = extractor(slots.mixture, told, classes, self.embed(told, slots.mixture))
            slots.audio = torch.where(dead.unsqueeze(1), kept, extracted.estimate)
            self._classify(classifier, extracted.features, slots)
            slots.predicted = torch.where(dead, named, slots.predicted)  # as at inference: it is handed on as it is
            slots.dead |= dead
        return slots

    def enroll(self, audio: Tensor, slots: "Slots") -> Tensor:
        """What an extractor is told of estimates (N, T) of the slots, as at inference."""
        if self.enrollments is None:
            return audio
        return filtered_by_scene(slots.mixture, slots.scene, audio, self.enrollments)

    def embed(self, audio: Tensor, mixture: Tensor) -> Tensor | None:
        """Frame embeddings (N, frames, dimension) for estimates (N, T) of mixtures (N, 4, T), as at inference: what
        is heard is brought to one level first.
        """
        if self.encoder is None:
            return None
        return self.encoder.embed(mixture[:, 0] if self.af_source == "mixture" else audio)

    def _classify(self, dpc: DualPathClassifier, features: Tensor, slots: "Slots") -> None:
        tokens = self.m2d(normalise_level(slots.audio))
        out = dpc(features, tokens, relative_level(slots.audio, slots.mixture))
        slots.predicted = out.plain.argmax(1)
        if self.runner_up > 0:
            second = out.plain.scatter(1, slots.predicted.unsqueeze(1), -torch.inf).argmax(1)
            doubted = (torch.rand(len(second)) < self.runner_up).to(second.device)
            slots.predicted = torch.where(doubted, second, slots.predicted)
        slots.dead = out.silence.sigmoid() > self.tau_skip


@dataclass(slots=True)
class Slots:
    """N slots of several mixtures, one per row.

    Attributes:
        mixture: (N, 4, T).
        audio: (N, T), the estimate so far.
        target: (N, T), zero where there is no source.
        labels: (N,), true class, −1 where there is none.
        predicted: (N,), class by the stage before.
        dead: (N,), whether later stages leave the slot as it is, being so surely silent.
        place: (N,), which slot of the batch's B·K each is.
        scene: (N,), which scene of the batch each is of.
        classes: number of classes.
    """

    mixture: Tensor
    audio: Tensor
    target: Tensor
    labels: Tensor
    predicted: Tensor
    dead: Tensor
    place: Tensor
    scene: Tensor
    classes: int

    @classmethod
    def of(cls, batch: Batch, audio: Tensor, classes: int) -> "Slots":
        """Every slot of a batch; `audio` (B·K, T) in the order of the references. Nothing is predicted yet."""
        slots = batch.targets.shape[1]
        labels = batch.labels.flatten()
        mixture = batch.mixture.repeat_interleave(slots, 0)
        place = torch.arange(len(labels), device=labels.device)
        predicted, dead = torch.zeros_like(labels), torch.zeros_like(labels, dtype=torch.bool)
        return cls(mixture, audio, batch.targets.flatten(0, 1), labels, predicted, dead, place, place // slots, classes)

    def spread(self, audio: Tensor, batch: Batch) -> Tensor:
        """Estimates (N, T) at their places among all slots of the batch, (B, K, T); zeros elsewhere."""
        return torch.zeros_like(batch.targets).flatten(0, 1).index_copy(0, self.place, audio).view_as(batch.targets)

    def pick(self, rows: Tensor) -> "Slots":
        """Some of the slots."""
        return Slots(
            self.mixture[rows],
            self.audio[rows],
            self.target[rows],
            self.labels[rows],
            self.predicted[rows],
            self.dead[rows],
            self.place[rows],
            self.scene[rows],
            self.classes,
        )


class ExtractionTask(nn.Module):
    """The loss of a batch for `tse` of a stage, its `dpc`, or both."""

    def __init__(
        self,
        tse: DeFTMambaTSE,
        dpc: DualPathClassifier | None,
        earlier: EarlierStages,
        weights: LossSettings,
        clues: ClueSettings,
        *,
        train_tse: bool,
    ) -> None:
        """`dpc` None: no classifier is trained. `train_tse` False: the extractor is frozen."""
        super().__init__()
        self.tse, self.dpc = tse, dpc
        self._earlier = (earlier,)  # not a submodule: frozen, neither trained nor saved
        self.weights, self.clues, self.train_tse = weights, clues, train_tse
        told = train_tse and weights.segmentation > 0
        self.segmentation = nn.Linear(tse.width, 1) if told else None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`; draws from torch's generator."""
        earlier = self._earlier[0]
        slots = earlier(batch)
        slots = slots.pick(choose_slots(slots.labels >= 0, slots.dead, self.clues.silent_share))
        slots.audio = earlier.enroll(slots.audio, slots)
        enrollment, told, undisturbed = disturb(slots, self.clues)
        classes = F.one_hot(told, slots.classes).to(enrollment.dtype)
        absent = torch.rand(len(classes)).to(classes.device) < self.clues.no_embedding
        if torch.rand(()) < self.clues.second_pass:
            with torch.no_grad():
                enrollment = earlier.enroll(self._extract(slots, enrollment, classes, absent).estimate, slots)
        out = self._extract(slots, enrollment, classes, absent)
        terms: dict[str, Tensor] = {}
        if self.train_tse:
            terms |= self._separation(out.estimate, slots, batch)
            if self.segmentation is not None:
                logits = self.segmentation(mish(out.features).permute(0, 2, 3, 1))
                mixture = cell_power(self.tse, slots.mixture[:, 0])
                share = cell_power(self.tse, slots.target) / (mixture + 1e-12)
                terms["segmentation"] = self.weights.segmentation * cell_loss(logits, share.unsqueeze(-1), mixture)
        if self.dpc is not None:
            tokens, level = hear(earlier.m2d, out.estimate[undisturbed], slots.mixture[undisturbed])
            terms |= classifier_terms(
                self.dpc,
                tokens=tokens,
                level=level,
                features=out.features[undisturbed],
                labels=slots.labels[undisturbed],
                weights=self.weights,
            )
        return terms

    def _separation(self, estimates: Tensor, slots: Slots, batch: Batch) -> dict[str, Tensor]:
        """Terms of the estimates, and by `LossSettings.filtered` of what the spatial filter makes of them."""
        share = self.weights.filtered
        heard = [(1 - share, estimates)] if share < 1 else []
        if share > 0:
            heard.append((share, self._earlier[0].enroll(estimates, slots)))
        terms: dict[str, Tensor] = {}
        for weight, audio in heard:
            whole = slots.spread(audio, batch)
            for name, value in separation_terms(whole, batch.targets, batch.active, batch.omni, self.weights).items():
                terms[name] = terms.get(name, 0.0) + weight * value
        return terms

    def _extract(self, slots: Slots, enrollment: Tensor, classes: Tensor, absent: Tensor) -> TSEOutput:
        """One pass; `absent` (N,): slots that are not told their frame embeddings."""
        embeddings = self._earlier[0].embed(enrollment, slots.mixture)
        if embeddings is not None:
            embeddings = self.tse.frame_clue.replace(embeddings, absent)
        out: TSEOutput = self.tse(slots.mixture, enrollment, classes, embeddings)
        return out


def choose_slots(active: Tensor, dead: Tensor, silent_share: float) -> Tensor:
    """Rows (M,) to train on: every slot with a source, and some of those without, at least one slot in all.

    Args:
        active: (N,).
        dead: (N,), slots that a stage leaves as they are; silent ones of them are the last to be taken.
        silent_share: silent slots per slot with a source, at most, on average over calls: the remainder is left to
            chance, or small batches would never have any.
    """
    some, none = torch.nonzero(active)[:, 0], torch.nonzero(~active & ~dead)[:, 0]
    if not len(some) and not len(none):
        none = torch.nonzero(~active)[:, 0]
    wished = int(silent_share * len(some) + float(torch.rand(())))
    count = min(len(none), max(wished, 0 if len(some) else 1))
    chosen = none[torch.randperm(len(none), device="cpu")[:count].to(none.device)]
    return torch.cat([some, chosen]).sort().values


def disturb(slots: Slots, clues: ClueSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Enrollments (N, T) and classes (N,) as the extractor is told them; rows that nothing of it has disturbed.

    There is at least one such row, so that a classifier always has something to learn from.
    """
    device = slots.labels.device
    active = slots.labels >= 0

    def chance(probability: float) -> Tensor:
        return (torch.rand(len(active)) < probability).to(device)

    undisturbed = chance(clues.undisturbed)
    undisturbed[int(torch.randint(len(active), ()))] = True
    draw = torch.rand(len(active)).to(device)
    anything = torch.randint(slots.classes, (len(active),)).to(device)
    told = torch.where((draw < clues.true_class) & active, slots.labels, slots.predicted)
    random = (draw >= clues.true_class) & (draw < clues.true_class + clues.random_class)
    told = torch.where(random, anything, told)
    noise = torch.randn(slots.target.shape).to(device)
    power = slots.target.square().mean(-1, keepdim=True)
    level = 10 ** (-torch.rand(len(active), 1).to(device))  # amplitude, 0 to 20 dB below the source's
    clean = (chance(clues.true_enrollment) & active).unsqueeze(-1)
    enrollment = torch.where(clean, slots.target + noise * power.sqrt() * level, slots.audio)
    leaking = chance(clues.leak)
    amplitude = torch.rand(len(active)).to(device)
    if clues.mixture_enrollment > 0:
        amplitude = torch.where(chance(clues.mixture_enrollment), 1.0, amplitude)
    leak = (amplitude * leaking).unsqueeze(-1)
    enrollment = enrollment + leak * (slots.mixture[:, 0] - enrollment)  # of two types under autocast
    told = torch.where(leaking, torch.where(active, slots.labels, absent_classes(slots)), told)
    return (
        torch.where(undisturbed.unsqueeze(-1), slots.audio, enrollment),
        torch.where(undisturbed, slots.predicted, told),
        torch.nonzero(undisturbed)[:, 0],
    )


def absent_classes(slots: Slots) -> Tensor:
    """For every slot (N,) a class that no slot of its scene has, drawn at random."""
    present = F.one_hot(slots.labels.clamp_min(0), slots.classes).bool() & (slots.labels >= 0).unsqueeze(1)
    together = slots.scene.unsqueeze(1) == slots.scene
    in_scene = (together.unsqueeze(2) & present).any(1)
    draw = torch.rand(in_scene.shape).to(in_scene.device)
    chosen: Tensor = draw.masked_fill(in_scene, -1.0).argmax(1)
    return chosen
