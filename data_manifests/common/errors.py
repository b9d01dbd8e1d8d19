"""Expected errors: they name what was wrong, where, what was expected and what to do, and carry an exit code.

Anything that is not an `S5Error` is a defect of s5eval and exits with code 1 and a traceback in the log.
"""

from typing import ClassVar


class S5Error(Exception):
    """Base of all expected errors; the message is complete for a reader, and no traceback is shown."""

    exit_code: ClassVar[int] = 1


class UsageError(S5Error):
    """The call itself cannot be carried out: an unknown name, contradicting options, a folder in the way."""

    exit_code: ClassVar[int] = 2


class DataError(S5Error):
    """Data are missing or are not what they have to be (exit code 3)."""

    exit_code: ClassVar[int] = 3


class AudioError(DataError):
    """One audio file cannot be used. Fails the mixture it belongs to, never the whole run."""
