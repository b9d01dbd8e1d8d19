"""What the system is, in the words of a challenge's meta file."""

from collections.abc import Mapping
from typing import Any

from s5eval.systems.baseline.checkpoints import SOURCE
from s5eval.systems.baseline.configuration import BaselineSettings
from s5eval.systems.baseline.system import Kind, weights_folder
from s5eval.systems.card import read_card
from s5eval.systems.networks.m2d import SOURCE as M2D_SOURCE
from s5eval.systems.resources import augmentation, heard_resources, pretrained, training_facts


def describe(kind: Kind, settings: BaselineSettings) -> dict[str, str]:
    """The description fields that settings and card decide."""
    c = settings.configuration
    channels = "four channels" if kind == "4c" else "channel 0"
    fields = {
        "acoustic_features": f"{c.m2d.mels}-band log-mel spectra of {channels} (tagger); complex STFT (separator)",
        "machine_learning_method": f"M2DAT_{kind} names {c.tracks} tracks, ResUNetK, queried for them, separates them",
        "loss_function": (
            "tagger: cross-entropy over classes and silence, best assignment of tracks; separator: negative SNR of the "
            "queried sources, best assignment within a class"
        ),
        "post_processing": "none",
    }
    if settings.checkpoint_dir is not None:
        official = "as published by the challenge's baseline"
        return {
            **fields,
            "training_data": f"DCASE 2026 Task 4 development set, {official}",
            "data_augmentation": official,
        }
    folder = weights_folder(kind, settings)
    card = None if folder is None else read_card(folder)
    if card is None or not card["history"]:
        return fields
    data = training_facts(card)["data"]
    return {**fields, "training_data": "; ".join(data), "data_augmentation": augmentation(card)}


def training(kind: Kind, settings: BaselineSettings) -> dict[str, Any] | None:
    """What the card tells of the training; None: there is none."""
    folder = None if settings.checkpoint_dir is not None else weights_folder(kind, settings)
    card = None if folder is None else read_card(folder)
    return None if card is None or not card["history"] else training_facts(card)


def external_resources(kind: Kind, settings: BaselineSettings) -> tuple[Mapping[str, str | None], ...] | None:
    """Data and pre-trained models from elsewhere; None: the weights have no card that would tell."""
    if settings.checkpoint_dir is not None:
        return (
            pretrained("DCASE 2026 Task 4 baseline checkpoints", SOURCE),
            pretrained("M2D, pre-trained and fine-tuned on AudioSet", M2D_SOURCE),
        )
    folder = weights_folder(kind, settings)
    card = None if folder is None else read_card(folder)
    return None if card is None or not card["history"] else tuple(heard_resources(card))
