"""Charts say the right numbers, in the right places, and no label stands on another."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from svg_boxes import SVG, assert_readable, parsed, real_width, texts

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.report.charts.classes import ClassRow, class_bars
from s5eval.harness.report.charts.confusion import FALSE_ALARM, MISSED, confusion_matrix
from s5eval.harness.report.charts.curves import Curve, Mark, curves
from s5eval.harness.report.charts.distribution import Bin, Point, histogram, scatter_plot
from s5eval.harness.report.charts.intervals import IntervalRow, forest
from s5eval.harness.report.charts.scale import Scale, round_step, scale_of
from s5eval.harness.report.charts.svg import element, mark, plain, shortened, text_width
from s5eval.harness.report.charts.waterfall import WaterfallRow, waterfall

STEPS = [
    WaterfallRow("CAPI-SDRi", 5.768, total=True),
    WaterfallRow("+ misses", 0.917, note="separated, and dropped by the decision", href="#miss"),
    WaterfallRow("+ false alarms", 0.501),
    WaterfallRow("+ confusions", 0.783),
    WaterfallRow("+ repeated classes", -0.2),
    WaterfallRow("= bound", 7.769, total=True),
    WaterfallRow("+ separation", 80.039),
    WaterfallRow("= ceiling", 87.808, total=True),
]
HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a & b ' \" < >", "\x1b[31mred\x00\x07\x9b",
    "\u202egnp.exe", "x" * 10_000, "\ud800", "日本語の長い名前" * 40, "", "]]>", "&amp;", "\ufffe\uffff",
]  # fmt: skip


def rects(svg: str, *classes: str) -> list[ElementTree.Element]:
    return [node for node in parsed(svg).iter(f"{SVG}rect") if set(classes) <= set(node.get("class", "").split())]


def places(node: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(node.get(key, "nan")) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def tooltips(svg: str) -> list[str]:
    return [title.text or "" for node in parsed(svg).iter() for title in node if title.tag == f"{SVG}title"][1:]


def every_chart(name: str = "AlarmClock") -> dict[str, str]:
    """One of each, with `name` wherever a text of anybody's can stand."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 40)
    hill = 4 + np.sin(3 * x)
    sdri = rng.normal(5, 4, 60)
    return {
        "waterfall": waterfall([*STEPS, WaterfallRow(name, 1.0, note=name)], title=name or "t"),
        "histogram": histogram([*sdri, None, None], mean=float(sdri.mean()), title=name or "t"),
        "scatter": scatter_plot(
            [Point(float(a), float(b), name, "#x") for a, b in rng.normal(0, 9, (60, 2))],
            [Bin(-10, 0, 4.0, 3.0, 5.0, 20), Bin(0, 10, 1.0, None, None, 9, "#y")],
        ),
        "forest": forest(
            [
                IntervalRow(name, 5.768, 4.44, 7.09, note=f"PARTIAL: {name}"),
                IntervalRow("undefined", None),
                IntervalRow("oracle-gain", 5.958, 4.91, 7.03, quiet=True),
                IntervalRow(name, -12.3, -14.0, -9.0, group=name, beside=-3.0),
            ],
            title="Runs",
            beside="zero floor",
        ),
        "classes": class_bars(
            [ClassRow(name, 12, -1.25, -3.0, 0.5, 80.0, 100.0, 0.41), ClassRow("Cough", 1, None, threshold=0.5)]
        ),
        "confusion": confusion_matrix([name, *CLASSES], {(name, name): 3, (name, MISSED): 2, ("Cough", "Pour"): 107}),
        "curves": curves(
            [Curve("CAPI-SDRi", x, hill, hill - 0.5, hill + 0.5), Curve("bound", x, 5 - x)],
            [Mark(f"tuned {name[:20]}", 0.52), Mark("0.500", 0.5), Mark("optimum 0.49", 0.49), Mark("edge", 1.0)],
            title="Tuning",
            x_title="threshold",
            y_title="CAPI-SDRi, dB",
        ),
    }


@pytest.mark.parametrize("kind", every_chart())
def test_no_label_stands_on_another_or_outside(kind: str) -> None:
    for name in ("Cough", "MusicalKeyboard", "a name that is much too long for the place that it has been given here"):
        assert_readable(every_chart(name)[kind])


