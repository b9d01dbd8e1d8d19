"""Recordings longer than a block are read, scored and written block by block, and score as if they were one array."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests import records
from s5eval.data_manifests.audio import BLOCK_FRAMES, read_audio, read_blocks
from s5eval.data_manifests.wav_writing import pcm16_header
from s5eval.harness.record.tables import PairTable
from s5eval.metrics.literal import literal_snr
from s5eval.metrics.sdr import pairwise_sdr, pairwise_sdr_in_blocks

RATE = 32_000
SECONDS = 2 * BLOCK_FRAMES / RATE + 3.7  # two blocks and a rest
Call = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, make_set: Call) -> Path:
    scenes = {"m_1": ["Speech", "Cough"]}
    return make_set(tmp_path / "long", scenes, estimates={"m_1": ["Speech", "Cough", "Pour"]}, seconds=SECONDS)


def wav(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def arrays(data: Path, estimates: list[Path]) -> dict[str, np.ndarray]:
    references = [data / "oracle_target" / name for name in ("m_1_0_Speech.wav", "m_1_1_Cough.wav")]
    return {
        "estimate": np.concatenate([wav(path) for path in estimates]),
        "reference": np.concatenate([wav(path) for path in references]),
        "mixture": wav(data / "soundscape" / "m_1.wav")[0],
    }


@pytest.fixture
def _nothing_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("read as a whole")

    monkeypatch.setattr(records, "read_audio", refuse)


@pytest.mark.usefixtures("_nothing_whole")
def test_a_long_folder_of_wavs_is_scored_in_blocks_with_the_values_of_the_whole(
    data: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    assert s5eval("score", data / "estimate", "--data", data, "--out", tmp_path / "run").code == 0
    whole = arrays(data, sorted((data / "estimate").glob("*.wav")))
    scores = pairwise_sdr(**whole)
    kept = PairTable.load(tmp_path / "run" / "pairs" / "m_1.npz").pair_scores
    for name in ("sdr", "sdr_mixture", "sdr_gain", "correlation", "energy", "reference_energy"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(scores, name))
    found = {pair["label"]: pair for pair in lines(tmp_path / "run")["m_1"]["capi"]["pairs"]}
    for index, label in enumerate(("Speech", "Cough")):
        twin = literal_snr(whole["estimate"][index].astype(float), whole["reference"][index].astype(float))
        assert found[label]["sdr"] == pytest.approx(twin, abs=1e-9)


@pytest.mark.usefixtures("_nothing_whole")
@pytest.mark.parametrize("name", ["silence", "oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"])
def test_bounds_of_a_long_recording_are_made_in_blocks(name: str, data: Path, tmp_path: Path, s5eval: Call) -> None:
    summary = s5eval("run", "--system", name, "--data", data, "--out", tmp_path / "run", "--json").json
    assert summary["n_failed"] == 0
    for metric, row in summary["bounds"][name].items():
        assert summary["metrics"][metric]["value"] == pytest.approx(row["value"], abs=1e-3)


@pytest.mark.usefixtures("_nothing_whole")
def test_long_estimates_are_written_in_blocks_as_one_wav_each_and_scored_as_written(
    data: Path, tmp_path: Path, s5eval: Call, lines: Call
) -> None:
    out = tmp_path / "run"
    assert s5eval("run", "--system", "oracle-gain", "--data", data, "--out", out, "--save-audio").code == 0
    paths = [out / "audio" / name for name in ("m_1_0_Speech.wav", "m_1_1_Cough.wav")]
    whole = arrays(data, paths)
    expected = pairwise_sdr(**whole)
    improved = float((expected.sdr.diagonal() - expected.sdr_mixture).mean())
    assert lines(out)["m_1"]["as_written"]["capi_sdri"] == pytest.approx(improved, abs=1e-9)
    assert all(path.stat().st_size == 44 + 2 * len(whole["mixture"]) for path in paths)
    assert s5eval("check", out).code == 0


@pytest.mark.parametrize("frames", [0, 1, 4000])
def test_the_header_is_that_of_a_wav_written_at_once(frames: int) -> None:
    samples = np.arange(frames, dtype=np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    assert pcm16_header(frames, sample_rate=RATE) + samples.tobytes() == file.getvalue()


@pytest.mark.parametrize("more", [-BLOCK_FRAMES - 5, -5, 5, BLOCK_FRAMES])
@pytest.mark.parametrize("file", ["oracle_target/m_1_1_Cough.wav", "estimate/m_1_1_Cough.wav"])
def test_a_long_file_of_another_length_fails_its_mixture_with_both_lengths(
    data: Path, tmp_path: Path, s5eval: Call, lines: Call, more: int, file: str
) -> None:
    length = math.floor(SECONDS * RATE)
    soundfile.write(data / file, np.zeros(length + more), RATE)
    assert s5eval("score", data / "estimate", "--data", data, "--out", tmp_path / "run").code == 4
    error = lines(tmp_path / "run")["m_1"]["outcome"]["error"]
    assert f"{Path(file).name}: {length + more} samples, the mixture has {length}" in error


def test_a_sample_that_is_not_finite_in_a_later_block_is_found_with_its_place(tmp_path: Path) -> None:
    samples = np.zeros(BLOCK_FRAMES + 100, np.float32)
    samples[BLOCK_FRAMES + 7] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(Exception, match=f"the first at sample {BLOCK_FRAMES + 7}"):
        list(read_blocks(tmp_path / "a.wav", channels=1, sample_rate=RATE))
    with pytest.raises(Exception, match=f"the first at sample {BLOCK_FRAMES + 7}"):
        read_audio(tmp_path / "a.wav", channels=1, sample_rate=RATE)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_blocks_in_a_row_are_the_whole(tmp_path: Path, subtype: str) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, (BLOCK_FRAMES + 9, 4))
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    blocks = list(read_blocks(tmp_path / "a.wav", channels=4, sample_rate=RATE))
    assert [block.shape[1] for block in blocks] == [BLOCK_FRAMES, 9]
    np.testing.assert_array_equal(
        np.concatenate(blocks, axis=1), read_audio(tmp_path / "a.wav", channels=4, sample_rate=RATE)
    )


@pytest.mark.parametrize("near", [False, True])
def test_the_pair_matrix_does_not_depend_on_the_blocks(near: bool) -> None:
    rng = np.random.default_rng(5)
    length = 5 * 8192 + 11
    reference = rng.normal(size=(2, length))
    estimate = reference * (1 + 1e-8) if near else reference + rng.normal(size=(2, length))
    mixture = reference[0] if near else rng.normal(size=length)
    whole = pairwise_sdr(estimate=estimate, reference=reference, mixture=mixture)
    cuts = [slice(0, 8192), slice(8192, 3 * 8192), slice(3 * 8192, length)]
    blocks = pairwise_sdr_in_blocks(lambda: [(list(estimate[:, c]), reference[:, c], mixture[c]) for c in cuts])
    for name in ("sdr", "sdr_mixture", "sdr_gain", "correlation", "energy"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))
