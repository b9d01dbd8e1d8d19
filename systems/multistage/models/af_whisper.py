"""AF-Whisper, the audio encoder of Audio Flamingo 3 (arXiv 2507.08128), as a source of frame embeddings, and Whisper's.

Architecture and weights are transformers' `AudioFlamingo3Encoder` (extra `af-whisper`), which is Whisper's encoder
(Radford et al., arXiv 2212.04356) with a pooling at its end. The last layer's states are taken before that pooling to
40 ms: one embedding every 20 ms, frame j centred at 20·j ms.
"""

import importlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.multistage.models.sharded_files import encoder_shards, read_json_of, read_shard
from s5eval.systems.networks.mel import WhisperLogMel
from s5eval.systems.weight_files import file_digest, joint_digest, load_strictly

RATE = 16_000
"""Sample rate of the encoder in Hz."""

_WINDOW = 30 * RATE
_ACTIVATION = "activation_function"

SOURCE = "https://huggingface.co/nvidia/audio-flamingo-3-hf (NVIDIA OneWay Noncommercial licence)"
"""Where the published weights of AF-Whisper come from."""


@dataclass(frozen=True, slots=True)
class Published:
    """Encoders of this architecture that somebody has published.

    Attributes:
        title: how they are called.
        source: where their weights come from.
        model_type: what `config.json` calls the whole model.
        towers: what may precede the encoder's names in its files.
        names: the sizes that `config.json` has under other names than ours → those names.
        hears_padding: it was trained to attend to the silence that fills 30 s up, as plain Whisper was.
    """

    title: str
    source: str
    model_type: str
    towers: tuple[str, ...]
    names: Mapping[str, str]
    hears_padding: bool


PUBLISHED: Mapping[str, Published] = {
    "af_whisper": Published("AF-Whisper", SOURCE, "audioflamingo3", ("audio_tower.",), {}, hears_padding=False),
    "whisper": Published(
        "Whisper",
        "https://huggingface.co/openai/whisper-large-v3 (Apache-2.0), or another size",
        "whisper",
        ("model.encoder.", "encoder."),
        {
            "hidden_size": "d_model",
            "num_hidden_layers": "encoder_layers",
            "num_attention_heads": "encoder_attention_heads",
            "intermediate_size": "encoder_ffn_dim",
        },
        hears_padding=True,
    ),
}
"""By the word that `system.frame_encoder` has for them."""


