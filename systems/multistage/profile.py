"""What the system costs: parameters and multiply-adds per part, seconds and memory per stage."""

from collections.abc import Mapping
from typing import Any

import torch

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE
from s5eval.systems.multistage.configuration import MultistageConfiguration, read_settings
from s5eval.systems.multistage.description import describe, external_resources, training
from s5eval.systems.multistage.models.frame_encoders import FrameEncoder, M2DFrames
from s5eval.systems.multistage.stages import ExtractionStage, SeparationStage
from s5eval.systems.multistage.system import build, new_part
from s5eval.systems.parameter_count import count_parameters
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.profiling import PartCost, Profile, count_macs, time_stages


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
    settings = read_settings(config)
    return Profile(
        count_parts(settings.configuration, encoder, seconds=seconds, networks=_networks(pipeline)),
        tuple(time_stages(pipeline.stages, torch.device(device), seconds)),
        trainable=int(str(pipeline.fingerprint()["trainable_parameters"])),
        description=describe(settings, with_encoder=encoder is not None),
        external_resources=external_resources(settings),
        training=training(settings),
    )


def _networks(pipeline: Pipeline) -> dict[str, int]:
    """How many networks with weights of their own there are of the kinds that several stages have."""
    stages = [stage for stage in pipeline.stages if isinstance(stage, SeparationStage | ExtractionStage)]
    return {
        "tse": len({id(stage.extractor) for stage in stages if isinstance(stage, ExtractionStage)}),
        "dpc": len({id(stage.classifier.dpc) for stage in stages if stage.classifier is not None}),
    }


def count_parts(
    config: MultistageConfiguration,
    encoder: FrameEncoder | None = None,
    *,
    seconds: float = 10.0,
    networks: Mapping[str, int] | None = None,
) -> tuple[PartCost, ...]:
    """Parameters and multiply-adds of every part, without computing anything; no encoder counts as zero.

    `uss` is applied to a mixture, `tse`, `dpc`, `m2d` and the frame encoder to one slot each; object and audio decoders
    count within the separators. Where M2D gives the frames as well it is applied more often, and counts once.
    `networks` says how many of `tse` and `dpc` the system has; default: one.
    """
    slots, refined = config.objects.foreground, config.stages - 1
    classified = min(config.stages, config.classifiers) * slots
    heard = 1 if config.af_source == "mixture" else slots
    count = {"tse": 1, "dpc": 1, **(networks or {})}
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
        PartCost("uss", count_parameters(parts["uss"]), uss / seconds, calls=1),
        PartCost("tse", count["tse"] * count_parameters(parts["tse2"]), tse / seconds, count["tse"], refined * slots),
        PartCost("dpc", count["dpc"] * count_parameters(parts["dpc1"]), dpc / seconds, count["dpc"], classified),
    ]
    also = refined * heard if isinstance(encoder, M2DFrames) else 0
    costs.append(PartCost("m2d", count_parameters(parts["m2d"]), m2d / seconds, calls=classified + also))
    if encoder is None:
        return (*costs, PartCost("af_whisper", 0, 0.0, 0, 0))
    if encoder.network is None:
        return tuple(costs)
    frames = encoder.macs(length) / seconds
    return (*costs, PartCost(encoder.name, count_parameters(encoder.network), frames, calls=refined * heard))
