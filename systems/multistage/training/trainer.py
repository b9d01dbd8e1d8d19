"""From a plan to the networks that it trains and the loss that they are trained with."""

import functools
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.configuration import MultistageConfiguration, load_preset, recorded
from s5eval.systems.multistage.encoder_by_name import (
    NO_FRAMES,
    enrollments_of,
    find_encoder,
    was_trained_with,
)
from s5eval.systems.multistage.models.af_whisper import AFWhisper, new_af_whisper, write_sizes
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS, set_checkpointing
from s5eval.systems.multistage.models.dpc import DualPathClassifier
from s5eval.systems.multistage.models.frame_encoders import FrameEncoder
from s5eval.systems.multistage.part_settings import part_settings
from s5eval.systems.multistage.system import PARTS, new_part, part_file
from s5eval.systems.multistage.training.classification import (
    ClassificationTask,
    SlotSource,
    extracted_slots,
    separated_slots,
)
from s5eval.systems.multistage.training.extraction import EarlierStages, ExtractionTask
from s5eval.systems.multistage.training.multistage_recipe import MultistageRecipe, check_recipe
from s5eval.systems.multistage.training.segmentation import SegmentationTask
from s5eval.systems.multistage.training.separation import SeparationTask
from s5eval.systems.multistage.training.tagging import ClipTagging, FrameTagging
from s5eval.systems.multistage.training.widening import widen
from s5eval.systems.networks.m2d import M2D, SOURCE, backbone_weights
from s5eval.systems.training.batches import heard_entry
from s5eval.systems.training.parts import Adaptation, Part, PartsFolder, TrainingJob
from s5eval.systems.training.training_plan import Trainer, TrainingPlan
from s5eval.systems.weight_files import checked_digest, file_digest, load_strictly, read_tensors
from s5eval.systems.weights import typed


def make_job(plan: TrainingPlan, parts: PartsFolder) -> TrainingJob:
    """Networks and loss of a plan.

    Raises:
        DataError: a part that the recipe builds on is missing.
        UsageError: published M2D weights for a recipe that trains M2D, or Whisper's where its frames are not wanted.
    """
    recipe: MultistageRecipe = plan.recipe
    config: MultistageConfiguration = plan.configuration
    if recipe.task == "tagging":
        return _tagging(recipe, config, parts)
    new = {name: new_part(name, config) for name in PARTS[recipe.stage]}
    networks = {
        name: parts.trained(new[name], recipe.starts_from.get(name), adapt=_adaptation(new[name])).requires_grad_(True)
        for name in recipe.trains
        if name in new
    }
    made = {name: Part(module, f"{name}.safetensors") for name, module in networks.items()}
    separator, classifier = PARTS[recipe.stage]
    trains = separator in networks
    network = networks[separator] if trains else parts.frozen(new[separator], part_file(parts.folder, separator).stem)
    set_checkpointing(network, recipe.checkpointing)
    dpc = typed(networks[classifier], DualPathClassifier) if classifier in networks else None
    if recipe.task == "segmentation":
        return TrainingJob(SegmentationTask(typed(network, DeFTMambaUSS), recipe.loss.segmentation), made)
    if recipe.stage == 1:
        return _first_stage(plan, parts, made, typed(network, DeFTMambaUSS), dpc, trains=trains)
    return _later_stage(plan, parts, made, typed(network, DeFTMambaTSE), dpc, trains=trains)


def _first_stage(
    plan: TrainingPlan,
    parts: PartsFolder,
    made: dict[str, Part],
    uss: DeFTMambaUSS,
    dpc: DualPathClassifier | None,
    *,
    trains: bool,
) -> TrainingJob:
    """Separation of the mixture, and of its slots the classes; `trains` says whether the separator learns as well."""
    recipe, config = plan.recipe, plan.configuration
    adapts = "m2d" in recipe.trains
    m2d = None
    if adapts:
        m2d = _trained_m2d(recipe, config, parts)
        made = {**made, "m2d": _m2d_part(m2d)}
    elif dpc is not None:
        m2d = _m2d(config, parts)
    if recipe.slots.scenes and dpc is not None and m2d is not None:
        task = ClassificationTask(dpc, m2d, recipe.loss, train_m2d=adapts)
        source = SlotSource(plan, parts.built_on, separated_slots(uss, m2d), m2d)
        return TrainingJob(task, made, _slot_facts(recipe, source), source, _also_heard(source))
    return TrainingJob(SeparationTask(uss, dpc, m2d, recipe.loss, train_uss=trains, train_m2d=adapts), made)


