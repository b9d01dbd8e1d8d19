"""M2D-DPC, the dual-path classifier: the separator's object features beside M2D's tokens of the waveform.

Dual-path classification: arXiv 2509.15899, 2606.24512. Pooling: attentive statistics (Okabe et al., 2018).
Class head: ArcFace (Deng et al., 2019).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.multistage.sizes import ClassifierSizes
from s5eval.systems.networks.precision import at_least_float32

TARGET_RMS = 10.0 ** (-26.0 / 20.0)
"""Level, re full scale, at which waveforms are shown to pretrained encoders: −26 dB."""

_GAIN_LIMIT = 10.0 ** (40.0 / 20.0)
_SILENT = 1e-6


@dataclass(frozen=True, slots=True)
class DPCOutput:
    """What the classifier says of B slots.

    Attributes:
        logits: (B, classes), with ArcFace's margin where labels were given.
        plain: (B, classes), without it.
        embeddings: (B, E), of unit length.
        silence: (B,), logit of silence.
    """

    logits: Tensor
    plain: Tensor
    embeddings: Tensor
    silence: Tensor


def normalise_level(audio: Tensor) -> Tensor:
    """Scale (B, T) to −26 dB RMS, by at most 40 dB up or down; audio below 1e-6 becomes silence."""
    rms = audio.square().mean(-1, keepdim=True).sqrt()
    gain = (TARGET_RMS / rms.clamp_min(1e-12)).clamp(1 / _GAIN_LIMIT, _GAIN_LIMIT)
    return torch.where(rms < _SILENT, torch.zeros_like(audio), audio * gain)


def relative_level(audio: Tensor, mixture: Tensor) -> Tensor:
    """Level (B,) of (B, T) relative to the mixtures (B, channels, T)' first channel, in tens of dB, at least −10."""
    rms = audio.square().mean(-1).sqrt()
    reference = mixture[:, 0].square().mean(-1).sqrt().clamp_min(1e-12)
    return 2.0 * torch.log10((rms / reference).clamp_min(1e-5))


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by learned attention; with `peaks` the largest value, too."""

    def __init__(self, width: int, hidden: int, *, peaks: bool = False) -> None:
        super().__init__()
        self.peaks = peaks
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, width) → (B, 2·width), with `peaks` (B, 3·width)."""
        weight = self.score(x).softmax(1)
        mean = (weight * x).sum(1)
        variance = (weight * (x - mean.unsqueeze(1)).square()).sum(1)
        statistics = [mean, (variance + 1e-6).sqrt()]
        return torch.cat([*statistics, x.amax(1)] if self.peaks else statistics, -1)


class ArcFace(nn.Module):
    """Scaled cosines to class directions, with an additive angular margin for the true class in training."""

    def __init__(self, width: int, classes: int, scale: float, margin: float) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.weight = nn.Parameter(torch.empty(classes, width))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B, classes) of unit-length embeddings (B, width); with `labels` (B,), those for training.

        Where the margin would turn the angle beyond π, the cosine is lowered by margin·sin(margin) instead, so that
        the logit stays monotonic.
        """
        cosine = F.linear(at_least_float32(embeddings), F.normalize(at_least_float32(self.weight), dim=-1))
        if labels is None:
            return self.scale * cosine
        true = cosine.gather(1, labels.unsqueeze(1))
        sine = (1.0 - true.square()).clamp_min(1e-12).sqrt()
        turned = true * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = true < math.cos(math.pi - self.margin)
        turned = torch.where(beyond, true - self.margin * math.sin(self.margin), turned)
        return self.scale * cosine.scatter(1, labels.unsqueeze(1), turned)


class DualPathClassifier(nn.Module):
    """Which class an object is, and whether there is one at all."""

    def __init__(
        self, sizes: ClassifierSizes, *, features: int, rows: int, tokens: int, token_rows: int, classes: int
    ) -> None:
        """Width and rows F' of the object features, width and rows of the M2D tokens, and the number of classes."""
        super().__init__()
        layers: list[nn.Module] = []
        width = features
        for wide, (time_stride, frequency_stride) in zip(sizes.widths, sizes.strides, strict=True):
            layers += [
                nn.Conv2d(width, wide, 3, stride=(time_stride, frequency_stride), padding=1),
                nn.GroupNorm(1, wide),
                nn.SiLU(),
            ]
            width, rows = wide, -(-rows // frequency_stride)
        layers.append(nn.Conv2d(width, width, (1, rows)))  # not a mean: at which frequency something is tells classes
        self.object_path = nn.Sequential(*layers)
        self.object_pooling = AttentiveStatistics(width, sizes.attention)
        stacked = sizes.token_rows == "stacked"
        self.token_norm = nn.LayerNorm(token_rows * tokens if stacked else tokens)
        self.token_rows = nn.Sequential(nn.Linear(token_rows * tokens, tokens), nn.ReLU()) if stacked else None
        self.token_pooling = AttentiveStatistics(tokens, sizes.attention, peaks=sizes.token_peaks)
        self.fusion = nn.Sequential(
            nn.Linear(2 * width + (3 if sizes.token_peaks else 2) * tokens, sizes.fusion),
            nn.LayerNorm(sizes.fusion),
            nn.SiLU(),
            nn.Dropout(sizes.dropout),
        )
        self.embedding = nn.Sequential(nn.Linear(sizes.fusion, sizes.embedding), nn.LayerNorm(sizes.embedding))
        self.arcface = ArcFace(sizes.embedding, classes, sizes.scale, sizes.margin)
        self.silence = nn.Sequential(nn.Linear(sizes.fusion + 1, sizes.silence), nn.SiLU(), nn.Linear(sizes.silence, 1))

    def forward(self, features: Tensor, tokens: Tensor, level: Tensor, labels: Tensor | None = None) -> DPCOutput:
        """Classify.

        Args:
            features: (B, D, T', F') of the separator; detach or scale their gradient outside.
            tokens: (B, rows, columns, width) of M2D, for `normalise_level` of the waveform.
            level: (B,) of `relative_level`: it lets the silence head see that next to nothing came out.
            labels: (B,) true classes, for training: the logits then carry ArcFace's margin.
        """
        objects = self.object_pooling(self.object_path(features).squeeze(-1).transpose(1, 2))
        semantics = self.token_pooling(self._columns(tokens))
        fused = self.fusion(torch.cat([objects, semantics], -1))
        embeddings = F.normalize(at_least_float32(self.embedding(fused)), dim=-1)
        silence = self.silence(torch.cat([fused, level.unsqueeze(-1).to(fused.dtype)], -1)).squeeze(-1)
        plain = self.arcface(embeddings)
        logits = plain if labels is None else self.arcface(embeddings, labels)
        return DPCOutput(cast(Tensor, logits), cast(Tensor, plain), embeddings, at_least_float32(silence))

    def _columns(self, tokens: Tensor) -> Tensor:
        """One vector for every time, (B, columns, width)."""
        if self.token_rows is None:
            return cast(Tensor, self.token_norm(tokens.mean(1)))
        return cast(Tensor, self.token_rows(self.token_norm(tokens.transpose(1, 2).flatten(2))))
