"""Batches drawn from kept slots.

What is drawn is changed a little each time, or few scenes would be learned by heart.
"""

import zlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import NO_SOURCE
from s5eval.systems.multistage.training.kept_slots import KeptSlots, SlotBatch, join
from s5eval.systems.multistage.training.multistage_recipe import SlotSettings

_DECIBEL = 0.23025850929940458  # of power, in nats
_KNOTS = 5  # of a random equalisation, from the lowest band to the highest


def draw(
    slots: KeptSlots, settings: SlotSettings, seed: int, *, first: int, last: int, rank: int = 0, ranks: int = 1
) -> Iterator[SlotBatch]:
    """One device's share of batches `first` to `last` − 1; each is the same at every attempt.

    Args:
        slots: to draw from, with replacement.
        settings: how many of each kind, and how they are varied.
        seed: of all draws.
        first: number of the first batch.
        last: number after the last.
        rank: which of the devices this is; it has every `ranks`-th slot, so that each hears some of every kind.
        ranks: how many there are.

    Raises:
        DataError: there is no slot with a source.
    """
    labels = slots.labels()
    some, none = torch.nonzero(labels >= 0)[:, 0], torch.nonzero(labels < 0)[:, 0]
    if not len(some):
        raise DataError(f"{slots.folder}: no slot has a source; raise slots.scenes or data.target_counts")
    alone = round(settings.alone * settings.batch)
    separated = settings.batch - alone
    silent = round(settings.silent * separated) if len(none) else 0
    clear = torch.arange(len(slots.alone_labels()))
    for number in range(first, last):
        torch.manual_seed(zlib.crc32(f"{seed} slots {number}".encode()))
        batch = slots.pick(torch.cat([_some_of(some, separated - silent), _some_of(none, silent)]))
        if alone:
            heard = slots.pick_alone(_some_of(clear, alone))
            if settings.mix > 0:
                heard = mix(heard, slots.pick_alone(_some_of(clear, alone)), settings.mix)
            batch = join([batch, heard])
        batch = vary(batch, settings)
        yield SlotBatch(*(column[rank::ranks] for column in batch))


def _some_of(rows: Tensor, count: int) -> Tensor:
    return rows[torch.randint(max(1, len(rows)), (count,))]


def mix(batch: SlotBatch, others: SlotBatch, chance: float) -> SlotBatch:
    """With the given chance, let a source alone share its power with another one; draws from torch's generator.

    The first one keeps a share drawn from [0.5, 1], the other has the rest (mixup, Zhang et al. 2018, on what is heard
    in place of its logarithm).
    """
    share = torch.where(torch.rand(len(batch.share)) < chance, 0.5 + 0.5 * torch.rand(len(batch.share)), 1.0)
    own, rest = (part.log().view(-1, 1, 1) for part in (share, 1.0 - share))  # the rest of a whole: −inf
    return batch._replace(
        log_mel=torch.logaddexp(batch.log_mel + own, others.log_mel + rest),
        other=torch.where(share < 1, others.labels, NO_SOURCE),
        share=share,
    )


def vary(batch: SlotBatch, settings: SlotSettings) -> SlotBatch:
    """Slots with another colour, and with bands and stretches of time hidden; draws from torch's generator.

    The colour is a random equalisation of the log-mel map, smooth over frequency, with `settings.equalise` dB as its
    standard deviation. `settings.hide` times, a band and a stretch of each map are replaced: of the log-mel map by its
    mean, of the features by zero (SpecAugment, Park et al. 2019).
    """
    features, log_mel = batch.features.clone(), batch.log_mel
    if settings.equalise > 0:
        knots = settings.equalise * _DECIBEL * torch.randn(len(log_mel), 1, _KNOTS)
        colour = F.interpolate(knots, size=log_mel.shape[1], mode="linear", align_corners=True)
        log_mel = log_mel + colour.transpose(1, 2)
    mean = log_mel.mean((1, 2), keepdim=True)
    for _ in range(settings.hide):
        for axis in (1, 2):
            log_mel = torch.where(_stretch(log_mel, axis), mean, log_mel)
        for axis in (2, 3):
            features = features.masked_fill(_stretch(features, axis), 0.0)
    return batch._replace(features=features, log_mel=log_mel)


def _stretch(values: Tensor, axis: int) -> Tensor:
    """For every item a random stretch of an axis, an eighth of it at most; broadcasts against `values`."""
    length = values.shape[axis]
    width = (torch.rand(len(values)) * length / 8).long()
    begin = (torch.rand(len(values)) * (length - width + 1)).long()
    at = torch.arange(length)
    inside = (at >= begin.unsqueeze(1)) & (at < (begin + width).unsqueeze(1))
    shape = [len(values), *[1] * (values.dim() - 1)]
    shape[axis] = length
    return inside.view(shape)
