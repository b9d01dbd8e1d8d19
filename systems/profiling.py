"""What systems cost: parameters and multiply-adds of networks, seconds and memory of stages."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Mixture
from s5eval.systems.energy import Energy
from s5eval.systems.interface import Candidates, Stage

_MUCH = 0.2  # of the seconds of all stages: what other work took of them is then said beside them


@dataclass(frozen=True, slots=True)
class PartCost:
    """A kind of network: the parameters of all that the system has of it, and the cost of applying one once.

    Attributes:
        name: the part.
        parameters: number of values, of all `networks` together.
        macs_per_second: of one: multiply-adds of matrix products, convolutions and attention per second of audio;
            transforms and element-wise work do not count. Attention grows with the length that is profiled.
        networks: how many the system has, with weights of their own; those that share weights are one.
        calls: how often one of them is applied to a mixture of which no slot is silent; None: not told.
    """

    name: str
    parameters: int
    macs_per_second: float
    networks: int = 1
    calls: int | None = None


@dataclass(frozen=True, slots=True)
class StageProfile:
    """One stage on one mixture, every slot alive.

    Attributes:
        name: the stage.
        seconds: wall time of the faster of two runs, reading the audio included.
        peak_mb: highest memory while it ran, in 10⁶ bytes: of the device if it is a CUDA one, else what the process
            held (networks and all).
        real_time_factor: seconds per second of audio.
        waited: `seconds` less the processor time of the process in them, all threads together: other work on the
            machine, or reading. With several threads it was that or more. None on a CUDA device, which is waited for.
    """

    name: str
    seconds: float
    peak_mb: float
    real_time_factor: float
    waited: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs of the parts and of the stages, and what the system is.

    Attributes:
        parts: its networks.
        stages: its stages.
        trainable: what the system's fingerprint says of its parameters.
        description: what a challenge's meta file asks of a system, by the names of its fields
            (`acoustic_features`, `loss_function` and so on); a field that is not there is left to its maker.
        external_resources: data and pre-trained models from outside the development set, each with `name`, `url` (None:
            it has no address) and `licence`; None: not told.
        training: hours, devices, data and energy of the training (`s5eval.systems.resources.training_facts`); None:
            not told.
    """

    parts: tuple[PartCost, ...]
    stages: tuple[StageProfile, ...]
    trainable: int
    description: Mapping[str, str] = field(default_factory=dict)
    external_resources: tuple[Mapping[str, str | None], ...] | None = None
    training: Mapping[str, Any] | None = None

    def macs(self, seconds: float) -> float | None:
        """Multiply-adds of the whole system on a mixture of `seconds`, no slot silent; None: a part tells no calls.

        What a part counts as one application is profiled with the length that the profile was asked for; attention
        grows with it, so that `seconds` should be the same.
        """
        counted = [part for part in self.parts if part.networks]
        if any(part.calls is None for part in counted):
            return None
        return sum(part.macs_per_second * seconds * (part.calls or 0) for part in counted)

    def held_up(self) -> str | None:
        """What is to be said beside the seconds if more than a fifth of them went by without a processor; else None."""
        seconds = sum(stage.seconds for stage in self.stages)
        waited = sum(stage.waited or 0.0 for stage in self.stages)
        if waited <= _MUCH * seconds:
            return None
        return f"other work held the machine up: {waited:.3g} of {seconds:.3g} s went by without a processor"

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain types; `parameters` is that of all parts, `macs_per_second` that of the whole system."""
        return {
            "parameters": sum(part.parameters for part in self.parts),
            "trainable_parameters": self.trainable,
            "macs_per_second": self.macs(1.0),
            "description": dict(self.description),
            "external_resources": None if self.external_resources is None else [*map(dict, self.external_resources)],
            "training": None if self.training is None else {**self.training, "energy": _energy(self.training)},
            "parts": [asdict(part) for part in self.parts],
            "stages": [asdict(stage) for stage in self.stages],
        }


def _energy(training: Mapping[str, Any]) -> dict[str, Any] | None:
    energy: Energy | None = training["energy"]
    return None if energy is None else asdict(energy)


def count_macs(network: nn.Module, *inputs: torch.Tensor, **options: bool) -> tuple[float, Any]:
    """Multiply-adds of one call, and what it returns; with inputs on the `meta` device nothing is computed."""
    with FlopCounterMode(display=False) as counter:
        output = network(*inputs, **options)
    return counter.get_total_flops() / 2, output


def time_stages(stages: Sequence[Stage], device: torch.device, seconds: float) -> Iterator[StageProfile]:
    """Cost of every stage on `seconds` of noise; each is given the previous one's candidates, none of them silent."""
    keep_freed_memory()  # as every run does
    with _noise(seconds) as mixture:
        inputs: list[Candidates] | None = None
        for stage in stages:
            spent, peak = [], 0.0
            for _ in range(2):
                with _peak_memory(device) as memory:
                    start, computed = time.perf_counter(), time.process_time()
                    results = list(stage.run([mixture], inputs))
                    wall, computed = time.perf_counter() - start, time.process_time() - computed
                    spent.append((wall, None if device.type == "cuda" else max(0.0, wall - computed)))
                peak = max(peak, memory[0])
            fastest, waited = min(spent, key=lambda times: times[0])
            yield StageProfile(stage.name, fastest, peak / 1e6, fastest / seconds, waited)
            # no slot may count as silent: the next stage would skip it
            inputs = [Candidates(c.audio, c.class_scores, np.zeros_like(c.p_silence), c.labels) for c in results]


@contextmanager
def _noise(seconds: float) -> Iterator[Mixture]:
    samples = np.random.default_rng(0).normal(0.0, 0.05, (round(seconds * SAMPLE_RATE), MIXTURE_CHANNELS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE, subtype="FLOAT")
        yield Mixture("noise", path)


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[float]]:
    """Yields a list that holds the peak in bytes once the block is left."""
    peak: list[float] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        torch.cuda.synchronize(device)
        peak.append(float(torch.cuda.max_memory_allocated(device)))
        return
    reset_high_water()
    yield peak
    peak.append(high_water())


def reset_high_water() -> None:
    """Forget the process's highest memory so far, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not allowed: the mark is then the process's highest so far
        return


def high_water() -> float:
    """Highest memory that this process has held since the last reset, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * float(line.split()[1])
    import resource  # not on every platform

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024.0
