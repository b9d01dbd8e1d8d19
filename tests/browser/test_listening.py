"""The page of a mixture in a real browser: sound plays, and switching keeps the place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from viewing import key, until

Open = Callable[..., Any]

# Where in a waveform a piece of sound lies, found by correlation: sound may be rendered a while ahead of the clock.
LOCATE = """
  const N = 2048, AROUND = 6400;
  const locate = (heard, samples, place) => {
    const part = heard.slice(heard.length - N);
    const end = Math.round(place * 32000);
    let best = -2, at = 0;
    for (let lag = -AROUND; lag <= AROUND; lag += 1) {
      const from = end - N + lag;
      if (from < 0 || from + N > samples.length) continue;
      let both = 0, mine = 0;
      for (let k = 0; k < N; k += 1) { both += part[k] * samples[from + k]; mine += samples[from + k] ** 2; }
      const alike = both / Math.sqrt(mine + 1e-12);
      if (alike > best) { best = alike; at = lag; }
    }
    const loud = Math.sqrt(part.reduce((sum, v) => sum + v * v, 0));
    return { seconds: (end + at) / 32000, alike: best / (loud + 1e-12), loud };
  };
"""

HEARD = f"""() => {{ {LOCATE}
  const player = window.s5eval.player;
  player.analyser.fftSize = N;
  const heard = new Float32Array(N);
  const place = player.position;
  player.analyser.getFloatTimeDomainData(heard);
  const found = locate(heard, player.buffers[player.chosen].getChannelData(0), place);
  return {{ ...found, place, time: player.context.currentTime }};
}}"""

LOUDEST = """(index) => {
  const samples = window.s5eval.player.buffers[index].getChannelData(0);
  let best = -1, at = 0;
  for (let from = 0; from + 32000 <= samples.length; from += 3200) {
    let power = 0;
    for (let k = from; k < from + 32000; k += 1) power += samples[k] ** 2;
    if (power > best) { best = power; at = from; }
  }
  return at / 32000;
}"""


def open_mixture(open_page: Open, runs: Path, **options: Any) -> Any:
    page = open_page(runs, **options)
    page.goto(f"{page.origin}/mixture?run={key(runs / 'real')}&id=mini_test_0000")
    until(page, "window.s5eval && s5eval.player.loaded === s5eval.player.addresses.length")
    return page


def heard_at(page: Any, above: float = 0.0) -> dict[str, float]:
    """What is heard once the player is past a place."""
    until(page, f"s5eval.player.position > {above}")
    found: dict[str, float] = page.evaluate(HEARD)
    return found


def best_of(page: Any) -> dict[str, float]:
    """What is heard, of a few looks: one may fall where a loop begins anew."""
    looks = []
    for _ in range(4):
        page.wait_for_timeout(100)
        looks.append(page.evaluate(HEARD))
    return max(looks, key=lambda look: float(look["alike"]))


def test_sound_plays_and_time_passes(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    assert page.evaluate("s5eval.player.position") == 0
    page.keyboard.press("Space")
    first = heard_at(page, 0.3)
    second = heard_at(page, first["place"] + 0.3)
    assert second["time"] > first["time"]
    assert second["place"] > first["place"]
    assert first["loud"] > 0
    assert first["alike"] > 0.95
    page.keyboard.press("Space")
    stopped = page.evaluate("s5eval.player.position")
    page.wait_for_timeout(200)
    assert page.evaluate("s5eval.player.position") == stopped
    assert page.locator("#play").inner_text() == "Play"


def test_switching_keeps_the_place_to_less_than_20_ms(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    tracks = page.locator(".track button.who")
    reference = next(k for k in range(tracks.count()) if "Reference" in tracks.nth(k).inner_text())
    start = page.evaluate(LOUDEST, reference)
    page.evaluate(f"s5eval.player.setLoop(true); s5eval.player.seek({start})")
    page.keyboard.press("Space")
    until(page, "s5eval.player.playing")
    page.evaluate(
        "(from) => Object.assign(s5eval.player.sounding.source, { loopStart: from, loopEnd: from + 1 })", start
    )
    before = best_of(page)
    assert before["alike"] > 0.95
    assert abs(before["seconds"] - before["place"]) < 0.02
    jump = page.evaluate(
        """(digit) => {
        const player = s5eval.player, before = player.position;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: digit, bubbles: true }));
        return player.position - before;
    }""",
        str(reference + 1),
    )
    assert page.evaluate("s5eval.player.chosen") == reference
    assert abs(jump) < 0.02
    after = best_of(page)
    assert after["alike"] > 0.95, "what sounds is not the reference"
    assert abs(after["seconds"] - after["place"]) < 0.02


def test_switching_leaves_no_gap(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    page.evaluate("s5eval.player.seek(2)")
    page.keyboard.press("Space")
    heard_at(page, 2.4)
    silent = page.evaluate("""async () => {
        const player = s5eval.player;
        player.analyser.fftSize = 16384;
        for (const key of ["2", "1", "2"]) {
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            await new Promise((resolve) => setTimeout(resolve, 60));
        }
        await new Promise((resolve) => setTimeout(resolve, 150));
        const heard = new Float32Array(16384);
        player.analyser.getFloatTimeDomainData(heard);
        let longest = 0, run = 0;
        for (const sample of heard) { run = sample === 0 ? run + 1 : 0; longest = Math.max(longest, run); }
        return longest / 32000;
    }""")
    assert silent < 0.005


def test_all_sound_at_one_gain_unless_equal_loudness_is_asked_for(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    levels = "s5eval.player.addresses.map((_, index) => s5eval.player.level(index))"
    assert len(set(page.evaluate(levels))) == 1
    page.keyboard.press("e")
    assert page.locator("#equal").is_checked()
    assert len(set(page.evaluate(levels))) > 1
    peaks = page.evaluate(
        f"{levels}.map((level, k) => level * s5eval.player.buffers[k].getChannelData(0)"
        ".reduce((most, sample) => Math.max(most, Math.abs(sample)), 0))"
    )
    assert max(peaks) <= 0.71


def test_a_click_on_a_picture_goes_there_and_the_playhead_with_it(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    picture = page.locator(".track .picture").nth(2)
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2, "y": 40})
    assert page.evaluate("s5eval.player.position") == pytest.approx(5.0, abs=0.05)
    assert page.evaluate("s5eval.player.chosen") == 2
    head = page.locator(".playhead").bounding_box()
    assert head["x"] == pytest.approx(box["x"] + box["width"] / 2, abs=3)


def test_pictures_are_drawn_and_stages_can_be_heard(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs)
    until(page, "[...document.images].every((i) => i.loading === 'lazy' || i.naturalWidth > 0)")
    until(page, "[...document.querySelectorAll('.wave path')].every((p) => p.getAttribute('d'))")
    stages = page.locator(".stage")
    assert stages.count() == 9, "three stages of three slots each"
    stages.nth(4).scroll_into_view_if_needed()
    stages.nth(4).click()
    assert stages.nth(4).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    assert heard_at(page, 0.3)["alike"] > 0.9
    page.keyboard.press("x")
    assert page.evaluate("s5eval.player.chosen") == 0


def test_on_a_narrow_screen_the_page_fits_and_plays_by_touch(open_page: Open, runs: Path) -> None:
    page = open_mixture(open_page, runs, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".track button.who").nth(2).click()
    page.locator("#play").click()
    assert heard_at(page, 0.2)["place"] > 0.2
    assert page.evaluate("s5eval.player.chosen") == 2
