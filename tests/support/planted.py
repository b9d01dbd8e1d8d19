"""Modules that a test can name on the command line: those of this folder, and one that it writes itself."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Plant = Callable[[str, str], None]


@pytest.fixture
def systems_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`staged:build` and `plugins:build` can be named."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """`plant(name, code)`: a module of that code, which this test alone finds by that name."""
    planted = []

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        planted.append(name)

    yield write
    for name in planted:
        sys.modules.pop(name, None)
