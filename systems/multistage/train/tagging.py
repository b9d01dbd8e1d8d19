"""Training of the small encoders that stand in preset `mini` for published ones: a clip tagger that becomes its M2D,
and a frame tagger that becomes its AF-Whisper.

Both hear what they will hear in the system: one source with some of everything else left in it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.models.af_whisper import AFWhisper
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.multistage.models.m2d import M2D
from s5eval.systems.training.data import Batch

_LEAKS = (0.0, 0.3)
"""Least and largest amplitude that the rest of the mixture keeps; small ones are likelier."""

_AUDIBLE = 10 ** (-40 / 10)
"""Power of a frame relative to the source's loudest one from which on the source counts as sounding: −40 dB."""


def leaky_sources(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Sources as a separator delivers them.

    Returns:
        Waveforms (N, T) with part of the rest of the mixture in them, the dry sources (N, T), and classes (N,).
    """
    active = batch.active
    dry, labels = batch.targets[active], batch.labels[active]
    mixture = batch.omni.unsqueeze(1).expand(-1, active.shape[1], -1)[active]
    leak = _LEAKS[0] + (_LEAKS[1] - _LEAKS[0]) * torch.rand(len(dry), 1).square().to(dry.device)
    return dry + leak * (mixture - dry), dry, labels


class ClipTagging(nn.Module):
    """Cross-entropy of one class per source, from the mean of the tokens; the head is thrown away afterwards."""

    def __init__(self, m2d: M2D, width: int) -> None:
        super().__init__()
        self.m2d, self.head = m2d, nn.Linear(width, len(CLASSES))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`."""
        audio, _, labels = leaky_sources(batch)
        if len(labels) == 0:
            return {"classes": _nothing(self)}
        logits = self.head(self.m2d(normalise_level(audio)).mean((1, 2)))
        return {
            "classes": F.cross_entropy(logits, labels),
            "_class_accuracy": (logits.argmax(1) == labels).double().mean(),
        }


class FrameTagging(nn.Module):
    """Cross-entropy of every 20-ms frame's class, with one more for frames in which the source does not sound."""

    def __init__(self, encoder: AFWhisper) -> None:
        super().__init__()
        self.network, self.head = encoder.network, nn.Linear(encoder.dimension, len(CLASSES) + 1)
        self._encoder = (encoder,)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`."""
        audio, dry, labels = leaky_sources(batch)
        if len(labels) == 0:
            return {"classes": _nothing(self)}
        states = self._encoder[0].states(audio)
        logits = self.head(states)
        sounding = frame_activity(dry, logits.shape[1])
        target = torch.where(sounding, labels.unsqueeze(1), len(CLASSES))
        chosen = logits.argmax(-1)
        return {
            "classes": F.cross_entropy(logits.flatten(0, 1), target.flatten()),
            "_frame_accuracy": (chosen == target).double().mean(),
        }


def frame_activity(dry: Tensor, frames: int, step: int = 640, first: int = 0) -> Tensor:
    """Whether sources (N, T) sound around sample first + j·step, half a step to either side: (N, frames) booleans."""
    padded = F.pad(dry, (step // 2 - first, max(0, frames * step - dry.shape[1])))
    power = padded[:, : frames * step].reshape(len(dry), frames, step).square().mean(-1)
    sounding: Tensor = power > _AUDIBLE * power.amax(1, keepdim=True).clamp_min(1e-12)
    return sounding


def _nothing(module: nn.Module) -> Tensor:
    # no source in the batch: a loss of zero that has a gradient
    return torch.stack([parameter.sum() for parameter in module.parameters()]).sum() * 0.0
