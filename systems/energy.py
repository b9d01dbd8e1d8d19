"""The energy that a run or a training takes: an estimate of CodeCarbon's offline tracker, and the processor's meter.

Nothing is sent anywhere, and nothing is written but what the caller keeps. Extra `energy`. Source of the tracker:
github.com/mlco2/codecarbon; of the meter: the Linux powercap interface (`/sys/class/powercap/intel-rapl:*`).
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import UsageError

POWERCAP = Path("/sys/class/powercap")
_SECONDS = 5.0  # between two looks of the tracker at its meters
_UJ_PER_KWH = 3.6e12


class Meter:
    """What is measured; `record` is filled when the block of `measured` is left."""

    def __init__(self, tracker: Any = None) -> None:
        """`tracker`: CodeCarbon's; None: nothing is measured."""
        self.record: dict[str, Any] | None = None
        self._tracker = tracker
        self._rapl, self._begun = read_rapl(), time.monotonic()

    def so_far(self) -> dict[str, Any] | None:
        """The record as it stands now; None where nothing is measured."""
        if self._tracker is None or self.record is not None:
            return self.record
        self._tracker.flush()
        return self._told(self._tracker._prepare_emissions_data())

    def close(self) -> None:
        """Measure no more, and fill `record`."""
        if self._tracker is not None:
            self._tracker.stop()
            self.record = self._told(self._tracker.final_emissions_data)

    def _told(self, data: Any) -> dict[str, Any]:
        rapl = None if self._rapl is None else rapl_difference(self._rapl, read_rapl())
        return _record(self._tracker, data, time.monotonic() - self._begun, rapl)


def check_available() -> None:
    """Refuse early what could not be measured. Raises `UsageError` where CodeCarbon is not installed."""
    try:
        import codecarbon  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--energy needs CodeCarbon ({error}): pip install 's5eval[energy]'") from error


@contextmanager
def measured(wanted: bool = True) -> Iterator[Meter]:
    """Estimate the energy of what is done in the block, by this process and its children.

    Args:
        wanted: False: measure nothing, and leave `record` None.

    Yields:
        A meter, whose `record` afterwards holds `kwh`, its parts `cpu_kwh`, `gpu_kwh`, `ram_kwh`; `seconds`;
        `estimate`, always true; `method`, how it came about; `hardware`; and `rapl_kwh`, what the processor's own
        meter counted of the whole machine meanwhile, None where it cannot be read. Also when the block raises.

    Raises:
        UsageError: CodeCarbon is not installed.
    """
    if not wanted:
        yield Meter()
        return
    check_available()
    tracker = _tracker()
    tracker.start()
    meter = Meter(tracker)
    try:
        yield meter
    finally:
        meter.close()


def _tracker() -> Any:
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    return OfflineEmissionsTracker(
        country_iso_code="USA",  # of emissions, which are not kept; the energy does not depend on it
        output_methods=[],
        log_level="error",
        measure_power_secs=_SECONDS,
        tracking_mode="process",
        allow_multiple_runs=True,
    )


def _record(tracker: Any, data: Any, seconds: float, rapl: float | None) -> dict[str, Any]:
    return {
        "kwh": float(data.energy_consumed),
        "cpu_kwh": float(data.cpu_energy),
        "gpu_kwh": float(data.gpu_energy),
        "ram_kwh": float(data.ram_energy),
        "rapl_kwh": rapl,
        "seconds": round(seconds, 3),
        "estimate": True,
        "method": f"CodeCarbon {data.codecarbon_version}, offline tracker, this process; {_methods(tracker)}",
        "hardware": ", ".join(
            [f"{data.cpu_model}, {data.cpu_count} cores", *([data.gpu_model] if data.gpu_model else [])]
        ),
    }


def _methods(tracker: Any) -> str:
    """How the tracker came by the power of every kind of hardware, as far as it tells."""
    said = []
    for part in getattr(tracker, "_hardware", ()):
        kind = type(part).__name__
        mode, power = getattr(part, "_mode", None), getattr(part, "_tdp", None)
        if kind == "CPU":
            generic = " (a guess for an unknown model)" if getattr(part, "_is_generic_tdp", False) else ""
            by_load = f"load times {power} W{generic}" if power is not None else "load times an assumed power"
            said.append(f"CPU: {by_load if mode in ('cpu_load', 'constant') else mode}")
        elif kind == "RAM":
            said.append("RAM: assumed power")
        else:
            said.append(f"{kind}: measured by its driver")
    return "; ".join(said)


def read_rapl(root: Path = POWERCAP) -> dict[str, tuple[int, int]] | None:
    """The counters of all processor packages: microjoules, and where they begin anew; None: not readable."""
    found = {}
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue  # a part of a package
        try:
            count, wrap = (int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            return None
        found[zone.name] = (count, wrap)
    return found or None


def rapl_difference(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]] | None) -> float | None:
    """KWh between two readings; a counter that began anew meanwhile did so once. None: other packages than before.

    >>> rapl_difference({"intel-rapl:0": (900, 1000)}, {"intel-rapl:0": (100, 1000)}) == 200 / 3.6e12
    True
    """
    if after is None or before.keys() != after.keys():
        return None
    return sum((after[name][0] - count) % wrap for name, (count, wrap) in before.items()) / _UJ_PER_KWH


def total_energy(parts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """The energy of several sittings; None where none was measured.

    Returns:
        `kwh`, `seconds`, `estimate`, `method` and `hardware` (each different one), and `unmeasured_sittings`: how many
        have no record, so that `kwh` is less than the whole.
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return {
        "kwh": sum(float(part["kwh"]) for part in known),
        "seconds": round(sum(float(part["seconds"]) for part in known), 3),
        "estimate": True,
        "method": " | ".join(dict.fromkeys(str(part["method"]) for part in known)),
        "hardware": " | ".join(dict.fromkeys(str(part["hardware"]) for part in known)),
        "unmeasured_sittings": len(parts) - len(known),
    }
