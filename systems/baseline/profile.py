"""What the baseline costs: parameters and multiply-adds per part, seconds and memory per stage. No weights needed."""

from collections.abc import Mapping
from typing import Any

import torch

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE
from s5eval.systems.baseline.configuration import BaselineConfiguration, read_settings
from s5eval.systems.baseline.description import describe, external_resources, training
from s5eval.systems.baseline.system import Kind, build, new_part
from s5eval.systems.parameter_count import count_parameters
from s5eval.systems.profiling import PartCost, Profile, count_macs, time_stages
from s5eval.systems.weights import UNTRAINED


def profile_1c(config: Mapping[str, Any], device: str, *, seconds: float = 10.0) -> Profile:
    """Profile `baseline-1c`; see `profile`."""
    return profile("1c", config, device, seconds=seconds)


def profile_4c(config: Mapping[str, Any], device: str, *, seconds: float = 10.0) -> Profile:
    """Profile `baseline-4c`; see `profile`."""
    return profile("4c", config, device, seconds=seconds)


def profile(kind: Kind, config: Mapping[str, Any], device: str, *, seconds: float = 10.0) -> Profile:
    """Profile the system that `config` (the `system.*` keys) describes on made-up noise.

    No track counts as silent, so that the separator makes one pass. Where no weights are given, random ones serve.

    Raises:
        ValueError: `seconds` is not positive.
        UsageError, DataError: as `build`.
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}, expected a positive number")
    given = any(config.get(key) is not None for key in ("weights", "checkpoint_dir"))
    pipeline = build(kind, config if given else {**config, "weights": UNTRAINED}, device)
    settings = read_settings(config, system=f"baseline-{kind}")
    return Profile(
        count_parts(kind, settings.configuration, seconds=seconds),
        tuple(time_stages(pipeline.stages, torch.device(device), seconds)),
        trainable=int(str(pipeline.fingerprint()["trainable_parameters"])),
        description=describe(kind, settings),
        external_resources=external_resources(kind, settings),
        training=training(kind, settings),
    )


def count_parts(kind: Kind, config: BaselineConfiguration, *, seconds: float = 10.0) -> tuple[PartCost, ...]:
    """Parameters and multiply-adds of tagger and separator, without computing anything.

    Multiply-adds are those of the plain definition; the separator's frozen transforms count as parameters, as they
    do in the official count, and not as multiply-adds.
    """
    mixture = torch.empty(1, MIXTURE_CHANNELS, round(seconds * SAMPLE_RATE), device="meta")
    query = torch.empty(1, config.tracks, len(CLASSES), device="meta")
    costs = []
    for name, inputs in ((f"tagger-{kind}", (mixture,)), ("separator", (mixture, query))):
        part = new_part(name, config).eval().to("meta")
        # gradients are recorded so that the separator takes its plain definition
        macs, _ = count_macs(part, *inputs)
        costs.append(PartCost(name.partition("-")[0], count_parameters(part), macs / seconds, calls=1))
    return tuple(costs)
