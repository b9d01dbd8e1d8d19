"""A real browser beside a real server; skipped where either is not installed, and what CI installs is never skipped."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from chromium import FLAGS, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = missing("starlette", "uvicorn")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            if absent:
                item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(absent)}"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of these tests alone: the stages of runs that are made once stay in it."""
    return tmp_path_factory.getbasetemp() / "cache-of-browsed"


@pytest.fixture(scope="session")
def call(cache: Path) -> Callable[..., str]:
    """The command line in a process of its own, as somebody would type it; standard output."""

    def run(*arguments: object) -> str:
        command = [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]
        environment = {**os.environ, "S5EVAL_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, call: Callable[..., str], make_sets: Callable[..., Path]) -> Path:
    """`real`: the shipped system on the embedded set; `one`: its first stage; `scored`: with a planted confusion."""
    root = tmp_path_factory.mktemp("seen")
    for name, *more in (("real",), ("one", "--set", "system.stages=1", "--name", "one-stage")):
        options = ["--system", "multistage", "--limit", 4, "--save-audio", "--out", root / "runs" / name]
        call("run", *options, *more)
    data = make_sets(
        root / "small",
        {"m_1": ["Speech"], "m_2": ["Cough", "Pour"], "m_3": ["Dishes"]},
        estimates={"m_1": ["Speech"], "m_2": ["Cough", "Speech"]},
    )
    call("score", data / "estimate", "--data", data, "--out", root / "runs" / "scored")
    return root / "runs"


@pytest.fixture
def serve(cache: Path) -> Iterator[Callable[..., str]]:
    """Start `s5eval view` on folders; the address it prints. It has to end when it is told to."""
    started: list[subprocess.Popen[str]] = []

    def start(*folders: Path) -> str:
        environment = {**os.environ, "S5EVAL_CACHE": str(cache)}
        command = [sys.executable, "-m", "s5eval.harness.cli", "view", *map(str, folders)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in started:
        process.send_signal(2)
        code = process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
        assert code == 0


@pytest.fixture
def open_page(serve: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the runs of folders in a browser that knows nobody; whatever it complains of, or asks elsewhere, fails."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())

        def start(*folders: Path, width: int = 1200, dark: bool = False) -> Any:
            address = serve(*folders)
            origin = address.partition("/?")[0]
            context = driver.chromium.launch_persistent_context(
                tmp_path / f"user-{width}-{dark}", executable_path=shutil.which("chromium"), args=list(FLAGS),
                viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", headless=True,
            )  # fmt: skip
            stack.callback(context.close)
            context.set_default_timeout(300_000)  # ms; a busy machine may take long, a broken page for ever
            page = context.pages[0]
            page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            context.on("request", lambda asked: asked.url.startswith(origin) or complaints.append(asked.url))
            page.origin, page.complaints = origin, complaints
            page.goto(address)
            assert "token" not in page.url
            return page

        yield start
    assert complaints == []
