"""What the system costs: parameters and multiply-adds per part, seconds and memory per stage."""

from collections.abc import Mapping
from typing import Any

import torch

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE
from s5eval.systems.multistage.configuration import Configuration, read_settings
from s5eval.systems.multistage.models.af_whisper import AFWhisper
from s5eval.systems.multistage.stages import ExtractionStage
from s5eval.systems.multistage.system import build, new_part
from s5eval.systems.profiling import PartCost, Profile, count_macs, count_parameters, time_stages


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
        tuple(time_stages(pipeline.stages, torch.device(device), seconds)),
    )


def count_parts(
    config: Configuration, encoder: AFWhisper | None = None, *, seconds: float = 10.0
) -> tuple[PartCost, ...]:
    """Parameters and multiply-adds of every part, without computing anything; no encoder counts as zero.

    `uss` is applied to a mixture, `tse`, `dpc`, `m2d` and `af_whisper` to one slot each; object and audio decoders
    count within the separators.
    """
    length = round(seconds * SAMPLE_RATE)
    mixture = torch.empty(1, MIXTURE_CHANNELS, length, device="meta")
    audio, classes = mixture[:, 0], torch.empty(1, len(CLASSES), device="meta")
    names = ("uss", "tse2", "dpc1", "m2d")
    parts = {name: new_part(name, config).eval().requires_grad_(False).to("meta") for name in names}
    with torch.no_grad():  # as at inference: what belongs to training alone is not decoded
        uss, _ = count_macs(parts["uss"], mixture, foreground_only=True)
        tse, extracted = count_macs(parts["tse2"], mixture, audio, classes)
        m2d, tokens = count_macs(parts["m2d"], audio)
        dpc, _ = count_macs(parts["dpc1"], extracted.features, tokens, torch.empty(1, device="meta"))
    costs = [
        PartCost("uss", count_parameters(parts["uss"]), uss / seconds),
        PartCost("tse", count_parameters(parts["tse2"]), tse / seconds),
        PartCost("dpc", count_parameters(parts["dpc1"]), dpc / seconds),
        PartCost("m2d", count_parameters(parts["m2d"]), m2d / seconds),
    ]
    if encoder is None:
        return (*costs, PartCost("af_whisper", 0, 0.0))
    return (*costs, PartCost("af_whisper", count_parameters(encoder.network), encoder.macs(length) / seconds))
