"""Encoders of frames beside AF-Whisper: M2D, which the classifiers hear through anyway, and one of the user's own.

All give one embedding every 20 ms, frame j centred at 20·j ms, of waveforms that are first brought to one level.
"""

import hashlib
import json
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.networks.precision import full_precision
from s5eval.systems.registry import load_named

STEP = SAMPLE_RATE // 50
"""Samples between two frames: 20 ms."""

_MEL_HOP = 320  # of M2D's input

CONTRACT = (
    "the contract: factory(device) gives a torch.nn.Module with the attribute `width`; called with float32 waveforms "
    "(sources, samples) at 32 kHz it gives finite float32 embeddings (sources, frames, width), one every 20 ms, frame "
    "j centred at 20·j ms, ceil(samples / 640) in all (docs/run.md)"
)
"""What `module:factory` must give, for errors."""


class FrameEncoder(Protocol):
    """A frozen encoder of frames.

    Attributes:
        name: as `system.frame_encoder` has it.
        digest: identifies its weights.
        dimension: values of an embedding.
        network: whose parameters it adds to the system; None: a network that the system has anyway.
        fixed: names of parameters that no training changes.
    """

    name: str
    digest: str
    dimension: int
    fixed: tuple[str, ...]

    @property
    def network(self) -> nn.Module | None:
        """See above."""
        ...

    def embed(self, audio: Tensor) -> Tensor:
        """(B, T) at 32 kHz → float32 (B, ceil(T / 640), dimension)."""
        ...

    def macs(self, length: int) -> float:
        """Multiply-adds for one signal of `length` samples; of no interest where there is no network."""
        ...


class M2DFrames:
    """The columns of M2D's tokens, averaged over frequency and placed on frames of 20 ms.

    A column is 160 ms wide; between the centres of two columns embeddings are interpolated linearly.
    """

    name = "m2d"
    network: nn.Module | None = None
    fixed: tuple[str, ...] = ()

    def __init__(self, m2d: M2D, digest: str) -> None:
        """Take the frozen M2D of the classifiers and its digest."""
        self.digest = digest
        self.dimension = int(m2d.backbone.norm.weight.shape[0])
        self._m2d = m2d

    @torch.no_grad()
    def embed(self, audio: Tensor) -> Tensor:
        """As `FrameEncoder.embed`."""
        columns = self._m2d(normalise_level(audio)).float().mean(1)
        centres = _MEL_HOP * self._m2d.backbone.centres(audio.shape[1] // _MEL_HOP + 1).to(audio.device)
        return place(columns, centres, -(-audio.shape[1] // STEP))

    def macs(self, length: int) -> float:
        """None of its own: M2D is a part that is counted already."""
        del length
        return 0.0


def place(values: Tensor, centres: Tensor, frames: int) -> Tensor:
    """Embeddings at frames of 20 ms, linear between their own centres, constant beyond the first and the last.

    Args:
        values: (B, N, D).
        centres: (N,), rising, in samples.
        frames: how many.

    Returns:
        (B, frames, D).
    """
    wanted = torch.arange(frames, device=values.device, dtype=centres.dtype) * STEP
    after = torch.searchsorted(centres, wanted).clamp(1, max(1, len(centres) - 1))
    before = after - 1
    after = after.clamp_max(len(centres) - 1)
    width = (centres[after] - centres[before]).clamp_min(1e-6)
    weight = ((wanted - centres[before]) / width).clamp(0.0, 1.0).to(values.dtype).unsqueeze(-1)
    return torch.lerp(values[:, before], values[:, after], weight)


class OwnEncoder:
    """An encoder that the user names by `module:factory`; what it gives is checked with every call."""

    def __init__(self, name: str, network: nn.Module) -> None:
        """Take what the factory gave.

        Raises:
            UsageError: it has no usable `width`, or nothing that tells one version of it from another.
        """
        self.name, self.dimension = name, _width(name, network)
        self.fixed = tuple(key for key, value in network.named_parameters() if not value.requires_grad)
        self.network = network.eval().requires_grad_(False)
        self.digest = _digest(name, network)

    @torch.no_grad()
    def embed(self, audio: Tensor) -> Tensor:
        """As `FrameEncoder.embed`. Raises `ValueError` where the contract is broken; says how."""
        with full_precision(audio):
            given = self.network(normalise_level(audio.float()))
        expected = (len(audio), -(-audio.shape[1] // STEP), self.dimension)
        if not isinstance(given, Tensor):
            problem = f"gave a {type(given).__name__}"
        elif given.dtype != torch.float32:
            problem = f"gave {given.dtype}"
        elif tuple(given.shape) != expected:
            problem = f"gave the shape {tuple(given.shape)} where {expected} was due"
        elif not bool(torch.isfinite(given).all()):
            problem = "gave values that are not finite"
        else:
            return given.to(audio.device)
        raise ValueError(f"system.frame_encoder {self.name!r} {problem}; {CONTRACT}")

    def macs(self, length: int) -> float:
        """As `FrameEncoder.macs`: those that torch can count."""
        device = next((value.device for value in self.network.parameters()), torch.device("cpu"))
        with FlopCounterMode(display=False) as counter:
            self.embed(torch.zeros(1, length, device=device))
        return float(counter.get_total_flops()) / 2


def load_own(name: str, device: str) -> OwnEncoder:
    """Import the encoder `module:factory`, make it, and hear it once.

    Raises:
        UsageError: it cannot be imported or made, or breaks the contract; says how.
    """
    factory = load_named(name, f"system.frame_encoder {name!r}")
    try:
        network = cast(Any, factory)(device)
        if not isinstance(network, nn.Module):
            raise UsageError(f"system.frame_encoder {name!r}: its factory gave a {type(network).__name__}; {CONTRACT}")
        encoder = OwnEncoder(name, network.to(device))
        for samples in (SAMPLE_RATE, STEP + 1):
            encoder.embed(torch.rand(2, samples, generator=torch.Generator().manual_seed(0)).to(device) - 0.5)
    except S5Error:
        raise
    except (Exception, SystemExit) as error:  # whatever code of others does
        said = str(error) if isinstance(error, ValueError) and CONTRACT in str(error) else None
        raise UsageError(
            said or f"system.frame_encoder {name!r}: {type(error).__name__}: {error}; {CONTRACT}"
        ) from error
    return encoder


def _width(name: str, network: nn.Module) -> int:
    width: object = getattr(network, "width", None)
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise UsageError(f"system.frame_encoder {name!r} has the width {width!r:.60}; {CONTRACT}")
    return width


def _digest(name: str, network: nn.Module) -> str:
    """`sha256:` of the weights and of what `fingerprint()` tells, if there is one: results are kept under it."""
    state = network.state_dict()
    told = getattr(network, "fingerprint", None)
    if not state and told is None:
        raise UsageError(
            f"system.frame_encoder {name!r} has neither weights nor fingerprint(), so that results of one version of "
            "it would be taken for another's: give it a method fingerprint() that returns JSON, such as a version"
        )
    digest = hashlib.sha256(name.encode())
    try:
        digest.update(json.dumps(None if told is None else told(), sort_keys=True, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise UsageError(f"system.frame_encoder {name!r}: what fingerprint() returns is not JSON: {error}") from error
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"
