"""What the process is given and asked by its surroundings: standard streams, signals, and how to go on after those."""

import codecs
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_PLAIN = str.maketrans(
    {
        "─": "-",
        "–": "-",
        "−": "-",
        "…": "...",
        "→": "->",
        "×": "x",
        "Δ": "d",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "≥": ">=",
        "≤": "<=",
        "█": "#",
        "\N{NO-BREAK SPACE}": " ",
    }
)


def mend_standard_streams() -> None:
    """Give the process its three streams where the shell has closed one, and let none of them refuse a character.

    A closed one (`2>&-`) becomes the null device, so that no file of ours is opened in its place. What the encoding
    of a stream lacks is written in plain characters, or escaped.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, and those below are taken
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    codecs.register_error("s5eval.plain", _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
        if encoding not in ("utf8", "") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="s5eval.plain")


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def interrupt_on_signals() -> None:
    """SIGTERM and SIGHUP (a lost terminal) do as Ctrl-C does: `KeyboardInterrupt`; what is ignored stays ignored."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # no SIGHUP on Windows
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores it
            signal.signal(number, _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def goes_on_with(command: str) -> Iterator[None]:
    """Say, if the block is interrupted, which command goes on; of nested ones the outermost is right."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.__notes__ = [command]
        raise


def resume_command(folder: Path, system: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The command that goes on with a run folder; code that is looked for has to be named again: a system, or what one
    of the run's `settings` names (all of which are then given again).
    """
    from s5eval.systems.registry import code_named  # the command line is quick to say what it can do
    from s5eval.systems.settings import typed

    named = f"--system {shlex.quote(system)} " if ":" in system else ""
    if settings and code_named(settings.get("system")):
        named += "".join(f"--set {shlex.quote(word)} " for word in typed(settings))
    return f"s5eval run {named}--resume {shlex.quote(str(folder))}"


def this_command(*options: object) -> str:
    """The command as it was typed, with options (names and values) that it needs so as to go on where it was."""
    given = sys.argv[1:]
    typed = {word.partition("=")[0] for word in given}
    missing = [str(word) for word in options] if options and str(options[0]) not in typed else []
    return shlex.join(["s5eval", *given, *missing])


def interrupted(error: BaseException) -> str:
    """What to print after an interruption; click hides the interrupt itself as the cause of its own exception."""
    cause = error if isinstance(error, KeyboardInterrupt) else error.__cause__
    commands = getattr(cause, "__notes__", [])
    return f"interrupted; what is done stands, and this goes on: {commands[0]}" if commands else "interrupted"
