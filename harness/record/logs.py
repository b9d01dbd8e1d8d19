"""The log of a run folder: everything s5eval has to tell while a run is at work, and tracebacks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.errors import RunFolderError
from s5eval.harness.process import resume_command, this_command
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.terminal import printable

log = logging.getLogger("s5eval.run")


class _LogFile(logging.FileHandler):
    """A log that cannot be written costs itself only: no traceback of `logging` on the screen, no end of the run."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Nothing: there is no better place to tell it."""

    def close(self) -> None:
        """Close; what could not be written by now is lost."""
        with suppress(OSError):
            super().close()


class _Printable(logging.Formatter):
    """A log is read on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with what a terminal would obey escaped."""
        return printable(super().format(record))


def _goes_on(folder: Path) -> str:
    """The command that goes on after an interruption: with what stands, or from the beginning."""
    try:
        config = read_run_record(folder).config
        return resume_command(folder, config.system, config.settings)
    except S5Error:
        return this_command("--out", folder)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log into a file, and nowhere else, while the block runs; then the log is what the caller's program makes of it.

    Raises:
        RunFolderError: the file cannot be opened.
    """
    try:
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise RunFolderError(f"cannot write {path}: {error.strerror or error}") from error
    handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("s5eval")
    before = root.level, root.propagate
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False  # the terminal belongs to the table and the progress bar
    try:
        yield
    except S5Error as error:
        log.error("%s", error)
        raise
    except KeyboardInterrupt as error:
        error.add_note(_goes_on(path.parent))
        raise
    except Exception as error:
        log.exception("unexpected")
        error.add_note(f"the traceback is in {path}")
        raise
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        root.propagate = before[1]
        handler.close()
