"""Sizes of the networks of the system; the preset files alone hold their values."""

from dataclasses import dataclass
from typing import Any, Literal

from s5eval.systems.settings import recorded_without


@dataclass(frozen=True, slots=True)
class STFTSizes:
    """Window length and hop of the front end, in samples at 32 kHz."""

    window: int
    hop: int


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """What the first stage separates a mixture into."""

    foreground: int
    interference: int
    noise: int


@dataclass(frozen=True, slots=True)
class SeparatorSizes:
    """DeFT-Mamba, and the cells of the map that it works on.

    Attributes:
        width: channels D.
        blocks: N_b.
        unfold: G, neighbouring steps that one step of the gated convolution holds.
        kernel: taps of the twin convolutions.
        heads: of the attention.
        head_dim: channels of a head.
        dropout: of attention and feed-forward.
        frequency_stride: bins that the convolutional encoder merges into a cell; unused with `bands`.
        time_stride: frames that the encoder merges into a cell.
        bands: groups of (bands, bins of each), from 0 Hz up: every band is one cell with weights of its own, narrow
            where hearing is fine; bins above the last band are not decoded. Empty: the convolutional encoder.
        inputs: what the encoder sees: the spectra (`complex`), or compressed spectra with level and direction of
            intensity (`cues`).
        directions: how many clusters of directions stage 1's foreground objects are chosen from; 0: every object has
            weights of its own instead.
    """

    width: int
    blocks: int
    unfold: int
    kernel: int
    heads: int
    head_dim: int
    dropout: float
    frequency_stride: int
    time_stride: int
    bands: tuple[tuple[int, int], ...]
    inputs: Literal["complex", "cues"]
    directions: int


@dataclass(frozen=True, slots=True)
class ClueSizes:
    """Frame embeddings: their dimension as the encoder delivers it, and the width they are projected to."""

    dimension: int
    width: int


@dataclass(frozen=True, slots=True)
class FrameEncoderSizes:
    """The encoder that a preset trains in AF-Whisper's or Whisper's place, with transformers' names; unused where
    published weights are given.
    """

    num_mel_bins: int
    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    intermediate_size: int


@dataclass(frozen=True, slots=True)
class ClassifierSizes:
    """Dual-path classifier: convolutions over object features, pooling, fusion, and the two heads.

    Attributes:
        widths: channels of the convolutions.
        strides: theirs in time and frequency.
        token_rows: what becomes of M2D's tokens of one time at several frequencies: their `mean`, or all of them
            `stacked` and projected back to the width of one.
        token_peaks: over time, pool the tokens' largest values beside their mean and deviation.
        attention: width of the attention of both poolings.
        fusion: width of what both paths are joined to.
        embedding: width of ArcFace's.
        silence: width of the silence head.
        dropout: after the fusion.
        scale, margin: of ArcFace; the margin is an angle in radians.
    """

    widths: tuple[int, ...]
    strides: tuple[tuple[int, int], ...]
    token_rows: Literal["mean", "stacked"]
    token_peaks: bool
    attention: int
    fusion: int
    embedding: int
    silence: int
    dropout: float
    scale: float
    margin: float

    def recorded(self) -> dict[str, Any]:
        """Sizes as digests count them: without stacked rows and peaks they are those of earlier days."""
        return recorded_without(self, {"token_rows": "mean", "token_peaks": False})