@pytest.mark.parametrize("kind", every_chart())
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_text_is_it_stays_text(kind: str, name: str) -> None:
    svg = every_chart(name)[kind]
    assert_readable(svg)
    allowed = {"svg", "title", "desc", "g", "a", "rect", "line", "circle", "text", "path", "polyline", "polygon"}
    assert {node.tag.removeprefix(SVG) for node in parsed(svg).iter()} <= allowed
    for node in parsed(svg).iter():
        assert not [key for key in node.attrib if key.startswith("on") or key == "style"], node.attrib
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\ufffe\uffff]", svg)
    assert len(svg) < 60_000


def test_the_width_of_a_text_is_not_underestimated() -> None:
    for text in (*CLASSES, "CAPI-SDRi, dB", "+ repeated classes", "3.44 [0.00, 5.75]", "−12.345", "false alarm"):
        assert real_width(text, 12) <= text_width(text, 12) <= 1.35 * real_width(text, 12) + 4, text
    assert real_width(shortened("MusicalKeyboard" * 9, 80), 12) <= 80


def test_a_waterfall_goes_from_where_the_row_before_ended() -> None:
    svg = waterfall(STEPS, width=460)
    bars = [places(rect) for rect in rects(svg) if not rect.get("class", "").startswith("cell")]
    per_db = (bars[0][2] - bars[0][0]) / 5.768
    zero, level = bars[0][0], 5.768
    for (x, _, end, _), step in list(zip(bars, STEPS, strict=True))[1:6]:
        start = 0.0 if step.total else level
        level = step.value if step.total else level + step.value
        assert x == pytest.approx(zero + min(start, level) * per_db, abs=0.3)
        assert end - x == pytest.approx(max(1.0, abs(level - start) * per_db), abs=0.3)
    assert bars[6][2] == bars[7][2] > bars[5][2]  # torn at the right edge
    assert bars[6][2] - bars[6][0] > 30
    shown = [box.text for box in texts(svg)]
    assert {"5.768", "0.917", "−0.200", "80.039", "87.808"} <= set(shown)
    assert [rect.get("class") for rect in rects(svg)][:6] == ["s1", "s2", "s2", "s2", "s3", "s1"]
    assert [node.get("href") for node in parsed(svg).iter(f"{SVG}a")] == ["#miss"]


def test_a_waterfall_without_a_far_term_is_not_torn() -> None:
    near = [
        WaterfallRow("CAPI-SDRi", 5.0, total=True),
        WaterfallRow("+ misses", 2.0),
        WaterfallRow("= bound", 7.0, total=True),
    ]
    assert "gap" not in waterfall(near)
    assert waterfall(STEPS).count('class="gap"') == 4


def test_a_histogram_counts_every_value_once() -> None:
    rng = np.random.default_rng(3)
    values = [*rng.normal(5, 4, 500).tolist(), None, 5.0, 5.0]
    svg = histogram(values, mean=5.0)
    said = [re.fullmatch(r"(\d+) from (\S+) to (\S+)", text) for text in tooltips(svg)]
    bars = [(int(m[1]), *(float(m[k].replace("−", "-")) for k in (2, 3))) for m in said if m]
    assert sum(count for count, _, _ in bars) == 502
    for count, low, high in bars:
        assert count == sum(low <= v < high for v in values if v is not None)
    heights = [places(rect)[3] - places(rect)[1] for rect in rects(svg, "s1")]
    ratios = [h / count for h, (count, _, _) in zip(heights, bars, strict=True) if count > 10]
    assert max(ratios) - min(ratios) < 0.05 * max(ratios)
    assert "1 undefined" in str(parsed(svg).findtext(f"{SVG}desc"))


@pytest.mark.parametrize("values", [[], [None], [3.0], [3.0, 3.0], [-1e9, 1e9], [float("nan"), 1.0]])
def test_a_histogram_of_next_to_nothing_is_one_all_the_same(values: list[float | None]) -> None:
    assert_readable(histogram(values, mean=None))


def test_a_bar_leads_to_the_values_that_it_counts() -> None:
    svg = histogram([1.0, 2.0, 2.0, 9.0], href=lambda low, high: f"#low={low:g}&high={high:g}")
    links = [node.get("href", "") for node in parsed(svg).iter(f"{SVG}a")]
    found = [tuple(float(part.split("=")[1]) for part in link[1:].split("&")) for link in links]
    assert [sum(low <= v < high for v in (1.0, 2.0, 2.0, 9.0)) for low, high in found] == [3, 1]


