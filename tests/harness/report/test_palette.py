"""The colours, measured: against the paper, and each against the others, as eyes of several kinds see them."""

import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest

from s5eval.harness.report.palette import DARK, LIGHT, SERIES
from s5eval.harness.report.style import stylesheet

THEMES = {"light": LIGHT, "dark": DARK}

EYES = {
    "normal": np.eye(3),
    "red-blind": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green-blind": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "blue-blind": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""Linear RGB as seen (Machado, Oliveira and Fernandes, 2009, severity 1)."""

Array = npt.NDArray[np.float64]


def linear(colour: str) -> Array:
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: Array) -> Array:
    """CIE L*a*b* under D65."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """Of WCAG 2."""
    low, high = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(c)) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_and_marks_can_be_seen(theme: str) -> None:
    colours = THEMES[theme]
    assert LIGHT.keys() == DARK.keys()
    for role in ("ink", "soft", "warn", "link"):
        for paper in ("paper", "wash"):
            assert contrast(colours[role], colours[paper]) >= 4.5, (role, paper)
    for role in SERIES:
        assert contrast(colours[role], colours["paper"]) >= 3.0, role


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", EYES)
def test_series_are_told_apart_by_all_eyes(theme: str, eyes: str) -> None:
    seen = {role: lab(np.array(EYES[eyes]) @ linear(THEMES[theme][role])) for role in SERIES}
    for a, b in itertools.combinations(SERIES, 2):
        assert float(np.linalg.norm(seen[a] - seen[b])) >= 20, (a, b)


@pytest.mark.parametrize("theme", THEMES)
def test_series_are_told_apart_in_grey(theme: str) -> None:
    lightness = sorted(lab(linear(THEMES[theme][role]))[0] for role in SERIES)
    assert min(np.diff(lightness)) >= 7


def test_the_style_sheet_holds_the_colours_and_uses_no_others() -> None:
    sheet = stylesheet()
    for theme in THEMES.values():
        assert all(f"--{role}: {colour}" in sheet for role, colour in theme.items())
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", sheet))
    assert used <= LIGHT.keys()
    rules = sheet.split("/* Type", 1)[1]
    assert not re.search(r"#[0-9a-f]{3,8}\b|url\(|@import", rules)
