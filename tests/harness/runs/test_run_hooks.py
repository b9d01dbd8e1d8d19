"""What a run tells its hooks, from Python and from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import Plant

import s5eval as face

Call = Callable[..., Any]

MODULE = """
import s5eval

HEARD = []


class Mine(s5eval.Hook):
    def start(self, kind, folder, facts):
        HEARD.append((kind, folder.name, facts["about"]["system"], facts["done"]))

    def mixture(self, mixture_id, values):
        HEARD.append((mixture_id, values["outcome"]["status"], values["capi"]["value"]))

    def end(self, status, figures):
        HEARD.append((status, figures["metrics"]["capi_sdri"]["value"]))


class Broken(s5eval.Hook):
    def mixture(self, mixture_id, values):
        raise OSError("no space left")
"""


@pytest.fixture
def heard(plant: Plant) -> list[Any]:
    plant("told_hooks", MODULE)
    import told_hooks  # type: ignore[import-not-found]

    found: list[Any] = told_hooks.HEARD
    return found


def test_hooks_hear_what_the_run_folder_holds(s5eval: Call, small_set: Path, tmp_path: Path, heard: list[Any]) -> None:
    arguments = ("run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "run")
    done = s5eval(*arguments, "--hook", "told_hooks:Broken", "--hook", "told_hooks:Mine")
    assert done.code == 0, done.err
    assert done.err.count("hook Broken failed in mixture (OSError: no space left); it is told no more") == 1
    result = face.read_run(tmp_path / "run")
    assert heard[0] == ("run", "run", "oracle-gain", 0)
    assert heard[1:-1] == [(score.mixture_id, "scored", score.capi_sdri) for score in result.scores]
    assert heard[-1] == ("complete", result.summary.metrics["capi_sdri"].value)


def test_a_hook_from_python_and_one_that_is_none(small_set: Path, tmp_path: Path) -> None:
    ids: list[str] = []

    class Ids(face.Hook):
        def mixture(self, mixture_id: str, values: Any) -> None:
            ids.append(mixture_id)

    result = face.run("silence", small_set, tmp_path / "run", hooks=[Ids()])
    assert ids == [score.mixture_id for score in result.scores]
    with pytest.raises(face.UsageError, match=r"expected an s5eval\.Hook"):
        face.run("silence", small_set, tmp_path / "other", hooks=[Ids])  # type: ignore[list-item]
