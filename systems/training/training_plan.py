"""What a training run does: read from the recipe files of the systems that ship, or from a file of the user's own.

Every number of a training run stands in a recipe; a recipe, and the parts that it starts from and builds on, determine
the weights that come out.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.data_manifests.synthesis.augmentation import Augmentation
from s5eval.data_manifests.synthesis.recordings import open_recordings
from s5eval.data_manifests.training_scenes import PROCEDURAL
from s5eval.systems.registry import CODE, code_named
from s5eval.systems.settings import build_record, overlay, with_changes

if TYPE_CHECKING:
    from s5eval.systems.training.parts import PartsFolder, TrainingJob

RECIPES = {
    "mini": "s5eval.systems.multistage.training",
    "paper": "s5eval.systems.multistage.training",
    "baseline": "s5eval.systems.baseline.training",
}
"""The shipped recipe files, `<name>.yaml`, and the package that each lies in."""

_KEYS = ("package", "preset", "system", "defaults", "recipes")


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
        average: decay of the running average of the weights, which is what is exported; 0: the weights themselves.
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

    def recorded(self) -> dict[str, Any]:
        """The recipe as digests count it, in plain types: without what it does not use and earlier versions had not."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a system brings to its training; the module `trainer` of its training package holds one as `TRAINER`.

    Attributes:
        recipe: the class of its recipes.
        load_preset: the system's sizes by preset, with changes.
        check: raises `UsageError` for a recipe that cannot be; is given the recipe, the sizes, and its name.
        make_job: networks and loss of a plan.
        recorded: the sizes as digests of a recipe count them, in plain types; is given sizes and recipe.
    """

    recipe: type[TrainingRecipe]
    load_preset: Callable[[str, Mapping[str, Any]], Any]
    check: Callable[[Any, Any, str], None]
    make_job: Callable[["TrainingPlan", "PartsFolder"], "TrainingJob"]
    recorded: Callable[[Any, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A recipe with its name and the system that it trains.

    Attributes:
        name: such as `mini/uss`; names the folder of checkpoints.
        preset: of the system.
        configuration: the preset with the recipe's changes.
        recipe: what is done.
        trainer: how.
    """

    name: str
    preset: str
    configuration: Any
    recipe: Any
    trainer: Trainer

    def as_dict(self) -> dict[str, Any]:
        """Everything that the result depends on, in plain types."""
        return {"preset": self.preset, "system": asdict(self.configuration), "recipe": asdict(self.recipe)}

    def digest(self) -> str:
        """`sha256:` of `as_dict` without what changes no result: loader processes, and where recordings lie.

        Folders of recordings count by their content, in whichever layout: it is read whenever this is asked for.

        Raises:
            DataError: a folder of recordings is missing or wrong, or cannot be read.
        """
        recipe = {**self.recipe.recorded(), "data": self._material()}
        return content_digest({**self.as_dict(), "system": self.recorded_system(), "recipe": recipe})

    def recorded_system(self) -> dict[str, Any]:
        """The system's sizes as digests count them: what is another word for the same is the same."""
        return self.trainer.recorded(self.configuration, self.recipe)

    def scenes_digest(self) -> str:
        """`sha256:` of what decides the scenes alone: their settings, the recordings' content, the seed.

        Raises:
            DataError: as `digest`.
        """
        return content_digest({"data": self._material(), "seed": self.recipe.seed})

    def _material(self) -> dict[str, Any]:
        data, shares = asdict(self.recipe.data), self.recipe.data.shares()
        del data["workers"]
        if set(shares) != {PROCEDURAL}:
            del data["folder"]
            data["material"] = [
                [name if name == PROCEDURAL else open_recordings(Path(name), "train").digest(), share]
                for name, share in shares.items()
            ]
        return data


