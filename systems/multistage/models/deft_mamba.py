"""The separators: DeFT-Mamba-USS splits a mixture into objects, DeFT-Mamba-TSE extracts what its clues describe.

DeFT-Mamba: arXiv 2409.12413; front end and decoding after DeFTAN-II; clues as in arXiv 2606.24512.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE
from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.directed_objects import ChooseClusters, Directed, DirectedObjects
from s5eval.systems.multistage.models.encoder_decoder import AudioDecoder, AudioEncoder
from s5eval.systems.multistage.models.film import FrameClue, ResFiLM, TemporalFiLM
from s5eval.systems.multistage.models.hybrid import Hybrid
from s5eval.systems.networks.stft import STFT

EMBEDDING_SECONDS = 0.02
"""Distance of frame embeddings in time (Whisper's frames before pooling)."""

_QUIET = 1e-8
"""Smallest deviation that a mixture is divided by."""


@dataclass(frozen=True, slots=True)
class USSOutput:
    """What the first stage's separator gives.

    Attributes:
        foreground: (B, foreground objects, T) waveforms.
        interference: (B, interference objects, T); None when only the foreground was asked for.
        noise: (B, noise objects, T); None likewise.
        features: (B, foreground objects, D, T', F') object features for the classifier.
        map: (B, T', F', D), what all objects were decoded from.
        directed: with directions, the clusters of directions that the foreground was made of; None without.
    """

    foreground: Tensor
    interference: Tensor | None
    noise: Tensor | None
    features: Tensor
    map: Tensor
    directed: Directed | None


@dataclass(frozen=True, slots=True)
class TSEOutput:
    """The target's waveform (B, T) and its features (B, D, T', F') for the classifier."""

    estimate: Tensor
    features: Tensor


class HybridPair(nn.Module):
    """A block along frequency, then one along time."""

    def __init__(self, config: MultistageConfiguration) -> None:
        super().__init__()
        self.along_frequency = Hybrid(config.separator, config.mamba2, use_mamba=config.mamba == "both")
        self.along_time = Hybrid(config.separator, config.mamba2, use_mamba=config.mamba != "none")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, F, D) → (B, T, F, D): every frame's spectrum, then every bin's course."""
        batch, frames, bins, width = x.shape
        x = self.along_frequency(x.reshape(batch * frames, bins, width)).view(batch, frames, bins, width)
        x = self.along_time(x.transpose(1, 2).reshape(batch * bins, frames, width))
        return x.view(batch, bins, frames, width).transpose(1, 2)


def deviation(mixture: Tensor) -> Tensor:
    """Level (B, 1, 1) that a mixture (B, channels, T) is divided by, and estimates multiplied with."""
    return mixture.std((1, 2), keepdim=True, unbiased=False).clamp_min(_QUIET)


def cell_power(network: "DeFTMambaUSS | DeFTMambaTSE", audio: Tensor) -> Tensor:
    """Mean power (N, T', F') of waveforms (N, T) in the cells of a separator's map."""
    spectrum = network.stft(audio)
    return network.encoder.pool(spectrum.real.square() + spectrum.imag.square())


def set_checkpointing(network: nn.Module, enabled: bool) -> None:
    """Whether training recomputes the activations inside every hybrid block, which saves most of its memory."""
    for module in network.modules():
        if isinstance(module, Hybrid):
            module.checkpointing = enabled


