"""How far it is, on standard error: a bar on a terminal, elsewhere a line a minute."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from s5eval.data_manifests.common.progress import CountProgress, FileProgress
from s5eval.harness.terminal import echo, printable

if TYPE_CHECKING:
    from s5eval.harness.runs.engine import MixtureResult

SECONDS_BETWEEN_LINES = 60.0
"""A batch system's log is read afterwards, or followed: so often says that it is alive, and is no flood."""


class Show(Protocol):
    """Is told how far it is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total`; `note` is what else to say, such as `failed=1`."""
        ...


@contextmanager
def show_count(unit: str, what: str = "", *, keep: bool = True, start: int = 0, **bar_options: Any) -> Iterator[Show]:
    """Show a count as it grows.

    Args:
        unit: what is counted, such as `mixture`.
        what: stands before it, such as `making scenes`.
        keep: leave the bar on the terminal when it is done.
        start: what had been done before.
        **bar_options: of tqdm, such as `unit_scale`.

    Yields:
        A function to tell; nothing is drawn before it is told of anything to do.
    """
    if sys.stderr.isatty():
        with _bar(unit, what, keep=keep, start=start, **bar_options) as show:
            yield show
    else:
        yield _Lines(unit, what, start)


@contextmanager
def show_bytes() -> Iterator[FileProgress]:
    """How many bytes of each file are there, a bar a file."""
    files: dict[str, Show] = {}
    with ExitStack() as bars:

        def show(name: str, done: int, total: int) -> None:
            if name not in files:
                files[name] = bars.enter_context(show_count("byte", printable(name), start=done, unit_scale=True))
            files[name](done, total)

        yield show


@contextmanager
def show_making(what: str = "making scenes") -> Iterator[CountProgress]:
    """How many scenes are made (or checked, says `what`), on standard error; nothing where none is."""
    with show_count("scene", what, keep=False) as show:
        yield show


def show_progress(outcomes: "Iterable[MixtureResult]", total: int, done: int) -> "Iterator[MixtureResult]":
    """How many mixtures are done, on standard error."""
    failed = 0
    with show_count("mixture", start=done) as show:
        for number, outcome in enumerate(outcomes, start=done + 1):
            failed += outcome.score.status == "failed"
            yield outcome
            show(number, total, f"failed={failed}" if failed else "")


@contextmanager
def _bar(unit: str, what: str, *, keep: bool, start: int, **options: Any) -> Iterator[Show]:
    from tqdm import tqdm

    bar: Any = None

    def show(done: int, total: int, note: str = "") -> None:
        nonlocal bar
        if bar is None:
            if done >= total:
                return  # nothing to do, nothing to draw
            first = max(start, done)
            bar = tqdm(
                desc=what or None, total=total, initial=first, unit=unit, leave=keep, dynamic_ncols=True, **options
            )
        bar.total = total
        if note:
            bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


class _Lines:
    def __init__(self, unit: str, what: str, start: int) -> None:
        self.unit, self.what, self.start = unit, what, start
        self.told = time.monotonic()
        self.first: tuple[float, int] | None = None  # what was before the first count, such as slots, is no pace

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        begun, start = self.first = self.first or (now, max(self.start, done))
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        parts = [f"{done:,} of {total:,} {self.unit}s", note]
        if start < done < total:
            left = (now - begun) / (done - start) * (total - done)
            parts.append(f"about {_duration(left)} left")
        text = ", ".join(part for part in parts if part)
        echo(f"{self.what}: {text}" if self.what else text, err=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
