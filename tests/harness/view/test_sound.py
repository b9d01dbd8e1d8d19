"""What is played is what was mixed, what should have come out, and what came out, to the sample."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from viewing import Made, key

Browse = Callable[..., Any]


def heard(client: Any, made: Made, of: str, id_: str = "m_2") -> np.ndarray:
    answer = client.get("/audio", params={"run": key(made.staged), "id": id_, "of": of})
    assert answer.status_code == 200, answer.text
    samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    assert rate == 32_000
    return samples


def test_mixture_references_and_estimates_are_played_as_they_are(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    mixture, _ = soundfile.read(made.data / "soundscape" / "m_2.wav", dtype="float32")
    np.testing.assert_array_equal(heard(client, made, "mixture"), mixture[:, 0])
    for r, label in enumerate(["Cough", "Pour"]):
        reference, _ = soundfile.read(made.data / "oracle_target" / f"m_2_{r}_{label}.wav", dtype="float32")
        np.testing.assert_array_equal(heard(client, made, f"reference-{r}"), reference)
    for file in (made.staged / "audio").glob("m_2_*.wav"):
        estimate, _ = soundfile.read(file, dtype="float32")
        np.testing.assert_array_equal(heard(client, made, f"estimate-{file.stem.split('_')[2]}"), estimate)


def test_a_dropped_candidate_is_played_from_the_stage_store(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    kept = {file.stem.split("_")[2] for file in (made.staged / "audio").glob("m_2_*.wav")}
    dropped = sorted({"0", "1", "2"} - kept)
    assert dropped, "the case needs a dropped candidate"
    last = heard(client, made, f"stage-stage3-{dropped[0]}")
    np.testing.assert_array_equal(heard(client, made, f"estimate-{dropped[0]}"), last)


@pytest.mark.parametrize("azimuth", [0.0, 40.0, -40.0, 90.0, 180.0])
def test_stereo_puts_left_at_the_left_and_keeps_the_level_of_the_front(azimuth: float) -> None:
    from s5eval.harness.report.sounds import decode_stereo

    wave = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    angle = np.deg2rad(azimuth)
    foa = np.stack([wave, wave * np.sin(angle), 0 * wave, wave * np.cos(angle)]).astype(np.float32)
    left, right = np.sqrt((decode_stereo(foa) ** 2).mean(axis=1))
    level = np.sqrt((wave**2).mean())
    if azimuth == 0:
        np.testing.assert_allclose([left, right], level, rtol=1e-5)
    elif azimuth != 180:
        assert (left > right) == (azimuth > 0)
    else:
        assert max(left, right) < level / 2
