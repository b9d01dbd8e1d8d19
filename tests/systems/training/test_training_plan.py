"""What decides the scenes of a plan, by which kept ones are known again."""

from typing import Any

import pytest

from s5eval.systems.training.training_plan import read_plan, recipe_names


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 99},
        {"data": {"seconds": 3.0}},
        {"data": {"rooms": 7}},
        {"data": {"target_counts": [0.25, 0.25, 0.25, 0.25]}},
        {"data": {"duration_augmentation": "off"}},
    ],
)
def test_scenes_of_another_seed_or_of_other_settings_are_others(changes: dict[str, Any]) -> None:
    assert read_plan("mini/names", changes).scenes_digest() != read_plan("mini/names").scenes_digest()


@pytest.mark.parametrize("changes", [{"data": {"workers": 3}}, {"steps": 5}, {"batch": 9}, {"loss": {"classes": 2.0}}])
def test_scenes_are_the_same_whoever_makes_them_and_whatever_is_learned_from_them(changes: dict[str, Any]) -> None:
    assert read_plan("mini/names", changes).scenes_digest() == read_plan("mini/names").scenes_digest()


def test_procedural_sounds_alone_are_one_material_however_they_are_asked_for() -> None:
    usual = read_plan("mini/uss")
    for material in ({"foley": 1}, {"foley": 0.5, "recordings": 0}):
        plan = read_plan("mini/uss", {"data": {"material": material}})
        assert (plan.digest(), plan.scenes_digest()) == (usual.digest(), usual.scenes_digest())


@pytest.mark.parametrize("file", ["mini", "paper"])
def test_no_two_recipes_of_a_preset_hear_the_same_scenes(file: str) -> None:
    seeds = {
        name: read_plan(f"{file}/{name}", {"system": {"classifiers": 3}}).recipe.seed for name in recipe_names(file)
    }
    assert len(set(seeds.values())) == len(seeds), seeds
