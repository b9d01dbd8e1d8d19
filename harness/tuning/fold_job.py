"""The fits of a cross-validation, one after the other here, or side by side in workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.dispatch.driver import dispatch
from s5eval.harness.dispatch.machine import AS_MANY_AS_PAY, free_cores
from s5eval.harness.dispatch.processes import Processes
from s5eval.harness.dispatch.queue import Queue, Task
from s5eval.harness.tuning.closed_form_start import ObservedCandidates, analytic_thresholds
from s5eval.harness.tuning.coordinate_search import Fit, fit
from s5eval.harness.tuning.threshold_table import Objective, SweepTable


@dataclass(frozen=True, slots=True)
class FitJob:
    """All that the fits need; implements `Job` and `Work`: there is nothing to build.

    Attributes:
        table: scores of all states of N mixtures.
        slots: what their candidates were.
        base: thresholds (18,) to improve on.
        objective: what to maximise.
        shrinkage: see `fit`.
        seed: see `fit`.
        kept: per name, the mixtures that a fit may see.
    """

    table: SweepTable
    slots: ObservedCandidates
    base: npt.NDArray[np.float64]
    objective: Objective
    shrinkage: float
    seed: int
    kept: Mapping[str, npt.NDArray[np.intp]]

    @property
    def facts(self) -> Mapping[str, Any]:
        """Nothing to say."""
        return {}

    def begin(self, place: int) -> "FitJob":
        """Itself."""
        return self

    def do(self, task: Task, sent: Any) -> Fit:
        """The fit of that name."""
        (name,) = task
        kept = self.kept[name]
        guess = analytic_thresholds(self.slots.restrict(kept))
        starts = [] if guess is None else [guess]
        part = self.table.restrict(kept)
        return fit(
            part, base=self.base, starts=starts, objective=self.objective, shrinkage=self.shrinkage, seed=self.seed
        )


def all_fits(job: FitJob, workers: int | None) -> dict[str, Fit]:
    """The fits by name.

    Args:
        job: what to fit.
        workers: processes to share them among; 0: as many as cores are free; None: this process alone.

    Raises:
        DataError: a fit ends its workers, again and again.
    """
    size = min(free_cores() if workers == AS_MANY_AS_PAY else workers or 1, len(job.kept))
    if workers is None or (workers == AS_MANY_AS_PAY and size == 1):
        return {name: job.do((name,), None) for name in job.kept}
    crew = Processes(job, size, folder=Path.cwd(), threads=1)
    fits: dict[str, Fit] = {}
    for answer in dispatch(Queue([(name,) for name in job.kept], places=size), crew):
        if answer.given_up is not None:
            raise DataError(f"the thresholds cannot be fitted: {answer.given_up}")
        fits[answer.task[0]] = answer.value
    return fits
