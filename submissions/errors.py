"""The expected error of this package; it carries its exit code (see `s5eval.data_manifests.common.errors`)."""

from collections.abc import Sequence
from typing import ClassVar

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.findings import Finding


class SubmissionError(S5Error):
    """What was to be submitted breaks a rule of the challenge (exit code 5); `findings` says all that is wrong."""

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        """Take the message, and the findings that led to it."""
        super().__init__(message)
        self.findings = tuple(findings)