def _later_stage(
    plan: TrainingPlan,
    parts: PartsFolder,
    made: dict[str, Part],
    tse: DeFTMambaTSE,
    dpc: DualPathClassifier | None,
    *,
    trains: bool,
) -> TrainingJob:
    """Extraction of what the stages before have found, and its classes; `trains` as for `_first_stage`."""
    recipe, config = plan.recipe, plan.configuration
    earlier = _earlier(recipe.stage, config, parts, recipe.clues.runner_up)
    source = None
    if recipe.slots.scenes and dpc is not None:
        task: nn.Module = ClassificationTask(dpc, earlier.m2d, recipe.loss, train_m2d=False)
        source = SlotSource(plan, parts.built_on, extracted_slots(tse, earlier), earlier.m2d)
    else:
        task = ExtractionTask(tse, dpc, earlier, recipe.loss, recipe.clues, train_tse=trains)
    facts: dict[str, object] = {"frame_embeddings": earlier.encoder.digest if earlier.encoder else NO_FRAMES}
    if config.frame_encoder not in ("af_whisper", "none"):
        facts["frame_encoder"] = config.frame_encoder
    if earlier.enrollments is not None:
        facts["enrollment"] = earlier.enrollments.recorded()
    if recipe.loss.filtered and trains:
        facts["loss_filtered"] = recipe.loss.filtered
    if recipe.clues.runner_up:
        facts["runner_up"] = recipe.clues.runner_up
    _check_extractors(config, parts, earlier.encoder)
    if source is None:
        return TrainingJob(task, made, facts)
    return TrainingJob(task, made, facts | _slot_facts(recipe, source), source, _also_heard(source))


def _slot_facts(recipe: MultistageRecipe, source: SlotSource) -> dict[str, object]:
    """What the card tells of kept slots."""
    also = [{"slots": o.digest(), "scenes": o.scenes, **heard_entry(o.material)} for o in source.others]
    return {"scenes": recipe.slots.scenes, "slots": {**asdict(recipe.slots), "also": also}}


def _also_heard(source: SlotSource) -> list[Mapping[str, Any]]:
    return [told for other in source.others for told in other.material]


def _adaptation(module: nn.Module) -> Adaptation | None:
    return functools.partial(widen, extractor=module) if isinstance(module, DeFTMambaTSE) else None


def _earlier(stage: int, config: MultistageConfiguration, parts: PartsFolder, runner_up: float = 0.0) -> EarlierStages:
    def frozen(name: str) -> nn.Module:
        return parts.frozen(new_part(name, config), name)

    m2d = _m2d(config, parts)
    refinements = [
        (typed(frozen(f"tse{n}"), DeFTMambaTSE), typed(frozen(f"dpc{n}"), DualPathClassifier)) for n in range(2, stage)
    ]
    return EarlierStages(
        typed(frozen("uss"), DeFTMambaUSS),
        typed(frozen("dpc1"), DualPathClassifier),
        refinements,
        m2d,
        _encoder(config, parts, m2d),
        config.af_source,
        config.tau_skip,
        len(CLASSES),
        config.spatial_filter.of_enrollments(),
        runner_up,
    )


def _m2d(config: MultistageConfiguration, parts: PartsFolder) -> M2D:
    """The frozen M2D of all classifiers: published weights, else those that recipes have exported."""
    module = typed(new_part("m2d", config), M2D)
    path, source = parts.folder / "m2d.safetensors", f"{SOURCE}; `m2d_weights` names it. For mini, recipe mini/m2d"
    if parts.m2d_weights is not None:
        path, source = parts.m2d_weights, SOURCE
    elif path.is_file():
        checked_digest(parts.folder, path.name)
    tensors = backbone_weights(read_tensors(path, source), module.backbone.state_dict(), path=path)
    load_strictly(module.backbone, tensors, path=path, source=source)
    parts.built_on["m2d"] = file_digest(path)
    return module.eval().requires_grad_(False).to(parts.device)