def test_the_marks_of_a_forest_stand_where_their_numbers_are() -> None:
    rows = [IntervalRow("a", 1.0, 0.0, 2.0), IntervalRow("b", 4.0, 3.5, 4.25), IntervalRow("c", None, None, None)]
    svg = forest(rows, title="t", digits=3)
    circles = [float(node.get("cx", "0")) for node in parsed(svg).iter(f"{SVG}circle")]
    lines = [n for n in parsed(svg).iter(f"{SVG}line") if "line" in n.get("class", "")]
    ends = [(float(n.get("x1", "0")), float(n.get("x2", "0"))) for n in lines]
    per_db = (circles[1] - circles[0]) / 3
    assert ends[0] == pytest.approx((circles[0] - per_db, circles[0] + per_db), abs=0.3)
    assert ends[1] == pytest.approx((circles[1] - per_db / 2, circles[1] + per_db / 4), abs=0.3)
    assert {"1.000 [0.000, 2.000]", "4.000 [3.500, 4.250]", "–"} <= {box.text for box in texts(svg)}
    numbers = [box for box in texts(svg) if "[" in box.text]
    assert len({round(box.x + box.width, 1) for box in numbers}) == 1  # decimals below each other


def test_a_difference_carries_its_sign() -> None:
    svg = forest([IntervalRow("a", 0.4, -0.1, 0.9)], title="t", signed=True)
    assert "+0.40 [−0.10, +0.90]" in {box.text for box in texts(svg)}


def test_the_bars_of_classes_are_as_long_as_their_values() -> None:
    rows = [
        ClassRow("Cough", 2, 4.0, precision=50.0, recall=100.0, threshold=0.25),
        ClassRow("Pour", 3, -2.0, precision=None, recall=25.0, threshold=0.5),
    ]
    bars = [places(rect) for rect in rects(class_bars(rows))]
    lengths = [end - x for x, _, end, _ in bars]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.5)
    assert bars[1][2] == pytest.approx(bars[0][0], abs=0.2)  # below 0 it goes to the left
    assert lengths[3] == pytest.approx(2 * lengths[2], abs=0.5) or lengths[2] == pytest.approx(lengths[3] / 2, abs=0.5)
    assert class_bars([ClassRow("Cough", 1, 1.0)]).count("threshold") == 0


def test_the_matrix_has_each_count_in_its_cell() -> None:
    classes = ["Cough", "Pour", "Speech"]
    counts = {("Cough", "Cough"): 5, ("Cough", "Pour"): 2, ("Pour", MISSED): 3, (FALSE_ALARM, "Speech"): 4}
    svg = confusion_matrix(classes, counts, decibels={("Cough", "Pour"): 0.32}, href=lambda r, c: f"?r={r}&c={c}")
    cells = {node.get("href"): node for node in parsed(svg).iter(f"{SVG}a")}
    assert set(cells) == {f"?r={r}&c={c}" for r, c in counts}
    rows = {box.text: box.y for box in texts(svg) if box.text in (*classes, FALSE_ALARM) and not box.turned}
    columns = {box.text: box.x for box in texts(svg) if box.turned}
    for (row, column), count in counts.items():
        cell = cells[f"?r={row}&c={column}"]
        x, y, end, bottom = places(next(cell.iter(f"{SVG}rect")))
        assert y < rows[row] + 6 < bottom
        assert x < columns[column] < end
        assert next(cell.iter(f"{SVG}text")).text == str(count)
    assert "Cough as Pour: 2, 0.320 dB" in tooltips(svg)
    assert "false alarm: Speech: 4" in tooltips(svg)


@pytest.mark.parametrize("n", [50, 5000])
def test_a_scatter_shows_every_source_as_a_point_or_in_a_cell(n: int) -> None:
    table = np.random.default_rng(1).normal(0, 8, (n, 2))
    svg = scatter_plot([Point(float(a), float(b), "m") for a, b in table], href=lambda low, high: f"#{low:g},{high:g}")
    if n == 50:
        assert len(list(parsed(svg).iter(f"{SVG}circle"))) == n
    else:
        counts = [int(m[1]) for text in tooltips(svg) if (m := re.match(r"(\d+) sources? at", text))]
        assert sum(counts) == n
        assert len(svg) < 250_000
    assert_readable(svg)


