"""Sizes and switches of the baseline: read from the preset files, which alone hold their values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.systems.networks.sizes import M2DSizes
from s5eval.systems.settings import check_positive, check_seed, read_preset

PRESETS = ("official", "mini")
_OTHER_KEYS = ("preset", "checkpoint_dir", "checkpoint_weights", "weights", "trust_checkpoint")


@dataclass(frozen=True, slots=True)
class HeadSizes:
    """The tagger's head: features per track, and width of a track's hidden layer."""

    track: int
    hidden: int


@dataclass(frozen=True, slots=True)
class ResUNetSizes:
    """The separator.

    Attributes:
        window: samples of the Hann window, also the transform's size.
        hop: samples between frames.
        condition: width of the embedded query.
        widths: channels of every encoder; the last is also the bottleneck's, and decoders mirror them.
        pools: frames and bins that every encoder merges.
        momentum: of the batch normalisations.
        slope: of the leaky rectifiers on their negative side.
    """

    window: int
    hop: int
    condition: int
    widths: tuple[int, ...]
    pools: tuple[tuple[int, int], ...]
    momentum: float
    slope: float

    @property
    def frame_multiple(self) -> int:
        """The number of frames must be a multiple of this; it is padded to one."""
        return prod(frames for frames, _ in self.pools)


@dataclass(frozen=True, slots=True)
class BaselineConfiguration:
    """All of a preset.

    Attributes:
        seed: of the random weights where none are given.
        silent_slots: the waveform of a track that the tagger calls silent: what a second pass of the separator,
            queried with the track's likeliest class, makes of it (`queried`), or `zeros`, which spares that pass.
        tracks: sources that tagger and separator name and separate at once.
        m2d: sizes of the tagger's transformer.
        head: sizes of its head.
        separator: sizes of the separator.
    """

    seed: int
    silent_slots: Literal["queried", "zeros"]
    tracks: int
    m2d: M2DSizes
    head: HeadSizes
    separator: ResUNetSizes

    def recorded(self) -> dict[str, Any]:
        """The configuration as digests of trainings count it; see `M2DSizes.recorded`."""
        return {**asdict(self), "m2d": self.m2d.recorded()}

    def part_settings(self, name: str) -> dict[str, Any]:
        """The settings that the network of `tagger` or `separator` computes by, nested."""
        if name == "separator":
            sizes = asdict(self.separator)
            del sizes["momentum"]  # of training alone
            return {"tracks": self.tracks, "separator": sizes}
        return {"tracks": self.tracks, "m2d": self.m2d.used(), "head": asdict(self.head)}


@dataclass(frozen=True, slots=True)
class BaselineSettings:
    """What `system.*` keys amount to: a preset, perhaps changed, and where weights lie.

    Attributes:
        preset: `official` or `mini`.
        configuration: its sizes.
        checkpoint_dir: folder of the published checkpoints, or of such in their form.
        checkpoint_weights: which set of weights of the checkpoints, where they hold several; None: the only one.
        weights: folder of exported weights, or `untrained`.
        trust_checkpoint: read checkpoints that have to execute code.
    """

    preset: str
    configuration: BaselineConfiguration
    checkpoint_dir: Path | None
    checkpoint_weights: str | None
    weights: Path | None
    trust_checkpoint: bool


def read_settings(config: Mapping[str, Any], *, system: str) -> BaselineSettings:
    """Resolve the `system.*` keys.

    Args:
        config: nested; `preset` (default `official`), `checkpoint_dir`, `checkpoint_weights`, `weights`,
            `trust_checkpoint`, and any key of the preset file, which then has that value instead.
        system: the system's name, for errors.

    Raises:
        UsageError: an unknown key, or a value that cannot be; names the key and what was expected.
    """
    rest = dict(config)
    preset = rest.pop("preset", "official")
    trusted = rest.pop("trust_checkpoint", False)
    if not isinstance(trusted, bool):
        raise UsageError(f"system.trust_checkpoint is {trusted!r}, expected true or false")
    chosen = rest.pop("checkpoint_weights", None)
    if chosen is not None and not isinstance(chosen, str):
        raise UsageError(f"system.checkpoint_weights is {chosen!r}, expected a word such as ema_model")
    paths = {key: _path(key, rest.pop(key, None)) for key in ("checkpoint_dir", "weights")}
    if None not in paths.values():
        raise UsageError("system.checkpoint_dir and system.weights both say where weights come from; give one of them")
    if chosen is not None and paths["checkpoint_dir"] is None:
        raise UsageError("system.checkpoint_weights chooses among those of system.checkpoint_dir, which is not given")
    configuration = load_preset(preset, rest, system=system)
    return BaselineSettings(preset, configuration, **paths, checkpoint_weights=chosen, trust_checkpoint=trusted)


def load_preset(
    name: str, changes: Mapping[str, Any] | None = None, *, system: str = "baseline-4c"
) -> BaselineConfiguration:
    """A preset by name, with changes (nested as in its file). Raises `UsageError` as `read_settings`."""
    if name not in PRESETS:
        raise UsageError(f"system.preset is {name!r}; expected {' or '.join(PRESETS)}")
    path = Path(__file__).parent / "presets" / f"{name}.yaml"
    configuration = read_preset(BaselineConfiguration, path, changes or {}, system=system, other_keys=_OTHER_KEYS)
    _check(configuration)
    return configuration


def _path(key: str, value: object) -> Path | None:
    if value is not None and not isinstance(value, str | Path):
        raise UsageError(f"system.{key} is {value!r}, expected a path")
    return None if value is None else expanded(value)


def _check(c: BaselineConfiguration) -> None:
    check_positive(c, "system", but=("seed", "depth"))
    check_seed(c.seed, "system.seed", negative=True)
    s = c.separator
    if s.hop > s.window // 3:
        raise UsageError(
            f"system.separator.hop is {s.hop}, expected at most a third of the window of {s.window} samples"
        )
    if not s.widths or len(s.widths) != len(s.pools):
        raise UsageError("system.separator.widths and system.separator.pools must be equally long")
    bins = prod(bins for _, bins in s.pools)
    if s.window % (2 * bins):
        raise UsageError(
            f"system.separator.window is {s.window}, expected a multiple of {2 * bins}, twice what is pooled"
        )
    c.m2d.check("system.m2d")
