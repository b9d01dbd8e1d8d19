"""Jobs that cost nothing, or sleep, for `bench_scale`: in a file of their own, so that workers can import them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s5eval.harness.dispatch.queue import Task


@dataclass(frozen=True)
class Sleeper:
    """Sleeps for so many seconds a task; implements `Job` and `Work`."""

    seconds: float = 0.0

    @property
    def facts(self) -> Mapping[str, Any]:
        """Nothing to say."""
        return {}

    def begin(self, place: int) -> "Sleeper":
        """Itself."""
        return self

    def do(self, task: Task, sent: Any) -> Task:
        """The task again."""
        time.sleep(self.seconds)
        return task
