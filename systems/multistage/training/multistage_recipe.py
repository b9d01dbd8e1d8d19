"""The recipes of the multi-stage system (`mini.yaml`, `paper.yaml`): what they hold beside every recipe's settings."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.sets.mini import RECIPE
from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.af_whisper import PUBLISHED
from s5eval.systems.multistage.system import PARTS
from s5eval.systems.multistage.training.slot_folder import OtherSlots
from s5eval.systems.settings import recorded_without
from s5eval.systems.training.training_recipe import TrainingRecipe, check_weights

INTERFERENCES = len(RECIPE.interference_counts) - 1
"""Interfering sounds of a scene, at most."""


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights of the loss terms.

    Attributes:
        separation: weight of the separation term.
        source: share of the mean SNR of single sources in the separation term, beside SA-SDR.
        filtered: share of an extractor's separation term that is of its estimates as the spatial filter of enrollments
            makes them: what the stage after is told.
        silent_mixture: weight of SA-SDR's counterpart for mixtures without a target, or without an interference.
        silent_slot: weight of the loudness of slots that should be silent.
        interference: weight of the interference objects' SA-SDR.
        noise: weight of the noise object's SNR.
        segmentation: weight of what a head on the separator's map tells of every cell: shares of the classes in
            stage 1, of the target in stages 2 and 3; 0: no head.
        assignment: of stage 1's slots: the best `permutation`, the order of the `class`, or with
            `separator.directions` the `direction`: to every source the cluster that holds most of it.
        directions: with `separator.directions`, weight of telling which clusters hold a target.
        classes: weight of ArcFace.
        smoothing: share of a class's weight that all classes are given alike.
        silence: weight of the silence head's cross-entropy.
        object_gradient: factor on the gradient that reaches the separator through its object features.
    """

    separation: float
    source: float
    filtered: float
    silent_mixture: float
    silent_slot: float
    interference: float
    noise: float
    segmentation: float
    assignment: Literal["permutation", "class", "direction"]
    directions: float
    classes: float
    smoothing: float
    silence: float
    object_gradient: float


@dataclass(frozen=True, slots=True)
class ClueSettings:
    """How the clues of stages 2 and 3 are disturbed, so that they are not trusted blindly.

    Attributes:
        undisturbed: chance that a slot is told what the stage before says of it. The classifier learns from these
            alone: one that hears true classes through the extractor would learn to repeat them. The next four are
            chances among the others.
        true_class: that a slot with a source is told its true class instead of the predicted one.
        random_class: that a slot is told any class.
        true_enrollment: that a slot with a source is given the reference with noise at 0–20 dB as enrollment.
        leak: that the rest of the mixture is left in the enrollment, at an amplitude drawn from [0, 1]. The class is
            then the true one, or for a silent slot one that the scene has not: it alone tells what is meant.
        mixture_enrollment: of the enrollments that leak, the share that is the mixture itself: only the clues tell what
            is meant, so an extractor that hears its enrollment alone learns nothing there.
        no_embedding: chance that the learned null embedding stands for the frame embeddings, of any slot.
        runner_up: chance that a stage's second best class stands for its best, in kept slots too. A stage is right more
            often on sounds that it was trained on than on others; what learns there from the best class alone may
            learn to repeat it.
        second_pass: chance that a batch's enrollments are the extractor's own estimates, as where it refines twice.
        silent_share: silent slots per slot with a source, at most, on average.
    """

    undisturbed: float
    true_class: float
    random_class: float
    true_enrollment: float
    leak: float
    mixture_enrollment: float
    no_embedding: float
    runner_up: float
    second_pass: float
    silent_share: float


@dataclass(frozen=True, slots=True)
class SlotSettings:
    """Slots that the frozen stages hear once, for recipes that train a stage's classifier alone (or with M2D).

    Attributes:
        scenes: how many scenes are heard and kept; 0: every step makes new ones.
        batch: slots per step and gradient accumulation, in place of `batch`.
        silent: share of slots without a source among what is separated.
        alone: share of `batch` that is no slot but a source of the scenes alone: M2D hears it, its features and level
            are zero, and the silence head is told that it is there.
        mix: chance that a source that is heard alone gives up to half of its power to another one; both are then
            wanted, by their shares.
        equalise: standard deviation of a random equalisation of M2D's input, dB.
        hide: how many bands and stretches of time are hidden in each map.
        also: folders (`out`) of trainings with the same frozen networks, whose slots are heard beside: what was
            separated once is not separated again. A folder that is named twice counts twice.
    """

    scenes: int
    batch: int
    silent: float
    alone: float
    mix: float
    equalise: float
    hide: int
    also: tuple[str, ...]

    def others(self) -> list[OtherSlots]:
        """What lies in the folders of `also`.

        Raises:
            DataError: one of them holds no slots.
        """
        return [OtherSlots.of_training(Path(out)) for out in self.also]


