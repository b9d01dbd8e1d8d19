"""Builds the three-stage system (Kwon et al., arXiv 2606.24512): the factory behind the name `multistage`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Json, Stage
from s5eval.systems.multistage.configuration import MultistageConfiguration, MultistageSettings, read_settings
from s5eval.systems.multistage.models.af_whisper import SOURCE as AF_WHISPER
from s5eval.systems.multistage.models.af_whisper import (
    AFWhisper,
    check_dimension,
    load_af_whisper,
    transformers_available,
)
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS
from s5eval.systems.multistage.models.dpc import DualPathClassifier
from s5eval.systems.multistage.stages import Classifier, ExtractionStage, SeparationStage
from s5eval.systems.networks.m2d import M2D, SOURCE, backbone_weights
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.weight_files import joint_digest, load_strictly, read_tensors
from s5eval.systems.weights import EXPORTED, UNTRAINED, PartLoader, choose_folder, decision_beside, seeded, typed

REVISION = 5
"""Raised whenever the code changes what a stage computes from the same weights and settings."""

SHIPPED = Path(__file__).parent / "weights"
"""The weights of preset `mini` that come with the package, if they do."""

_M = TypeVar("_M", bound=nn.Module)

PARTS = {1: ("uss", "dpc1"), 2: ("tse2", "dpc2"), 3: ("tse3", "dpc3")}
"""The trained parts of every stage; a weights folder holds `<part>.safetensors` of each (`part_file`)."""


def build(config: Mapping[str, Any], device: str) -> Pipeline:
    """The system as a pipeline of one to three stages.

    Args:
        config: the `system.*` keys: `preset` (default `mini`), `weights`, `m2d_weights`, `af_whisper_weights`, and
            any key of the preset's file, nested.
        device: where the networks run.

    Raises:
        UsageError: an unknown key or an impossible value.
        DataError: a weight file is missing or wrong; names the tensor, the expected shape and the file's source.
    """
    asked = config.get("af_whisper") is True or config.get("af_whisper_weights") is not None
    return _MultistageBuilder(read_settings(config), device, asked_for_encoder=asked).pipeline()


def weights_folder(settings: MultistageSettings) -> Path | None:
    """The folder that trained weights come from: as given, else the shipped one; None: random weights."""
    return choose_folder(settings.weights, SHIPPED if settings.preset == "mini" else None)


def new_part(name: str, config: MultistageConfiguration) -> nn.Module:
    """A part with random weights: `uss`, `tse2`, `tse3`, `dpc1`, `dpc2`, `dpc3` or `m2d`.

    Its weights are those of `seeded`.
    """
    factories: dict[str, Callable[[], nn.Module]] = {
        "uss": lambda: DeFTMambaUSS(config),
        "tse": lambda: DeFTMambaTSE(config, len(CLASSES)),
        "dpc": lambda: DualPathClassifier(
            config.dpc,
            features=config.separator.width,
            rows=config.rows,
            tokens=config.m2d.width,
            classes=len(CLASSES),
        ),
        "m2d": lambda: M2D(config.m2d),
    }
    kind = name if name in factories else name.rstrip("123")
    return seeded(name, factories[kind], seed=config.seed)


def part_file(folder: Path, name: str) -> Path:
    """The file of a part in a weights folder; where there is no `tse3`, the extractor of stage 2 refines once more."""
    path = folder / f"{name}.safetensors"
    return folder / "tse2.safetensors" if name == "tse3" and not path.is_file() else path


class _MultistageBuilder:
    """Makes the parts that are needed, each with its weights, and stages of them."""

    def __init__(self, settings: MultistageSettings, device: str, *, asked_for_encoder: bool = False) -> None:
        self.asked_for_encoder = asked_for_encoder
        self.missing: list[str] = []
        self.settings, self.config, self.device = settings, settings.configuration, device
        self.folder = weights_folder(settings)
        self.loader = PartLoader(self.folder, device)
        self.shared: dict[Path, nn.Module] = {}

    def pipeline(self) -> Pipeline:
        m2d = self.m2d()
        encoder, af_whisper = self.af_whisper()
        stages: list[Stage] = [self.separation(m2d)]
        stages += [self.extraction(n, m2d, encoder, af_whisper) for n in range(2, self.config.stages + 1)]
        decision, thresholds = decision_beside(self.folder, Decision())
        digests = self.loader.digests
        trained = {name: digest for name, digest in digests.items() if name != "m2d"}
        facts: dict[str, Json] = {
            "system": "multistage",
            "revision": REVISION,
            "preset": self.settings.preset,
            "weights": UNTRAINED if self.folder is None else joint_digest(trained),
            "m2d": digests["m2d"],
            **self.loader.parameters.facts(),
            "af_whisper": af_whisper if self.config.stages > 1 else "not used by stage 1",
            "thresholds": thresholds,
            **({"missing_parts": self.missing} if self.missing else {}),
        }
        return Pipeline(stages, decision, facts=facts)

    def separation(self, m2d: M2D) -> SeparationStage:
        separator = self.part("uss", DeFTMambaUSS)
        classifier = Classifier(self.part("dpc1", DualPathClassifier), m2d)
        return SeparationStage("stage1", self.fingerprint(1, {}), self.config, separator, classifier)

    def extraction(self, n: int, m2d: M2D, encoder: AFWhisper | None, af_whisper: str) -> ExtractionStage:
        extractor = self.part(f"tse{n}", DeFTMambaTSE)
        classifier = Classifier(self.part(f"dpc{n}", DualPathClassifier), m2d)
        clue: dict[str, Json] = {"requested": self.config.af_whisper, "encoder": af_whisper}
        if encoder is not None:
            clue |= {"source": self.config.af_source, "pad_to_30s": self.config.pad_to_30s}
        extra: dict[str, Json] = {
            "clue": asdict(self.config.clue),
            "tau_skip": self.config.tau_skip,
            "af_whisper": clue,
        }
        return ExtractionStage(f"stage{n}", self.fingerprint(n, extra), self.config, extractor, classifier, encoder)

    def part(self, name: str, kind: type[_M]) -> _M:
        path = None if self.folder is None else part_file(self.folder, name)
        if path is not None and isinstance(shared := self.shared.get(path), kind):
            self.loader.digests[name] = self.loader.digest(path)  # stages that share a file share the network
            return shared
        module = self.loader.load(name, typed(new_part(name, self.config), kind), path)
        if path is not None:
            self.shared[path] = module
        return module

    def m2d(self) -> M2D:
        module = typed(new_part("m2d", self.config), M2D)
        own = None if self.folder is None else self.folder / "m2d.safetensors"
        given = self.settings.m2d_weights
        if given is not None:
            path, source = given, SOURCE
        elif own is not None and own.is_file():
            path, source = own, EXPORTED
        elif self.folder is not None:
            raise DataError(
                f"{self.folder}: the weights there need those of M2D, which are not among them: "
                f"give system.m2d_weights=FILE; get it from {SOURCE}"
            )
        else:
            return self.loader.load("m2d", module, None)
        self.loader.digests["m2d"] = self.loader.digest(path)
        tensors = backbone_weights(read_tensors(path, source), module.backbone.state_dict(), path=path)
        load_strictly(module.backbone, tensors, path=path, source=source)
        return self.loader.settle(module)

    def af_whisper(self) -> tuple[AFWhisper | None, str]:
        """The encoder, and what to call it: its digest, `off`, or `null embedding` where it is wanted but absent.

        Raises:
            DataError: it was asked for by name, and is absent; says how to get it.
        """
        if not self.config.af_whisper:
            return None, "off"
        own = None if self.folder is None else self.folder / "af_whisper"
        directory = self.settings.af_whisper_weights or (own if own is not None and own.is_dir() else None)
        if self.config.stages == 1:
            return None, "null embedding"
        if directory is None or not transformers_available():
            reason, advice = (
                ("no weights of it", f"give system.af_whisper_weights=DIR, a copy of {AF_WHISPER}")
                if directory is None
                else ("its extra is not installed", "pip install 's5eval[af-whisper]'")
            )
            if self.asked_for_encoder:
                raise DataError(f"AF-Whisper, which was asked for, is not there: {reason}; {advice}")
            self.missing.append(f"AF-Whisper ({reason})")
            return None, "null embedding"
        if directory == own:
            for file in sorted(path for path in directory.iterdir() if path.is_file()):
                self.loader.digest(file)
        encoder = load_af_whisper(
            directory,
            pad_to_30s=self.config.pad_to_30s,
            device=self.device,
            bf16=self.config.precision == "bf16",
        )
        check_dimension(encoder, self.config.clue.dimension, directory)
        self.loader.parameters.add(encoder.network, fixed=("embed_positions.weight",))
        return encoder, encoder.digest

    def fingerprint(self, stage: int, extra: Mapping[str, Json]) -> dict[str, Json]:
        # Only what changes this stage's result: not how many stages follow, nor how the scan is cut into chunks.
        c = self.config
        weights = {name: self.loader.digests[name] for name in (*PARTS[stage], "m2d")}
        mamba2 = {key: value for key, value in asdict(c.mamba2).items() if key != "chunk"}
        return {
            "revision": REVISION,
            "weights": weights,
            **({"seed": c.seed} if UNTRAINED in weights.values() else {}),
            "precision": c.precision,
            "mamba": c.mamba,
            "decoder": c.decoder,
            "stft": asdict(c.stft),
            "objects": asdict(c.objects),
            "separator": asdict(c.separator),
            "mamba2": mamba2,
            "dpc": asdict(c.dpc),
            "m2d": asdict(c.m2d),
            **extra,
        }
