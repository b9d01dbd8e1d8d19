"""Fixtures that the whole suite shares: a private cache, small data sets, the command line in-process."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest_plugins = ["planted", "tiny_dev_set"]

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
RATE = 32_000


def pytest_sessionstart() -> None:
    """A suite that was started behind `nohup` or `&` ignores SIGINT, and so would all that it starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _nobody_s_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is made once for many tests is made before `_private_environment`: not in the cache of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S5EVAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def _private_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of the session, for the data that it makes; the store of stages begins empty in every test."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    shutil.rmtree(cache / "stages", ignore_errors=True)
    monkeypatch.setenv("S5EVAL_CACHE", str(cache))
    monkeypatch.delenv("S5EVAL_DATA", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)  # tables in one width, whatever the terminal


@pytest.fixture
def shared() -> Path:
    """Recordings that are not part of the repository; the test is skipped without them."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared")
    return SHARED


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def s5eval(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the command line in this process: exit code, standard output, standard error."""
    from s5eval.harness.cli import main

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["s5eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Result(int(stop.value.code or 0), captured.out, captured.err)

    return call


Labels = Sequence[str]


def write_set(
    root: Path, scenes: Mapping[str, Labels], *, estimates: Mapping[str, Labels] | None = None, seconds: float = 0.5
) -> Path:
    """A small set of noise bursts: `scenes` maps mixture ids to reference labels, `estimates` to estimated labels.

    An estimate is the reference of the same position, slightly disturbed, or noise where there is none.
    """
    length = int(seconds * RATE)
    for folder in ("soundscape", "oracle_target", *(["estimate"] if estimates is not None else [])):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (id_, labels) in enumerate(scenes.items()):
        rng = np.random.default_rng(number)
        dry = [0.1 * rng.normal(size=length) for _ in labels]
        mixture = np.stack([sum(dry, start=0.05 * rng.normal(size=length)) for _ in range(4)], axis=1)
        soundfile.write(root / "soundscape" / f"{id_}.wav", mixture, RATE, subtype="FLOAT")
        for index, (label, sound) in enumerate(zip(labels, dry, strict=True)):
            soundfile.write(root / "oracle_target" / f"{id_}_{index}_{label}.wav", sound, RATE, subtype="FLOAT")
        for index, label in enumerate((estimates or {}).get(id_, ())):
            sound = (dry[index] if index < len(dry) else 0.0) + 0.02 * rng.normal(size=length)
            soundfile.write(root / "estimate" / f"{id_}_{index}_{label}.wav", sound, RATE, subtype="FLOAT")
    return root


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Five half-second scenes with references and estimates: right, silent, wrong, missing, repeated class."""
    return write_set(
        tmp_path / "small",
        {"m_1": ["Speech"], "m_10": [], "m_2": ["Cough", "Pour"], "m_3": ["Dishes"], "m_4": ["Typing", "Typing"]},
        estimates={"m_1": ["Speech"], "m_2": ["Cough", "Speech"], "m_4": ["Typing", "Typing"]},
    )


@pytest.fixture
def make_set() -> Callable[..., Path]:
    return write_set


@pytest.fixture(scope="session")
def make_sets() -> Callable[..., Path]:
    """`make_set`, for what is made once."""
    return write_set


def read_lines(run: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in (run / "mixtures.jsonl").read_text().splitlines()]
    assert len(lines) == len({line["mixture_id"] for line in lines}), "one line a mixture"
    return {line["mixture_id"]: line for line in lines}


@pytest.fixture
def lines() -> Callable[[Path], dict[str, Any]]:
    """The lines of a run's journal by mixture id."""
    return read_lines


@pytest.fixture
def summary() -> Callable[[Path], Any]:
    return lambda run: json.loads((run / "summary.json").read_text())
