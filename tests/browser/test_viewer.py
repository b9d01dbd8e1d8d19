"""The viewer in a real browser: every page, by keyboard alone, narrow, in the dark, while a run grows, and attacked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import CONTRAST
from sealed_files import edit_record
from viewing import hostile, key, until

from s5eval.harness.record.tables import PairTable

Open = Callable[..., Any]


def addresses(runs: Path) -> list[str]:
    real, one = key(runs / "real"), key(runs / "one")
    return [
        "/", f"/run?run={real}", f"/mixtures?run={real}", f"/mixture?run={real}&id=mini_test_0001",
        f"/thresholds?run={real}", f"/compare?a={one}&b={real}", f"/mixture?run={one}&id=mini_test_0000&with={real}",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_is_whole_readable_and_fits(open_page: Open, runs: Path, width: int, dark: bool) -> None:
    page = open_page(runs, width=width, dark=dark)
    papers = set()
    for address in addresses(runs):
        page.goto(page.origin + address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        worst = page.evaluate(CONTRAST)
        assert worst[0][0] >= 4.5, (address, worst)
        assert page.evaluate("[...document.images].every((i) => i.loading === 'lazy' || i.naturalWidth > 0)"), address
        papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 1
    assert (papers == {"rgb(255, 255, 255)"}) == (not dark)


def test_the_keyboard_alone_leads_from_the_runs_to_a_sound_and_back(open_page: Open, runs: Path) -> None:
    page = open_page(runs / "real")

    def press(*keys: str) -> None:
        for one in keys:
            page.keyboard.press(one)

    press("j", "Enter")
    page.wait_for_url("**/run?*")
    for _ in range(12):
        press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Mixtures":
            break
    press("Enter")
    page.wait_for_url("**/mixtures?*")
    press("j", "j", "k", "j")
    assert page.evaluate("document.activeElement.rowIndex") == 2
    press("Enter")
    page.wait_for_url("**/mixture?*", wait_until="commit")
    assert "mini_test_0001" in page.url
    until(page, "window.s5eval && s5eval.player.loaded > 2")
    press("Space", "3")
    until(page, "s5eval.player.position > 0.1 && s5eval.player.chosen === 2")
    press("ArrowRight")
    until(page, "s5eval.player.position > 1")
    press("j")
    page.wait_for_url("**id=mini_test_0002*", wait_until="commit")
    until(page, "window.s5eval && s5eval.player")
    press("k")
    page.wait_for_url("**id=mini_test_0001*", wait_until="commit")
    until(page, "window.s5eval && s5eval.player")
    press("u")
    page.wait_for_url("**/mixtures?*")
    press("/")
    page.keyboard.type("0003")
    press("Enter")
    page.wait_for_url("**text=0003*")
    assert page.locator("tbody tr").count() == 1
    press("j", "Enter")
    page.wait_for_url("**id=mini_test_0003*", wait_until="commit")


def test_a_cell_of_the_confusion_matrix_leads_to_the_mixture_behind_it(open_page: Open, runs: Path) -> None:
    page = open_page(runs / "scored")
    page.goto(f"{page.origin}/run?run={key(runs / 'scored')}")
    page.locator("a[href*='reference=Pour'][href*='estimate=Speech']").first.click()
    page.wait_for_url("**/mixtures?*")
    assert page.locator("tbody tr").count() == 1
    assert page.locator("tbody tr").first.inner_text().startswith("m_2")
    page.locator(".chip").first.click()
    page.wait_for_load_state()
    page.select_option("select[name=loss]", "confusion")
    page.wait_for_url("**loss=confusion*")
    assert page.locator("tbody tr").count() == 1


def test_the_number_of_a_slider_is_the_one_that_rescore_gives_for_the_saved_file(
    open_page: Open, runs: Path, tmp_path: Path, call: Callable[..., str]
) -> None:
    run = tmp_path / "runs" / "real"
    shutil.copytree(runs / "real", run)
    page = open_page(run)
    page.goto(f"{page.origin}/thresholds?run={key(run)}")
    until(page, "document.getElementById('board').dataset.settled")
    slider = page.locator(".class input[type=range]").first
    slider.focus()
    before = page.locator("[data-metric=capi_sdri] td").nth(1).inner_text()
    slider.press("Home")
    until(page, "Number(document.getElementById('board').dataset.settled) > 1")
    tables = [PairTable.load(path) for path in (run / "pairs").iterdir()]
    heard = [p for table in tables for p in table.p_silence if p < 0.5]
    every = page.locator("#all")
    start = float(every.input_value())  # 1 where an expected score decides alone, 0.5 where nothing was tuned
    steps = round((start - float(np.median(heard))) / 0.005)  # silences about half of them, whatever the weights
    every.focus()
    for _ in range(steps):
        page.keyboard.press("ArrowLeft")
    asked = f"{start - 0.005 * steps:.3f}"
    until(page, f"document.querySelector('#all').nextElementSibling.textContent === '{asked}'")
    until(page, "document.querySelectorAll('#flipped tr').length > 0")
    page.wait_for_timeout(1000)
    shown = page.locator("[data-metric=capi_sdri] td").nth(1).inner_text()
    assert shown != before
    assert page.locator(".message").inner_text().startswith("The split mini/test must not be tuned on")
    page.locator("#save input").fill("mine.yaml")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('said').textContent")
    assert "marked as made on a forbidden split" in page.locator("#said").inner_text()
    found = json.loads(call("rescore", run, "--decision", run / "mine.yaml", "--out", tmp_path / "again", "--json"))
    assert shown == f"{found['metrics']['capi_sdri']['value']:.3f}".replace("-", "−")
    assert found["tuned_on_forbidden"]


def test_a_run_that_grows_is_followed_without_a_reload(open_page: Open, runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "growing"
    shutil.copytree(runs / "real", run)
    journal = run / "mixtures.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    edit_record(run / "run.json", status="running")
    (run / "summary.json").unlink()
    journal.write_text("".join(lines[:1]) + lines[1][:50])
    page = open_page(run)
    page.goto(f"{page.origin}/mixtures?run={key(run)}")
    assert page.locator("tbody tr").count() == 1
    page.evaluate("window.same = true")
    page.keyboard.press("j")
    journal.write_text("".join(lines[:3]))
    until(page, "document.querySelectorAll('tbody tr').length === 3")
    assert page.evaluate("window.same")
    assert page.evaluate("document.activeElement.rowIndex") == 1


def test_hostile_texts_run_no_script(open_page: Open, runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "hostile"
    shutil.copytree(runs / "scored", run)
    hostile(run)
    page = open_page(run.parent)
    page.wait_for_load_state("networkidle")
    also = f"/compare?a={key(run)}&b={key(run)}"
    for address in ("/", *(f"/{page_}?run={key(run)}" for page_ in ("run", "mixtures", "thresholds")), also):
        page.goto(page.origin + address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200, address
    page.goto(f"{page.origin}/mixtures?run={key(run)}")
    for row in range(3):
        page.locator("tbody tr").nth(row).click()
        page.wait_for_url("**/mixture?*", wait_until="commit")
        page.wait_for_load_state("networkidle")
        page.go_back()


def test_another_site_learns_nothing(open_page: Open, runs: Path, tmp_path: Path) -> None:
    """A page of another origin in the same browser may send requests here, and gets no answer."""
    page = open_page(runs / "scored")
    origin = page.origin
    code = f"""async () => {{
        const found = [];
        for (const way of [{{ credentials: "include" }}, {{ credentials: "include", mode: "no-cors" }}]) {{
            try {{ found.push((await (await fetch("{origin}/", way)).text()).length); }} catch {{ found.push(-1); }}
        }}
        return found;
    }}"""
    page.goto("about:blank")
    assert page.evaluate(code) in ([-1, -1], [-1, 0])
    page.complaints.clear()  # the browser says that it has kept the other page from here


def test_names_of_classes_stay_whole_and_nothing_lies_upon_another_on_a_narrow_screen(
    open_page: Open, runs: Path
) -> None:
    """Tables roll to the side instead: a class is one line, and cells of stages keep what they hold."""
    page = open_page(runs, width=390)
    real, one = key(runs / "real"), key(runs / "one")
    for address in (f"/compare?a={one}&b={real}", f"/mixture?run={real}&id=mini_test_0001"):
        page.goto(page.origin + address)
        page.wait_for_load_state("networkidle")
        tall = page.evaluate("""[...document.querySelectorAll("td.labels, td.unbroken")]
            .filter((cell) => cell.textContent.trim() && cell.getClientRects().length && cell.clientWidth < 60)
            .filter((cell) => {  // the text's height: the cell is as tall as its row
                const text = document.createRange();
                text.selectNodeContents(cell);
                return text.getBoundingClientRect().height > 60;
            }).map((cell) => cell.textContent)""")
        assert tall == [], address
        outside = page.evaluate("""[...document.querySelectorAll(".stages .facts > *")]
            .filter((fact) => fact.getBoundingClientRect().right > fact.closest("td").getBoundingClientRect().right + 1)
            .map((fact) => fact.textContent)""")
        assert outside == [], address
