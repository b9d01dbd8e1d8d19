"""Runs to look at, made once, and a client that looks at them as a browser would."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from viewing import ORIGIN, PORT, TOKEN, Made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if find_spec("starlette") is None and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs the extra view"))


CACHE = "cache-of-viewed"
"""Of these tests alone: others prune theirs, and stages of runs that are made once would be gone."""


@pytest.fixture(autouse=True)
def _stages_stay(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path_factory.getbasetemp() / CACHE))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, make_sets: Callable[..., Path]) -> Made:
    """`staged`: three stages, with audio. `scored`: somebody's wavs; Pour of m_2 is taken for Speech, m_3 missed."""
    from s5eval.harness.cli import cli

    root = tmp_path_factory.mktemp("viewed")
    data = make_sets(
        root / "small",
        {"m_1": ["Speech"], "m_10": [], "m_2": ["Cough", "Pour"], "m_3": ["Dishes"], "m_4": ["Typing", "Typing"]},
        estimates={"m_1": ["Speech"], "m_2": ["Cough", "Speech"], "m_4": ["Typing", "Typing"]},
    )
    found = Made(data, root / "runs" / "staged", root / "runs" / "scored")
    commands = [
        ["run", "--system", "staged:build", "--data", data, "--save-audio", "--out", found.staged],
        ["score", data / "estimate", "--data", data, "--out", found.scored],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S5EVAL_CACHE", str(tmp_path_factory.getbasetemp() / CACHE))
        for command in commands:
            assert cli.main([*map(str, command)], standalone_mode=False) == 0
    return found


@pytest.fixture
def copied(made: Made, tmp_path: Path) -> Made:
    """The same, for tests that change them; the runs still name the data they were made on."""
    for name in ("small", "runs"):
        shutil.copytree(made.data.parent / name, tmp_path / name)
    return Made(tmp_path / "small", tmp_path / "runs" / "staged", tmp_path / "runs" / "scored")


@pytest.fixture
def browse() -> Iterator[Callable[..., Any]]:
    """A client of the runs in and below folders, with the token in its cookie."""
    from starlette.testclient import TestClient

    from s5eval.harness.view.app import Viewer, make_app

    with ExitStack() as stack:

        def open_client(*folders: Path, data: tuple[Path, ...] = (), welcome: bool = True) -> Any:
            app = make_app(Viewer(folders, data), token=TOKEN, port=PORT)
            client = stack.enter_context(TestClient(app, base_url=ORIGIN, follow_redirects=False))
            if welcome:
                assert client.get("/", params={"token": TOKEN}).status_code == 303
            return client

        yield open_client
