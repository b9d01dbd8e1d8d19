"""AF-Whisper through transformers: a tiny random encoder, saved as the published model is, loaded by the real code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage.models.af_whisper import load_af_whisper, resample
from s5eval.systems.multistage.models.dpc import normalise_level
from s5eval.systems.multistage.system import build
from s5eval.systems.networks.mel import WhisperLogMel

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def encoder() -> Any:
    torch.manual_seed(1)
    config = transformers.AudioFlamingo3EncoderConfig(
        num_mel_bins=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, hidden_size=32
    )
    return transformers.AudioFlamingo3Encoder(config).eval()


@pytest.fixture
def published(encoder: Any, tmp_path: Path) -> Path:
    """The whole model's layout: nested configuration, an index, shards of which one holds no tower at all."""
    state = {f"audio_tower.{name}": tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    names = sorted(state)
    shards = {"model-00001-of-00003.safetensors": names[:10], "model-00002-of-00003.safetensors": names[10:]}
    table = {name: file for file, members in shards.items() for name in members}
    for file, members in shards.items():
        extra = {"multi_modal_projector.linear_1.weight": torch.zeros(2, 2)} if "00002" in file else {}
        save_file({**{name: state[name] for name in members}, **extra}, tmp_path / file)
    table["multi_modal_projector.linear_1.weight"] = "model-00002-of-00003.safetensors"
    table["language_model.embed.weight"] = "model-00003-of-00003.safetensors"  # never fetched, never opened
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    audio_config = encoder.config.to_dict()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "audioflamingo3", "audio_config": audio_config}))
    return tmp_path


def direct(encoder: Any, audio: torch.Tensor) -> torch.Tensor:
    """The last layer's output, overheard on its way to the pooling, then the last normalisation."""
    narrow = normalise_level(resample(audio))
    frames = narrow.shape[1] // 320
    mel = WhisperLogMel(128)(torch.nn.functional.pad(narrow, (0, 480_000 - narrow.shape[1])))
    mask = torch.zeros(len(mel), 3000, dtype=torch.long)
    mask[:, : 2 * frames] = 1
    heard: list[torch.Tensor] = []
    hook = encoder.layers[-1].register_forward_hook(lambda _module, _inputs, output: heard.append(output))
    with torch.no_grad():
        encoder(input_features=mel, input_features_mask=mask)
        hook.remove()
        states: torch.Tensor = encoder.layer_norm(heard[0])
    return states[:, :frames]


def test_sharded_model_gives_the_unpooled_states(encoder: Any, published: Path) -> None:
    audio = 0.1 * torch.randn(2, 64_000)
    loaded = load_af_whisper(published, pad_to_30s=True, device="cpu", bf16=False)
    found = loaded.embed(audio)
    assert found.shape == (2, 100, 32)  # one every 20 ms
    assert torch.allclose(found, direct(encoder, audio), atol=1e-4)
    assert loaded.digest.startswith("sha256:")


def test_unpadded_input_is_nearly_the_same(published: Path) -> None:
    audio = 0.1 * torch.randn(1, 64_000)
    padded = load_af_whisper(published, pad_to_30s=True, device="cpu", bf16=False).embed(audio)
    cut = load_af_whisper(published, pad_to_30s=False, device="cpu", bf16=False).embed(audio)
    assert cut.shape == padded.shape
    assert (cut - padded)[:, :-2].abs().max() < 0.05 * padded.abs().max()


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (639, 1), (641, 2), (320_000, 500), (1_000_000, 1563)])
def test_lengths(published: Path, samples: int, frames: int) -> None:
    loaded = load_af_whisper(published, pad_to_30s=False, device="cpu", bf16=False)
    assert loaded.embed(0.1 * torch.randn(1, samples)).shape == (1, frames, 32)


def test_bfloat16_and_silence(published: Path) -> None:
    exact = load_af_whisper(published, pad_to_30s=False, device="cpu", bf16=False)
    half = load_af_whisper(published, pad_to_30s=False, device="cpu", bf16=True)
    audio = torch.cat([0.1 * torch.randn(1, 32_000), torch.zeros(1, 32_000)])
    assert (half.embed(audio) - exact.embed(audio)).abs().max() < 0.2
    assert torch.isfinite(half.embed(audio)).all()


