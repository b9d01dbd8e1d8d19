"""What a recipe says: the settings of data, optimiser and steps, and which of their values cannot be."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.synthesis.augmentation import Augmentation
from s5eval.data_manifests.training_scenes import PROCEDURAL
from s5eval.systems.settings import check_seed


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Scenes to train on.

    Attributes:
        folder: an official `dev_set` folder with recordings; None: procedural sounds in simulated rooms.
        material: in place of `folder`: `foley` and folders of recordings, each with its share of the events.
        augmentation: how recordings are changed.
        rooms: number of simulated rooms.
        seconds: length of a scene.
        target_counts: chances of 0, 1, 2, 3 targets.
        duration_augmentation: how short and long Percussion is drawn.
        workers: loader processes; 0: scenes are made between the steps.
    """

    folder: str | None
    material: Mapping[str, float]
    augmentation: Augmentation
    rooms: int
    seconds: float
    target_counts: tuple[float, ...]
    duration_augmentation: Literal["off", "pool", "concat"]
    workers: int

    def shares(self) -> dict[str, float]:
        """What scenes are made of and by which shares: `foley`, and folders of recordings."""
        given = self.material or {self.folder or PROCEDURAL: 1.0}
        return {name: share for name, share in given.items() if share > 0}


@dataclass(frozen=True, slots=True)
class OptimiserSettings:
    """AdamW with linear warm-up and a cosine down to a fraction of the peak.

    Attributes:
        learning_rate: at the peak.
        factors: of the learning rate, by part; 1 where nothing is said.
        warmup: steps of linear rise.
        final: fraction of the peak that the cosine ends at.
        weight_decay: of AdamW.
        amsgrad: of AdamW.
        clip: largest norm of the gradient.
        average: decay of the running average of the weights, which is what is exported; after n steps at most
            (1 + n) / (10 + n), that the first weights are soon forgotten. 0: the weights themselves.
    """

    learning_rate: float
    factors: Mapping[str, float]
    warmup: int
    final: float
    weight_decay: float
    amsgrad: bool
    clip: float
    average: float


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """One training run; systems add settings of their own.

    Attributes:
        trains: the parts that are trained and exported.
        starts_from: for a part, the part whose exported weights it starts from (where names and shapes agree); null
            takes an entry back.
        seed: of scenes and every other draw; initial weights are the system's `seed`'s.
        steps: optimiser steps.
        batch: scenes per step and gradient accumulation, all devices together.
        accumulate: gradients that make a step.
        precision: of the forward pass; transforms, scan and losses stay in float32.
        export: type of the exported weights.
        data, optimiser: see there.
    """

    trains: tuple[str, ...]
    starts_from: Mapping[str, str]
    seed: int
    steps: int
    batch: int
    accumulate: int
    precision: Literal["float32", "bf16"]
    export: Literal["float32", "float16"]
    data: DataSettings
    optimiser: OptimiserSettings

    def shortened(self, share: float) -> Self:
        """The recipe at a share of its length: steps and their warm-up, one step at least."""
        warmup = round(share * self.optimiser.warmup)
        return replace(self, steps=max(1, round(share * self.steps)), optimiser=replace(self.optimiser, warmup=warmup))

    def recorded(self) -> dict[str, Any]:
        """The recipe as digests count it, in plain types: without what it does not use and earlier versions had not."""
        return asdict(self)


def check_values(recipe: TrainingRecipe, where: str) -> None:
    """Refuse values that no training can have; `where` is what errors call the recipe.

    That numbers are finite is `build_record`'s to see to.

    Raises:
        UsageError: a value that cannot be, or a part that is named and not trained.
    """
    for name in ("steps", "batch", "accumulate"):
        if getattr(recipe, name) < 1:
            raise UsageError(f"{where}.{name} is {getattr(recipe, name)}, expected a positive number")
    _check_optimiser(recipe.optimiser, f"{where}.optimiser")
    check_seed(recipe.seed, f"{where}.seed")
    if recipe.data.workers < 0:
        raise UsageError(f"{where}.data.workers is {recipe.data.workers}, expected 0 or more")
    for name, named in (("starts_from", recipe.starts_from), ("optimiser.factors", recipe.optimiser.factors)):
        for part in named:
            if part not in recipe.trains:
                raise UsageError(f"{where}.{name} names {part!r}, which it does not train: {list(recipe.trains)}")
    _check_material(recipe.data, f"{where}.data")
    if int(recipe.data.seconds * SAMPLE_RATE) < 1:
        raise UsageError(f"{where}.data.seconds is {recipe.data.seconds:g}, expected the length of a sample at least")
    counts = recipe.data.target_counts
    if len(counts) < 2 or min(counts) < 0 or abs(sum(counts) - 1) > 1e-3:
        raise UsageError(
            f"{where}.data.target_counts is {list(counts)}, expected chances that add up to 1, at least two, "
            "none below 0"
        )


def check_weights(weights: Mapping[str, float], where: str) -> None:
    """Refuse weights and factors below 0: a training would walk away from what is wanted.

    Raises:
        UsageError: names the key, as `<where>.<name>`.
    """
    for name, weight in weights.items():
        if weight < 0:
            raise UsageError(f"{where}.{name} is {weight}, expected 0 or more")


def _check_optimiser(settings: OptimiserSettings, where: str) -> None:
    check_weights({name: getattr(settings, name) for name in ("learning_rate", "warmup", "weight_decay")}, where)
    check_weights(settings.factors, f"{where}.factors")
    if settings.clip <= 0:
        raise UsageError(f"{where}.clip is {settings.clip}, expected a positive number")
    if not 0 <= settings.final <= 1:
        raise UsageError(f"{where}.final is {settings.final}, expected a fraction from 0 to 1")
    if not 0 <= settings.average < 1:
        raise UsageError(f"{where}.average is {settings.average}, expected 0 or more, below 1")


def _check_material(data: DataSettings, where: str) -> None:
    if data.rooms < 1:
        raise UsageError(f"{where}.rooms is {data.rooms}, expected a positive number")
    if data.folder in ("", PROCEDURAL):
        raise UsageError(
            f"{where}.folder is {data.folder!r}, expected a folder (./{PROCEDURAL} for one of that name), or null for "
            "procedural sounds"
        )
    if not data.material:
        return
    if data.folder is not None:
        raise UsageError(f"{where} has both folder and material; give the folder a share in material alone")
    if min(data.material.values()) < 0 or sum(data.material.values()) <= 0:
        raise UsageError(f"{where}.material is {dict(data.material)}, expected shares of 0 or more, one above 0")