class DeFTMambaUSS(nn.Module):
    """Universal sound separation: foreground, interference and noise objects of a mixture, with one shared decoder."""

    def __init__(self, config: MultistageConfiguration, channels: int = MIXTURE_CHANNELS) -> None:
        super().__init__()
        self.counts = (config.objects.foreground, config.objects.interference, config.objects.noise)
        self.width = config.separator.width
        self.time_stride = config.separator.time_stride
        self.stft = STFT(config.stft.window, config.stft.hop)
        self.encoder = AudioEncoder(channels, config)
        self.pairs = nn.ModuleList(HybridPair(config) for _ in range(config.separator.blocks))
        clusters = config.separator.directions if channels >= MIXTURE_CHANNELS else 0  # fewer tell no direction
        self.directed = DirectedObjects(self.width, clusters, self.counts[0]) if clusters else None
        fixed = sum(self.counts) - (self.counts[0] if clusters else 0)
        self.object_decoder = nn.Linear(self.width, fixed * self.width) if fixed else None
        self.audio_decoder = AudioDecoder(channels, config)

    def map(self, mixture: Tensor) -> Tensor:
        """The map (B, T', F', D) of (B, channels, T) that objects are decoded from."""
        return self._analyse(self.stft(mixture / deviation(mixture)))

    def _analyse(self, spectrum: Tensor) -> Tensor:
        x: Tensor = self.encoder(spectrum)
        for pair in self.pairs:
            x = pair(x)
        return x

    def _object(self, x: Tensor, k: int) -> Tensor:
        """Features (B, T', F', D) of the k-th object that the map is decoded to by a layer of its own."""
        layer, rows = cast(nn.Linear, self.object_decoder), slice(k * self.width, (k + 1) * self.width)
        return F.linear(x, layer.weight[rows], layer.bias[rows])

    def forward(
        self, mixture: Tensor, *, foreground_only: bool = False, choose: ChooseClusters | None = None
    ) -> USSOutput:
        """Separate (B, channels, T), any T from 1 on.

        Args:
            mixture: (B, channels, T).
            foreground_only: leave the other objects undecoded.
            choose: with directions, which cluster every foreground object is made of; None: the likeliest ones.
        """
        level = deviation(mixture)
        spectrum = self.stft(mixture / level)
        x = self._analyse(spectrum)
        directed = None if self.directed is None else self.directed(x, spectrum, self.encoder.pool, choose)
        by_clusters = 0 if directed is None else self.counts[0]
        wanted = self.counts[0] if foreground_only else sum(self.counts)
        arranged = self.audio_decoder.arrange(spectrum)
        features, waveforms = [], []
        for k in range(wanted):  # one at a time: all together would be the largest map of the network
            if directed is not None and k < by_clusters:
                feature = directed.features(k).permute(0, 3, 1, 2)
            else:
                feature = self._object(x, k - by_clusters).permute(0, 3, 1, 2)
            decoded = self.audio_decoder(feature, arranged, *spectrum.shape[2:])
            waveforms.append(self.stft.inverse(decoded, mixture.shape[-1]))
            if k < self.counts[0]:
                features.append(feature)
        audio = torch.stack(waveforms, 1) * level
        objects = torch.stack(features, 1)
        if foreground_only:
            return USSOutput(audio, None, None, objects, x, directed)
        foreground, interference, noise = torch.split(audio, list(self.counts), 1)
        return USSOutput(foreground, interference, noise, objects, x, directed)


class DeFTMambaTSE(nn.Module):
    """Target sound extraction: one source of a mixture, given an earlier estimate, its class and frame embeddings.

    The clues act after every pair of blocks, so that the last ones choose among what the network has made out. With
    masks, an untrained extractor hands its enrollment on: it begins where the stage before it ended.
    """

    def __init__(self, config: MultistageConfiguration, classes: int, channels: int = MIXTURE_CHANNELS) -> None:
        super().__init__()
        self.width = width = config.separator.width
        self.time_stride = config.separator.time_stride
        self.stft = STFT(config.stft.window, config.stft.hop)
        self.encoder = AudioEncoder(channels + 1, config)
        self.frame_clue = FrameClue(config.clue.dimension, config.clue.width)
        self.class_films = nn.ModuleList(ResFiLM(width, classes) for _ in range(config.separator.blocks))
        self.frame_films = nn.ModuleList(TemporalFiLM(config.clue.width, width) for _ in range(config.separator.blocks))
        self.pairs = nn.ModuleList(HybridPair(config) for _ in range(config.separator.blocks))
        self.audio_decoder = AudioDecoder(channels + 1, config, enrolled=True)

    def forward(
        self, mixture: Tensor, enrollment: Tensor, classes: Tensor, embeddings: Tensor | None = None
    ) -> TSEOutput:
        """Extract one source per item; slots of one mixture are items of the batch.

        Args:
            mixture: (B, channels, T).
            enrollment: (B, T), an earlier estimate of the source at its level in the mixture.
            classes: (B, classes), one-hot.
            embeddings: (B, N, dimension), one every 20 ms from time zero on; None: the learned null embedding.
        """
        level = deviation(mixture)
        spectrum = self.stft(torch.cat([mixture, enrollment.unsqueeze(1)], 1) / level)
        x = self.encoder(spectrum)
        clue = self.frame_clue(embeddings, self.positions(x.shape[1]).to(x.device), len(x))
        for class_film, frame_film, pair in zip(self.class_films, self.frame_films, self.pairs, strict=True):
            x = frame_film(class_film(pair(x), classes), clue)
        features = x.permute(0, 3, 1, 2)
        decoded = self.audio_decoder(features, self.audio_decoder.arrange(spectrum), *spectrum.shape[2:])
        estimate = self.stft.inverse(decoded, mixture.shape[-1])
        return TSEOutput(estimate * level[:, 0], features)

    def positions(self, frames: int) -> Tensor:
        """Centres of the map's frames, counted in frame embeddings (0.8 apart at hop 512 and time stride 1)."""
        centres = torch.arange(frames) * self.time_stride + (self.time_stride - 1) / 2
        return centres * (self.stft.hop / (SAMPLE_RATE * EMBEDDING_SECONDS))
