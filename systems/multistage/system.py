"""Builds the three-stage system (Kwon et al., arXiv 2606.24512): the factory behind the name `multistage`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.card import built_on
from s5eval.systems.decision import Decision
from s5eval.systems.interface import Json, Stage
from s5eval.systems.multistage.configuration import (
    MultistageConfiguration,
    MultistageSettings,
    asks_for_encoder,
    read_settings,
)
from s5eval.systems.multistage.encoder_by_name import (
    NULL,
    FoundEncoder,
    enrollments_of,
    find_encoder,
    has_heard,
    own_clue,
    was_trained_with,
)
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS
from s5eval.systems.multistage.models.dpc import DualPathClassifier
from s5eval.systems.multistage.part_settings import part_settings
from s5eval.systems.multistage.stages import Classifier, ExtractionStage, SeparationStage
from s5eval.systems.networks.m2d import M2D, SOURCE, backbone_weights
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.resources import trained_on
from s5eval.systems.spatial_filter import SpatialFilterStage
from s5eval.systems.trained_settings import missing_of
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
    """The system as a pipeline of one to three stages, and a spatial filter of what they end in.

    Args:
        config: the `system.*` keys: `preset` (default `mini`), `weights`, `m2d_weights`, `af_whisper_weights`,
            `whisper_weights`, and any key of the preset's file, nested.
        device: where the networks run.

    Raises:
        UsageError: an unknown key or an impossible value, or a frame encoder of the user's own breaks its contract.
        DataError: a weight file is missing or wrong; names the tensor, the expected shape and the file's source.
    """
    return _MultistageBuilder(read_settings(config), device, asked_for_encoder=asks_for_encoder(config)).pipeline()


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
            token_rows=config.m2d.rows,
            classes=len(CLASSES),
        ),
        "m2d": lambda: M2D(config.m2d),
    }
    kind = name if name in factories else name.rstrip("123")
    return seeded(name, factories[kind], seed=config.seed)


def part_file(folder: Path, name: str) -> Path:
    """The file of a part in a weights folder.

    Where there is no `tse3`, the extractor of stage 2 refines once more; where there is no `dpc3` either, and stage 3
    classifies, the classifier of stage 2 does so once more.
    """
    path = folder / f"{name}.safetensors"
    extracts_itself = (folder / "tse3.safetensors").is_file()
    if name in PARTS[3] and not extracts_itself and not path.is_file():
        return folder / f"{name.replace('3', '2')}.safetensors"
    return path


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
        found = self.encoder(m2d)
        stages: list[Stage] = [self.separation(m2d)]
        stages += [self.extraction(n, m2d, found) for n in range(2, self.config.stages + 1)]
        if (spatial := self.config.spatial_filter).share > 0:
            stages.append(SpatialFilterStage("filter", spatial, self.device, tau_skip=self.config.tau_skip))
        decision, thresholds = decision_beside(self.folder, Decision())
        digests = self.loader.digests
        heard = self.config if found.encoder is not None else replace(self.config, frame_encoder="none")
        self.missing += missing_of(self.folder, digests, lambda name: part_settings(name, heard))
        trained = {name: digest for name, digest in digests.items() if name != "m2d"}
        facts: dict[str, Json] = {
            "system": "multistage",
            "revision": REVISION,
            "preset": self.settings.preset,
            "weights": UNTRAINED if self.folder is None else joint_digest(trained),
            "m2d": digests["m2d"],
            **self.loader.parameters.facts(),
            **self.named(found.label if self.config.stages > 1 else "not used by stage 1"),
            "thresholds": thresholds,
            **({"missing_parts": self.missing} if self.missing else {}),
        }
        return Pipeline(stages, decision, facts=facts, trained_on=trained_on(self.folder))

    def separation(self, m2d: M2D) -> SeparationStage:
        separator = self.part("uss", DeFTMambaUSS)
        classifier = self.classifier("dpc1", m2d)
        return SeparationStage("stage1", self.fingerprint(1, {}), self.config, separator, classifier)

    def extraction(self, n: int, m2d: M2D, found: FoundEncoder) -> ExtractionStage:
        trained = self.is_trained(f"tse{n}", found)
        self.check_enrollment(f"tse{n}")
        extractor = self.part(f"tse{n}", DeFTMambaTSE, own=None if trained else own_clue)
        classifier = None
        if self.config.classifies(n):
            classifier = self.classifier(f"dpc{n}", m2d)
        filtered = self.config.spatial_filter.of_enrollments()
        enrollment: dict[str, Json] = {} if filtered is None else {"enrollment": filtered.fingerprint()}
        extra: dict[str, Json] = {
            "clue": asdict(self.config.clue),
            "tau_skip": self.config.tau_skip,
            **enrollment,
            **found.facts(self.config),
            **({} if trained else {"projection": f"untrained, seed {self.config.seed}"}),
        }
        stage = self.fingerprint(n, extra)
        return ExtractionStage(f"stage{n}", stage, self.config, extractor, classifier, found.encoder)

    def is_trained(self, name: str, found: FoundEncoder) -> bool:
        """Whether an extractor's projection of frame embeddings was trained on those of the encoder that there is.

        AF-Whisper's is taken as it is where the card names neither another nor none: extractors are made for it, and
        one of other weights is a mark alone. That of another encoder has to be on the card; where it is not, a random
        one takes its place, and that is a mark.
        """
        named = self.config.frame_encoder
        path = None if self.folder is None else part_file(self.folder, name)
        if found.encoder is None or (path is None and named == "af_whisper"):
            return True
        if path is not None and was_trained_with(self.folder, self.loader.digest(path), named, found.encoder):
            if not has_heard(self.folder, self.loader.digest(path), found.encoder):
                self.note("an extractor trained on the frames of this AF-Whisper")
            return True
        self.note(f"a trained projection of frames of {named}")
        return False

    def classifier(self, name: str, m2d: M2D) -> Classifier:
        """A classifier, with a note where it was trained on another M2D: it hears through one that it does not know."""
        if self.folder is not None:
            known = built_on(self.folder, self.loader.digest(part_file(self.folder, name)), "m2d")
            if known and self.loader.digests["m2d"] not in known:
                self.note("a classifier trained on this M2D")
        return Classifier(self.part(name, DualPathClassifier), m2d)

    def note(self, missing: str) -> None:
        """Note what is missing, once."""
        if missing not in self.missing:
            self.missing.append(missing)

    def check_enrollment(self, name: str) -> None:
        """Note an extractor that is told enrollments of another kind than it was trained on: that costs 0.7 dB."""
        if self.folder is None:
            return
        trained = enrollments_of(self.folder, self.loader.digest(part_file(self.folder, name)))
        filtered = self.config.spatial_filter.of_enrollments()
        kind = "enrollments as they are" if filtered is None else "enrollments filtered like these"
        if trained != (filtered and filtered.recorded()):
            self.note(f"an extractor trained on {kind}")

    def part(
        self, name: str, kind: type[_M], *, own: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None
    ) -> _M:
        """A part with the weights of its file; `own`: which of its random ones it keeps."""
        path = None if self.folder is None else part_file(self.folder, name)
        if path is not None and isinstance(shared := self.shared.get(path), kind):
            self.loader.digests[name] = self.loader.digest(path)  # stages that share a file share the network
            return shared
        made = typed(new_part(name, self.config), kind)
        module = self.loader.load(name, made, path, kept=None if own is None else own(made.state_dict()))
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
                f"{self.folder}: the weights there need those of M2D, which are not among them: {self._m2d_from()}"
            )
        else:
            return self.loader.load("m2d", module, None)
        self.loader.digests["m2d"] = self.loader.digest(path)
        tensors = backbone_weights(read_tensors(path, source), module.backbone.state_dict(), path=path)
        load_strictly(module.backbone, tensors, path=path, source=source)
        return self.loader.settle(module)

    def _m2d_from(self) -> str:
        """Where weights of M2D come from: those of preset `mini` are none of the published ones, whose sizes differ."""
        if self.settings.preset == "mini":
            return "`s5eval train mini/m2d` exports them there; or give `system.m2d_weights=FILE` of the same sizes"
        return f"give `system.m2d_weights=FILE`; get it from {SOURCE}"

    def encoder(self, m2d: M2D) -> FoundEncoder:
        """The frame encoder, which stage 1 does without. Raises `DataError` where it was asked for and is absent."""
        if self.config.stages == 1:
            return FoundEncoder(None, "off" if self.config.frame_encoder == "none" else NULL)
        found = find_encoder(
            self.config,
            folder=self.folder,
            given=self.settings.encoder_weights(),
            m2d=(m2d, self.loader.digests["m2d"]),
            device=self.device,
            bf16=self.config.precision == "bf16",
            asked=self.asked_for_encoder,
        )
        if found.missing is not None:
            self.missing.append(found.missing)
        if found.encoder is not None and found.encoder.network is not None:
            self.loader.parameters.add(found.encoder.network, fixed=found.encoder.fixed)
        return found

    def named(self, label: str) -> dict[str, Json]:
        """The encoder in the system's fingerprint, in the word that AF-Whisper has there."""
        name = self.config.frame_encoder
        return {"af_whisper": label} if name in ("af_whisper", "none") else {"frame_encoder": f"{name}, {label}"}

    def fingerprint(self, stage: int, extra: Mapping[str, Json]) -> dict[str, Json]:
        # Only what changes this stage's result: not how many stages follow, nor how the scan is cut into chunks.
        c = self.config
        names = (*PARTS[stage], "m2d") if c.classifies(stage) else PARTS[stage][:1]
        weights = {name: self.loader.digests[name] for name in names}
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
            "dpc": c.dpc.recorded(),
            "m2d": c.m2d.recorded(),
            **extra,
        }
