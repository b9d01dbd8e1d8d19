"""Small pictures of mixtures: drawn where the audio is read anyway, and never twice."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval import open_data
from s5eval.data_manifests.common.cache import cache_folder
from s5eval.harness.report import pictures
from s5eval.harness.report.pictures import draw_picture, without_picture

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))


def shown(run: Path) -> dict[str, str]:
    """Pictures of a page's lines by mixture."""
    lines = (run / "report.html").read_text().split('<tr id="mixture=')[1:]
    found = [re.match(r'([^"]+)".*?src="data:image/png;base64,([^"]+)"', line, re.DOTALL) for line in lines]
    return {match[1]: match[2] for match in found if match is not None}


@pytest.mark.parametrize("options", [(), ("--workers", 2)])
def test_whoever_evaluates_draws_and_the_page_reads_no_audio(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...]
) -> None:
    expected = {scene.mixture.id: draw_picture(scene) for scene in open_data(small_set)}
    drawn = []
    monkeypatch.setattr(pictures, "draw_picture", lambda scene, omni=None: drawn.append(scene.mixture.id))
    call = ("run", "--system", "silence", "--data", small_set, *options)
    assert s5eval(*call, "--out", tmp_path / "first").code == 0
    assert shown(tmp_path / "first") == expected
    assert drawn == [], "by the page itself"


def test_what_is_kept_is_not_drawn_again(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_data(small_set)
    assert without_picture(data) == {"m_1", "m_10", "m_2", "m_3", "m_4"}
    call = ("run", "--system", "silence", "--data", small_set)
    s5eval(*call, "--limit", 2, "--out", tmp_path / "part")
    assert without_picture(data) == {"m_1", "m_10", "m_2", "m_3", "m_4"}, "kept for that part of the data alone"
    s5eval(*call, "--out", tmp_path / "first")
    assert without_picture(data) == set()
    monkeypatch.setattr("s5eval.harness.runs.engine.draw_picture", lambda scene, omni: pytest.fail(scene.mixture.id))
    s5eval(*call, "--out", tmp_path / "second")
    assert shown(tmp_path / "second") == shown(tmp_path / "first")
    assert len(shown(tmp_path / "second")) == 5


def test_a_resumed_run_has_the_pictures_of_both_sittings(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "whole")
    s5eval("cache", "prune", "--yes")
    out = tmp_path / "run"

    def progress(outcomes: Any, total: int, done: int) -> Any:
        for outcome in outcomes:
            yield outcome
            raise KeyboardInterrupt

    from s5eval.harness.record.config import RunConfig
    from s5eval.harness.runs.run import start_run

    with pytest.raises(KeyboardInterrupt):
        start_run(RunConfig("silence", data=small_set), out, progress=progress)
    drawn: list[str] = []
    monkeypatch.setattr(pictures, "draw_picture", lambda scene, omni=None: drawn.append(scene.mixture.id))
    assert s5eval("run", "--resume", out).code == 0
    assert shown(out) == shown(tmp_path / "whole")
    assert drawn == [], "those of the first sitting were kept"
    assert len(shown(out)) == 5


def test_a_long_mixture_is_drawn_when_its_candidates_are_gone(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s5eval.harness.runs.engine.LONGEST_AT_ONCE", 15_999)
    monkeypatch.setattr("s5eval.harness.runs.engine.draw_picture", lambda scene, omni: pytest.fail(scene.mixture.id))
    s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run")
    assert len(shown(tmp_path / "run")) == 5


def test_a_mixture_that_cannot_be_read_has_no_picture(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    (small_set / "soundscape" / "m_3.wav").write_bytes(b"RIFF of nothing")
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run").code == 4
    assert sorted(shown(tmp_path / "run")) == ["m_1", "m_10", "m_2", "m_4"]


def test_a_cache_that_cannot_be_written_costs_nobody_a_picture(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    kept = cache_folder() / "pictures"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("a file in its place")
    assert s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run").code == 0
    assert len(shown(tmp_path / "run")) == 5
