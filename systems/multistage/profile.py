"""What the system costs: parameters and multiply-adds per part, seconds and memory per stage."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Mixture
from s5eval.systems.interface import Candidates
from s5eval.systems.multistage.configuration import Configuration, read_settings
from s5eval.systems.multistage.models.af_whisper import AFWhisper
from s5eval.systems.multistage.stages import ExtractionStage
from s5eval.systems.multistage.system import build, new_part


@dataclass(frozen=True, slots=True)
class PartCost:
    """One network, applied once: to a mixture (`uss`), or to one slot (all others).

    Attributes:
        name: `uss`, `tse`, `dpc`, `m2d` or `af_whisper`; object and audio decoders count within the separators.
        parameters: number of values.
        macs_per_second: multiply-adds of matrix products, convolutions and attention per second of audio;
            transforms and element-wise work do not count. Attention grows with the length that is profiled.
    """

    name: str
    parameters: int
    macs_per_second: float


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage on one mixture, every slot alive.

    Attributes:
        name: the stage.
        seconds: wall time of the faster of two runs, reading the audio included.
        peak_mb: highest memory while it ran, in 10⁶ bytes: of the device if it is a CUDA one, else what the process
            held (networks and all).
        real_time_factor: seconds per second of audio.
    """

    name: str
    seconds: float
    peak_mb: float
    real_time_factor: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs of the parts and of the stages."""

    parts: tuple[PartCost, ...]
    stages: tuple[StageCost, ...]

    def as_dict(self) -> dict[str, Any]:
        """`{"parts": [{…}], "stages": [{…}]}`."""
        return {"parts": [asdict(part) for part in self.parts], "stages": [asdict(stage) for stage in self.stages]}


def profile(config: Mapping[str, Any], device: str, *, seconds: float = 10.0) -> Profile:
    """Profile the system that `config` (the `system.*` keys) describes on made-up noise.

    Raises:
        ValueError: `seconds` is not positive.
        UsageError, DataError: as `build`.
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}, expected a positive number")
    pipeline = build(config, device)
    encoder = next((s.encoder for s in pipeline.stages if isinstance(s, ExtractionStage) and s.encoder), None)
    configuration = read_settings(config).configuration
    return Profile(
        count_parts(configuration, encoder, seconds=seconds),
        tuple(_time_stages(pipeline.stages, torch.device(device), seconds)),
    )


def count_parts(
    config: Configuration, encoder: AFWhisper | None = None, *, seconds: float = 10.0
) -> tuple[PartCost, ...]:
    """Parameters and multiply-adds of every part, without computing anything; no encoder counts as zero."""
    length = round(seconds * SAMPLE_RATE)
    mixture = torch.empty(1, MIXTURE_CHANNELS, length, device="meta")
    audio, classes = mixture[:, 0], torch.empty(1, len(CLASSES), device="meta")
    names = ("uss", "tse2", "dpc1", "m2d")
    parts = {name: new_part(name, config).eval().requires_grad_(False).to("meta") for name in names}
    with torch.no_grad():  # as at inference: what belongs to training alone is not decoded
        uss, _ = _count(parts["uss"], mixture, foreground_only=True)
        tse, extracted = _count(parts["tse2"], mixture, audio, classes)
        m2d, tokens = _count(parts["m2d"], audio)
        dpc, _ = _count(parts["dpc1"], extracted.features, tokens, torch.empty(1, device="meta"))
    costs = [
        PartCost("uss", _parameters(parts["uss"]), uss / seconds),
        PartCost("tse", _parameters(parts["tse2"]), tse / seconds),
        PartCost("dpc", _parameters(parts["dpc1"]), dpc / seconds),
        PartCost("m2d", _parameters(parts["m2d"]), m2d / seconds),
    ]
    if encoder is None:
        return (*costs, PartCost("af_whisper", 0, 0.0))
    return (*costs, PartCost("af_whisper", _parameters(encoder.network), encoder.macs(length) / seconds))


def _count(network: nn.Module, *inputs: torch.Tensor, **options: bool) -> tuple[float, Any]:
    with FlopCounterMode(display=False) as counter:
        output = network(*inputs, **options)
    return counter.get_total_flops() / 2, output


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _time_stages(stages: tuple[Any, ...], device: torch.device, seconds: float) -> Iterator[StageCost]:
    with _noise(seconds) as mixture:
        inputs: list[Candidates] | None = None
        for stage in stages:
            spent, peak = [], 0.0
            for _ in range(2):
                with _peak_memory(device) as memory:
                    start = time.perf_counter()
                    results = list(stage.run([mixture], inputs))
                    spent.append(time.perf_counter() - start)
                peak = max(peak, memory[0])
            yield StageCost(stage.name, min(spent), peak / 1e6, min(spent) / seconds)
            # no slot may count as silent: the next stage would skip it
            inputs = [Candidates(c.audio, c.class_scores, np.zeros_like(c.p_silence)) for c in results]


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
    _reset_high_water()
    yield peak
    peak.append(_high_water())


def _reset_high_water() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # not Linux, or not allowed: the mark is then the process's highest so far
        return


def _high_water() -> float:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024.0 * float(line.split()[1])
    import resource  # not on every platform

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024.0
