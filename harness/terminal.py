"""The one way to the terminal: what files say is shown, and never obeyed.

Names, labels, errors and settings come from files of anybody, and a terminal obeys some characters in a text: they
move the cursor, set colours, answer as if typed, or turn the order of letters round. `echo` shows those escaped.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1 (of which 9b is ESC [)
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\u2028\u2029\ufeff\ud800-\udfff]"  # line and paragraph separators, byte-order mark, halves of a character
)


def printable(text: str) -> str:
    """A text as a terminal may have it: characters that it would obey are written as Python's escapes."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def echo(message: Any = "", *, err: bool = False) -> None:
    """Print a line, on standard error with `err`. What commands show goes through here."""
    click.echo(printable(str(message)), err=err)


class _Shown(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text in self._told:
            return  # every worker has its own store
        self._told.add(text)
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            with tqdm.external_write_mode(file=sys.stderr):  # between the bars, not across one
                echo(text, err=True)
        else:
            echo(text, err=True)


@contextmanager
def showing_warnings_of(logger: str) -> Iterator[None]:
    """Show on standard error what a logger warns of while the block runs, each text once, beside the log of the run."""
    shown, source = _Shown(), logging.getLogger(logger)
    source.addHandler(shown)
    try:
        yield
    finally:
        source.removeHandler(shown)


@contextmanager
def plugin_output() -> Iterator[None]:
    """While other people's code is at work, what it prints goes to standard error: standard output is ours.

    Print statements are turned aside, and so is what native code and processes write to descriptor 1.
    """
    if sys.stdout is None or sys.stderr is None:
        yield
        return
    kept = None
    with contextlib.suppress(OSError, ValueError):  # a stream that is closed
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()  # what was written to it by another name
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)
