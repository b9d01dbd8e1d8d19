"""Recipes: what ships resolves, and what cannot be is refused by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage import training as train
from s5eval.systems.training.parts import PartsFolder
from s5eval.systems.training.training_plan import read_plan, recipe_names


@pytest.mark.parametrize("preset", ["mini", "paper"])
def test_every_shipped_recipe_resolves(preset: str) -> None:
    names = recipe_names(preset)
    more = {"mini": ["encoder", "m2d", "segmentation", "uss"], "paper": ["uss"]}
    names_1, names_2 = (["adapt", "names"], ["names2", "names3"]) if preset == "mini" else (["names"], ["names2"])
    assert names == [*more[preset], "dpc", *names_1, "tse2", *names_2, "tse3", "refine"]
    for name in names:
        third = preset == "mini" and name in ("names3", "tse3")  # the preset has no third classifier
        plan = read_plan(f"{preset}/{name}", {"system": {"classifiers": 3}} if third else {})
        assert plan.preset == preset
        assert plan.recipe.trains


def test_the_recipes_of_the_paper_build_on_one_another() -> None:
    """Every stage's separator learns before its classifier is trained alone, and stage 3 begins as stage 2."""
    recipes = [read_plan(f"paper/{name}").recipe for name in recipe_names("paper")]
    told = [(r.stage, dict.fromkeys(r.trains, None) | dict(r.starts_from)) for r in recipes]
    assert told == [
        (1, {"uss": None}),
        (1, {"uss": "uss", "dpc1": None}),
        (1, {"dpc1": "dpc1"}),
        (2, {"tse2": "uss", "dpc2": "dpc1"}),
        (2, {"dpc2": "dpc2"}),
        (3, {"tse3": "tse2", "dpc3": "dpc2"}),
        (3, {"tse3": "tse3"}),
    ]
    rates = [
        {part: r.optimiser.learning_rate * r.optimiser.factors.get(part, 1.0) for part in r.trains} for r in recipes
    ]
    assert rates == [
        {"uss": 5e-4},
        {"uss": pytest.approx(1e-4), "dpc1": 1e-3},
        {"dpc1": 5e-4},
        {"tse2": 5e-4, "dpc2": 5e-4},
        {"dpc2": 5e-4},
        {"tse3": 1e-4, "dpc3": 1e-4},
        {"tse3": 1e-5},
    ]
    assert [r.data.seconds for r in recipes] == [4.0] + 6 * [10.0], "crops are for the separator alone"


def test_half_of_the_paper_s_slots_are_told_their_class_a_tenth_any_and_the_rest_what_was_heard() -> None:
    clues = read_plan("paper/tse2").recipe.clues
    disturbed = 1 - clues.undisturbed
    assert disturbed * clues.true_class == pytest.approx(0.5, abs=0.02)
    assert disturbed * clues.random_class == pytest.approx(0.1, abs=0.02)
    assert disturbed * clues.true_enrollment == pytest.approx(0.2, abs=0.02)
    assert (clues.no_embedding, clues.silent_share, clues.leak, clues.second_pass) == (0.1, 0.5, 0.0, 0.0)
    assert read_plan("paper/names2").recipe.clues.undisturbed == 1.0


def test_changes_reach_recipe_and_system() -> None:
    plan = read_plan("mini/uss", {"data": {"seconds": 1}, "system": {"separator": {"blocks": 1}}, "steps": 7})
    assert (plan.recipe.data.seconds, plan.configuration.separator.blocks, plan.recipe.steps) == (1.0, 1, 7)
    assert plan.digest() != read_plan("mini/uss").digest()
    assert read_plan("mini/uss", {"data": {"workers": 3}}).digest() == read_plan("mini/uss").digest()


def clip(folder: Path, layout: str, value: float) -> Path:
    """A folder of recordings with one second of Speech."""
    file = folder / layout / "Speech" / "a.wav"
    file.parent.mkdir(parents=True)
    soundfile.write(file, np.full(32_000, value), 32_000)
    return folder


