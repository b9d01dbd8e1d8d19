"""Expected errors: they name what was wrong, where, what was expected and what to do, and carry an exit code.

Anything that is not an `S5Error` is a defect of s5eval and exits with code 1 and a traceback in the log.
"""

from typing import ClassVar, Literal


class S5Error(Exception):
    """Base of all expected errors; the message is complete for a reader, and no traceback is shown."""

    exit_code: ClassVar[int] = 1


class UsageError(S5Error):
    """The call itself cannot be carried out: an unknown name, contradicting options, a folder in the way."""

    exit_code: ClassVar[int] = 2


class DataError(S5Error):
    """Data are missing or are not what they have to be (exit code 3)."""

    exit_code: ClassVar[int] = 3


AudioRule = Literal["unreadable", "empty", "truncated", "non-finite", "scale"]
"""What can be wrong with an audio file, as `s5eval data verify` names it."""


class AudioError(DataError):
    """One audio file cannot be used. Fails the mixture it belongs to, never the whole run.

    Attributes:
        rule: what is wrong, for machines.
    """

    def __init__(self, message: str, *, rule: AudioRule = "unreadable") -> None:
        """Take the message, which names the file, and the rule."""
        super().__init__(message)
        self.rule = rule
