"""Training of the small encoders that stand in preset `mini` for published ones: a tagger of clips that becomes its
M2D, and one of frames that becomes its AF-Whisper.

Both hear what they will hear in the system: one source with some, or all, of everything else left in it, or what a
mask lets through. They learn every class that sounds, and how much of it is left: in step with sound event detection,
by frames.
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.multistage.models.af_whisper import AFWhisper
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.networks.stft import STFT
from s5eval.systems.training.batches import Batch

_AUDIBLE = 10 ** (-40 / 10)
"""Power of a frame relative to the source's loudest one from which on the source counts as sounding: −40 dB."""

_WINDOW = 1024
_BLURS = (1, 3, 5)
"""Cells, in time and in frequency, over which a mask may be blurred."""

_MEL_HOP = 320
_EMBEDDING_HOP = 640


class Blends(NamedTuple):
    """Waveforms of a batch of B scenes with K slots each.

    Attributes:
        audio: (N, T).
        shares: (N, K), how much (0 … 1) of every slot of its scene is in a waveform; of a masked mixture, how much the
            mask leaks of the other slots where they are alone.
        scene: (N,), which scene it is of.
        own: (N,), the slot it is a blend of; −1 for a mixture.
    """

    audio: Tensor
    shares: Tensor
    scene: Tensor
    own: Tensor


def blended_sources(batch: Batch) -> Blends:
    """Sources as separators of all qualities deliver them, and the mixtures as they are.

    To about half of the sources, the rest of the mixture is added at an amplitude drawn from [0, 1]; for the others
    the mixture is masked, and the mask leaks as much. Every mixture comes last.
    """
    scene, slot = torch.nonzero(batch.active, as_tuple=True)
    dry = batch.targets[scene, slot]
    leak = torch.rand(len(scene), 1).to(dry.device)
    masked = torch.nonzero(torch.rand(len(scene)).to(dry.device) < 0.5)[:, 0]
    shares = leak.expand(-1, batch.active.shape[1]).scatter(1, slot.unsqueeze(1), 1.0)
    every = torch.arange(len(batch.omni), device=scene.device)
    blended = dry + leak * (batch.omni[scene] - dry)
    if len(masked):
        blended[masked] = masked_mixtures(dry[masked], batch.omni[scene[masked]], leak[masked])
    return Blends(
        torch.cat([blended, batch.omni]),
        torch.cat([shares, torch.ones_like(batch.labels, dtype=shares.dtype)]),
        torch.cat([scene, every]),
        torch.cat([slot, torch.full_like(every, -1)]),
    )


def masked_mixtures(dry: Tensor, mixture: Tensor, leak: Tensor) -> Tensor:
    """What masks let through: the source's share of the power, to a power drawn for every source from [0.3, 1.5].

    Source and rest are blurred before, all of a batch alike.

    Args:
        dry: (N, T), the sources.
        mixture: (N, T), what they are masked out of.
        leak: (N, 1), amplitude of what the mask should hold back.

    Returns:
        (N, T).
    """
    stft = STFT(_WINDOW, _WINDOW // 2).to(dry.device)
    heard, own = stft(mixture), stft(dry)
    power, rest = own.abs().square(), (heard - own).abs().square()
    blur = int(torch.randint(0, len(_BLURS), ()))
    smooth = functools.partial(
        F.avg_pool2d, kernel_size=_BLURS[blur], stride=1, padding=_BLURS[blur] // 2, count_include_pad=False
    )
    power, rest = smooth(power), smooth(rest)
    exponent = 0.3 + 1.2 * torch.rand(len(dry), 1, 1).to(dry.device)
    mask = (power / (power + rest).clamp_min(1e-12)).clamp(0.0, 1.0) ** exponent
    mask = mask + leak.unsqueeze(-1) * (1.0 - mask)
    return stft.inverse(heard * mask, dry.shape[1])


def tagging_terms(logits: Tensor, batch: Batch, blends: Blends, *, step: int, first: int) -> dict[str, Tensor]:
    """Binary cross-entropy of the classes that sound in every frame, summed over classes.

    Args:
        logits: (N, frames, classes).
        batch: the scenes.
        blends: what was heard.
        step: samples between frames.
        first: sample at which the first frame is centred.

    Returns:
        The loss, and the share of frames with the waveform's own source in which its class is the likeliest; NaN where
        there is no such frame.
    """
    frames, slots = logits.shape[1], batch.labels.shape[1]
    sounding = frame_activity(batch.targets.flatten(0, 1), frames, step, first).view(-1, slots, frames)
    sounding = (sounding & batch.active.unsqueeze(-1))[blends.scene]
    labels = batch.labels[blends.scene]
    classes = F.one_hot(labels.clamp_min(0), len(CLASSES)).to(logits.dtype)
    heard = sounding.to(logits.dtype) * blends.shares.unsqueeze(-1)
    wanted = torch.einsum("nkt,nkc->ntc", heard, classes).clamp_max(1.0)
    loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(-1).mean()
    row = torch.nonzero(blends.own >= 0)[:, 0]
    there = sounding[row, blends.own[row]]
    right = logits[row].argmax(-1) == labels[row, blends.own[row]].unsqueeze(-1)
    return {"classes": loss, "_frame_accuracy": (right & there).double().sum() / there.sum()}


class ClipTagging(nn.Module):
    """A linear head on the mean of every column of tokens; it is thrown away afterwards."""

    def __init__(self, m2d: M2D, width: int) -> None:
        super().__init__()
        self.m2d, self.head = m2d, nn.Linear(width, len(CLASSES))
        self.patch = m2d.backbone.patch

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`."""
        blends = blended_sources(batch)
        logits = self.head(self.m2d(normalise_level(blends.audio)).mean(1))
        return tagging_terms(logits, batch, blends, step=self.patch * _MEL_HOP, first=(self.patch - 1) * _MEL_HOP // 2)


class FrameTagging(nn.Module):
    """A linear head on every 20-ms frame; it is thrown away afterwards."""

    def __init__(self, encoder: AFWhisper) -> None:
        super().__init__()
        self.network, self.head = encoder.network, nn.Linear(encoder.dimension, len(CLASSES))
        self._encoder = (encoder,)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As `SeparationTask.forward`."""
        blends = blended_sources(batch)
        logits = self.head(self._encoder[0].states(blends.audio))
        return tagging_terms(logits, batch, blends, step=_EMBEDDING_HOP, first=0)


def frame_activity(dry: Tensor, frames: int, step: int = 640, first: int = 0) -> Tensor:
    """Whether sources (N, T) sound around sample first + j·step, half a step to either side: (N, frames) booleans."""
    padded = F.pad(dry, (step // 2 - first, max(0, frames * step - dry.shape[1])))
    power = padded[:, : frames * step].reshape(len(dry), frames, step).square().mean(-1)
    sounding: Tensor = power > _AUDIBLE * power.amax(1, keepdim=True).clamp_min(1e-12)
    return sounding