@pytest.mark.parametrize("layout", ["sound_event/train", "train"])
@pytest.mark.parametrize("key", ["folder", "material"])
def test_recordings_are_known_by_their_content_wherever_they_lie(tmp_path: Path, layout: str, key: str) -> None:
    def digest(folder: Path) -> str:
        value = str(folder) if key == "folder" else {"foley": 0.5, str(folder): 0.5}
        return read_plan("mini/uss", {"data": {key: value}}).digest()

    first, same, other = (clip(tmp_path / n, layout, v) for n, v in (("a", 0.1), ("b", 0.1), ("c", 0.2)))
    before = digest(first)
    assert digest(same) == before != digest(other)
    soundfile.write(next(first.rglob("a.wav")), np.full(32_000, 0.3), 32_000)
    assert digest(first) != before
    first.rename(tmp_path / "d")
    with pytest.raises(DataError, match="no recordings"):
        digest(first)


def test_shares_of_recordings_count_too(tmp_path: Path) -> None:
    folder = clip(tmp_path / "a", "train", 0.1)
    plans = [read_plan("mini/uss", {"data": {"material": {"foley": 1.0, str(folder): x}}}) for x in (0, 0.5, 1)]
    assert len({plan.digest() for plan in plans}) == 3


def test_parts_of_ones_own_may_be_named_where_keys_are_parts() -> None:
    plan = read_plan("mini/dpc", {"optimiser": {"factors": {"dpc1": 2.0}}})
    assert plan.recipe.optimiser.factors == {"dpc1": 2.0}


@pytest.mark.parametrize(("key", "value"), [("preset", "small"), ("recipes", {"mine": [1]}), ("package", "os")])
def test_values_of_a_file_that_cannot_be(tmp_path: Path, key: str, value: object) -> None:
    content = yaml.safe_load((Path(train.__file__).parent / "recipes" / "mini.yaml").read_text())
    content["recipes"] = {"mine": {"trains": ["uss"]}}
    content[key] = value
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError):
        read_plan(f"{tmp_path}/own.yaml/mine")


def test_the_word_off_is_not_taken_for_a_truth_value() -> None:
    changes = yaml.safe_load("data: {duration_augmentation: off}")
    assert read_plan("mini/dpc", changes).recipe.data.duration_augmentation == "off"
    with pytest.raises(UsageError, match=r"duration_augmentation is True"):
        read_plan("mini/dpc", {"data": {"duration_augmentation": True}})