@dataclass(frozen=True, slots=True)
class MultistageRecipe(TrainingRecipe):
    """One training run of the multi-stage system.

    Attributes:
        task: `tagging` trains an encoder as a clip or frame tagger; `segmentation` trains `uss` to tell the classes
            of cells, and decodes nothing; `stage` trains the parts of a stage.
        stage: which stage, 1 to 3; `segmentation` belongs to 1; unused by `tagging`.
        checkpointing: recompute the activations of hybrid blocks instead of keeping them.
        loss, clues, slots: see there.
    """

    task: Literal["tagging", "segmentation", "stage"]
    stage: int
    checkpointing: bool
    loss: LossSettings
    clues: ClueSettings
    slots: SlotSettings

    def shortened(self, share: float) -> Self:
        """See `TrainingRecipe.shortened`; of scenes that are kept the same share."""
        scenes = self.slots.scenes and max(1, round(share * self.slots.scenes))
        shorter = TrainingRecipe.shortened(self, share)  # the class that `super()` knows is not the one with slots
        return replace(shorter, slots=replace(self.slots, scenes=scenes))

    def recorded(self) -> dict[str, Any]:
        """See `TrainingRecipe.recorded`."""
        before = {
            "loss": {"smoothing": 0.0, "filtered": 0.0},
            "clues": {"runner_up": 0.0},
            "slots": {"alone": 0.0, "mix": 0.0, "also": ()},
        }
        content = recorded_without(self, before)
        if others := self.slots.others():
            content["slots"]["also"] = [other.digest() for other in others]
        return content


def check_recipe(recipe: MultistageRecipe, config: MultistageConfiguration, where: str) -> None:
    """Refuse parts that the task or stage does not have, and scenes that do not fit the system's objects.

    Raises:
        UsageError: names the key, and what was expected.
    """
    _check_parts(recipe, config, where)
    _check_loss(recipe.loss, f"{where}.loss")
    extracts = recipe.task == "stage" and recipe.stage > 1 and PARTS[recipe.stage][0] in recipe.trains
    if recipe.loss.filtered and extracts and not config.spatial_filter.enrollment:
        raise UsageError(
            f"{where}.loss.filtered is {recipe.loss.filtered} and system.spatial_filter.enrollment is 0; set "
            "loss.filtered=0 as well, for there is no filter to learn through"
        )
    _check_objects(recipe, config, where)
    for name, value in asdict(recipe.clues).items():
        if not 0 <= value <= 1:
            raise UsageError(f"{where}.clues.{name} is {value}, expected a number from 0 to 1")
    _check_slots(recipe, where)
    if recipe.clues.runner_up > 0 and (recipe.task != "stage" or recipe.stage == 1):
        raise UsageError(
            f"{where}.clues.runner_up is {recipe.clues.runner_up:g}, which is of what the stage before says; this one "
            f"has task {recipe.task}, stage {recipe.stage}, and none before it"
        )
    if recipe.clues.true_class + recipe.clues.random_class > 1:
        raise UsageError(f"{where}.clues: true_class and random_class add up to more than 1")


