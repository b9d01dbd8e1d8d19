"""The package `s5eval` as somebody meets it: one import that costs nothing, and every name where it is said to be."""

import ast
import doctest
import importlib
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import s5eval

API = Path(__file__).parents[3] / "harness" / "api"
MODULES = sorted(path.stem for path in API.glob("*.py") if path.stem != "__init__")
HEAVY = {"numpy", "torch", "pandas", "pydantic", "scipy", "soundfile", "yaml", "click", "matplotlib", "torchmetrics"}


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_import_alone_loads_nothing_heavy() -> None:
    assert loaded_after("import s5eval; dir(s5eval); s5eval.CLASSES; s5eval.S5Error") == set()


def test_the_import_alone_loads_two_modules_of_ours() -> None:
    script = "import sys, s5eval; print(*sorted(name for name in sys.modules if name.startswith('s5eval')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["s5eval"]


@pytest.mark.parametrize(
    "code",
    [
        "import s5eval; s5eval.metrics.capi_sdri, s5eval.metrics.bootstrap",
        "import s5eval; s5eval.score_mixture, s5eval.open_data, s5eval.read_run, s5eval.compare, s5eval.tune",
        "import s5eval; s5eval.Mixture, s5eval.Candidates, s5eval.Pipeline, s5eval.Decision",
        "import s5eval; s5eval.load_system('silence')",
    ],
)
def test_neither_torch_nor_pandas_is_loaded_before_it_is_needed(code: str) -> None:
    assert not loaded_after(code) & {"torch", "pandas", "pydantic", "matplotlib", "torchmetrics"}


def test_the_command_line_pays_for_none_of_it() -> None:
    assert loaded_after("import s5eval.harness.cli") == {"click"}


def test_every_public_name_is_there_documented_and_listed() -> None:
    assert set(s5eval.__all__) < set(dir(s5eval))
    for name in s5eval.__all__:
        value = getattr(s5eval, name)
        assert name == "CLASSES" or value.__doc__, name
    assert s5eval.__version__


def test_what_is_said_to_type_checkers_is_what_happens() -> None:
    said: dict[str, str] = {}
    for node in ast.parse((API / "__init__.py").read_text()).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            for statement in node.body:
                if not isinstance(statement, ast.ImportFrom):
                    continue
                said |= {alias.name: str(statement.module) for alias in statement.names}
    assert said.pop("metrics") == "s5eval"
    assert said == s5eval._HOME_OF
    assert sorted([*said, "metrics"]) == sorted(s5eval.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'score_mixtures'"):
        s5eval.score_mixtures  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'capi_sdr_i'"):
        importlib.import_module("s5eval.metrics").capi_sdr_i  # noqa: B018


def test_no_module_of_the_package_hides_a_part_or_a_function() -> None:
    parts = {"harness", "metrics", "systems", "submissions", "data_manifests"}
    assert not set(MODULES) & (parts | set(s5eval.__all__))


def test_functions_of_metrics_are_functions_whatever_was_imported_before() -> None:
    script = (
        "import s5eval.metrics.bootstrap, s5eval.metrics.decompose, s5eval\n"
        "print(callable(s5eval.metrics.bootstrap), callable(s5eval.metrics.decompose))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("name", ["run", "score_mixture", "load_system", "read_run", "open_data", "tune", "validate"])
def test_signatures_have_types_that_can_be_looked_up(name: str) -> None:
    assert "return" in typing.get_type_hints(getattr(s5eval, name))


DOCUMENTED = ["s5eval", *(f"s5eval.{name}" for name in MODULES), "s5eval.metrics"]
DOCUMENTED += [f"s5eval.metrics.{name}" for name in ("sdr", "capi", "label_counts", "capi_torchmetrics")]
DOCUMENTED += ["s5eval.systems.training.capi_loss"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples_in_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name), report=True)
    assert found.failed == 0


def test_there_are_examples_to_run() -> None:
    for name in ("s5eval", "s5eval.single_score", "s5eval.loaded_system", "s5eval.metrics"):
        module = importlib.import_module(name)
        assert any(test.examples for test in doctest.DocTestFinder().find(module)), name
