"""Which settings the network of a part computes by: those that its weights were learned with, and know no others."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.af_whisper import PUBLISHED

_TRAINING_ALONE = ("dropout", "margin")
"""Sizes that count in training alone."""


def part_settings(name: str, config: MultistageConfiguration) -> dict[str, Any]:
    """The settings of `uss`, `tse2`, `tse3`, `dpc1`, `dpc2`, `dpc3` or `m2d`, nested; of other parts none.

    Left out is what changes no result, and what may be chosen at every run or has marks of its own: how many stages run
    and classify, precision, `tau_skip`, how enrollments are filtered, and whose frames an extractor is told. The frame
    encoder has a file of its sizes beside its weights.
    """
    kind = name.rstrip("123")
    if kind == "m2d":
        return {"m2d": config.m2d.used()}
    if kind == "dpc":
        return {"dpc": _without(asdict(config.dpc), _TRAINING_ALONE)}
    if kind == "uss":
        return {**_separator(config, ()), "objects": {"foreground": config.objects.foreground}}
    if kind == "tse":
        return {**_separator(config, ("directions",)), **_frames(config)}
    return {}


def _separator(config: MultistageConfiguration, unused: tuple[str, ...]) -> dict[str, Any]:
    """Of both kinds of separators; `unused`: fields of its sizes that one of them does without."""
    if config.separator.bands:
        unused += ("frequency_stride",)
    if config.mamba == "none":
        unused += ("unfold",)
    mamba2 = {} if config.mamba == "none" else {"mamba2": _without(asdict(config.mamba2), ("chunk",))}
    return {
        "mamba": config.mamba,
        "decoder": config.decoder,
        "stft": asdict(config.stft),
        "separator": _without(asdict(config.separator), (*_TRAINING_ALONE, *unused)),
        **mamba2,
    }


def _frames(config: MultistageConfiguration) -> dict[str, Any]:
    """What an encoder of frames is given to hear; nothing where there is none."""
    heard = {"af_source": config.af_source} if config.frame_encoder != "none" else {}
    return heard | ({"pad_to_30s": config.pad_to_30s} if config.frame_encoder in PUBLISHED else {})


def _without(sizes: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in sizes.items() if key not in names}
