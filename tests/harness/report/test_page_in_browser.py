"""The static page and a bundle in a real browser, opened as files: sorting, filters, sounds, narrow and dark."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from chromium import CONTRAST, chromium, opened
from made_up_run import write_run

from s5eval.harness.record.reading import read_scores
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.charted import cells_of
from s5eval.harness.report.page import write_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_tables: Callable[..., list[PairTable]]) -> Path:
    """Sixty mixtures, of which the first has a sound of three seconds."""
    home = tmp_path_factory.mktemp("page")
    data = home / "data"
    (data / "soundscape").mkdir(parents=True)
    tables = make_tables(60, 2)
    rng = np.random.default_rng(0)
    for k in range(len(tables)):
        noise = 0.05 * rng.normal(size=(96_000 if k == 0 else 3_200, 4))
        soundfile.write(data / "soundscape" / f"m_{k:04d}.wav", noise, 32_000, subtype="PCM_16")
    write_run(home / "run", tables, data=data, about={"name": "<b>bold</b>\"'><img src=x onerror=console.log(1)>"})
    write_page(home / "run")
    return home / "run"


def shown(page: Any) -> list[str]:
    ids: list[str] = page.eval_on_selector_all(
        "#mixtures tbody tr:not([hidden])", "rows => rows.map(row => row.id.replace('mixture=', ''))"
    )
    return ids


def assert_found(page: Any, ids: Iterable[str]) -> None:
    """These lines and no others are shown, soon: a browser tells a page of its new address after the click returned."""
    expected, deadline = sorted(ids), time.monotonic() + 20
    while sorted(shown(page)) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert sorted(shown(page)) == expected


def assert_quiet(found: Any, folder: Path) -> None:
    """Nothing on the console, and nothing asked for but files of the folder."""
    assert found.said == []
    for request in found.requests:
        assert request.startswith(("data:", folder.resolve().as_uri())), request


def test_a_heading_sorts_up_and_down_and_keeps_the_undefined_last(browser: Any, run: Path) -> None:
    scores = read_scores(run)
    with opened(browser, run / "report.html") as found:
        heading = found.page.locator("th[data-sort=score]")
        for direction, sign in (("ascending", 1), ("descending", -1)):
            heading.locator("button").click()
            assert heading.get_attribute("aria-sort") == direction
            values = [scores[id_].capi_sdri for id_ in shown(found.page)]
            defined = [value for value in values if value is not None]
            assert defined == sorted(defined, key=lambda value: sign * value)
            assert values[len(defined) :] == [None] * (len(values) - len(defined))
        found.page.locator("th[data-sort=mixture] button").press("Enter")
        assert shown(found.page) == sorted(scores)
        assert_quiet(found, run.parent)


def test_filters_and_links_of_charts_find_the_mixtures_behind_them(browser: Any, run: Path) -> None:
    scores = read_scores(run)
    with opened(browser, run / "report.html") as found:
        page = found.page
        cell = max(
            (cell for score in scores.values() for cell in cells_of(score) if cell[0] != cell[1]),
            key=lambda cell: sum(cell in cells_of(score) for score in scores.values()),
        )
        address = f"#reference={cell[0]}&estimate={cell[1]}".replace(" ", "%20")
        page.locator(f'svg a[href="{address}"]').first.click()
        assert_found(page, (id_ for id_, score in scores.items() if cell in cells_of(score)))
        page.locator("button[type=reset]").click()
        assert sorted(shown(page)) == sorted(scores)
        page.locator('svg a[href="#loss=miss"]').click()
        missed = {
            i
            for i, s in scores.items()
            if s.decomposition is not None and any(loss.kind == "miss" for loss in s.decomposition.losses)
        }
        assert_found(page, missed)
        page.locator("button[type=reset]").click()
        page.locator("#find select[name=label]").select_option("Speech")
        of_class = {
            i for i, s in scores.items()
            if "Speech" in (s.reference_labels or ()) or any(e.label == "Speech" for e in s.estimates)
        }  # fmt: skip
        assert set(shown(page)) == of_class
        assert page.locator("#find output").text_content() == f"{len(of_class)} of 60"
        page.locator("#find select[name=label]").select_option("")
        page.locator("#find input[name=text]").fill("m_0007")
        assert shown(page) == ["m_0007"]
        page.locator("button[type=reset]").click()
        page.locator("#find input[name=low]").fill("3")
        assert set(shown(page)) == {i for i, s in scores.items() if s.capi_sdri is not None and s.capi_sdri >= 3}
        assert_quiet(found, run.parent)


def test_a_sound_plays_in_the_one_player_and_another_goes_on_there(browser: Any, run: Path) -> None:
    with opened(browser, run / "report.html") as found:
        page = found.page
        link = page.locator('[id="mixture=m_0000"] a.s').first
        link.click()
        page.wait_for_function("() => document.querySelector('#player audio').currentTime > 0.2")
        assert page.locator("#player").is_visible()
        assert "m_0000" in str(page.locator("#player span").text_content())
        assert page.evaluate("() => document.querySelector('#player audio').duration") == pytest.approx(3.0, abs=0.05)
        link.click()
        assert page.evaluate("() => document.querySelector('#player audio').paused")
        assert_quiet(found, run.parent)


def test_without_script_the_page_reads_and_leads_to_sounds(browser: Any, run: Path) -> None:
    with opened(browser, run / "report.html", java_script_enabled=False) as found:
        page = found.page
        assert page.locator("#mixtures tbody tr").count() == 60
        assert not page.locator("#find").is_visible()
        assert not page.locator("#player").is_visible()
        href = page.locator('[id="mixture=m_0000"] a.s').first.get_attribute("href")
        assert (run / href).is_file()
        assert page.locator("h1").text_content() == "<b>bold</b>\"'><img src=x onerror=console.log(1)>"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_paper_of_both_kinds(browser: Any, run: Path, scheme: str) -> None:
    with opened(browser, run / "report.html", color_scheme=scheme) as found:
        worst = found.page.evaluate(CONTRAST)
        assert worst[0][0] >= 4.5, worst


def test_a_narrow_screen_scrolls_down_and_not_sideways(browser: Any, run: Path) -> None:
    with opened(browser, run / "report.html", viewport={"width": 390, "height": 800}) as found:
        page = found.page
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        page.locator("#find input[name=text]").fill("m_0007")
        assert shown(page) == ["m_0007"]
        sizes = page.eval_on_selector_all(
            "svg.chart text",
            "nodes => nodes.map(n => n.getBoundingClientRect().height).filter(h => h > 0)",
        )
        assert min(sizes) >= 7


def test_the_page_of_a_mixture_plays_one_sound_at_a_time(
    browser: Any, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    for wav in [*(small_set / "soundscape").iterdir(), *(small_set / "oracle_target").iterdir()]:
        audio, rate = soundfile.read(wav)
        soundfile.write(wav, np.concatenate([audio] * 6), rate, subtype="FLOAT")  # three seconds
    run = ("run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "run", "--save-audio")
    assert s5eval(*run).code == 0
    assert s5eval("report", tmp_path / "run", "--bundle", tmp_path / "b", "--sounds", "1").code == 0
    with opened(browser, tmp_path / "b" / "index.html") as found:
        page = found.page
        page.locator("#mixtures a", has_text="listen").first.click()
        page.wait_for_selector("audio")
        playing = "() => Array.from(document.querySelectorAll('audio'), a => a.paused ? null : a.currentTime)"
        page.evaluate("() => document.querySelectorAll('audio')[0].play()")
        page.wait_for_function("() => document.querySelectorAll('audio')[0].currentTime > 0.3")
        page.evaluate("() => document.querySelectorAll('audio')[1].play()")
        page.wait_for_function("() => document.querySelectorAll('audio')[0].paused")
        times = page.evaluate(playing)
        assert [time is None for time in times[:2]] == [True, False]
        assert times[1] >= 0.25
        page.wait_for_function("() => Array.from(document.images).every(i => i.complete && i.naturalWidth === 800)")
        assert_quiet(found, tmp_path / "b")