def test_null_takes_a_start_back() -> None:
    assert read_plan("mini/tse2", {"starts_from": {"tse2": None}}).recipe.starts_from == {"dpc2": "dpc1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 3}, "no key uss.step; did you mean 'steps'"),
        ({"steps": 0}, "uss.steps is 0, expected a positive number"),
        ({"steps": "many"}, "uss.steps is 'many', expected a whole number"),
        ({"trains": ["tse2"]}, r"uss.trains is \['tse2'\], expected some of uss, dpc1"),
        ({"trains": ["uss", "m2d"]}, r"uss.trains is \['uss', 'm2d'\], expected some of uss, dpc1"),
        ({"trains": ["uss", "dpc1", "m2d"]}, "trains m2d, but starts_from names none"),
        ({"trains": ["tse2", "dpc2", "m2d"], "stage": 2}, "expected some of tse2, dpc2"),
        ({"trains": []}, "uss.trains"),
        ({"stage": 4}, "uss.stage is 4, expected 1, 2 or 3"),
        ({"task": "segmentation", "trains": ["uss"], "loss": {"segmentation": 0}}, "above 0, not 1 and 0.0"),
        ({"task": "segmentation", "trains": ["uss"], "stage": 2}, "expects stage 1"),
        ({"task": "segmentation"}, r"uss.trains is \['uss', 'dpc1'\], expected some of uss"),
        ({"data": {"target_counts": [0.5, 0.2, 0.1, 0.1]}}, "expected chances that add up to 1"),
        ({"data": {"seconds": 0}}, "data.seconds is 0"),
        ({"data": {"duration_augmentation": "yes"}}, "expected off or pool or concat"),
        ({"optimiser": {"average": 1.0}}, "optimiser.average is 1.0"),
        ({"optimiser": 3}, "expected a mapping"),
        ({"optimiser": {"learning_rate": -1}}, "learning_rate is -1"),
        ({"optimiser": {"clip": 0}}, "clip is 0"),
        ({"optimiser": {"factors": {"us": 2.0}}}, "optimiser.factors names 'us', which it does not train"),
        ({"starts_from": {"us": "uss"}}, "starts_from names 'us'"),
        ({"seed": -1}, "uss.seed is -1, expected a whole number from 0"),
        ({"seed": 2**64}, "uss.seed is 18446744073709551616, expected a whole number from 0 to 46"),
        ({"system": {"seed": 2**64}}, "system.seed is 18446744073709551616, expected a whole number"),
        ({"data": {"seconds": 1e-6}}, "data.seconds is 1e-06, expected the length of a sample"),
        ({"data": {"folder": "foley"}}, r"folder is 'foley', expected a folder \(./foley for one of that name\)"),
        ({"data": {"folder": ""}}, "folder is '', expected a folder"),
        ({"clues": {"true_class": 2}}, "clues.true_class is 2"),
        ({"clues": {"runner_up": 0.5}}, "clues.runner_up is 0.5, which is of what the stage before says"),
        ({"clues": {"true_class": 0.8, "random_class": 0.8}}, "add up to more than 1"),
        ({"data": {"target_counts": [0.5, 0.5]}}, "expected one for each of 0 to 3"),
        ({"system": {"objects": {"interference": 1}}}, "expected interference 0 or 2"),
        ({"system": {"objects": {"interference": -1}}}, "interference is -1"),
        ({"system": {"m2d": {"heads": 0}}}, "m2d.heads is 0"),
        ({"system": {"separator": {"bands": [[0, 4]]}}}, "bands is .* expected positive numbers"),
        ({"system": {"separator": {"directions": 2}}}, "directions is 2, expected 0 or at least system.objects.foreg"),
        ({"system": {"separator": {"directions": -3}}}, "directions is -3"),
        ({"system": {"separator": {"directions": 0}}}, "directions 0 expected permutation or class"),
        ({"loss": {"assignment": "class"}}, "directions 5 expected permutation or direction"),
        ({"system": 5}, "system is 5, expected a mapping"),
        ({"system": {"separator": {"kernel": 2}}}, "system.separator.kernel is 2, expected an odd number"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_plan("mini/uss", changes)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": {"factors": {"uss": NAN}}}, "uss.optimiser.factors.uss is nan, expected a finite number"),
        ({"optimiser": {"factors": {"uss": INF}}}, "uss.optimiser.factors.uss is inf, expected a finite number"),
        ({"optimiser": {"learning_rate": INF}}, "optimiser.learning_rate is inf, expected a finite number"),
        ({"optimiser": {"clip": INF}}, "optimiser.clip is inf, expected a finite number"),
        ({"data": {"material": {"D": NAN}}}, "uss.data.material.D is nan, expected a finite number"),
        ({"data": {"material": {"foley": 1, "D": NAN}}}, "uss.data.material.D is nan, expected a finite number"),
        ({"data": {"material": {"D": INF}}}, "uss.data.material.D is inf, expected a finite number"),
        ({"data": {"target_counts": [0.5, NAN, 0.25, 0.25]}}, "data.target_counts is nan, expected a finite number"),
        ({"data": {"seconds": INF}}, "data.seconds is inf, expected a finite number"),
        ({"data": {"seconds": 10**400}}, "data.seconds is 10*, expected a finite number"),
        ({"loss": {"separation": NAN}}, "uss.loss.separation is nan, expected a finite number"),
        ({"slots": {"equalise": INF}}, "slots.equalise is inf, expected a finite number"),
        ({"system": {"spatial_filter": {"enrollment": NAN}}}, "enrollment is nan, expected a finite number"),
    ],
)
def test_every_number_of_a_recipe_is_finite(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_plan("mini/uss", changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": {"factors": {"uss": -1}}}, "uss.optimiser.factors.uss is -1.0, expected 0 or more"),
        ({"optimiser": {"final": 2}}, "uss.optimiser.final is 2.0, expected a fraction from 0 to 1"),
        ({"optimiser": {"warmup": -1}}, "uss.optimiser.warmup is -1, expected 0 or more"),
        ({"data": {"material": {"D": -1, "foley": 2}}}, "expected shares of 0 or more, one above 0"),
        ({"data": {"target_counts": [0.5, -0.5, 0.5, 0.5]}}, "none below 0"),
        ({"loss": {"separation": -1}}, "uss.loss.separation is -1.0, expected 0 or more"),
        ({"loss": {"segmentation": -1}}, "uss.loss.segmentation is -1.0, expected 0 or more"),
        ({"loss": {"object_gradient": -0.1}}, "uss.loss.object_gradient is -0.1, expected 0 or more"),
        ({"loss": {"source": 1.5}}, "uss.loss.source is 1.5, expected a share from 0 to 1"),
        ({"loss": {"smoothing": 1}}, "uss.loss.smoothing is 1.0, expected a number from 0 to below 1"),
    ],
)
def test_factors_weights_and_shares_are_not_negative(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_plan("mini/uss", changes)


def test_a_factor_and_a_weight_may_be_zero() -> None:
    plan = read_plan("mini/uss", {"optimiser": {"factors": {"uss": 0}}, "loss": {"noise": 0}})
    assert (plan.recipe.optimiser.factors, plan.recipe.loss.noise) == ({"uss": 0.0}, 0.0)


@pytest.mark.parametrize("name", ["uss", "mini", "mini/", "midi/uss", "/uss"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match=r"no recipe .*mini/encoder.*paper/refine.*FILE\.yaml/NAME|has no recipe"):
        read_plan(name)


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    content = yaml.safe_load((Path(train.__file__).parent / "recipes" / "mini.yaml").read_text())
    content["recipes"] = {"mine": {"trains": ["uss"], "steps": 3}}
    content["system"] = {"separator": {"blocks": 1}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    plan = read_plan(f"{tmp_path}/own.yaml/mine")
    assert (plan.name, plan.recipe.steps, plan.configuration.separator.blocks) == ("own/mine", 3, 1)
    deeper = read_plan(f"{tmp_path}/own.yaml/mine", {"system": {"separator": {"heads": 1}}})
    assert (deeper.configuration.separator.blocks, deeper.configuration.separator.heads) == (1, 1)
    with pytest.raises(UsageError, match="has no recipe 'other'"):
        read_plan(f"{tmp_path}/own.yaml/other")
    with pytest.raises(UsageError, match=r"is a whole file; expected one of its recipes: .*own\.yaml/mine$"):
        read_plan(f"{tmp_path}/own.yaml")
    with pytest.raises(UsageError, match=r"recipe 'nowhere\.yaml/uss': there is no file nowhere\.yaml"):
        read_plan("nowhere.yaml/uss")
    filtered = content["defaults"]["loss"].pop("filtered")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match=r"defaults lacks loss\.filtered; expected every key of a recipe, as in"):
        read_plan(f"{tmp_path}/own.yaml/mine")
    content["defaults"]["loss"]["filtered"] = filtered
    del content["defaults"]["steps"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match=r"defaults lacks steps; expected every key of a recipe, as in .*mini\.yaml"):
        read_plan(f"{tmp_path}/own.yaml/mine")


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "recipes: 3", "\x00"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"own\.yaml: "):
        read_plan(f"{tmp_path}/own.yaml/mine")


def test_a_part_that_is_missing_comes_from_a_recipe_by_name(tmp_path: Path) -> None:
    plan = read_plan("mini/tse2")
    made_by = {"uss": "uss", "dpc1": "uss", "m2d": "m2d", "tse3": "refine"}
    assert {part: plan.made_by[part] for part in made_by} == {part: f"mini/{name}" for part, name in made_by.items()}
    assert read_plan("mini/uss").made_by["uss"] == "mini/segmentation"  # which it starts from
    parts = PartsFolder(tmp_path, torch.device("cpu"), made_by=plan.made_by)
    with pytest.raises(
        DataError, match=r"uss\.safetensors: no such file; get it from recipe mini/uss, run with the same"
    ):
        parts.trained(torch.nn.Linear(1, 1), "uss")
    with pytest.raises(DataError, match=r"other\.safetensors: no such file; get it from an earlier recipe"):
        parts.frozen(torch.nn.Linear(1, 1), "other")
