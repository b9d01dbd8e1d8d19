"""The fits of a cross-validation: what each of them sees, and who does them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.dispatch.driver import Answer
from s5eval.harness.dispatch.machine import AS_MANY_AS_PAY
from s5eval.harness.record.tables import PairTable
from s5eval.harness.tuning import fold_job
from s5eval.harness.tuning.closed_form_start import analytic_thresholds, observe_slots
from s5eval.harness.tuning.fold_job import FitJob, all_fits
from s5eval.harness.tuning.threshold_table import Objective, sweep_table
from s5eval.systems.decision import Decision

Tables = Callable[..., list[PairTable]]
PARTS = {"all": np.arange(30), "but part 1": np.arange(10, 30), "but part 2": np.arange(20)}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What fits were asked; none is made."""
    found: list[dict[str, Any]] = []

    def fit(table: Any, **how: Any) -> str:
        found.append({"table": table, **how})
        return f"fit {len(found)}"

    monkeypatch.setattr(fold_job, "fit", fit)
    return found


@pytest.fixture
def job(make_tables: Tables) -> FitJob:
    tables, base = make_tables(30, 6), np.linspace(0.1, 0.9, 18)
    objective = Objective("mix", 0.3)
    return FitJob(sweep_table(tables, Decision()), observe_slots(tables), base, objective, 7.0, 11, PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_fit_sees_its_own_mixtures_alone_from_the_start_on(
    job: FitJob, asked: list[dict[str, Any]], make_tables: Tables, name: str
) -> None:
    job.do((name,), None)
    own = [make_tables(30, 6)[k] for k in PARTS[name]]
    (given,) = asked
    (start,) = given["starts"]
    assert start == pytest.approx(analytic_thresholds(observe_slots(own)))
    thresholds = np.full(18, 0.4)
    assert given["table"].scores(thresholds) == pytest.approx(sweep_table(own, Decision()).scores(thresholds))
    assert given["base"] is job.base
    assert (given["objective"], given["shrinkage"], given["seed"]) == (job.objective, 7.0, 11)


def test_where_no_threshold_gains_anything_the_closed_form_is_no_start(
    job: FitJob, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_job, "analytic_thresholds", lambda slots: None)
    job.do(("all",), None)
    assert asked[0]["starts"] == []


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("workers", "free", "crew"),
    [(None, 8, None), (AS_MANY_AS_PAY, 1, None), (AS_MANY_AS_PAY, 2, 2), (AS_MANY_AS_PAY, 8, 3), (1, 8, 1), (8, 1, 3)],
)
def test_fits_are_shared_among_no_more_workers_than_there_are_fits_or_free_cores(
    job: FitJob, monkeypatch: pytest.MonkeyPatch, workers: int | None, free: int, crew: int | None
) -> None:
    """One free core is this process's own; who names a number gets it, with a thread each."""
    crews: list[int] = []

    def processes(given: FitJob, size: int, *, folder: Path, threads: int) -> FitJob:
        assert (folder, threads) == (Path.cwd(), 1)
        crews.append(size)
        return given

    def dispatch(queue: Any, given: FitJob) -> Iterator[Answer]:
        tasks = [(name,) for name in given.kept]
        queue.ready(crews[0] - 1)  # its last place
        assert queue.give(crews[0] - 1) == tasks[0]
        yield from (Answer(task, given.do(task, None)) for task in reversed(tasks))

    monkeypatch.setattr(fold_job, "free_cores", lambda: free)
    monkeypatch.setattr(fold_job, "Processes", processes)
    monkeypatch.setattr(fold_job, "dispatch", dispatch)
    found = all_fits(job, workers)
    assert found.keys() == PARTS.keys()
    assert crews == ([] if crew is None else [crew])
    if crew is not None:
        assert found["all"] == "fit 3", "each has the name of its task, in whatever order they come"


def test_a_fit_that_ends_its_workers_is_an_error_that_says_why(job: FitJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def dispatch(*_: object) -> Iterator[Answer]:
        yield Answer(("all",), given_up="all: it has ended 3 workers")

    monkeypatch.setattr(fold_job, "Processes", lambda *_, **__: None)
    monkeypatch.setattr(fold_job, "dispatch", dispatch)
    with pytest.raises(DataError, match="the thresholds cannot be fitted: all: it has ended 3 workers"):
        all_fits(job, 2)
