"""How many stages classify: a later one extracts alone, and what was said before it stands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems.interface import Candidates
from s5eval.systems.multistage.configuration import load_preset, read_settings, recorded
from s5eval.systems.multistage.description import describe
from s5eval.systems.multistage.profile import profile
from s5eval.systems.multistage.system import build
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.training.training_plan import read_plan, recipe_names

Noise = Callable[..., Mixture]


def run(pipeline: Pipeline, mixture: Mixture) -> list[Candidates]:
    """What every stage gives."""
    given: list[Candidates] = []
    for stage in pipeline.stages:
        (candidates,) = stage.run([mixture], [given[-1]] if given else None)
        given.append(candidates)
    return given


@pytest.mark.parametrize("classifiers", [1, 2])
def test_a_stage_without_one_extracts_and_hands_on_what_was_said(
    tiny: dict[str, Any], noise: Noise, classifiers: int
) -> None:
    some, every = (
        run(build({**tiny, "classifiers": n, "tau_skip": 1.0}, "cpu"), noise(9000)) for n in (classifiers, 3)
    )
    for n in range(classifiers):
        assert some[n].sha256() == every[n].sha256(), "stages that classify are what they were"
    last, before = some[classifiers], some[classifiers - 1]
    np.testing.assert_array_equal(last.audio, every[classifiers].audio)
    assert not np.array_equal(last.audio, before.audio)
    for candidates in some[classifiers:]:
        np.testing.assert_array_equal(candidates.class_scores, before.class_scores)
        np.testing.assert_array_equal(candidates.p_silence, before.p_silence)
    assert not np.array_equal(every[classifiers].class_scores, before.class_scores)


def test_only_what_there_is_is_counted(tiny: dict[str, Any]) -> None:
    two, three = (build({**tiny, "classifiers": n}, "cpu").fingerprint() for n in (2, 3))
    of_two, of_three = two["stages"], three["stages"]
    assert isinstance(of_two, dict) and isinstance(of_three, dict)
    assert [of_two[name] == of_three[name] for name in ("stage1", "stage2", "stage3")] == [True, True, False]
    assert sorted(of_two["stage3"]["weights"]) == ["tse3"]
    assert sorted(of_three["stage3"]["weights"]) == ["dpc3", "m2d", "tse3"]
    assert int(str(two["parameters"])) < int(str(three["parameters"]))
    calls = {
        n: {part.name: part.calls for part in profile({**tiny, "classifiers": n}, "cpu", seconds=0.5).parts}
        for n in (2, 3)
    }
    assert [(calls[n]["dpc"], calls[n]["m2d"], calls[n]["tse"]) for n in (2, 3)] == [(6, 6, 6), (9, 9, 6)]


def test_a_submission_says_how_far_it_classifies() -> None:
    def told(**changes: Any) -> str:
        return describe(read_settings(changes), with_encoder=True)["machine_learning_method"]

    assert told(classifiers=2).endswith("and M2D-DPC as far as stage 2")
    assert told(classifiers=3).endswith("and M2D-DPC")
    assert told(classifiers=2, stages=2).endswith("and M2D-DPC")


def test_a_submission_says_what_its_preset_was_trained_for() -> None:
    """Terms of a loss that the recipes of a preset have; the words stand in what is handed in."""
    of_recipes = {name: read_plan(f"{name}/uss").recipe.loss for name in ("mini", "paper")}
    for name, loss in of_recipes.items():
        told = describe(read_settings({"preset": name}), with_encoder=True)["loss_function"]
        assert ("SDR and SNR over" in told) is (loss.source > 0)
        assert ("segmentation of cells" in told) is ("segmentation" in recipe_names(name))


def test_a_classifier_that_nobody_hears_is_not_trained() -> None:
    with pytest.raises(UsageError, match=r"trains dpc3, which no system .*classifiers 2 has; set system\.c.*=3"):
        read_plan("mini/names3", {"system": {"classifiers": 2}})
    assert read_plan("mini/names3", {"system": {"classifiers": 3}}).recipe.trains == ("dpc3",)


def test_it_is_nothing_to_a_training_and_one_to_three() -> None:
    configuration = load_preset("mini")
    other = replace(configuration, classifiers=3)
    assert recorded(other, extracts=True) == recorded(replace(configuration, classifiers=1), extracts=True)
    with pytest.raises(UsageError, match=r"system\.classifiers is 4, expected 1, 2 or 3"):
        load_preset("mini", {"classifiers": 4})
