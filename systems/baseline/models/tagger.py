"""The audio taggers M2DAT_1c and M2DAT_4c: M2D, averaged over its tokens, and a head with a track per source.

Parameters carry the names of the published checkpoints (nttcslab/dcase2026_task4_baseline, `m2dat_1c.ckpt` and
`m2dat_4c.ckpt`).
"""

import torch
from torch import Tensor, nn

from s5eval.systems.baseline.configuration import BaselineConfiguration, HeadSizes
from s5eval.systems.baseline.models.frozen import FrozenLogMel
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.networks.sizes import M2DSizes


class _Backbone(M2D):
    """M2D with what the checkpoints hold besides it: the front end's tensors, and a normalisation that is not used."""

    def __init__(self, sizes: M2DSizes) -> None:
        super().__init__(sizes)
        self.to_spec = FrozenLogMel(sizes.mels)
        self.head_norm = nn.BatchNorm1d(sizes.width, affine=False)

    def summary(self, audio: Tensor) -> Tensor:
        """(B, T) → (B, width): the mean over all tokens."""
        tokens: Tensor = super().forward(audio)
        return tokens.mean((1, 2))


class TrackHead(nn.Module):
    """Features of a mixture → scores of every class and of silence, for each track."""

    def __init__(self, features: int, outputs: int, tracks: int, sizes: HeadSizes) -> None:
        """`features` values in; `outputs` scores for each of `tracks`."""
        super().__init__()
        wide = tracks * sizes.track
        self.m2d_out_norm = nn.BatchNorm1d(features, affine=False)
        self.linear = nn.Sequential(nn.Linear(features, wide), nn.LayerNorm(wide), nn.ReLU())
        self.tracks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(sizes.track, sizes.hidden),
                nn.LayerNorm(sizes.hidden),
                nn.ReLU(),
                nn.Linear(sizes.hidden, outputs),
            )
            for _ in range(tracks)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, features) → (B, tracks, outputs)."""
        shared = self.linear(self.m2d_out_norm(features)).unflatten(1, (len(self.tracks), -1))
        return torch.stack([track(shared[:, index]) for index, track in enumerate(self.tracks)], 1)


class Tagger1c(_Backbone):
    """M2DAT_1c: hears the first channel."""

    def __init__(self, config: BaselineConfiguration, classes: int) -> None:
        """`classes` without silence, which is one more output."""
        super().__init__(config.m2d)
        self.head = TrackHead(config.m2d.width, classes + 1, config.tracks, config.head)

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixtures (B, 4, T) at 32 kHz → logits (B, tracks, classes + 1); the last is that of silence."""
        logits: Tensor = self.head(self.summary(mixture[:, 0]))
        return logits


class Tagger4c(nn.Module):
    """M2DAT_4c: hears each channel by itself, with one M2D, and joins what it heard."""

    def __init__(self, config: BaselineConfiguration, classes: int, channels: int) -> None:
        """`classes` without silence, which is one more output; `channels` of the mixture."""
        super().__init__()
        self.m2d = _Backbone(config.m2d)
        self.head = TrackHead(channels * config.m2d.width, classes + 1, config.tracks, config.head)

    def forward(self, mixture: Tensor) -> Tensor:
        """As `Tagger1c`."""
        # The mean over tokens may come before the channels are joined: it touches every feature by itself.
        features = self.m2d.summary(mixture.flatten(0, 1)).reshape(len(mixture), -1)
        logits: Tensor = self.head(features)
        return logits


Tagger = Tagger1c | Tagger4c
