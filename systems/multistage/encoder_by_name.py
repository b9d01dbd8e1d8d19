"""Finds the encoder of frames that stages 2 and 3 are told by, for the system and for its training alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.card import trainings_of
from s5eval.systems.interface import Json
from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.af_whisper import PUBLISHED, load_af_whisper, transformers_available
from s5eval.systems.multistage.models.frame_encoders import FrameEncoder, M2DFrames, load_own
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.weight_files import checked_digest

NULL = "null embedding"
"""What stands for frame embeddings where they are wanted and there are none."""

CLUE = "frame_clue."
"""How names of the extractor's tensors begin that belong to one encoder: its projection and its null embedding."""


@dataclass(frozen=True, slots=True)
class FoundEncoder:
    """What was found.

    Attributes:
        encoder: None: the learned null embedding stands for frame embeddings.
        label: its digest; `off`, or `NULL` where it is wanted but absent.
        missing: what was wanted and is not there, and why; None: nothing.
    """

    encoder: FrameEncoder | None
    label: str
    missing: str | None = None

    def facts(self, config: MultistageConfiguration) -> dict[str, Json]:
        """What a stage's fingerprint says of it, in the words of the days before encoders had names if it is AF-Whisper
        or none: results of those days are found again.
        """
        words: dict[str, Json] = {"encoder": self.label}
        if self.encoder is not None:
            words["source"] = config.af_source
            if config.frame_encoder in PUBLISHED:
                words["pad_to_30s"] = config.pad_to_30s
        if config.frame_encoder in ("af_whisper", "none"):
            return {"af_whisper": {"requested": config.frame_encoder == "af_whisper", **words}}
        return {"frame_encoder": {"name": config.frame_encoder, **words}}


def find_encoder(
    config: MultistageConfiguration,
    *,
    folder: Path | None,
    given: Path | None,
    m2d: tuple[M2D, str],
    device: str,
    bf16: bool,
    asked: bool,
) -> FoundEncoder:
    """The encoder that the configuration names.

    Args:
        config: names it.
        folder: of weights, where recipe `encoder` has exported one; None: there is none.
        given: a copy of published weights, which precede those of `folder`.
        m2d: the classifiers' M2D and its digest.
        device: where it runs.
        bf16: compute AF-Whisper or Whisper in bfloat16.
        asked: it was asked for by name: where it is absent, that is an error and not a mark.

    Raises:
        DataError: it was asked for and is absent, or a file is missing or wrong.
        UsageError: its embeddings are not as wide as `system.clue.dimension`, or code of the user's own breaks its
            contract.
    """
    name = config.frame_encoder
    if name == "none":
        return FoundEncoder(None, "off")
    if name == "m2d":
        return _wide_enough(M2DFrames(*m2d), config)
    if name not in PUBLISHED:
        return _wide_enough(load_own(name, device), config)
    published = PUBLISHED[name]
    own = None if folder is None else folder / name
    directory = given or (own if own is not None and own.is_dir() else None)
    if directory is None or not transformers_available():
        reason, advice = (
            ("no weights of it", f"give system.{name}_weights=DIR, a copy of {published.source}")
            if directory is None
            else ("its extra is not installed", "pip install 's5eval[af-whisper]'")
        )
        if asked:
            raise DataError(f"{published.title}, which was asked for, is not there: {reason}; {advice}")
        return FoundEncoder(None, NULL, f"{published.title} ({reason})")
    if folder is not None and directory == own:
        for file in sorted(path for path in directory.iterdir() if path.is_file()):
            checked_digest(folder, str(file.relative_to(folder)))
    encoder = load_af_whisper(directory, pad_to_30s=config.pad_to_30s, device=device, bf16=bf16, name=name)
    return _wide_enough(encoder, config, f" in {directory}")


def _wide_enough(encoder: FrameEncoder, config: MultistageConfiguration, where: str = "") -> FoundEncoder:
    if encoder.dimension != config.clue.dimension:
        raise UsageError(
            f"the encoder {encoder.name}{where} gives embeddings of {encoder.dimension} values, "
            f"system.clue.dimension is {config.clue.dimension}: set it to that"
        )
    return FoundEncoder(encoder, encoder.digest)


NO_FRAMES = "none: the null embedding alone"
"""What a card says under `frame_embeddings` of an extractor that was trained without an encoder."""


def was_trained_with(folder: Path | None, extractor: str, name: str, encoder: FrameEncoder) -> bool:
    """Whether an extractor was trained on what this encoder gives, by the card of its folder.

    Extractors are made for AF-Whisper: theirs is every one of which the card does not name another encoder, or none.

    Args:
        folder: of weights; None: they are random.
        extractor: digest of the extractor's file.
        name: of the encoder, `system.frame_encoder`.
        encoder: as it is now.

    Raises:
        DataError: the card cannot be read.
    """
    entries = trainings_of(folder, extractor)
    if name == "af_whisper":
        return all("frame_encoder" not in entry and entry.get("frame_embeddings") != NO_FRAMES for entry in entries)
    return any(entry.get("frame_embeddings") == encoder.digest for entry in entries)


def has_heard(folder: Path | None, extractor: str, encoder: FrameEncoder) -> bool:
    """Whether the card of an extractor's folder does not say that it heard frames of other weights than these.

    A recipe that trains the encoder anew leaves the extractors as they were. Cards of before do not say.

    Raises:
        DataError: the card cannot be read.
    """
    told = {entry["frame_embeddings"] for entry in trainings_of(folder, extractor) if "frame_embeddings" in entry}
    return not told or encoder.digest in told


def enrollments_of(folder: Path | None, extractor: str) -> dict[str, Json] | None:
    """By what the enrollments were filtered that an extractor was trained on, by the card of its folder; None: nothing.

    Raises:
        DataError: the card cannot be read.
    """
    told = [entry.get("enrollment") for entry in trainings_of(folder, extractor)]
    return told[-1] if told else None


def own_clue(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The tensors of an extractor that belong to its encoder."""
    return {name: value for name, value in state.items() if name.startswith(CLUE)}
