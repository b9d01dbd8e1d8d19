"""What a training run does: read from the recipe files of the systems that ship, or from a file of the user's own.

Every number of a training run stands in a recipe; a recipe, and the parts that it starts from and builds on, determine
the weights that come out.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.words import first_of
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.data_manifests.synthesis.recordings import open_recordings
from s5eval.data_manifests.training_scenes import PROCEDURAL
from s5eval.systems.registry import CODE, code_named
from s5eval.systems.settings import build_record, missing_fields, overlay, with_changes
from s5eval.systems.trained_settings import KEY, check_built_on, recorded_settings
from s5eval.systems.training.training_recipe import TrainingRecipe, check_values

if TYPE_CHECKING:
    from s5eval.systems.training.parts import PartsFolder, TrainingJob

RECIPES = {
    "mini": "s5eval.systems.multistage.training",
    "paper": "s5eval.systems.multistage.training",
    "baseline": "s5eval.systems.baseline.training",
}
"""The shipped recipe files, `<name>.yaml`, and the package that each lies in."""

_YAML = (".yaml", ".yml")
_KEYS = ("package", "preset", "system", "defaults", "recipes")


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a system brings to its training; the module `trainer` of its training package holds one as `TRAINER`.

    Attributes:
        recipe: the class of its recipes.
        load_preset: the system's sizes by preset, with changes.
        check: raises `UsageError` for a recipe that cannot be; is given the recipe, the sizes, and its name.
        make_job: networks and loss of a plan.
        recorded: the sizes as digests of a recipe count them, in plain types; is given sizes and recipe.
        part_settings: what a part's network computes by, as cards tell it (`trained_settings`); is given its name and
            the sizes.
    """

    recipe: type[TrainingRecipe]
    load_preset: Callable[[str, Mapping[str, Any]], Any]
    check: Callable[[Any, Any, str], None]
    make_job: Callable[["TrainingPlan", "PartsFolder"], "TrainingJob"]
    recorded: Callable[[Any, Any], dict[str, Any]]
    part_settings: Callable[[str, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A recipe with its name and the system that it trains.

    Attributes:
        name: such as `mini/uss`; names the folder of checkpoints.
        preset: of the system.
        configuration: the preset with the recipe's changes.
        recipe: what is done.
        trainer: how.
        made_by: part → another recipe of the same file that makes it.
    """

    name: str
    preset: str
    configuration: Any
    recipe: Any
    trainer: Trainer
    made_by: Mapping[str, str] = field(default_factory=dict)

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

    def make_job(self, parts: "PartsFolder") -> "TrainingJob":
        """Networks and loss, with the settings of the networks among what the card tells.

        Raises:
            DataError: a part that the recipe builds on is missing, or was trained with other settings.
            UsageError: as the trainer's.
        """
        job = self.trainer.make_job(self, parts)
        check_built_on(parts.folder, parts.built_on, self._part_settings)
        return replace(job, facts={**job.facts, KEY: recorded_settings(job.parts, self._part_settings)})

    def _part_settings(self, name: str) -> Mapping[str, Any]:
        return self.trainer.part_settings(name, self.configuration)

    def scenes_digest(self) -> str:
        """`sha256:` of what decides the scenes alone: their settings, the recordings' content, the seed.

        Raises:
            DataError: as `digest`.
        """
        return content_digest({"data": self._material(), "seed": self.recipe.seed})

    def _material(self) -> dict[str, Any]:
        data, shares = asdict(self.recipe.data), self.recipe.data.shares()
        del data["workers"]
        if set(shares) == {PROCEDURAL}:
            data["material"] = {}  # nothing else has a share, however this one is put
        else:
            del data["folder"]
            data["material"] = [
                [name if name == PROCEDURAL else open_recordings(Path(name), "train").digest(), share]
                for name, share in shares.items()
            ]
        return data


def content_digest(content: object) -> str:
    """`sha256:` of plain types, whatever the order of their keys."""
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_plan(name: str, changes: Mapping[str, Any] | None = None, *, share: float = 1.0) -> TrainingPlan:
    """Resolve a recipe.

    Args:
        name: `mini/uss` and so on, or `FILE.yaml/NAME` for a recipe in a file of the same form.
        changes: nested, of the recipe's keys; `system` holds changes of the preset's keys.
        share: of the recipe's length, changes included: so many of its steps and of the scenes that it keeps.

    Raises:
        UsageError: no such file, recipe or key, or a value that cannot be.
    """
    path, _, key = name.rpartition("/")
    foreign = path.endswith(_YAML)
    if foreign and not Path(path).is_file():
        raise UsageError(f"recipe {name!r}: there is no file {path}")
    if name.endswith(_YAML) and Path(name).is_file():
        listed = ", ".join(f"{name}/{recipe}" for recipe in _read(Path(name))["recipes"])
        raise UsageError(f"recipe {name!r} is a whole file; expected one of its recipes: {listed or 'it has none'}")
    if path not in RECIPES and not foreign:
        known = ", ".join(f"{group}/{recipe}" for group in RECIPES for recipe in recipe_names(group))
        raise UsageError(f"no recipe {name!r}; there are {known}, or FILE.yaml/NAME for one of your own")
    file = Path(path) if foreign else _shipped(path)
    content = _read(file)
    recipes = content["recipes"]
    if key not in recipes:
        meant = suggestion(key, list(recipes)) or "."
        raise UsageError(f"{file} has no recipe {key!r}{meant} It has {', '.join(recipes)}")
    trainer = _trainer(str(content["package"]), file)
    if lacking := missing_fields(trainer.recipe, content["defaults"]):
        raise UsageError(f"{file}: defaults lacks {first_of(lacking, 4)}; expected every key of a recipe, {_form()}")
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
    if not 0 < share <= 1:
        raise UsageError(f"`share` is {share:g}, expected a share of the recipe's length, above 0, at most 1")
    recipe = build_record(trainer.recipe, resolved, key)
    preset = str(content["preset"])
    configuration = trainer.load_preset(preset, system)
    trainer.check(recipe, configuration, key)
    check_values(recipe, key)
    return TrainingPlan(
        f"{file.stem}/{key}", preset, configuration, recipe.shortened(share), trainer, _made_by(recipes, path, key)
    )


def _made_by(recipes: Mapping[str, Any], path: str, key: str) -> dict[str, str]:
    """What a recipe builds on comes from one that has the part's name, else from the first that trains it."""
    made: dict[str, str] = {}
    for name, recipe in recipes.items():
        trained = recipe.get("trains") if isinstance(recipe, Mapping) and name != key else None
        for part in trained if isinstance(trained, list) else ():
            if isinstance(part, str) and (name == part or part not in made):  # what is no word, its own recipe refuses
                made[part] = f"{path}/{name}"
    return made


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


def _form() -> str:
    return f"as in {_shipped('mini')}, which may be copied"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        raise UsageError(f"{file}: expected the keys {', '.join(_KEYS)}, all of them, {_form()}")
    for key in ("defaults", "recipes"):
        if not isinstance(content[key], Mapping):
            raise UsageError(f"{file}: {key} is {content[key]!r}, expected a mapping")
    for name in content["recipes"]:
        if not isinstance(name, str):  # as YAML reads 2026, on and null
            raise UsageError(f"{file}: recipes names {name!r}, expected a word; put it in quotes")
    return content
