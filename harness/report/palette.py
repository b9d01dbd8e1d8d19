"""The colours of pages, charts and figures: one set for light paper, one for dark, each by what it is for.

The series are of the palette of Okabe and Ito (Color Universal Design, 2008), two of them darkened or lightened until
all four are apart in grey as well. `tests/harness/report/test_palette.py` measures it: contrast with the paper, and
the distance of every pair as seen with normal, red-blind and green-blind eyes, and without any colour.
"""

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1c2430",
    "soft": "#5c6773",
    "line": "#d8dee6",
    "wash": "#f4f6f9",
    "warn": "#9a3412",
    "link": "#0b5a94",
    "s1": "#0a4175",  # what is judged: the system, run A
    "s2": "#cf5800",  # what was lost, run B
    "s3": "#00795c",  # a third
    "s4": "#8a95a2",  # what stands beside: floors, bounds
}
"""Role → colour on light paper."""

DARK = {
    "paper": "#11161d",
    "ink": "#e6eaf0",
    "soft": "#9aa6b4",
    "line": "#2e3844",
    "wash": "#1a212a",
    "warn": "#fdba74",
    "link": "#8cc4f5",
    "s1": "#a3d2fb",
    "s2": "#d9711c",
    "s3": "#21b58a",
    "s4": "#667281",
}
"""Role → colour on dark paper."""

SERIES = ("s1", "s2", "s3", "s4")
"""The roles that tell one thing from another."""
