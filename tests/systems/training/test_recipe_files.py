"""Recipe files of one's own whose names are no words: said in words, with the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.training.training_plan import read_plan


@pytest.fixture
def own(tmp_path: Path) -> Callable[[dict[Any, Any]], str]:
    """`own({"mine": {…}})`: the name of a file of the shipped form with these recipes."""
    import s5eval.systems.multistage.training as package

    shipped = yaml.safe_load((Path(str(package.__file__)).parent / "recipes" / "mini.yaml").read_text())

    def write(recipes: dict[Any, Any]) -> str:
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({**shipped, "recipes": recipes}))
        return str(tmp_path / "own.yaml")

    return write


@pytest.mark.parametrize("name", [2026, True, None])
def test_a_recipe_whose_name_yaml_takes_for_no_word_is_refused(own: Callable[..., str], name: object) -> None:
    file = own({name: {"trains": ["uss"]}, "mine": {"trains": ["uss"]}})
    for asked in (f"{file}/mine", f"{file}/{name}", file):
        with pytest.raises(UsageError, match=rf"own\.yaml: recipes names {name!r}, expected a word; put it in quotes"):
            read_plan(asked)


@pytest.mark.parametrize("part", [{"uss": 1}, ["uss"], 3, None])
def test_a_part_that_is_no_word_is_refused_where_it_is_trained_and_nowhere_else(
    own: Callable[..., str], part: object
) -> None:
    file = own({"other": {"trains": [part]}, "mine": {"trains": ["uss"]}})
    assert read_plan(f"{file}/mine").made_by == {}
    with pytest.raises(UsageError, match=r"other\.trains is .*, expected a word"):
        read_plan(f"{file}/other")


def test_what_is_built_on_comes_from_the_recipe_of_that_name_before_the_first_that_trains_it(
    own: Callable[..., str],
) -> None:
    file = own({"both": {"trains": ["uss", "dpc1"]}, "uss": {"trains": ["uss"]}, "mine": {"trains": ["uss"]}})
    assert read_plan(f"{file}/mine").made_by == {"uss": f"{file}/uss", "dpc1": f"{file}/both"}