def test_the_band_of_a_curve_goes_from_its_low_to_its_high() -> None:
    svg = curves([Curve("c", [0, 1], [1, 2], [0.5, 1], [3, 3])], title="t", x_title="x", y_title="y")
    (band,), (line,) = (
        [
            [tuple(map(float, point.split(","))) for point in str(node.get("points")).split()]
            for node in parsed(svg).iter(f"{SVG}{kind}")
        ]
        for kind in ("polygon", "polyline")
    )
    per_unit = line[0][1] - line[1][1]
    for (x, y), (at, value) in zip(band, [(0, 3), (1, 3), (1, 1), (0, 0.5)], strict=True):
        assert x == line[at][0] and y == pytest.approx(line[0][1] - per_unit * (value - 1), abs=0.2)


def test_a_range_is_named_with_the_decimals_that_it_needs() -> None:
    bins = [Bin(-2.5, -2.0, 4.0, 3.0, 5.0, 20), Bin(-2.0, -1.5, 1.0, None, None, 1)]
    svg = scatter_plot([Point(-2.2, 4.0, "a"), Point(-1.7, 1.0, "b")], bins)
    assert "−2.5 to −2.0 dB: mean 4.00 [3.00, 5.00] dB of 20 sources" in tooltips(svg)
    assert "−2.0 to −1.5 dB: mean 1.00 dB of 1 source" in tooltips(svg)
    wide = scatter_plot([Point(-2.2, 4.0, "a")], [Bin(-5, 0, 4.0, 3.0, 5.0, 20)])
    assert "−5 to 0 dB: mean 4.00 [3.00, 5.00] dB of 20 sources" in tooltips(wide)
    fine = tooltips(histogram([0.001 * k for k in range(20)]))
    assert "5 from 0.005 to 0.010" in fine, "with two it would read as 0.01 to 0.01"


def test_the_line_of_silence_is_minus_the_snr() -> None:
    svg = scatter_plot([Point(-10, 10, "a"), Point(10, -10, "b"), Point(-10, -10, "c")])
    dots = [(float(n.get("cx", "0")), float(n.get("cy", "0"))) for n in parsed(svg).iter(f"{SVG}circle")]
    line = next(n for n in parsed(svg).iter(f"{SVG}line") if "dashed" in n.get("class", ""))
    x1, y1, x2, y2 = (float(line.get(key, "0")) for key in ("x1", "y1", "x2", "y2"))
    for x, y in dots[:2]:
        assert abs((y2 - y1) * (x - x1) - (x2 - x1) * (y - y1)) / math.hypot(x2 - x1, y2 - y1) < 0.3


def test_a_scale_and_its_ticks() -> None:
    assert [round_step(v) for v in (0.3, 1.0, 2.1, 7.0)] == [0.5, 1.0, 5.0, 10.0]
    assert Scale(0.0, 1.0, 0, 1).ticks(5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert scale_of([], 0, 10)(0.0) == pytest.approx(5.0)
    assert scale_of([float("nan"), float("inf"), 2.0], 0, 10).low < 2 < scale_of([2.0], 0, 10).high
    assert Scale(0, 10, 100, 0)(20) == 0  # held at the edge


def test_a_link_that_runs_code_is_refused() -> None:
    for link in ("javascript:alert(1)", " JavaScript:x", "data:text/html,x", "file:///etc/passwd"):
        with pytest.raises(ValueError, match="not a link"):
            mark("", "t", link)
    assert 'href="?a=1&amp;b=&quot;2&quot;"' in mark("", "t", '?a=1&b="2"')


def test_coordinates_do_not_hang_on_last_bits() -> None:
    assert element("rect", x=0.1 + 0.2) == element("rect", x=0.3)
    assert waterfall(STEPS) == waterfall(
        [WaterfallRow(s.title, s.value + 1e-13, s.total, s.note, s.href) for s in STEPS]
    )


def test_plain_text_is_one_line_without_anything_that_is_obeyed() -> None:
    assert plain("a\nb\tc") == "a b c"
    assert plain("\ud800\x00") == "\\ud800\\x00"
    assert len(plain("x" * 10_000)) == 200


@pytest.mark.parametrize("text", ["multistage", "baseline-4c", "a/b/c il mm W", "é 漢字 x"])
def test_a_text_fits_the_width_that_was_measured_for_it(text: str) -> None:
    from s5eval.harness.report.charts.svg import shortened, text_width

    for gap in (14.0, 0.1, 1 / 3, 1e3):
        assert shortened(text, (text_width(text) + gap) - gap) == text
        assert shortened(text, text_width(text) - 1) != text
