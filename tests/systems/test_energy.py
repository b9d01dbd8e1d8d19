"""Energy: what is estimated equals the tracker's own word, and what is missing is said."""

import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.energy import (
    Energy,
    _unknown_model,
    energy_text,
    measured,
    rapl_difference,
    read_energy,
    read_rapl,
    total_energy,
)


def zone(root: Path, name: str, count: int, wrap: int = 1000) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "energy_uj").write_text(f"{count}\n")
    (root / name / "max_energy_range_uj").write_text(f"{wrap}\n")


def test_the_processors_meter_counts_packages_and_survives_a_new_beginning(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 900)
    zone(tmp_path, "intel-rapl:1", 10)
    zone(tmp_path, "intel-rapl:0:0", 5)  # cores, a part of package 0
    before = read_rapl(tmp_path)
    assert before == {"intel-rapl:0": (900, 1000), "intel-rapl:1": (10, 1000)}
    zone(tmp_path, "intel-rapl:0", 100)
    zone(tmp_path, "intel-rapl:1", 60)
    assert rapl_difference(before, read_rapl(tmp_path)) == pytest.approx(250e-6 / 3.6e6)


def test_a_meter_that_cannot_be_read_measures_nothing(tmp_path: Path) -> None:
    assert read_rapl(tmp_path) is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert read_rapl(tmp_path) is None
    assert rapl_difference({"intel-rapl:0": (1, 10)}, None) is None
    assert rapl_difference({"intel-rapl:0": (1, 10)}, {"intel-rapl:1": (1, 10)}) is None


def test_sittings_add_up_and_those_without_a_record_are_counted() -> None:
    one = Energy(kwh=1.0, ram_kwh=1.0, seconds=10.0, method="a", hardware="cpu", rapl_kwh=2.0)
    total = total_energy([one, None, replace(one, kwh=0.5, ram_kwh=0.5, method="b", unmeasured_sittings=1)])
    assert total == Energy(
        kwh=1.5, ram_kwh=1.5, rapl_kwh=4.0, seconds=20.0, method="a | b", hardware="cpu", unmeasured_sittings=2
    )
    parts = Energy(kwh=7.0, cpu_kwh=4.0, gpu_kwh=2.0, ram_kwh=1.0, seconds=1.0, method="a", hardware="cpu")
    both = total_energy([parts, replace(parts, cpu_kwh=0.5, gpu_kwh=8.0)])
    assert both is not None and (both.cpu_kwh, both.gpu_kwh, both.ram_kwh) == (4.5, 10.0, 2.0)
    assert total_energy([one, replace(one, rapl_kwh=None)]).rapl_kwh is None, "no meter, no sum of meters"
    assert read_energy(asdict(total)) == total and read_energy(None) is None
    assert total_energy([None, None]) is None
    assert total_energy([]) is None


def test_nothing_is_measured_unless_it_is_wanted() -> None:
    with measured(False) as meter:
        assert meter.so_far() is None
    assert meter.record is None


def test_without_the_extra_it_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(UsageError, match=r"s5eval\[energy\]"), measured():
        pass


def test_the_record_is_what_a_tracker_of_its_own_estimates() -> None:
    codecarbon = pytest.importorskip("codecarbon")
    settings = {"country_iso_code": "USA", "output_methods": [], "log_level": "error", "measure_power_secs": 5.0}
    other = codecarbon.OfflineEmissionsTracker(**settings, tracking_mode="process", allow_multiple_runs=True)
    other.start()
    with pytest.raises(KeyboardInterrupt), measured() as meter:
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            sum(range(10_000))
        running = meter.so_far()
        raise KeyboardInterrupt  # what was spent until an interruption counts
    other.stop()
    data, record = other.final_emissions_data, meter.record
    assert record is not None and running is not None
    assert 0 < running.kwh <= record.kwh
    # the other one began earlier and ended later, and each looks at the load at moments of its own
    assert record.kwh / record.seconds == pytest.approx(data.energy_consumed / data.duration, rel=0.5)
    assert record.kwh == pytest.approx(record.cpu_kwh + record.gpu_kwh + record.ram_kwh)
    assert record.ram_kwh / record.seconds == pytest.approx(data.ram_energy / data.duration, rel=0.5)
    assert "CodeCarbon" in record.method and record.hardware


@pytest.mark.parametrize(("watts", "guessed"), [(None, True), (65, False)])
def test_the_power_of_a_processor_that_the_tracker_does_not_know_is_called_a_guess(
    monkeypatch: pytest.MonkeyPatch, watts: int | None, guessed: bool
) -> None:
    pytest.importorskip("codecarbon")
    from codecarbon.core.cpu import TDP

    monkeypatch.setattr(TDP, "_get_cpu_power_from_registry", lambda self, model: watts)
    processor = SimpleNamespace(_is_generic_tdp=False, _model="Some CPU")
    assert _unknown_model(processor) == guessed
    assert _unknown_model(SimpleNamespace(_is_generic_tdp=True))


def test_a_tracker_without_these_private_parts_costs_nobody_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("codecarbon")
    monkeypatch.setitem(sys.modules, "codecarbon.core.hardware_cache", None)
    assert not _unknown_model(SimpleNamespace(_model="Some CPU"))


def test_the_line_for_who_measured_says_figure_meter_and_method() -> None:
    energy = Energy(kwh=0.000316, seconds=88.6, method="M", hardware="H")
    assert energy_text(energy) == "energy: 0.000316 kWh in 89 s: estimate; M; H"
    metered = energy_text(replace(energy, rapl_kwh=0.00125, unmeasured_sittings=1))
    assert "89 s (the processor's meter, whole machine: 0.00125 kWh): estimate; M; H; less than the whole" in metered
