"""AF-Whisper, the audio encoder of Audio Flamingo 3 (arXiv 2507.08128), as a source of frame embeddings.

Architecture and weights are transformers' `AudioFlamingo3Encoder` (extra `af-whisper`). Its last layer's states are
taken before the pooling to 40 ms: one embedding every 20 ms, frame j centred at 20·j ms.
"""

import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import soxr
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.safe_names import path_below
from s5eval.data_manifests.common.structured import read_json
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.networks.mel import WhisperLogMel
from s5eval.systems.weight_files import file_digest, joint_digest, load_strictly

RATE = 16_000
"""Sample rate of the encoder in Hz."""

_WINDOW = 30 * RATE
_TOWER = "audio_tower."
_ACTIVATION = "activation_function"

SOURCE = "https://huggingface.co/nvidia/audio-flamingo-3-hf (NVIDIA OneWay Noncommercial licence)"
"""Where the published weights come from."""


class AFWhisper:
    """A frozen encoder, ready to embed."""

    def __init__(self, encoder: nn.Module, digest: str, *, pad_to_30s: bool, device: str = "cpu") -> None:
        """Take an `AudioFlamingo3Encoder`; `digest` identifies its weights.

        `pad_to_30s`: always feed 30 s as in training of the published weights; False: as long as the audio is.
        """
        config = cast(Any, encoder).config
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


def new_af_whisper(sizes: Mapping[str, int]) -> AFWhisper:
    """An encoder with random weights, to be trained: an `AudioFlamingo3EncoderConfig` with these keys.

    Raises:
        DataError: transformers is not installed.
    """
    if not transformers_available():
        raise DataError("this needs transformers' AudioFlamingo3Encoder: pip install 's5eval[af-whisper]'")
    transformers = importlib.import_module("transformers")
    network = transformers.AudioFlamingo3Encoder(transformers.AudioFlamingo3EncoderConfig(**sizes))
    table = network.embed_positions.weight
    table.data.copy_(_sinusoids(*table.shape))
    encoder = AFWhisper(network, "untrained", pad_to_30s=False)
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


def load_af_whisper(directory: Path, *, pad_to_30s: bool, device: str, bf16: bool) -> AFWhisper:
    """Load the encoder from a local copy of the published model, or from a folder that holds an encoder alone.

    Only the shards that contain tensors of `audio_tower.` are opened.

    Raises:
        DataError: a file is missing or wrong; names the file, and the tensor with the shape that was expected.
    """
    transformers = importlib.import_module("transformers")
    config_file = directory / "config.json"
    sizes = _read_json(config_file)
    sizes = cast(dict[str, Any], sizes.get("audio_config", sizes))
    # Sizes only: a text there can name code to fetch and run (an attention kernel, a class of its own).
    plain = {key: value for key, value in sizes.items() if isinstance(value, int | float) or key == _ACTIVATION}
    try:
        config = transformers.AudioFlamingo3EncoderConfig.from_dict(plain)
    except (TypeError, ValueError) as error:
        raise DataError(f"{config_file}: not the sizes of an encoder ({error}); get it again from {SOURCE}") from error
    shards = _shards(directory)
    tensors: dict[str, object] = {}
    for shard, names in shards.items():
        tensors.update(_read_shard(shard, names))
    tower = {name.removeprefix(_TOWER): tensor for name, tensor in tensors.items()}
    with torch.device("meta"):
        encoder = cast(nn.Module, transformers.AudioFlamingo3Encoder(config))
    encoder = encoder.to_empty(device="cpu")
    load_strictly(encoder, tower, path=directory, source=SOURCE)
    encoder = encoder.to(torch.bfloat16 if bf16 else torch.float32)
    digest = joint_digest({path.name: file_digest(path) for path in (config_file, *shards)})
    return AFWhisper(encoder, digest, pad_to_30s=pad_to_30s, device=device)


def check_dimension(encoder: AFWhisper, wanted: int, directory: Path) -> None:
    """Refuse an encoder whose embeddings the network was not made for. Raises `UsageError`."""
    if encoder.dimension != wanted:
        raise UsageError(
            f"the encoder in {directory} gives embeddings of {encoder.dimension} values, "
            f"system.clue.dimension is {wanted}: set it to that"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path, what=f"a local copy of {SOURCE}")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a local copy of {SOURCE}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, expected a mapping; get it again from {SOURCE}")
    return content


def _shards(directory: Path) -> dict[Path, list[str]]:
    """Which tensors to read from which files: those of the tower, or all where there is nothing but an encoder."""
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        table = _read_json(index).get("weight_map")
        if not isinstance(table, Mapping):
            raise DataError(f"{index}: has no weight_map; get it again from {SOURCE}")
        located = {str(name): path_below(directory, str(file), str(index)) for name, file in table.items()}
    else:
        single = directory / "model.safetensors"
        located = dict.fromkeys(_names(single), single)
    tower = [name for name in located if name.startswith(_TOWER)] or list(located)
    shards: dict[Path, list[str]] = {}
    for name in tower:
        shards.setdefault(located[name], []).append(name)
    return shards


def _names(path: Path) -> list[str]:
    with _open(path) as file:
        return list(file.keys())


def _read_shard(path: Path, names: list[str]) -> dict[str, object]:
    with _open(path) as file:
        present = set(file.keys())
        for name in names:
            if name not in present:
                raise DataError(f"{path}: tensor {name!r}, which the index places here, is missing; see {SOURCE}")
        return {name: file.get_tensor(name) for name in names}


def _open(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; get it from {SOURCE}")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as safetensors, truncated or foreign ({error}); see {SOURCE}"
        ) from error
