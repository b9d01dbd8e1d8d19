"""Sizes and switches of the system: read from the preset files, which alone hold their values."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.systems.multistage.sizes import (
    ClassifierSizes,
    ClueSizes,
    FrameEncoderSizes,
    ObjectCounts,
    SeparatorSizes,
    STFTSizes,
)
from s5eval.systems.networks.sizes import M2DSizes, Mamba2Sizes
from s5eval.systems.settings import check_positive, check_seed, read_preset
from s5eval.systems.spatial_filter import SpatialFilterSettings

PRESETS = ("mini", "paper")
ENCODERS = ("af_whisper", "whisper", "m2d", "none")
"""Frame encoders by name; beside them, `module:factory` names one of the user's own."""

_FILES = ("weights", "m2d_weights", "af_whisper_weights", "whisper_weights")


@dataclass(frozen=True, slots=True)
class MultistageConfiguration:
    """All of a preset.

    Attributes:
        stages: how many of the three stages run.
        classifiers: how many of them classify; a later one extracts alone, and hands on the classes and silences of
            the stage before.
        frame_encoder: whose frame embeddings stages 2 and 3 are given: one of `ENCODERS`, or `module:factory`. In
            settings, `af_whisper` true and false are short for `af_whisper` and `none`.
        af_source: what is embedded: the previous stage's estimate, or the mixture.
        pad_to_30s: feed AF-Whisper or Whisper 30 s, as they were trained; False: as long as the audio is.
        precision: of the networks; scan, transforms and heads stay in float32.
        tau_skip: slots likelier to be silent than this are handed on as they are.
        seed: of the random weights where none are given.
        mamba: two-way Mamba-2 in both blocks, in the time block only, or nowhere.
        decoder: complex spectrum directly (`map`), or a complex mask on every input channel (`cmask`).
        spatial_filter: what the channels are filtered by behind the last stage, whichever it is, and for enrollments.
    """

    stages: int
    classifiers: int
    frame_encoder: str
    af_source: Literal["estimate", "mixture"]
    pad_to_30s: bool
    precision: Literal["float32", "bf16"]
    tau_skip: float
    seed: int
    mamba: Literal["both", "time_only", "none"]
    decoder: Literal["map", "cmask"]
    spatial_filter: SpatialFilterSettings
    stft: STFTSizes
    objects: ObjectCounts
    separator: SeparatorSizes
    mamba2: Mamba2Sizes
    clue: ClueSizes
    frame_encoder_sizes: FrameEncoderSizes
    dpc: ClassifierSizes
    m2d: M2DSizes

    def classifies(self, stage: int) -> bool:
        """Whether a stage, 1 to 3, has a classifier."""
        return stage <= self.classifiers

    @property
    def rows(self) -> int:
        """F', how many cells the separator's map has along frequency."""
        bins = self.stft.window // 2 + 1
        return sum(count for count, _ in self.separator.bands) or -(-bins // self.separator.frequency_stride)


@dataclass(frozen=True, slots=True)
class MultistageSettings:
    """What `system.*` keys amount to: a preset, perhaps changed, and where weights lie."""

    preset: str
    configuration: MultistageConfiguration
    weights: Path | None
    m2d_weights: Path | None
    af_whisper_weights: Path | None
    whisper_weights: Path | None

    def encoder_weights(self) -> Path | None:
        """The folder given for the frame encoder that is chosen; None: there is none, or it takes none."""
        given = {"af_whisper": self.af_whisper_weights, "whisper": self.whisper_weights}
        return given.get(self.configuration.frame_encoder)


def read_settings(config: Mapping[str, Any]) -> MultistageSettings:
    """Resolve the `system.*` keys.

    Args:
        config: nested; `preset` (default `mini`), `weights`, `m2d_weights`, `af_whisper_weights`, `whisper_weights`,
            and any key of the preset file, which then has that value instead.

    Raises:
        UsageError: an unknown key, or a value that cannot be; names the key and what was expected.
    """
    rest = dict(config)
    preset = rest.pop("preset", "mini")
    paths = {}
    for key in _FILES:
        value = rest.pop(key, None)
        if value is not None and not isinstance(value, str | Path):
            raise UsageError(f"system.{key} is {value!r}, expected a path")
        paths[key] = None if value is None else expanded(value)
    settings = MultistageSettings(preset, load_preset(preset, rest), **paths)
    named = {"frame_encoder", "af_whisper"} & config.keys()  # rows of a table may name others and share the paths
    if settings.whisper_weights is not None and not named:
        raise UsageError(
            "system.whisper_weights is given, and nothing asks for Whisper: say system.frame_encoder=whisper too"
        )
    return settings


def asks_for_encoder(config: Mapping[str, Any]) -> bool:
    """Whether `system.*` keys ask for frame embeddings by name, and not by the preset alone: what is asked for and
    absent is an error, what is usual and absent a mark.
    """
    named = isinstance(config.get("frame_encoder"), str)
    return named or config.get("af_whisper") is True or config.get("af_whisper_weights") is not None


def load_preset(name: str, changes: Mapping[str, Any] | None = None) -> MultistageConfiguration:
    """A preset by name, with changes (nested as in its file). Raises `UsageError` as `read_settings`."""
    if name not in PRESETS:
        raise UsageError(f"system.preset is {name!r}; expected {' or '.join(PRESETS)}")
    path = Path(__file__).parent / "presets" / f"{name}.yaml"
    wanted = _with_encoder(changes or {})
    configuration = read_preset(
        MultistageConfiguration, path, wanted, system="multistage", other_keys=("preset", "af_whisper", *_FILES)
    )
    _check_encoder(configuration.frame_encoder)
    if configuration.frame_encoder == "m2d":
        configuration = _as_wide_as_m2d(configuration, wanted)
    _check(configuration)
    return configuration


def recorded(configuration: MultistageConfiguration, *, extracts: bool) -> dict[str, Any]:
    """The configuration as digests of trainings count it: in the words of the days before encoders had names, or M2D
    a stem.

    What was begun with AF-Whisper, or without, goes on and is found again; another encoder is one key more. The
    spatial filter is heard by trainings of stages that extract (`extracts`), if enrollments go through it. How many
    stages classify is nothing to a training.
    """
    content = {**asdict(configuration), "dpc": configuration.dpc.recorded(), "m2d": configuration.m2d.recorded()}
    del content["spatial_filter"], content["classifiers"]
    if extracts and (filter_ := configuration.spatial_filter.of_enrollments()) is not None:
        content["enrollment"] = filter_.fingerprint()
    encoder, sizes = content["frame_encoder"], content.pop("frame_encoder_sizes")
    other = {} if encoder in ("af_whisper", "none") else {"encoder": encoder}
    return {**content, "af_whisper": encoder == "af_whisper", "frame_encoder": sizes, **other}


def _with_encoder(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes in which `frame_encoder` is the name, and `af_whisper` is resolved.

    In earlier versions `frame_encoder` held the sizes: a mapping is still read as those.
    """
    rest = dict(changes)
    if isinstance(rest.get("frame_encoder"), Mapping):
        if "frame_encoder_sizes" in rest:
            raise UsageError(
                "system.frame_encoder holds sizes, and so does system.frame_encoder_sizes; keep the latter"
            )
        rest["frame_encoder_sizes"] = rest.pop("frame_encoder")
    if "af_whisper" not in rest:
        return rest
    switch = rest.pop("af_whisper")
    if not isinstance(switch, bool):
        raise UsageError(f"system.af_whisper is {switch!r}, expected true or false")
    meant = "af_whisper" if switch else "none"
    named = rest.setdefault("frame_encoder", meant)
    if named != meant:
        raise UsageError(
            f"system.af_whisper is {str(switch).lower()}, which means system.frame_encoder={meant}, and "
            f"system.frame_encoder is {named}: leave af_whisper out, or let them agree"
        )
    return rest


def _check_encoder(name: str) -> None:
    if name not in ENCODERS and not re.fullmatch(r"[\w.]+:[\w.]+", name):
        raise UsageError(
            f"system.frame_encoder is {name!r}{suggestion(name, ENCODERS) or '.'} Expected {', '.join(ENCODERS)}, or "
            "module:factory for an encoder of your own"
        )


def _as_wide_as_m2d(configuration: MultistageConfiguration, changes: Mapping[str, Any]) -> MultistageConfiguration:
    """The frames of M2D are as wide as it is: the clue follows, unless another width was asked for."""
    width, clue = configuration.m2d.width, changes.get("clue", {})
    asked = clue.get("dimension") if isinstance(clue, Mapping) else None
    if asked is not None and asked != width:
        raise UsageError(
            f"system.clue.dimension is {asked}, and frames of M2D have {width} values (system.m2d.width): leave it out"
        )
    return replace(configuration, clue=replace(configuration.clue, dimension=width))


def _check(c: MultistageConfiguration) -> None:
    check_positive(c, "system", but=("seed", "interference", "noise", "directions", "depth"))
    check_seed(c.seed, "system.seed", negative=True)
    for name in ("interference", "noise"):
        if getattr(c.objects, name) < 0:
            raise UsageError(f"system.objects.{name} is {getattr(c.objects, name)}, expected 0 or more")
    if c.separator.directions != 0 and c.separator.directions < c.objects.foreground:
        raise UsageError(
            f"system.separator.directions is {c.separator.directions}, expected 0 or at least "
            f"system.objects.foreground, {c.objects.foreground}"
        )
    if not 1 <= c.stages <= 3:
        raise UsageError(f"system.stages is {c.stages}, expected 1, 2 or 3")
    if not 1 <= c.classifiers <= 3:
        raise UsageError(f"system.classifiers is {c.classifiers}, expected 1, 2 or 3")
    if not 0 <= c.tau_skip <= 1:
        raise UsageError(f"system.tau_skip is {c.tau_skip}, expected a number from 0 to 1")
    if not 0 < c.stft.hop <= c.stft.window // 2:
        raise UsageError(
            f"system.stft.hop is {c.stft.hop}, expected at most half the window of {c.stft.window} samples"
        )
    if c.separator.kernel % 2 == 0:
        raise UsageError(f"system.separator.kernel is {c.separator.kernel}, expected an odd number")
    if (c.mamba2.expand * c.separator.width) % c.mamba2.headdim:
        raise UsageError(
            f"system.mamba2.headdim is {c.mamba2.headdim}, expected a divisor of expand x width = "
            f"{c.mamba2.expand * c.separator.width}"
        )
    covered = sum(count * bins for count, bins in c.separator.bands)
    if covered > c.stft.window // 2 + 1:
        raise UsageError(
            f"system.separator.bands hold {covered} bins, the transform has {c.stft.window // 2 + 1}; leave some out"
        )
    for where, dropout in (("separator", c.separator.dropout), ("dpc", c.dpc.dropout)):
        if not 0 <= dropout <= 1:
            raise UsageError(f"system.{where}.dropout is {dropout}, expected a number from 0 to 1")
    if not c.dpc.scale > 0:  # below, the class that is likeliest would be called the least likely
        raise UsageError(f"system.dpc.scale is {c.dpc.scale}, expected a number above 0")
    if not 0 <= c.dpc.margin <= math.pi:
        raise UsageError(f"system.dpc.margin is {c.dpc.margin}, expected an angle in radians, from 0 to pi")
    c.spatial_filter.check("system.spatial_filter")
    c.m2d.check("system.m2d")
    if len(c.dpc.widths) != len(c.dpc.strides):
        raise UsageError("system.dpc.widths and system.dpc.strides must be equally long")
