"""How many workers a run gets, and on which devices: what is asked for, free cores, memory."""

import pytest

from s5eval.harness.dispatch.machine import AS_MANY_AS_PAY
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.run_record import Staff
from s5eval.harness.runs import staffing
from s5eval.harness.runs.staffing import PAYS_FROM, staff_of


def test_auto_takes_free_cores_and_pays_only_for_many_mixtures(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = RunConfig("any", workers=AS_MANY_AS_PAY)
    monkeypatch.setattr(staffing, "free_cores", lambda: 6)
    assert staff_of(auto, "cpu", PAYS_FROM) is None
    staff = staff_of(auto, "cpu", PAYS_FROM + 1)
    assert staff == Staff(6, "processes", ("cpu",), threads=1)
    monkeypatch.setattr(staffing, "memory_for_workers", lambda: 4)
    assert staffing.within_memory(staff, auto) == Staff(4, "processes", ("cpu",), threads=1)
    monkeypatch.setattr(staffing, "memory_for_workers", lambda: 1)
    assert staffing.within_memory(staff, auto) is None
    monkeypatch.setattr(staffing, "free_cores", lambda: 1)
    assert staff_of(auto, "cpu", 1000) is None


def test_gpus_get_a_worker_each(monkeypatch: pytest.MonkeyPatch) -> None:
    named = staff_of(RunConfig("any", devices=("0", "2")), "cuda", 5)
    assert named is not None
    assert named.devices == ("cuda:0", "cuda:2")
    assert named.size == 2
    twice = staff_of(RunConfig("any", devices=("0", "2"), workers=4), "cuda", 5)
    assert twice is not None
    assert (twice.size, twice.threads) == (4, None)


def test_without_options_this_process_works_alone() -> None:
    assert staff_of(RunConfig("any"), "cpu", 1000) is None
