"""Figures for a paper: the colours of the pages, type that a printer has, and every format a paper may ask for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import atomic_path, make_folder
from s5eval.harness.report.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
"""What a figure is written as."""

COLUMN = 3.4
"""Width of one column of a paper, inches."""

PAGE_WIDTH = 7.0
"""Width of two."""


@contextmanager
def paper_style() -> Iterator[None]:
    """Within, matplotlib draws as a paper wants it; what is drawn before or after is not touched.

    Fonts are embedded as TrueType (type 42, which IEEE and ACM ask for) in PDF, and text stays text in SVG, in faces
    that every viewer has.
    """
    import matplotlib as mpl

    style: Any = {
        "font.size": 8,
        "font.family": "sans-serif",
        "axes.labelsize": 8,
        "axes.titlesize": 8,
        "legend.fontsize": 7,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "s5eval",
        "axes.edgecolor": LIGHT["soft"],
        "axes.labelcolor": LIGHT["ink"],
        "text.color": LIGHT["ink"],
        "text.parse_math": False,
        "xtick.color": LIGHT["soft"],
        "ytick.color": LIGHT["soft"],
        "xtick.labelcolor": LIGHT["ink"],
        "ytick.labelcolor": LIGHT["ink"],
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": LIGHT["line"],
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "lines.linewidth": 1.3,
        "figure.dpi": 100,
    }
    with mpl.rc_context(style):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """A figure of so many inches, that makes room for its labels. Within `paper_style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", stem: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure as `stem` with the suffix of each format; the same figure gives the same bytes.

    Raises:
        WriteError: the disk does not allow it.
    """
    written = []
    for suffix in formats:
        metadata: Any = {
            "svg": {"Date": None, "Creator": "s5eval"},
            "pdf": {"CreationDate": None, "Creator": "s5eval", "Producer": "matplotlib"},
            "png": {"Software": "s5eval"},
        }[suffix]
        target = stem.with_name(f"{stem.name}.{suffix}")
        with atomic_path(target) as temporary:
            figure.savefig(temporary, format=suffix, metadata=metadata, dpi=300)
        written.append(target)
    return written


def figure_target(file: Path) -> tuple[Path, tuple[str, ...]]:
    """Where a figure named on the command line goes: stem and formats; without a suffix it is written as all.

    Raises:
        UsageError: the suffix is of none of `FORMATS`.

    >>> figure_target(Path("a/tuned.pdf"))[1], figure_target(Path("a/tuned"))[1]
    (('pdf',), ('svg', 'pdf', 'png'))
    """
    suffix = file.suffix.removeprefix(".").lower()
    if file.suffix and suffix not in FORMATS:
        raise UsageError(f"{file}: a figure is .svg, .pdf or .png (or all three, without a suffix)")
    make_folder(file.absolute().parent)
    return (file.with_suffix(""), (suffix,)) if suffix else (file, FORMATS)


def draw_intervals(
    axes: "Axes", places: Sequence[float], values: Sequence[float], lows: Sequence[float | None],
    highs: Sequence[float | None], *, color: str = LIGHT["s1"], marker: str = "o", label: str | None = None,
) -> None:  # fmt: skip
    """Points with their intervals, at heights `places`; an interval that is not known is none."""
    if not values:
        return
    left = [max(0.0, value - (value if low is None else low)) for value, low in zip(values, lows, strict=True)]
    right = [max(0.0, (value if high is None else high) - value) for value, high in zip(values, highs, strict=True)]
    axes.errorbar(
        values, places, xerr=[left, right], fmt=marker, color=color, markersize=3.5, capsize=0, linewidth=1.2,
        label=label,
    )  # fmt: skip


def as_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Name the rows of an axes from top to bottom, without ticks or a line at the left."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
