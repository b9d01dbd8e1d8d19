"""Expected errors of the harness; each carries its exit code (see `s5eval.data_manifests.common.errors`)."""

from typing import ClassVar

from s5eval.data_manifests.common.errors import S5Error, UsageError

EXIT_DONE = 0
EXIT_UNEXPECTED = 1
EXIT_FAILED_MIXTURES = 4
EXIT_GATE = 6
EXIT_INTERRUPTED = 130


class RunFolderError(S5Error):
    """The run folder cannot be written: a full disk, missing rights, another process at work in it."""

    exit_code: ClassVar[int] = 1


class NotComparableError(UsageError):
    """Two runs were made on different data, or scored otherwise; what both have is compared if that is asked for."""


class GateError(S5Error):
    """A condition that the caller set is not met (`compare --fail-if-worse`)."""

    exit_code: ClassVar[int] = EXIT_GATE