def _check_parts(recipe: MultistageRecipe, config: MultistageConfiguration, where: str) -> None:
    """That the task and the stage have the parts that the recipe trains, and the system a place for them."""
    alone: dict[str, tuple[str, ...]] = {"tagging": ("encoder", "m2d"), "segmentation": PARTS[1][:1]}
    known = alone[recipe.task] if recipe.task in alone else PARTS.get(recipe.stage, ())
    if recipe.task == "stage" and recipe.stage == 1 and "dpc1" in recipe.trains:
        known = (*known, "m2d")  # later stages share it: it is theirs to hear through, not to change
    if not known:
        raise UsageError(f"{where}.stage is {recipe.stage}, expected 1, 2 or 3")
    if not recipe.trains or any(part not in known for part in recipe.trains):
        raise UsageError(f"{where}.trains is {list(recipe.trains)}, expected some of {', '.join(known)}")
    if recipe.task == "stage" and "m2d" in recipe.trains and "m2d" not in recipe.starts_from:
        raise UsageError(f"{where}: trains m2d, but starts_from names none; expected m2d, of a tagging recipe")
    if "encoder" in recipe.trains and config.frame_encoder not in PUBLISHED:
        by = ", which mini/m2d trains" if config.frame_encoder == "m2d" else ""
        raise UsageError(
            f"{where} trains a frame encoder of the kind of {' or '.join(PUBLISHED)}, and system.frame_encoder is "
            f"{config.frame_encoder}{by}"
        )
    if recipe.task == "tagging" and len(recipe.trains) != 1:
        raise UsageError(f"{where}.trains is {list(recipe.trains)}, expected one of {', '.join(known)}")
    if recipe.task == "segmentation" and (recipe.stage != 1 or recipe.loss.segmentation <= 0):
        raise UsageError(
            f"{where}: task segmentation expects stage 1 and loss.segmentation above 0, "
            f"not {recipe.stage} and {recipe.loss.segmentation}"
        )
    if recipe.task == "stage" and recipe.stage == 1:
        directions = config.separator.directions
        order = "direction" if directions else "class"
        if recipe.loss.assignment not in ("permutation", order):
            raise UsageError(
                f"{where}.loss.assignment is {recipe.loss.assignment}; with system.separator.directions {directions} "
                f"expected permutation or {order}"
            )
    classifier = f"dpc{recipe.stage}"
    if recipe.task == "stage" and classifier in recipe.trains and not config.classifies(recipe.stage):
        raise UsageError(
            f"{where} trains {classifier}, which no system with system.classifiers {config.classifiers} has; set "
            f"system.classifiers={recipe.stage}, here and where it runs"
        )


def _check_objects(recipe: MultistageRecipe, config: MultistageConfiguration, where: str) -> None:
    """That the system separates a mixture into as many objects as scenes are made of."""
    slots = len(recipe.data.target_counts) - 1
    if recipe.task != "tagging" and slots != config.objects.foreground:
        raise UsageError(
            f"{where}.data.target_counts gives chances for up to {counted(slots, 'target')}; expected one for each of "
            f"0 to {config.objects.foreground}, which is system.objects.foreground"
        )
    if config.objects.interference not in (0, INTERFERENCES) or config.objects.noise not in (0, 1):
        raise UsageError(
            f"system.objects: scenes have {INTERFERENCES} interferences at most and one background; "
            f"expected interference 0 or {INTERFERENCES} and noise 0 or 1"
        )


def _check_loss(loss: LossSettings, where: str) -> None:
    for name in ("source", "filtered"):
        if not 0 <= getattr(loss, name) <= 1:
            raise UsageError(f"{where}.{name} is {getattr(loss, name)}, expected a share from 0 to 1")
    if not 0 <= loss.smoothing < 1:
        raise UsageError(f"{where}.smoothing is {loss.smoothing}, expected a number from 0 to below 1")
    check_weights({name: value for name, value in asdict(loss).items() if isinstance(value, float)}, where)


def _check_slots(recipe: MultistageRecipe, where: str) -> None:
    slots = recipe.slots
    shares = (slots.silent, slots.alone, slots.mix)
    if slots.batch > 0 and round(slots.alone * slots.batch) >= slots.batch:
        raise UsageError(
            f"{where}.slots: alone {slots.alone} of batch {slots.batch} leaves no slot; expected room for one at least"
        )
    if (
        min(slots.scenes, slots.hide, slots.batch - 1) < 0
        or not slots.equalise >= 0
        or not all(0 <= share < 1 for share in shares)
    ):
        raise UsageError(
            f"{where}.slots is {asdict(slots)}, expected scenes, equalise and hide of 0 or more, batch above 0, and "
            "silent, alone and mix from 0 to below 1"
        )
    alone = round(slots.alone * slots.batch)
    if slots.scenes and not alone and (slots.alone > 0 or slots.mix > 0):
        raise UsageError(
            f"{where}.slots: alone {slots.alone:g} of batch {slots.batch} comes to no source alone, and mix "
            f"{slots.mix:g} is of those; expected one at least, or alone and mix of 0"
        )
    if slots.also and not slots.scenes:
        raise UsageError(f"{where}: slots.also is {list(slots.also)} and slots.scenes is 0, so no kept slots are heard")
    if slots.scenes and (recipe.task != "stage" or PARTS[recipe.stage][0] in recipe.trains):
        raise UsageError(
            f"{where}: slots.scenes is {slots.scenes}, which is for recipes that train a stage's classifier and not "
            f"its separator; this one has task {recipe.task} and trains {', '.join(recipe.trains)}"
        )