def _trained_m2d(recipe: MultistageRecipe, config: MultistageConfiguration, parts: PartsFolder) -> M2D:
    """An M2D to train; published weights are not for that."""
    if parts.m2d_weights is not None:
        raise UsageError(
            "the recipe trains an M2D of its own, and published weights cannot be trained: expected no `m2d_weights`, "
            f"got {parts.m2d_weights}"
        )
    module = typed(new_part("m2d", config), M2D)
    parts.trained(module.backbone, recipe.starts_from.get("m2d"))
    module.backbone.norm_stats.requires_grad_(False)
    return module.to(parts.device)


def _m2d_part(m2d: M2D) -> Part:
    return Part(m2d.backbone, "m2d.safetensors")


def _encoder(config: MultistageConfiguration, parts: PartsFolder, m2d: M2D) -> FrameEncoder | None:
    """The frozen frame encoder that the configuration names; of AF-Whisper published weights, else those of recipe
    `encoder`, else none.
    """
    name = config.frame_encoder
    given = {"af_whisper": parts.af_whisper_weights, "whisper": parts.whisper_weights}.get(name)
    if name == "af_whisper" and given is None and parts.whisper_weights is not None:
        # the usual encoder, which nobody may have named; others have to be
        raise UsageError(
            "`whisper_weights` is given, and nothing asks for Whisper: the frames would be AF-Whisper's, or none; set "
            "system.frame_encoder=whisper too"
        )
    found = find_encoder(
        config,
        folder=parts.folder,
        given=given,
        m2d=(m2d, parts.built_on["m2d"]),
        device=str(parts.device),
        bf16=False,
        asked=name != "af_whisper" or given is not None or (parts.folder / name).is_dir(),
    )
    if found.encoder is not None:
        parts.built_on["encoder"] = found.encoder.digest
    return found.encoder


def _check_extractors(config: MultistageConfiguration, parts: PartsFolder, encoder: FrameEncoder | None) -> None:
    """Refuse a frozen extractor that was trained on other clues than those that are named."""
    for name in ("tse2", "tse3"):
        digest = parts.built_on.get(name)
        if digest is None:
            continue
        filtered = config.spatial_filter.of_enrollments()
        if (told := enrollments_of(parts.folder, digest)) != (filtered and filtered.recorded()):
            raise DataError(
                f"{parts.folder / name}.safetensors: by the card there, it was not trained on the enrollments of "
                f"system.spatial_filter as it is now; train it with that first, or set {_as_settings(told)}"
            )
        if encoder is not None and not was_trained_with(parts.folder, digest, config.frame_encoder, encoder):
            raise DataError(
                f"{parts.folder / name}.safetensors: by the card there, it was not trained on frames of "
                f"{config.frame_encoder} as it is now; train it with system.frame_encoder={config.frame_encoder} first"
            )


def _as_settings(filter_: Mapping[str, Any] | None) -> str:
    """What a card says of enrollments, in the words that ask for it."""
    told = {"share": 0} if filter_ is None else filter_
    keys = {"share": "enrollment"}
    return " ".join(f"system.spatial_filter.{keys.get(key, key)}={value}" for key, value in told.items())


def _tagging(recipe: MultistageRecipe, config: MultistageConfiguration, parts: PartsFolder) -> TrainingJob:
    (name,) = recipe.trains
    if name == "m2d":
        m2d = _trained_m2d(recipe, config, parts)
        task: nn.Module = ClipTagging(m2d, config.m2d.width)
        part = _m2d_part(m2d)
    else:
        encoder = new_seeded_encoder(config)
        parts.trained(encoder.network, recipe.starts_from.get(name))
        task = FrameTagging(encoder)
        part = Part(
            encoder.network,
            f"{config.frame_encoder}/model.safetensors",
            beside=functools.partial(write_sizes, encoder.network),
        )
    return TrainingJob(task.to(parts.device), {name: part})


def new_seeded_encoder(config: MultistageConfiguration) -> AFWhisper:
    """The preset's frame encoder with weights that depend on its seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return new_af_whisper(asdict(config.frame_encoder_sizes), config.frame_encoder)


def _recorded(configuration: MultistageConfiguration, recipe: MultistageRecipe) -> dict[str, Any]:
    return recorded(configuration, extracts=recipe.task == "stage" and recipe.stage > 1)


TRAINER = Trainer(MultistageRecipe, load_preset, check_recipe, make_job, _recorded, part_settings)
"""How `s5eval train` reaches all this."""