class AFWhisper:
    """A frozen encoder, ready to embed."""

    def __init__(
        self, encoder: nn.Module, digest: str, *, pad_to_30s: bool, device: str = "cpu", name: str = "af_whisper"
    ) -> None:
        """Take an `AudioFlamingo3Encoder`; `digest` identifies its weights, `name` is its word in `PUBLISHED`.

        `pad_to_30s`: always feed 30 s as in training of the published weights; False: as long as the audio is.
        """
        config = cast(Any, encoder).config
        self.name = name
        self.fixed: tuple[str, ...] = ("embed_positions.weight",)
        self.digest, self.pad_to_30s = digest, pad_to_30s
        self.dimension = int(config.hidden_size)
        self.network = encoder.eval().requires_grad_(False).to(device)
        self._positions = int(config.max_source_positions)
        self._mel = WhisperLogMel(int(config.num_mel_bins)).to(device)
        cast(Any, self.network).avg_pooler = nn.Identity()

    @torch.no_grad()
    def embed(self, audio: Tensor) -> Tensor:
        """(B, T) at 32 kHz → float32 (B, ceil(T / 640), dimension); longer audio is embedded 30 s at a time.

        The level says nothing: every signal is first brought to the one that `normalise_level` gives, as a whole.
        """
        return self.states(audio)

    def states(self, audio: Tensor) -> Tensor:
        """As `embed`, with gradients of the network where it is trained."""
        narrow = normalise_level(resample(audio))
        pieces = [self._encode(narrow[:, first : first + _WINDOW]) for first in range(0, narrow.shape[1], _WINDOW)]
        return torch.cat(pieces, 1)

    def macs(self, length: int) -> float:
        """Multiply-adds for one signal of `length` samples at 32 kHz, projections and attention, from the sizes."""
        config = cast(Any, self.network).config
        total = 0.0
        for first in range(0, -(-length // 2), _WINDOW):
            frames = self._frames(min(_WINDOW, -(-length // 2) - first))
            positions = self._fed(frames)
            width, inner = self.dimension, int(config.intermediate_size)
            layer = 4 * width * width + 2 * width * inner + 2 * positions * width
            front = 3 * (2 * int(config.num_mel_bins) * width + width * width)
            total += positions * (front + int(config.num_hidden_layers) * layer)
        return total

    @staticmethod
    def _frames(length: int) -> int:
        return -(-length // (RATE // 50))

    def _fed(self, frames: int) -> int:
        return self._positions if self.pad_to_30s else min(frames, self._positions)

    def _encode(self, audio: Tensor) -> Tensor:
        frames = self._frames(audio.shape[1])
        positions = self._fed(frames)
        padded = nn.functional.pad(audio, (0, positions * (RATE // 50) - audio.shape[1]))
        mel = self._mel(padded)
        network = cast(Any, self.network)
        table = network.embed_positions
        mask = torch.ones(mel.shape[0], mel.shape[2], dtype=torch.long, device=mel.device)
        if not PUBLISHED[self.name].hears_padding:
            mask[:, 2 * frames :] = 0
        # The encoder adds its whole table of positions; for shorter input it is shortened.
        network.embed_positions = cast(Any, nn.Embedding).from_pretrained(table.weight[:positions])
        try:
            states = network(input_features=mel.to(table.weight.dtype), input_features_mask=mask).last_hidden_state
        finally:
            network.embed_positions = table
        return cast(Tensor, states[:, :frames].float())


def resample(audio: Tensor) -> Tensor:
    """(B, T) at 32 kHz → (B, ceil(T / 2)) at 16 kHz, band-limited."""
    samples = soxr.resample(audio.float().cpu().numpy().T, SAMPLE_RATE, RATE)
    wanted = -(-audio.shape[1] // 2)
    samples = np.pad(samples[:wanted], ((0, max(0, wanted - len(samples))), (0, 0)))
    return torch.from_numpy(np.ascontiguousarray(samples.T)).to(audio.device)


def transformers_available() -> bool:
    """Whether the extra `af-whisper` is installed and has the encoder."""
    try:
        return hasattr(importlib.import_module("transformers"), "AudioFlamingo3Encoder")
    except ImportError:
        return False


def new_af_whisper(sizes: Mapping[str, int], name: str = "af_whisper") -> AFWhisper:
    """An encoder with random weights, to be trained: an `AudioFlamingo3EncoderConfig` with these keys; `name` as for
    `AFWhisper`.

    Raises:
        DataError: transformers is not installed.
    """
    if not transformers_available():
        raise DataError("this needs transformers' AudioFlamingo3Encoder: pip install 's5eval[af-whisper]'")
    transformers = importlib.import_module("transformers")
    network = transformers.AudioFlamingo3Encoder(transformers.AudioFlamingo3EncoderConfig(**sizes))
    table = network.embed_positions.weight
    table.data.copy_(_sinusoids(*table.shape))
    encoder = AFWhisper(network, "untrained", pad_to_30s=False, name=name)
    encoder.network.requires_grad_(True).train()
    table.requires_grad_(False)  # fixed, as in the published encoder
    return encoder


def _sinusoids(length: int, width: int) -> Tensor:
    """Whisper's table of positions (Radford et al., arXiv 2212.04356)."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length).unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def write_sizes(encoder: nn.Module, directory: Path) -> Path:
    """Write `config.json`, which `load_af_whisper` reads beside `model.safetensors`; returns where it is."""
    content = cast(Any, encoder).config.to_dict()
    path = directory / "config.json"
    write_atomically(path, json.dumps(content, indent=1) + "\n")
    return path


def load_af_whisper(
    directory: Path, *, pad_to_30s: bool, device: str, bf16: bool, name: str = "af_whisper"
) -> AFWhisper:
    """Load the encoder from a local copy of the published model, or from a folder that holds an encoder alone.

    Only the shards that contain tensors of the encoder are opened.

    Args:
        directory: has `config.json` and `model.safetensors`, or its shards and their index.
        pad_to_30s: see `AFWhisper`.
        device: where it runs.
        bf16: compute in bfloat16.
        name: `af_whisper` or `whisper`: whose files they are.

    Raises:
        DataError: a file is missing or wrong; names the file, and the tensor with the shape that was expected.
    """
    published = PUBLISHED[name]
    config_file = directory / "config.json"
    config = _sizes(config_file, published)
    tower, files = _read_tower(directory, published)
    with torch.device("meta"):
        encoder = cast(nn.Module, importlib.import_module("transformers").AudioFlamingo3Encoder(config))
    encoder = encoder.to_empty(device="cpu")
    load_strictly(encoder, tower, path=directory, source=published.source)
    encoder = encoder.to(torch.bfloat16 if bf16 else torch.float32)
    digest = joint_digest({path.name: file_digest(path) for path in (config_file, *files)})
    return AFWhisper(encoder, digest, pad_to_30s=pad_to_30s, device=device, name=name)


def _sizes(path: Path, published: Published) -> Any:
    """The `AudioFlamingo3EncoderConfig` of a `config.json`."""
    content = read_json_of(path, published.source)
    for word, other in PUBLISHED.items():
        if other is not published and content.get("model_type") == other.model_type:
            raise DataError(
                f"{path}: this is {other.title}, expected {published.title}: say system.frame_encoder={word}"
            )
    sizes = cast(dict[str, Any], content.get("audio_config", content))
    sizes = {**sizes, **{name: sizes[other] for name, other in published.names.items() if other in sizes}}
    # Sizes only: a text there can name code to fetch and run (an attention kernel, a class of its own).
    plain = {key: value for key, value in sizes.items() if isinstance(value, int | float) or key == _ACTIVATION}
    try:
        return importlib.import_module("transformers").AudioFlamingo3EncoderConfig.from_dict(plain)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not the sizes of an encoder ({error}); get it again from {published.source}"
        ) from error


def _read_tower(directory: Path, published: Published) -> tuple[dict[str, object], list[Path]]:
    """The encoder's tensors by the names that it has for them, and the files that they lie in."""
    shards, prefix = encoder_shards(directory, published.towers, published.source)
    tensors: dict[str, object] = {}
    for shard, names in shards.items():
        tensors.update(read_shard(shard, names, published.source))
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, list(shards)
