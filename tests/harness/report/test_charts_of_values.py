"""Marks that stand beside a value stand where theirs is, and a value of zero is one."""

import pytest
from svg_boxes import SVG, parsed

from s5eval.harness.report.charts.distribution import Bin, Point, scatter_plot
from s5eval.harness.report.charts.intervals import IntervalRow, forest


def numbers(svg: str, tag: str, class_: str, *keys: str) -> list[tuple[float, ...]]:
    found = (node for node in parsed(svg).iter(f"{SVG}{tag}") if node.get("class") == class_)
    return [tuple(float(node.get(key, "nan")) for key in keys) for node in found]


def test_the_interval_of_a_mean_goes_from_its_low_to_its_high() -> None:
    points = [Point(1.0, 0.0, "low"), Point(1.0, 10.0, "high")]
    svg = scatter_plot(points, [Bin(0.0, 2.0, 5.0, 4.0, 8.0, 20), Bin(2.0, 4.0, 5.0, None, None, 9)])
    (_, zero), (_, ten) = numbers(svg, "circle", "s1 faint", "cx", "cy")
    per_db = (zero - ten) / 10
    means = numbers(svg, "circle", "s2 ringed", "cx", "cy")
    assert [y for _, y in means] == pytest.approx([zero - 5 * per_db] * 2, abs=0.2)
    ((x, low, high),) = numbers(svg, "line", "line s2", "x1", "y1", "y2")
    assert (x, low, high) == pytest.approx((means[0][0], zero - 4 * per_db, zero - 8 * per_db), abs=0.2)


def test_a_floor_of_zero_has_its_mark_and_its_number() -> None:
    rows = [IntervalRow("a", 4.0, 2.0, 6.0, beside=0.0, n=3), IntervalRow("b", 0.0, beside=2.0), IntervalRow("c", 1.0)]
    svg = forest(rows, title="t", beside="zero floor")
    _, *marks = (x for (x,) in numbers(svg, "line", "line s2", "x1"))  # the first explains the others
    values = [x for (x,) in numbers(svg, "circle", "s1", "cx")]
    per_db = (values[0] - values[1]) / 4
    assert marks == pytest.approx([values[1], values[1] + 2 * per_db], abs=0.2)
    assert "a: 4.00 [2.00, 6.00] dB; zero floor 0.00; 3 mixtures" in svg
    assert "b: 0.00 dB; zero floor 2.00" in svg and "c: 1.00 dB<" in svg
