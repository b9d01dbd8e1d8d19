"""SVG as strings: elements, text that is never markup, the width of a text, and the frame of every chart.

A chart stands inline in a page and takes its colours and type from `style.css` (classes `s1` to `s4`, `soft`, `grid`).
It is one `<svg>` with a title and a description for those who do not see it. Marks carry their number as a tooltip,
and may be links.
"""

import hashlib
import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from html import escape
from itertools import accumulate

from s5eval.harness.terminal import printable

SIZE = 12.0
"""Type size of charts, px."""

SMALL = 11.0
"""Of ticks and notes."""

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_SCHEME = re.compile(r"^\s*[a-z][a-z0-9+.\-]*:", re.IGNORECASE)

_NARROW = frozenset("fijlrtI.,:;'|!()[]/ ")
_WIDE = frozenset("mwMW@%→−+=<>…")


def plain(text: object, limit: int = 200) -> str:
    r"""Any text as a page may show it: control characters as escapes, no line ends, cut after `limit` characters.

    >>> plain("a\x1b[31mb"), plain("abcdef", 4)
    ('a\\x1b[31mb', 'abc…')
    """
    shown = printable(str(text)[: limit + 1]).replace("\n", " ").replace("\t", " ")
    shown = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def element(name: str, /, *children: str, **attributes: object) -> str:
    """One element; attributes that are None are left out, `_` in their names is `-`, and values are escaped.

    >>> element("rect", x=1.04, width=2.0, class_="s1")
    '<rect x="1" width="2" class="s1"/>'
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{said}>{''.join(children)}</{name}>" if children else f"<{name}{said}/>"


def _value(value: object) -> str:
    """Coordinates to a tenth of a pixel: what a chart is does not hang on last bits."""
    if isinstance(value, float):
        return f"{round(value, 1) + 0.0:g}"
    return str(value)


def text_width(text: str, size: float = SIZE) -> float:
    """How wide a text is in a sans-serif face, px: as wide as in DejaVu, the widest of those that are about.

    >>> text_width("il") < text_width("mm")
    True
    """
    return sum(map(_ems, plain(text))) * size


@lru_cache(maxsize=4096)
def _ems(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in _NARROW:
        return 0.4
    return 0.95 if character in _WIDE else 0.75 if character.isupper() else 0.63


_HAIR = 1e-6  # px: a text fits the width that was measured for it, whatever was added and taken away since


def shortened(text: str, width: float, size: float = SIZE) -> str:
    """The text, cut with an ellipsis to what fits into `width` px."""
    ends = list(accumulate(_ems(character) * size for character in text))
    if not ends or ends[-1] <= width + _HAIR:
        return text
    return f"{text[: bisect_right(ends, width - _ems('…') * size)]}…"


def label(
    x: float, y: float, text: object, *, anchor: str = "start", size: float = SIZE, class_: str | None = None,
    width: float | None = None, rotate: float | None = None,
) -> str:  # fmt: skip
    """A line of text whose baseline is at y; cut to `width` px, and whole as a tooltip then."""
    whole = plain(text)
    cut = whole if width is None else shortened(whole, width, size)
    tooltip = element("title", escape(whole)) if cut != whole else ""
    turned = None if rotate is None else f"rotate({_value(rotate)} {_value(x)} {_value(y)})"
    return element(
        "text", escape(cut, quote=False), tooltip, x=x, y=y, text_anchor=None if anchor == "start" else anchor,
        font_size=size, class_=class_, transform=turned,
    )  # fmt: skip


def mark(shape: str, tooltip: str, href: str | None = None) -> str:
    """A shape with a tooltip, which leads somewhere if there is a link.

    Raises:
        ValueError: the link is of a scheme that runs code or leaves the page's kind (only http and https are let by).
    """
    title = element("title", escape(plain(tooltip, 400)))
    if href is None:
        return element("g", title, shape, class_="mark")
    if _SCHEME.match(href) and not href.lower().startswith(("http://", "https://")):
        raise ValueError(f"not a link of a page: {href[:40]!r}")
    return element("a", title, shape, href=href, class_="mark")


def chart(width: float, height: float, *children: str, title: str, description: str, class_: str = "") -> str:
    """The frame: an `<svg>` of so many pixels, that shrinks with its page.

    It is an image to those who do not see it (`role="img"`); one with links is a group, so that these can be reached.

    Args:
        width: px.
        height: px.
        children: what stands in it.
        title: what it is.
        description: what it says, for those who do not see it.
        class_: more classes beside `chart`.
    """
    body = "".join(children)
    key = hashlib.sha256(f"{title}\0{description}\0{body}".encode("utf-8", "replace")).hexdigest()[:10]
    return element(
        "svg",
        element("title", escape(plain(title)), id=f"t{key}"),
        element("desc", escape(plain(description, 2000)), id=f"d{key}"),
        body,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"chart {class_}".strip(),
        role="group" if 'class="mark"' in body and "<a " in body else "img",
        aria_labelledby=f"t{key}",
        aria_describedby=f"d{key}",
        width=round(width),
        height=round(height),
        viewBox=f"0 0 {round(width)} {round(height)}",
    )
