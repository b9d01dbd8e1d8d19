"""An extractor that starts from the separator of stage 1: the same network with one input channel more."""

from collections.abc import Mapping

import torch
from torch import Tensor

from s5eval.data_manifests.records import MIXTURE_CHANNELS
from s5eval.systems.multistage.models.band_split import BandEncoder, input_channels
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE


def widen(tensors: Mapping[str, Tensor], extractor: DeFTMambaTSE) -> dict[str, Tensor]:
    """Weights of a separator of mixtures, as weights of an extractor, whose enrollment counts for nothing at first.

    Args:
        tensors: of a `DeFTMambaUSS` of the same sizes, or of an extractor already; those come back as they are.
        extractor: tells the shapes.

    Returns:
        The same names; weights that look at input channels have zeros for the new one. Masks have other shapes and
        stay as they are: those of an extractor begin by passing its enrollment.
    """
    own = extractor.state_dict()
    encoder = extractor.encoder.body
    maps = _places(extractor.encoder.inputs)
    result = dict(tensors)
    for name, value in tensors.items():
        if name not in own or own[name].shape == value.shape:
            continue
        wide = torch.zeros_like(own[name], dtype=value.dtype)
        if name.startswith("encoder.body.weights."):
            count, rows, width = value.shape
            inputs = input_channels(MIXTURE_CHANNELS, extractor.encoder.inputs)
            if isinstance(encoder, BandEncoder) and rows % inputs == 0 and wide.shape[::2] == value.shape[::2]:
                parts = wide.view(count, -1, rows // inputs, width)
                parts[:, maps] = value.view(count, inputs, rows // inputs, width)
                result[name] = wide
        elif name == "encoder.body.conv.weight" and wide.shape[2:] == value.shape[2:]:
            wide[:, maps] = value
            result[name] = wide
    return result


def _places(inputs: str) -> list[int]:
    """Where the maps of the mixture's channels are among those of the mixture's and the enrollment's."""
    old, new = MIXTURE_CHANNELS, MIXTURE_CHANNELS + 1
    groups = 2 if inputs == "complex" else 4
    places = [group * new + channel for group in range(groups) for channel in range(old)]
    return places[: input_channels(old, inputs)]