def test_resampling_keeps_a_tone() -> None:
    time = np.arange(32_000) / 32_000
    tone = torch.from_numpy(np.sin(2 * np.pi * 440 * time).astype(np.float32))[None]
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.allclose(resample(tone)[0, 200:-200], expected[200:-200], atol=1e-3)


def test_a_folder_with_an_encoder_alone_loads(encoder: Any, tmp_path: Path) -> None:
    encoder.save_pretrained(tmp_path, max_shard_size="100KB")
    loaded = load_af_whisper(tmp_path, pad_to_30s=True, device="cpu", bf16=False)
    audio = 0.1 * torch.randn(1, 32_000)
    assert torch.allclose(loaded.embed(audio), direct(encoder, audio), atol=1e-4)


def test_what_is_missing_is_named(published: Path) -> None:
    def load() -> None:
        load_af_whisper(published, pad_to_30s=True, device="cpu", bf16=False)

    shard = published / "model-00001-of-00003.safetensors"
    # cloned: what is read stays mapped to the file, which is about to be cut
    content, raw = {name: tensor.clone() for name, tensor in load_file(shard).items()}, shard.read_bytes()
    shard.write_bytes(raw[:200])
    with pytest.raises(DataError, match="truncated or foreign"):
        load()
    name = next(iter(content))
    save_file({key: tensor for key, tensor in content.items() if key != name}, shard)
    with pytest.raises(DataError, match="which the index places here, is missing"):
        load()
    save_file({**content, name: torch.zeros(7)}, shard)
    with pytest.raises(DataError, match=r"has shape \(7,\), expected"):
        load()
    shard.unlink()
    with pytest.raises(DataError, match=r"00001-of-00003.safetensors: no such file; get it from https"):
        load()
    (published / "config.json").unlink()
    with pytest.raises(DataError, match=r"config.json: no such file"):
        load()


def test_in_the_system(published: Path, tiny: dict[str, Any]) -> None:
    pipeline = build({**tiny, "af_whisper_weights": str(published)}, "cpu")
    assert str(pipeline.fingerprint()["af_whisper"]).startswith("sha256:")
    with pytest.raises(UsageError, match=r"embeddings of 32 values, system.clue.dimension is 7"):
        build({**tiny, "clue": {"dimension": 7}, "af_whisper_weights": str(published)}, "cpu")


@pytest.mark.parametrize("layout", ["WhisperModel", "WhisperForConditionalGeneration", "sharded"])
def test_a_checkpoint_of_plain_whisper_gives_its_encoders_states(tmp_path: Path, layout: str) -> None:
    torch.manual_seed(2)
    config = transformers.WhisperConfig(
        vocab_size=64, num_mel_bins=80, d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, begin_suppress_tokens=None,
    )  # fmt: skip
    kind = "WhisperModel" if layout == "sharded" else layout
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(tmp_path, max_shard_size="30KB" if layout == "sharded" else "1GB")
    audio = 0.1 * torch.randn(2, 64_000)
    loaded = load_af_whisper(tmp_path, pad_to_30s=True, device="cpu", bf16=False, name="whisper")
    narrow = normalise_level(resample(audio))
    mel = WhisperLogMel(80)(torch.nn.functional.pad(narrow, (0, 480_000 - narrow.shape[1])))
    with torch.no_grad():
        expected = model.get_encoder()(mel).last_hidden_state[:, :100]
    assert (loaded.name, loaded.dimension) == ("whisper", 32)
    assert torch.allclose(loaded.embed(audio), expected, atol=1e-4)


def test_one_published_model_is_not_taken_for_the_other(published: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"this is AF-Whisper, expected Whisper: say system\.frame_encoder=af_whisper"):
        load_af_whisper(published, pad_to_30s=True, device="cpu", bf16=False, name="whisper")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper", "d_model": 32}))
    with pytest.raises(DataError, match=r"this is Whisper, expected AF-Whisper: say system\.frame_encoder=whisper"):
        load_af_whisper(tmp_path, pad_to_30s=True, device="cpu", bf16=False)
