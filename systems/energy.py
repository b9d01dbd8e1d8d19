"""The energy that a run or a training takes: an estimate of CodeCarbon's offline tracker, and the processor's meter.

Nothing is sent anywhere, and nothing is written but what the caller keeps. Extra `energy`. Source of the tracker:
github.com/mlco2/codecarbon; of the meter: the Linux powercap interface (`/sys/class/powercap/intel-rapl:*`).
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import UsageError

POWERCAP = Path("/sys/class/powercap")
_SECONDS = 5.0  # between two looks of the tracker at its meters
_UJ_PER_KWH = 3.6e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """An estimate of the energy that something took.

    Attributes:
        kwh: in all; its parts are `cpu_kwh`, `gpu_kwh` and `ram_kwh`.
        cpu_kwh: of processors.
        gpu_kwh: of graphics cards.
        ram_kwh: of memory.
        rapl_kwh: what the processor's own meter counted of the whole machine meanwhile; None: it cannot be read.
        seconds: how long it was measured.
        method: how the estimate came about.
        hardware: of which.
        unmeasured_sittings: how many sittings have no record, so that all the above is less than the whole.
    """

    kwh: float
    cpu_kwh: float = 0.0
    gpu_kwh: float = 0.0
    ram_kwh: float = 0.0
    rapl_kwh: float | None = None
    seconds: float
    method: str
    hardware: str
    unmeasured_sittings: int = 0


class Meter:
    """What is measured; `record` is filled when the block of `measured` is left."""

    def __init__(self, tracker: Any = None) -> None:
        """`tracker`: CodeCarbon's; None: nothing is measured."""
        self.record: Energy | None = None
        self._tracker = tracker
        self._rapl, self._begun = read_rapl(), time.monotonic()

    def so_far(self) -> Energy | None:
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

    def _told(self, data: Any) -> Energy:
        rapl = None if self._rapl is None else rapl_difference(self._rapl, read_rapl())
        return _record(self._tracker, data, time.monotonic() - self._begun, rapl)


def check_available() -> None:
    """Refuse early what could not be measured. Raises `UsageError` where CodeCarbon is not installed."""
    try:
        import codecarbon  # noqa: F401
    except ImportError as error:
        raise UsageError(f"`energy` needs CodeCarbon ({error}): pip install 's5eval[energy]'") from error


@contextmanager
def measured(wanted: bool = True) -> Iterator[Meter]:
    """Estimate the energy of what is done in the block, by this process and its children.

    Args:
        wanted: False: measure nothing, and leave `record` None.

    Yields:
        A meter, whose `record` is filled afterwards, also when the block raises.

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


def _record(tracker: Any, data: Any, seconds: float, rapl: float | None) -> Energy:
    cards = [str(data.gpu_model)] if data.gpu_model else []
    return Energy(
        kwh=float(data.energy_consumed),
        cpu_kwh=float(data.cpu_energy),
        gpu_kwh=float(data.gpu_energy),
        ram_kwh=float(data.ram_energy),
        rapl_kwh=rapl,
        seconds=round(seconds, 3),
        method=f"CodeCarbon {data.codecarbon_version}, offline tracker, this process; {_methods(tracker)}",
        hardware=", ".join([f"{data.cpu_model}, {data.cpu_count} cores", *cards]),
    )


def _methods(tracker: Any) -> str:
    """How the tracker came by the power of every kind of hardware, as far as it tells."""
    said = []
    for part in getattr(tracker, "_hardware", ()):
        kind = type(part).__name__
        mode, power = getattr(part, "_mode", None), getattr(part, "_tdp", None)
        if kind == "CPU":
            generic = " (a guess for an unknown model)" if _unknown_model(part) else ""
            by_load = f"load times {power} W{generic}" if power is not None else "load times an assumed power"
            said.append(f"CPU: {by_load if mode in ('cpu_load', 'constant') else mode}")
        elif kind == "RAM":
            said.append("RAM: assumed power")
        else:
            said.append(f"{kind}: measured by its driver")
    return "; ".join(said)


def _unknown_model(processor: Any) -> bool:
    """Whether the tracker's list of processors lacks this one: its power is then a guess by the number of threads."""
    if getattr(processor, "_is_generic_tdp", False):
        return True
    try:
        from codecarbon.core import cpu
        from codecarbon.core.hardware_cache import get_cached_tdp
    except ImportError:  # its private parts, which another version may have elsewhere; no reason to lose a figure
        return False
    listed = getattr(get_cached_tdp(cpu), "_get_cpu_power_from_registry", None)
    model = getattr(processor, "_model", None)
    return listed is not None and model is not None and listed(model) is None


def how_estimated(energy: Energy) -> str:
    """What kind of figure it is: an estimate, by what method, of what hardware, and whether it is of the whole.

    >>> how_estimated(Energy(kwh=1.0, seconds=9.0, method="CodeCarbon", hardware="a CPU", unmeasured_sittings=2))
    'estimate; CodeCarbon; a CPU; less than the whole: 2 sittings were not measured'
    """
    said = f"estimate; {energy.method}; {energy.hardware}"
    if energy.unmeasured_sittings:
        said += f"; less than the whole: {energy.unmeasured_sittings} sittings were not measured"
    return said


def energy_text(energy: Energy) -> str:
    """One line for who measured: the figure, what the processor's own meter says, and what kind of figure it is."""
    meter = "" if energy.rapl_kwh is None else f" (the processor's meter, whole machine: {energy.rapl_kwh:.3g} kWh)"
    return f"energy: {energy.kwh:.3g} kWh in {energy.seconds:.0f} s{meter}: {how_estimated(energy)}"


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


def total_energy(parts: Sequence[Energy | None]) -> Energy | None:
    """The energy of several sittings, of which `unmeasured_sittings` have no record; None where none has."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    meters = [part.rapl_kwh for part in known if part.rapl_kwh is not None]
    return Energy(
        kwh=sum(part.kwh for part in known),
        cpu_kwh=sum(part.cpu_kwh for part in known),
        gpu_kwh=sum(part.gpu_kwh for part in known),
        ram_kwh=sum(part.ram_kwh for part in known),
        rapl_kwh=sum(meters) if len(meters) == len(known) else None,
        seconds=round(sum(part.seconds for part in known), 3),
        method=" | ".join(dict.fromkeys(part.method for part in known)),
        hardware=" | ".join(dict.fromkeys(part.hardware for part in known)),
        unmeasured_sittings=len(parts) - len(known) + sum(part.unmeasured_sittings for part in known),
    )


def read_energy(told: Mapping[str, Any] | None) -> Energy | None:
    """What a card or a checkpoint holds of one; None: nothing.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    if told is None:
        return None
    known = {entry.name: told[entry.name] for entry in fields(Energy) if entry.name in told}
    for name in known.keys() - {"method", "hardware", "rapl_kwh"}:
        known[name] = float(known[name]) if name != "unmeasured_sittings" else int(known[name])
    return Energy(**{**known, "method": str(told["method"]), "hardware": str(told["hardware"])})
