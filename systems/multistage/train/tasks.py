"""From a plan to the networks that it trains and the loss that they are trained with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from s5eval.data_manifests.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.configuration import Configuration
from s5eval.systems.multistage.loading import load_strictly, read_tensors
from s5eval.systems.multistage.models.af_whisper import AFWhisper, load_af_whisper, new_af_whisper
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS, set_checkpointing
from s5eval.systems.multistage.models.dpc import DualPathClassifier
from s5eval.systems.multistage.models.m2d import M2D, SOURCE, backbone_weights
from s5eval.systems.multistage.system import new_part
from s5eval.systems.multistage.train.extraction import EarlierStages, ExtractionTask
from s5eval.systems.multistage.train.recipe import Plan
from s5eval.systems.multistage.train.separation import SeparationTask
from s5eval.systems.multistage.train.tagging import ClipTagging, FrameTagging

_M = TypeVar("_M", bound=nn.Module)
_EXPORTED = "an earlier recipe of the same preset, run with the same --weights"


@dataclass(frozen=True, slots=True)
class Job:
    """What the loop needs to know.

    Attributes:
        task: called with a batch, gives the terms of the loss.
        parts: trained networks by the name under which they are exported.
    """

    task: nn.Module
    parts: Mapping[str, nn.Module]


class PartsFolder:
    """The weights folder that recipes read what they build on from, and write what they made to."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        device: torch.device,
        *,
        m2d_weights: Path | None = None,
        af_whisper_weights: Path | None = None,
    ) -> None:
        """`m2d_weights` and `af_whisper_weights`: published weights in place of the folder's own."""
        self.folder, self.plan, self.device = folder, plan, device
        self.m2d_weights, self.af_whisper_weights = m2d_weights, af_whisper_weights

    def frozen(self, name: str) -> nn.Module:
        """A part that an earlier recipe has trained.

        Raises:
            DataError: it is not there yet; says which recipe makes it.
        """
        module = new_part(name, self.plan.configuration)
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise DataError(f"{self.plan.name} builds on {name}, but {path} is not there; it comes from {_EXPORTED}")
        load_strictly(module, read_tensors(path, _EXPORTED), path=path, source=_EXPORTED)
        return module.eval().requires_grad_(False).to(self.device)

    def trained(self, name: str) -> nn.Module:
        """A part to train: from the part it starts from, or from its own earlier weights, or anew.

        Raises:
            DataError: a part that the recipe names as the start is not there.
        """
        module = new_part(name, self.plan.configuration)
        start = self.plan.recipe.starts_from.get(name)
        if start is not None:
            path = self.folder / f"{start}.safetensors"
            tensors = read_tensors(path, _EXPORTED)
            own = module.state_dict()
            kept = {
                key: value
                for key, value in tensors.items()
                if isinstance(value, Tensor) and key in own and own[key].shape == value.shape
            }
            if not kept:
                raise DataError(f"{path}: has no tensor in common with {name}; expected the file from {_EXPORTED}")
            module.load_state_dict({**own, **kept})
        return module.requires_grad_(True).to(self.device)

    def m2d(self) -> M2D:
        """The frozen M2D of all classifiers: published weights, else those of recipe `m2d`."""
        module = _typed(new_part("m2d", self.plan.configuration), M2D)
        path, source = self.folder / "m2d.safetensors", _EXPORTED
        if self.m2d_weights is not None:
            path, source = self.m2d_weights, SOURCE
        tensors = backbone_weights(read_tensors(path, source), module.backbone.state_dict())
        load_strictly(module.backbone, tensors, path=path, source=source)
        return module.eval().requires_grad_(False).to(self.device)

    def encoder(self) -> AFWhisper | None:
        """The frozen frame encoder: published weights, else those of recipe `encoder`, else none."""
        directory = self.af_whisper_weights or self.folder / "af_whisper"
        config = self.plan.configuration
        if not config.af_whisper or not directory.is_dir():
            return None
        return load_af_whisper(directory, pad_to_30s=config.pad_to_30s, device=str(self.device), bf16=False)


def make_job(plan: Plan, parts: PartsFolder) -> Job:
    """Networks and loss of a plan.

    Raises:
        DataError: a part that the recipe builds on is missing.
    """
    recipe = plan.recipe
    if recipe.task == "tagging":
        return _tagging(plan, parts)
    separator, classifier = _names(recipe.stage)
    train_separator, train_classifier = separator in recipe.trains, classifier in recipe.trains
    network = parts.trained(separator) if train_separator else parts.frozen(separator)
    dpc = _typed(parts.trained(classifier), DualPathClassifier) if train_classifier else None
    set_checkpointing(network, recipe.checkpointing)
    if recipe.stage == 1:
        uss = _typed(network, DeFTMambaUSS)
        m2d = parts.m2d() if train_classifier else None
        task: nn.Module = SeparationTask(uss, dpc, m2d, recipe.loss, train_uss=train_separator)
    else:
        tse = _typed(network, DeFTMambaTSE)
        earlier = _earlier(recipe.stage, parts)
        task = ExtractionTask(tse, dpc, earlier, recipe.loss, recipe.clues, train_tse=train_separator)
    trained = {separator: network} if train_separator else {}
    if dpc is not None:
        trained[classifier] = dpc
    return Job(task, trained)


def _names(stage: int) -> tuple[str, str]:
    return ("uss" if stage == 1 else f"tse{stage}"), f"dpc{stage}"


def _earlier(stage: int, parts: PartsFolder) -> EarlierStages:
    refinements = [
        (_typed(parts.frozen(f"tse{n}"), DeFTMambaTSE), _typed(parts.frozen(f"dpc{n}"), DualPathClassifier))
        for n in range(2, stage)
    ]
    return EarlierStages(
        _typed(parts.frozen("uss"), DeFTMambaUSS),
        _typed(parts.frozen("dpc1"), DualPathClassifier),
        refinements,
        parts.m2d(),
        parts.encoder(),
        len(CLASSES),
    )


def _tagging(plan: Plan, parts: PartsFolder) -> Job:
    name = plan.recipe.trains[0]
    if name == "m2d":
        m2d = _typed(parts.trained("m2d"), M2D)
        m2d.backbone.norm_stats.requires_grad_(False)
        task: nn.Module = ClipTagging(m2d, plan.configuration.m2d.width)
        return Job(task.to(parts.device), {"m2d": m2d.backbone})
    encoder = new_seeded_encoder(plan.configuration)
    return Job(FrameTagging(encoder).to(parts.device), {"encoder": encoder.network})


def new_seeded_encoder(config: Configuration) -> AFWhisper:
    """The preset's frame encoder with weights that depend on its seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return new_af_whisper(asdict(config.frame_encoder))


def _typed(module: nn.Module, kind: type[_M]) -> _M:
    if not isinstance(module, kind):
        raise TypeError(f"expected a {kind.__name__}, not a {type(module).__name__}")
    return module
