"""What a training run does: read from `mini.yaml` and `paper.yaml` beside this file, or from a file of the user's own.

Every number of a training run stands in a recipe; a recipe with its seed and the parts that it starts from determine
the weights that come out.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from s5eval.data_manifests.errors import UsageError
from s5eval.data_manifests.labels import suggestion
from s5eval.systems.multistage.configuration import Configuration, load_preset
from s5eval.systems.settings import build_record, merge

_OWN = ("extends", "preset", "system")


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Scenes to train on.

    Attributes:
        folder: an official `dev_set` folder with recordings; None: procedural sounds in simulated rooms.
        seconds: length of a scene.
        target_counts: chances of 0, 1, 2, 3 targets.
        duration_augmentation: how short and long Percussion is drawn.
        workers: loader processes; 0: scenes are made between the steps.
    """

    folder: str | None
    seconds: float
    target_counts: tuple[float, ...]
    duration_augmentation: Literal["off", "pool", "concat"]
    workers: int


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
class LossSettings:
    """Weights of the loss terms (SYSTEM 4.3).

    Attributes:
        source: share of the mean SNR of single sources in the separation term, beside SA-SDR.
        silent_mixture: weight of SA-SDR's counterpart for mixtures without a target.
        silent_slot: weight of the loudness of slots that should be silent.
        interference: weight of the interference objects' SA-SDR.
        noise: weight of the noise object's SNR.
        frames: weight of the frame-wise classes that a head on stage 1's object features tells; 0: no such head.
        classes: weight of ArcFace.
        silence: weight of the silence head's cross-entropy.
        object_gradient: factor on the gradient that reaches the separator through its object features.
    """

    source: float
    silent_mixture: float
    silent_slot: float
    interference: float
    noise: float
    frames: float
    classes: float
    silence: float
    object_gradient: float


