"""Estimates as 16-bit wavs: every sample as it is rounded and clipped, and how many were, over all blocks."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.harness.record.tables import MixtureScore, Outcome
from s5eval.harness.runs.estimate_files import write_estimates
from s5eval.systems.decision import Selection

STEP = 1 / 32768
LOUD = [0.0, 1.0, -1.0, -1.0 - 2 * STEP, 32767 * STEP, 0.5, 3.0, -0.25]
SOFT = [1.5 * STEP, -2.5 * STEP, 0.5 * STEP, 2.4 * STEP, 2.6 * STEP, -2.6 * STEP, 0.0, STEP]


def written(folder: Path, *candidates: list[float], blocks: int = 1) -> tuple[MixtureScore, dict[str, str]]:
    """Write candidates 1 and 0, in that order, of audio that is read in so many blocks."""
    rows = np.array(candidates, np.float32)
    parts = np.array_split(rows, blocks, axis=1)
    audio: Any = SimpleNamespace(length=rows.shape[1], blocks=lambda: ((part, [], part[0]) for part in parts))
    kept = (Selection(1, "Speech", 0.9), Selection(0, "Cough", 0.8))
    return write_estimates(folder, MixtureScore("m_1", Outcome("predicted"), estimates=kept), audio)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_samples_are_rounded_to_even_and_clipped_in_both_directions_and_counted_in_every_block(
    tmp_path: Path, blocks: int
) -> None:
    score, digests = written(tmp_path, LOUD, SOFT, blocks=blocks)
    found = {}
    for name in ("m_1_0_Cough.wav", "m_1_1_Speech.wav"):
        found[name], rate = soundfile.read(tmp_path / name, dtype="int16")
        assert rate == 32000
        assert digests[f"{tmp_path.name}/{name}"] == file_sha256(tmp_path / name)
    assert found["m_1_0_Cough.wav"].tolist() == [0, 32767, -32768, -32768, 32767, 16384, 32767, -8192]
    assert found["m_1_1_Speech.wav"].tolist() == [2, -2, 0, 2, 3, -3, 0, 1]
    assert score.as_written is not None and (score.as_written.clipped_samples, score.as_written.capi_sdri) == (3, None)
    assert [str(flag) for flag in score.flags] == ["clipped-samples:3"]


def test_one_clipped_sample_is_said_and_none_is_not(tmp_path: Path) -> None:
    one, _ = written(tmp_path, [0.0, 1.0], [0.0, 0.5])
    none, _ = written(tmp_path, [0.0, 32767 * STEP], [-1.0, 0.5])
    assert [[str(flag) for flag in score.flags] for score in (one, none)] == [["clipped-samples:1"], []]
