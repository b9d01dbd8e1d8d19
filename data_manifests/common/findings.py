"""What a check says: one finding per fault, all of them in one pass."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: `rule` is its stable name for machines, `message` is for people, `file` says where."""

    rule: str
    severity: Severity
    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.file}: {self.message} [{self.rule}]"

    def as_dict(self) -> dict[str, str]:
        """The finding as `--json` gives it: rule, severity, file and message."""
        return {"rule": self.rule, "severity": self.severity, "file": self.file, "message": self.message}
