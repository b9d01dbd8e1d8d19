"""Debian's chromium, driven by playwright: pages that are files, with everything they say and ask for written down."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


REQUIRED = "S5EVAL_TEST_BROWSER"
"""Set where a browser has to be there, as in CI: what is missing then fails instead of being passed over."""


def missing(*packages: str) -> list[str]:
    """What the tests in a browser lack; nothing where `REQUIRED` is set, so that they fail by themselves."""
    if os.environ.get(REQUIRED):
        return []
    absent = [name for name in (*packages, "playwright") if find_spec(name) is None]
    return absent if shutil.which("chromium") else [*absent, "chromium"]


@dataclass
class Opened:
    """A page, what it said on its console, and what it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped where it or its driver is not installed."""
    if absent := missing():
        pytest.skip(f"needs {' and '.join(absent)}")
    program = shutil.which("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, file: Path, **options: Any) -> Iterator[Opened]:
    """A file as a page, in a context of its own; options as of `Browser.new_context`."""
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    try:
        page = context.new_page()
        page.set_default_timeout(60_000)
        found = Opened(page)
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(file.resolve().as_uri())
        yield found
    finally:
        context.close()


CONTRAST = """() => {
  const lum = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number).slice(0, 3).map((v) => v / 255);
    const [r, g, b] = parts.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour && !/, 0\\)$/.test(colour) && colour !== "transparent") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const worst = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = Array.from(node.childNodes).some((child) => child.nodeType === 3 && child.textContent.trim());
    const unseen = ["SCRIPT", "STYLE", "OPTION", "title", "desc"].includes(node.tagName);
    if (!own || unseen || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const colour = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [low, high] = [lum(colour), lum(behind(node))].sort((a, b) => a - b);
    worst.push([(high + 0.05) / (low + 0.05), node.tagName, node.textContent.trim().slice(0, 30)]);
  }
  return worst.sort((a, b) => a[0] - b[0]).slice(0, 3);
}"""
"""The texts of a page with the least contrast to what is behind them: [contrast, element, text]."""