def content_digest(content: object) -> str:
    """`sha256:` of plain types, whatever the order of their keys."""
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_plan(name: str, changes: Mapping[str, Any] | None = None) -> TrainingPlan:
    """Resolve a recipe.

    Args:
        name: `mini/uss` and so on, or `FILE.yaml/NAME` for a recipe in a file of the same form.
        changes: nested, of the recipe's keys; `system` holds changes of the preset's keys.

    Raises:
        UsageError: no such file, recipe or key, or a value that cannot be.
    """
    path, _, key = name.rpartition("/")
    foreign = path.endswith((".yaml", ".yml"))
    if path not in RECIPES and not (foreign and Path(path).is_file()):
        known = ", ".join(f"{group}/{recipe}" for group in RECIPES for recipe in recipe_names(group))
        raise UsageError(f"no recipe {name!r}; there are {known}, or FILE.yaml/NAME for one of your own")
    file = Path(path) if foreign else _shipped(path)
    content = _read(file)
    recipes = content["recipes"]
    if key not in recipes:
        raise UsageError(f"{file} has no recipe {key!r}{suggestion(key, list(recipes))}; it has {', '.join(recipes)}")
    trainer = _trainer(str(content["package"]), file)
    owner = f"recipe {name!r}"
    rest = dict(changes or {})
    own = _mapping(recipes[key] or {}, f"{file}: recipes.{key}")
    shared = _mapping(content["system"] or {}, f"{file}: system")
    typed = _mapping(rest.pop("system", None) or {}, "system")
    system = overlay(shared, typed)
    if unnamed := set(code_named(system)) - set(code_named(typed)):
        (code,) = unnamed
        raise UsageError(
            f"{file} names {code!r}, which is code that would be looked for and run here. If you trust it, name it "
            f"yourself: system.{CODE}={code}"
        )
    free = ("factors", "starts_from", "material")
    resolved = with_changes(
        with_changes(content["defaults"], own, key, owner=owner, free=free), rest, key, owner=owner, free=free
    )
    recipe = build_record(trainer.recipe, resolved, key)
    preset = str(content["preset"])
    configuration = trainer.load_preset(preset, system)
    trainer.check(recipe, configuration, key)
    _check(recipe, key)
    return TrainingPlan(f"{file.stem}/{key}", preset, configuration, recipe, trainer)


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is {value!r}, expected a mapping")
    return value


def recipe_names(group: str) -> list[str]:
    """The recipes of a shipped file, in the order in which they are run."""
    return list(_read(_shipped(group))["recipes"])


def _shipped(group: str) -> Path:
    package = importlib.import_module(RECIPES[group])
    return Path(str(package.__file__)).parent / "recipes" / f"{group}.yaml"


def _trainer(package: str, file: Path) -> Trainer:
    if package not in RECIPES.values():
        raise UsageError(f"{file}: package is {package!r}, expected one of {', '.join(sorted(set(RECIPES.values())))}")
    trainer = importlib.import_module(f"{package}.trainer").TRAINER
    if not isinstance(trainer, Trainer):
        raise TypeError(f"{package}.trainer.TRAINER is a {type(trainer).__name__}, expected a Trainer")
    return trainer


def _read(file: Path) -> dict[str, Any]:
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        raise UsageError(f"{file}: expected the keys {', '.join(_KEYS)}")
    for key in ("defaults", "recipes"):
        if not isinstance(content[key], Mapping):
            raise UsageError(f"{file}: {key} is {content[key]!r}, expected a mapping")
    return content


def _check(recipe: TrainingRecipe, where: str) -> None:
    for name in ("steps", "batch", "accumulate"):
        if getattr(recipe, name) < 1:
            raise UsageError(f"{where}.{name} is {getattr(recipe, name)}, expected a positive number")
    least = {"learning_rate": 0.0, "warmup": 0, "final": 0.0, "weight_decay": 0.0}
    for name, bound in least.items():
        if not getattr(recipe.optimiser, name) >= bound:
            raise UsageError(f"{where}.optimiser.{name} is {getattr(recipe.optimiser, name)}, expected {bound} or more")
    if not recipe.optimiser.clip > 0:
        raise UsageError(f"{where}.optimiser.clip is {recipe.optimiser.clip}, expected a positive number")
    if recipe.data.workers < 0 or recipe.seed < 0:
        raise UsageError(f"{where}: data.workers is {recipe.data.workers}, seed {recipe.seed}; expected 0 or more")
    for name, named in (("starts_from", recipe.starts_from), ("optimiser.factors", recipe.optimiser.factors)):
        for part in named:
            if part not in recipe.trains:
                raise UsageError(f"{where}.{name} names {part!r}, which it does not train: {list(recipe.trains)}")
    _check_material(recipe.data, f"{where}.data")
    if not recipe.data.seconds > 0:
        raise UsageError(f"{where}.data.seconds is {recipe.data.seconds}, expected a positive number")
    counts = recipe.data.target_counts
    if len(counts) < 2 or min(counts) < 0 or abs(sum(counts) - 1) > 1e-3:
        raise UsageError(f"{where}.data.target_counts is {list(counts)}, expected chances that add up to 1")
    if not 0 <= recipe.optimiser.average < 1:
        raise UsageError(f"{where}.optimiser.average is {recipe.optimiser.average}, expected 0 or more, below 1")


def _check_material(data: DataSettings, where: str) -> None:
    if data.rooms < 1:
        raise UsageError(f"{where}.rooms is {data.rooms}, expected a positive number")
    if not data.material:
        return
    if data.folder is not None:
        raise UsageError(f"{where} has both folder and material; give the folder a share in material alone")
    if min(data.material.values()) < 0 or sum(data.material.values()) <= 0:
        raise UsageError(f"{where}.material is {dict(data.material)}, expected shares of 0 or more, one above 0")
