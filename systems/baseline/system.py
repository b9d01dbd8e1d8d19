"""Builds the challenge's baseline: the factories behind the names `baseline-1c` and `baseline-4c`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

from torch import nn

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.systems.baseline.checkpoints import SOURCE, load_checkpoint
from s5eval.systems.baseline.configuration import BaselineConfiguration, BaselineSettings, read_settings
from s5eval.systems.baseline.models.frozen import frozen_tensors
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.models.tagger import Tagger, Tagger1c, Tagger4c
from s5eval.systems.baseline.stages import QueriedSeparationStage, TaggingStage
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Json
from s5eval.systems.networks.m2d import SOURCE as M2D_SOURCE
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.resources import trained_on
from s5eval.systems.trained_settings import missing_of
from s5eval.systems.weight_files import file_digest, joint_digest
from s5eval.systems.weights import UNTRAINED, PartLoader, check_folder, choose_folder, decision_beside, seeded

Kind = Literal["1c", "4c"]

REVISION = 2
"""Raised whenever the code changes what a stage computes from the same weights and settings."""

SHIPPED = Path(__file__).parent / "weights"
"""The weights of preset `mini` that come with the package, if they do: of `baseline-4c`."""

CHECKPOINTS = {"tagger-1c": "m2dat_1c.ckpt", "tagger-4c": "m2dat_4c.ckpt", "separator": "resunetk.ckpt"}
"""The published file of every part."""


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
    return _BaselineBuilder(kind, config, device).pipeline()


def new_part(name: str, config: BaselineConfiguration) -> nn.Module:
    """A part with random weights: `tagger-1c`, `tagger-4c` or `separator`.

    Its weights are those of `seeded`.

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
    return seeded(name, factories[name], seed=config.seed)


def weights_folder(kind: Kind, settings: BaselineSettings) -> Path | None:
    """The folder of exported weights: as given, else the shipped one; None: random weights, or checkpoints."""
    shipped = settings.preset == "mini" and kind == "4c" and settings.checkpoint_dir is None
    return choose_folder(settings.weights, SHIPPED if shipped else None)


class _BaselineBuilder:
    """Makes tagger and separator, each with its weights, and stages of them."""

    def __init__(self, kind: Kind, config: Mapping[str, Any], device: str) -> None:
        self.kind, self.name = kind, f"baseline-{kind}"
        self.settings = read_settings(config, system=self.name)
        self.config = self.settings.configuration
        self.folder = weights_folder(kind, self.settings)
        self.checkpoints = self.settings.checkpoint_dir
        wanted = self.settings.preset == "official" and self.settings.weights is None
        if wanted and self.checkpoints is None:
            raise UsageError(
                f"system {self.name!r} needs its checkpoints: `system.checkpoint_dir=FOLDER`, with "
                f"{CHECKPOINTS[f'tagger-{kind}']} and {CHECKPOINTS['separator']} from {SOURCE}. Without them: "
                "`system.preset=mini`, or `system.weights=untrained` for random weights"
            )
        self.loader = PartLoader(self.folder, device)
        check_folder("checkpoint_dir", self.checkpoints, SOURCE)

    def pipeline(self) -> Pipeline:
        tagger = cast(Tagger, self.part("tagger", f"tagger-{self.kind}"))
        separator = cast(ResUNetK, self.part("separator", "separator"))
        # the official system keeps sources of one class however alike they are
        official = Decision(max_sources=self.config.tracks, duplicate_correlation=None)
        decision, thresholds = decision_beside(self.folder, official)
        digests = self.loader.digests
        missing = missing_of(self.folder, digests, self.config.part_settings)
        facts: dict[str, Json] = {
            "system": self.name,
            "revision": REVISION,
            "preset": self.settings.preset,
            "weights": UNTRAINED if UNTRAINED in digests.values() else joint_digest(digests),
            **self.loader.parameters.facts(),
            "thresholds": thresholds,
            **({"missing_parts": cast(list[Json], missing)} if missing else {}),
        }
        if self.checkpoints is not None:
            facts["external_resources"] = [
                {"name": "DCASE 2026 Task 4 baseline checkpoints", "url": SOURCE.partition(",")[0]},
                {"name": "M2D, pre-trained and fine-tuned on AudioSet", "url": M2D_SOURCE.partition(",")[0]},
            ]
        c = self.config
        first = {"m2d": c.m2d.recorded(), "head": asdict(c.head), "channels": self.kind}
        second = {"separator": asdict(c.separator), "silent_slots": c.silent_slots}
        return Pipeline(
            [
                TaggingStage("tagger", self.fingerprint("tagger", first), tagger),
                QueriedSeparationStage(
                    "separator", self.fingerprint("separator", second), separator, revive=c.silent_slots == "queried"
                ),
            ],
            decision,
            facts=facts,
            trained_on=trained_on(self.folder),
        )

    def part(self, role: str, name: str) -> nn.Module:
        module = new_part(name, self.config)
        if self.checkpoints is None:
            path = None if self.folder is None else self.folder / f"{role}.safetensors"
            return self.loader.load(role, module, path, fixed=frozen_tensors(module))
        path = self.checkpoints / CHECKPOINTS[name]
        chosen = self.settings.checkpoint_weights
        load_checkpoint(module, path, trusted=self.settings.trust_checkpoint, chosen=chosen)
        self.loader.digests[role] = file_digest(path) if chosen is None else f"{file_digest(path)} {chosen}"
        return self.loader.settle(module)

    def fingerprint(self, role: str, sizes: Mapping[str, Json]) -> dict[str, Json]:
        digest = self.loader.digests[role]
        seed: dict[str, Json] = {"seed": self.config.seed} if digest == UNTRAINED else {}
        return {"revision": REVISION, "weights": digest, **seed, "tracks": self.config.tracks, **sizes}
