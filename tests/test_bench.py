"""Benchmarks are run by hand: what they import of the product has to be there all the same."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "bench").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("s5eval"):
            module = import_module(str(node.module))
            for name in node.names:
                found = hasattr(module, name.name) or find_spec(f"{node.module}.{name.name}") is not None
                assert found, f"{node.module} has no {name.name}"
