"""Builds the challenge's baseline: the factories behind the names `baseline-1c` and `baseline-4c`."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.systems.baseline.checkpoints import SOURCE, load_checkpoint
from s5eval.systems.baseline.configuration import BaselineConfiguration, BaselineSettings, read_settings
from s5eval.systems.baseline.models.frozen import frozen_tensors
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.models.tagger import Tagger, Tagger1c, Tagger4c
from s5eval.systems.baseline.stages import QueriedSeparationStage, TaggingStage
from s5eval.systems.decision import Decision, load_decision, thresholds_file
from s5eval.systems.interface import Json
from s5eval.systems.loading import checked_digest, file_digest, joint_digest, load_strictly, read_tensors
from s5eval.systems.networks.m2d import SOURCE as M2D_SOURCE
from s5eval.systems.parameters import ParameterCount
from s5eval.systems.pipeline import Pipeline

Kind = Literal["1c", "4c"]

REVISION = 2
"""Raised whenever the code changes what a stage computes from the same weights and settings."""

UNTRAINED = "untrained"
"""What stands for weights where there are none; as `system.weights` it asks for random ones."""

SHIPPED = Path(__file__).parent / "weights"
"""The weights of preset `mini` that come with the package, if they do: of `baseline-4c`."""

CHECKPOINTS = {"tagger-1c": "m2dat_1c.ckpt", "tagger-4c": "m2dat_4c.ckpt", "separator": "resunetk.ckpt"}
"""The published file of every part."""

_TRAINING = "`s5eval train`, which exports such a folder"


def build_1c(config: Mapping[str, Any], device: str) -> Pipeline:
    """M2DAT_1c and ResUNetK; see `build`."""
    return build("1c", config, device)


def build_4c(config: Mapping[str, Any], device: str) -> Pipeline:
    """M2DAT_4c and ResUNetK; see `build`."""
    return build("4c", config, device)


def build(kind: Kind, config: Mapping[str, Any], device: str) -> Pipeline:
    """The system as a pipeline of two stages, `tagger` and `separator`.

    Args:
        kind: which tagger: of one channel or four.
        config: the `system.*` keys: `preset` (default `official`), `checkpoint_dir`, `checkpoint_weights`, `weights`,
            `trust_checkpoint`, and any key of the preset's file, nested.
        device: where the networks run.

    Raises:
        UsageError: an unknown key or an impossible value, or no weights are given where some are needed.
        DataError: a weight file is missing or wrong; says where it comes from.
    """
    return _Builder(kind, config, device).pipeline()


def new_part(name: str, config: BaselineConfiguration) -> nn.Module:
    """A part with random weights: `tagger-1c`, `tagger-4c` or `separator`.

    The weights depend on the seed and the part's name alone.

    Raises:
        ValueError: no such part.
    """
    factories: dict[str, Callable[[], nn.Module]] = {
        "tagger-1c": lambda: Tagger1c(config, len(CLASSES)),
        "tagger-4c": lambda: Tagger4c(config, len(CLASSES), MIXTURE_CHANNELS),
        "separator": lambda: ResUNetK(
            config.separator, channels=MIXTURE_CHANNELS, tracks=config.tracks, classes=len(CLASSES)
        ),
    }
    if name not in factories:
        raise ValueError(f"no part {name!r}; expected {', '.join(factories)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed + zlib.crc32(name.encode()))
        return factories[name]()


def weights_folder(kind: Kind, settings: BaselineSettings) -> Path | None:
    """The folder of exported weights: as given, else the shipped one; None: random weights, or checkpoints."""
    if settings.weights is not None:
        return None if str(settings.weights) == UNTRAINED else settings.weights
    shipped = settings.preset == "mini" and kind == "4c" and settings.checkpoint_dir is None
    return SHIPPED if shipped and (SHIPPED / "card.json").is_file() else None


class _Builder:
    """Makes the parts, loads their weights, and keeps the digest of each."""

    def __init__(self, kind: Kind, config: Mapping[str, Any], device: str) -> None:
        self.kind, self.name, self.device = kind, f"baseline-{kind}", device
        self.settings = read_settings(config, system=self.name)
        self.config = self.settings.configuration
        self.folder = weights_folder(kind, self.settings)
        self.checkpoints = self.settings.checkpoint_dir
        wanted = self.settings.preset == "official" and self.settings.weights is None
        if wanted and self.checkpoints is None:
            raise UsageError(
                f"system {self.name!r} needs its checkpoints: --set system.checkpoint_dir=FOLDER, with "
                f"{CHECKPOINTS[f'tagger-{kind}']} and {CHECKPOINTS['separator']} from {SOURCE}. Without them: "
                "--set system.preset=mini, or --set system.weights=untrained for random weights"
            )
        for key, folder, source in (
            ("weights", self.folder, _TRAINING),
            ("checkpoint_dir", self.checkpoints, SOURCE),
        ):
            if folder is not None and not folder.is_dir():
                raise DataError(f"system.{key}: {folder} is no folder; expected one from {source}")
        self.digests: dict[str, str] = {}
        self.parameters = ParameterCount()

    def pipeline(self) -> Pipeline:
        tagger = cast(Tagger, self.part("tagger", f"tagger-{self.kind}"))
        separator = cast(ResUNetK, self.part("separator", "separator"))
        tuned = thresholds_file(self.folder)
        facts: dict[str, Json] = {
            "system": self.name,
            "revision": REVISION,
            "preset": self.settings.preset,
            "weights": UNTRAINED if UNTRAINED in self.digests.values() else joint_digest(self.digests),
            **self.parameters.facts(),
            "thresholds": "default" if tuned is None else file_digest(tuned),
        }
        if self.checkpoints is not None:
            facts["external_resources"] = [
                {"name": "DCASE 2026 Task 4 baseline checkpoints", "url": SOURCE.partition(",")[0]},
                {"name": "M2D, pre-trained and fine-tuned on AudioSet", "url": M2D_SOURCE.partition(",")[0]},
            ]
        c = self.config
        first = {"m2d": asdict(c.m2d), "head": asdict(c.head), "channels": self.kind}
        second = {"separator": asdict(c.separator), "silent_slots": c.silent_slots}
        return Pipeline(
            [
                TaggingStage("tagger", self.fingerprint("tagger", first), tagger),
                QueriedSeparationStage(
                    "separator", self.fingerprint("separator", second), separator, revive=c.silent_slots == "queried"
                ),
            ],
            # the official system keeps sources of one class however alike they are
            Decision(max_sources=c.tracks, duplicate_correlation=None) if tuned is None else load_decision(tuned),
            facts=facts,
        )

    def part(self, role: str, name: str) -> nn.Module:
        module = new_part(name, self.config)
        if self.checkpoints is not None:
            path = self.checkpoints / CHECKPOINTS[name]
            chosen = self.settings.checkpoint_weights
            load_checkpoint(module, path, trusted=self.settings.trust_checkpoint, chosen=chosen)
            self.digests[role] = file_digest(path) if chosen is None else f"{file_digest(path)} {chosen}"
        elif self.folder is not None:
            path = self.folder / f"{role}.safetensors"
            # exported weights leave out what the sizes alone determine
            if path.is_file():  # before the tensors: a damaged file is named as such
                self.digests[role] = checked_digest(self.folder, path.name)
            tensors = {**frozen_tensors(module), **read_tensors(path, _TRAINING)}
            load_strictly(module, tensors, path=path, source=_TRAINING)
        else:
            self.digests[role] = UNTRAINED
        self.parameters.add(module)
        return module.eval().requires_grad_(False).to(self.device)

    def fingerprint(self, role: str, sizes: Mapping[str, Json]) -> dict[str, Json]:
        digest = self.digests[role]
        seed: dict[str, Json] = {"seed": self.config.seed} if digest == UNTRAINED else {}
        return {"revision": REVISION, "weights": digest, **seed, "tracks": self.config.tracks, **sizes}
