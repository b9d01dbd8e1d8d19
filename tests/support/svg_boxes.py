"""What a chart shows, as boxes: parsed from its SVG, and measured with a real font."""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from PIL import ImageFont

SVG = "{http://www.w3.org/2000/svg}"


@lru_cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def real_width(text: str, size: float) -> float:
    """Of a text in DejaVu Sans, px."""
    return float(_font(size).getlength(text))


@dataclass(frozen=True)
class Text:
    text: str
    x: float
    y: float
    width: float
    height: float
    turned: float

    def overlaps(self, other: "Text") -> bool:
        if self.turned != other.turned:
            return False  # headings that stand apart from rows; both are held within the picture
        if self.turned:  # parallel lines: how far they are apart, across their direction
            dx, dy = other.x - self.x, other.y - self.y
            angle = math.radians(self.turned)
            return abs(dy * math.cos(angle) - dx * math.sin(angle)) < self.height - 1
        return (
            self.x < other.x + other.width - 0.5
            and other.x < self.x + self.width - 0.5
            and self.y < other.y + other.height - 2
            and other.y < self.y + self.height - 2
        )


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[Text]:
    """Every text that is shown, as a box."""
    found = []
    for node in parsed(svg).iter(f"{SVG}text"):
        shown = node.text or ""
        size = float(node.get("font-size", "12"))
        width = real_width(shown, size)
        shift = {"middle": width / 2, "end": width}.get(node.get("text-anchor", "start"), 0.0)
        turn = node.get("transform", "")
        angle = float(turn.removeprefix("rotate(").split()[0]) if turn else 0.0
        x, y = float(node.get("x", "0")), float(node.get("y", "0"))
        found.append(Text(shown, x - shift, y - 0.8 * size, width, size, angle))
    return found


def assert_readable(svg: str) -> None:
    """Well-formed, named, nothing outside of the picture, and no two texts on each other."""
    root = parsed(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    ids = {node.get("id") for node in root.iter()}
    assert root.get("aria-labelledby") in ids
    assert root.get("aria-describedby") in ids
    assert root.get("role") == ("group" if list(root.iter(f"{SVG}a")) else "img")
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    boxes = texts(svg)
    for box in boxes:
        if not box.turned:
            assert box.x >= -0.5, box
            assert box.x + box.width <= width + 0.5, box
            assert box.y >= -1, box
            assert box.y + box.height <= height + 3, box
    for k, box in enumerate(boxes):
        for other in boxes[:k]:
            assert not box.overlaps(other), (box, other)