@dataclass(frozen=True, slots=True)
class ClueSettings:
    """How the clues of stages 2 and 3 are disturbed, so that they are not trusted blindly.

    Attributes:
        true_class: chance that a slot with a source is told its true class instead of the predicted one.
        random_class: chance that it is told any class.
        true_enrollment: chance that it is given the reference with noise at 0–20 dB as enrollment.
        no_embedding: chance that the learned null embedding stands for the frame embeddings.
        silent_share: silent slots per slot with a source, at most.
    """

    true_class: float
    random_class: float
    true_enrollment: float
    no_embedding: float
    silent_share: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run.

    Attributes:
        task: `tagging` trains an encoder as a clip or frame tagger; `stage` trains the parts of a stage.
        stage: which stage, 1 to 3; unused by `tagging`.
        trains: the parts that are trained and exported: `encoder`, `m2d`, `uss`, `dpc1`, `tse2`, …
        starts_from: for a part, the part whose exported weights it starts from (where names and shapes agree); null
            takes an entry back.
        seed: of weights, scenes and every other draw.
        steps: optimiser steps.
        batch: scenes per step and gradient accumulation, all devices together.
        accumulate: gradients that make a step.
        precision: of the forward pass; transforms, scan and losses stay in float32.
        checkpointing: recompute the activations of hybrid blocks instead of keeping them.
        export: type of the exported weights.
        data, optimiser, loss, clues: see there.
    """

    task: Literal["tagging", "stage"]
    stage: int
    trains: tuple[str, ...]
    starts_from: Mapping[str, str]
    seed: int
    steps: int
    batch: int
    accumulate: int
    precision: Literal["float32", "bf16"]
    checkpointing: bool
    export: Literal["float32", "float16"]
    data: DataSettings
    optimiser: OptimiserSettings
    loss: LossSettings
    clues: ClueSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe with its name and the system that it trains.

    Attributes:
        name: such as `mini/uss`; names the folder of checkpoints.
        preset: of the system.
        configuration: the preset with the recipe's changes.
        recipe: what is done.
    """

    name: str
    preset: str
    configuration: Configuration
    recipe: Recipe

    def as_dict(self) -> dict[str, Any]:
        """Everything that the result depends on, in plain types."""
        return {"preset": self.preset, "system": asdict(self.configuration), "recipe": asdict(self.recipe)}

    def digest(self) -> str:
        """`sha256:` of `as_dict` without what changes no result: loader processes."""
        content = self.as_dict()
        del content["recipe"]["data"]["workers"]
        return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_plan(name: str, changes: Mapping[str, Any] | None = None) -> Plan:
    """Resolve a recipe.

    Args:
        name: `mini/uss` and so on, or `FILE.yaml/NAME` for a recipe in a file of the same form.
        changes: nested, of the recipe's keys; `system` holds changes of the preset's keys.

    Raises:
        UsageError: no such file, recipe or key, or a value that cannot be.
    """
    path, _, key = name.rpartition("/")
    file = Path(path) if path.endswith((".yaml", ".yml")) else Path(__file__).parent / f"{path}.yaml"
    if not path or not file.is_file():
        known = ", ".join(f"{preset}/{recipe}" for preset in ("mini", "paper") for recipe in recipe_names(preset))
        raise UsageError(f"no recipe {name!r}; there are {known}, or FILE.yaml/NAME for one of your own")
    content = _read(file)
    recipes = content.get("recipes")
    if not isinstance(recipes, Mapping) or not isinstance(content.get("defaults"), Mapping):
        raise UsageError(f"{file}: expected the keys preset, defaults and recipes")
    if key not in recipes:
        raise UsageError(f"{file} has no recipe {key!r}{suggestion(key, list(recipes))} It has {', '.join(recipes)}")
    preset = str(content.get("preset", "mini"))
    system = dict(content.get("system") or {})
    resolved = merge(content["defaults"], recipes[key] or {}, key, owner=f"recipe {name!r}")
    rest = dict(changes or {})
    system = {**system, **(rest.pop("system", None) or {})}
    recipe = build_record(Recipe, merge(resolved, rest, key, owner=f"recipe {name!r}"), key)
    _check(recipe, key)
    stem = file.stem if path.endswith((".yaml", ".yml")) else path
    return Plan(f"{stem}/{key}", preset, load_preset(preset, system), recipe)


def recipe_names(preset: str) -> list[str]:
    """The recipes that ship for a preset, in the order in which they are run."""
    return list(_read(Path(__file__).parent / f"{preset}.yaml")["recipes"])


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file}: expected the keys preset, defaults and recipes")
    return content


_PARTS = {1: ("uss", "dpc1"), 2: ("tse2", "dpc2"), 3: ("tse3", "dpc3")}


def _check(recipe: Recipe, where: str) -> None:
    known = ("encoder", "m2d") if recipe.task == "tagging" else _PARTS.get(recipe.stage, ())
    if not known:
        raise UsageError(f"{where}.stage is {recipe.stage}, expected 1, 2 or 3")
    if not recipe.trains or any(part not in known for part in recipe.trains):
        raise UsageError(f"{where}.trains is {list(recipe.trains)}, expected some of {', '.join(known)}")
    if recipe.task == "tagging" and len(recipe.trains) != 1:
        raise UsageError(f"{where}.trains is {list(recipe.trains)}, expected one of {', '.join(known)}")
    for name in ("steps", "batch", "accumulate"):
        if getattr(recipe, name) < 1:
            raise UsageError(f"{where}.{name} is {getattr(recipe, name)}, expected a positive number")
    if not recipe.data.seconds > 0:
        raise UsageError(f"{where}.data.seconds is {recipe.data.seconds}, expected a positive number")
    counts = recipe.data.target_counts
    if len(counts) < 2 or min(counts) < 0 or abs(sum(counts) - 1) > 1e-3:
        raise UsageError(f"{where}.data.target_counts is {list(counts)}, expected chances that add up to 1")
    if not 0 <= recipe.optimiser.average < 1:
        raise UsageError(f"{where}.optimiser.average is {recipe.optimiser.average}, expected 0 or more, below 1")
