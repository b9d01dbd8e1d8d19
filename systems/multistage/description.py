"""What the system is, in the words of a challenge's meta file."""

from collections.abc import Mapping
from typing import Any

from s5eval.systems.card import lineage_of, read_card
from s5eval.systems.multistage.configuration import MultistageSettings
from s5eval.systems.multistage.models.af_whisper import PUBLISHED
from s5eval.systems.multistage.system import part_file, weights_folder
from s5eval.systems.networks.m2d import SOURCE as M2D_SOURCE
from s5eval.systems.resources import augmentation, heard_resources, pretrained, training_facts
from s5eval.systems.spatial_filter import SpatialFilterSettings
from s5eval.systems.weight_files import file_digest


def describe(settings: MultistageSettings, *, with_encoder: bool) -> dict[str, str]:
    """The description fields that settings and card decide.

    Args:
        settings: of the system.
        with_encoder: whether its stages 2 and 3 have an encoder of frames.
    """
    c = settings.configuration
    encoder = "M2D" if c.m2d.depth else "convolutions in the place of M2D's transformer"
    stages = [
        f"stage 1: DeFT-Mamba-USS, {c.objects.foreground} foreground objects, {encoder} with a dual-path classifier "
        "(M2D-DPC)"
    ]
    of = {"af_whisper": "", "whisper": " of Whisper", "m2d": " of M2D"}.get(c.frame_encoder, f" of {c.frame_encoder}")
    clue = f", frame embeddings{of}" if with_encoder else ""
    if c.stages > 1:
        later = "stage 2" if c.stages == 2 else "stages 2 and 3"
        waveform = "waveform, spatially filtered" if c.spatial_filter.enrollment else "waveform"
        by = "M2D-DPC" if c.classifiers >= c.stages else f"M2D-DPC as far as stage {c.classifiers}"
        stages.append(f"{later}: DeFT-Mamba-TSE, guided by the stage before ({waveform}, class{clue}), and {by}")
    if c.separator.inputs == "cues":
        features = "compressed complex spectra with level and direction of intensity"
    else:
        features = "complex spectra"
    mels = f"{c.m2d.mels}-band log-mel spectra for M2D"
    return {
        "acoustic_features": f"{features} (STFT of {c.stft.window} samples, hop {c.stft.hop}); {mels}",
        "machine_learning_method": "; ".join(stages),
        "loss_function": (
            f"separation: source-aggregated SDR{_of_mini(settings, ' and SNR')} over assigned slots"
            f"{_behind_filter(settings)}{_of_mini(settings, ', segmentation of cells')}; classes: cross-entropy with "
            "an additive angular margin; silence: binary cross-entropy"
        ),
        "post_processing": _post_processing(c.spatial_filter),
        **from_card(settings),
    }


def _of_mini(settings: MultistageSettings, term: str) -> str:
    """A term that the recipes of `mini` have and those of `paper` have not."""
    return term if settings.preset == "mini" else ""


def _behind_filter(settings: MultistageSettings) -> str:
    """Of the extractors that the system has, and of what they were begun from."""
    folder = weights_folder(settings)
    if folder is None:
        return ""
    files = {part_file(folder, f"tse{stage}") for stage in range(2, settings.configuration.stages + 1)}
    digests = [file_digest(path) for path in sorted(files) if path.is_file()]
    if not any("loss_filtered" in entry for digest in digests for entry in lineage_of(folder, digest, "tse")):
        return ""
    return ", in part of what the spatial filter makes of them"


def _post_processing(settings: SpatialFilterSettings) -> str:
    if not settings.share:
        return "none"
    return (
        f"multichannel Wiener filter of the mixture by masks of the estimates ({settings.window} samples), "
        f"{settings.share:g} of it and {1 - settings.share:g} of the estimate"
    )


def _card(settings: MultistageSettings) -> dict[str, Any] | None:
    """The card of the weights; None: there is none, or it tells of no training."""
    folder = weights_folder(settings)
    card = None if folder is None else read_card(folder)
    return card if card is not None and card["history"] else None


def from_card(settings: MultistageSettings) -> dict[str, str]:
    """`training_data` and `data_augmentation`, where there is a card."""
    if (card := _card(settings)) is None:
        return {}
    data = training_facts(card)["data"]
    return {"training_data": "; ".join(data), "data_augmentation": augmentation(card)}


def training(settings: MultistageSettings) -> dict[str, Any] | None:
    """What the card tells of the training; None: there is none."""
    card = _card(settings)
    return None if card is None else training_facts(card)


def external_resources(settings: MultistageSettings) -> tuple[Mapping[str, str | None], ...] | None:
    """Data and pre-trained models from elsewhere; None: the weights have no card that would tell."""
    models: list[Mapping[str, str | None]] = []
    if settings.m2d_weights is not None:
        models.append(pretrained("M2D, pre-trained and fine-tuned on AudioSet", M2D_SOURCE))
    if settings.encoder_weights() is not None:
        published = PUBLISHED[settings.configuration.frame_encoder]
        models.append(pretrained(published.title, published.source))
    if (card := _card(settings)) is None:
        return None
    return (*models, *heard_resources(card))
