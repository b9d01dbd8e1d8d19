"""What is played is what was mixed, what should have come out, and what came out, to the sample."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sealed_files import edit_record
from viewing import Made, key

from s5eval.data_manifests.manifest import open_manifest

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


def test_a_wav_that_is_not_the_one_that_was_scored_is_not_played(
    copied: Made, browse: Browse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "empty"))  # no stages that could stand in for it
    wav = next((copied.staged / "audio").glob("m_1_*.wav"))
    shutil.copy(next((copied.staged / "audio").glob("m_2_*.wav")), wav)
    asked = {"run": key(copied.staged), "id": "m_1", "of": f"estimate-{wav.stem.split('_')[2]}"}
    answer = browse(copied.staged).get("/audio", params=asked)
    assert (answer.status_code, answer.json()["error"]) == (
        422, f"{wav.name}: is not what was written: its digest is another one"
    )  # fmt: skip


def test_a_run_on_other_data_in_the_place_of_one_that_was_looked_at_has_its_own_sounds(
    copied: Made, browse: Browse, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copied.data, other)
    shutil.copy(other / "soundscape" / "m_1.wav", other / "soundscape" / "m_2.wav")
    client, asked = browse(copied.scored), {"run": key(copied.scored), "id": "m_2", "of": "mixture"}
    edit_record(copied.scored / "run.json", lambda record: record["config"].update(data=str(copied.data)))
    assert client.get("/audio", params=asked).status_code == 200
    manifest = open_manifest(other)
    edit_record(
        copied.scored / "run.json",
        lambda record: record["config"].update(data=str(other)),
        manifest_sha256=manifest.sha256,
        mixture_digests=list(manifest.digests),
    )
    played, _ = soundfile.read(io.BytesIO(client.get("/audio", params=asked).content), dtype="float32")
    expected, _ = soundfile.read(other / "soundscape" / "m_2.wav", dtype="float32")
    assert np.array_equal(played, expected[:, 0])


def test_of_several_data_folders_the_one_that_holds_the_run_s_mixtures_is_played_from(
    made: Made, browse: Browse, make_set: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_set(tmp_path / "other", {"z_1": ["Speech"]})
    asked = {"run": key(made.scored), "id": "m_2", "of": "mixture"}
    for folders in ((other, made.data), (made.data, other)):
        assert browse(made.scored, data=folders).get("/audio", params=asked).status_code == 200
    alone = browse(made.scored, data=(other,)).get("/audio", params=asked)
    assert (alone.status_code, alone.json()["error"]) == (422, f"{other} holds none of the run's mixtures")


def test_a_run_made_anew_on_a_folder_that_has_more_by_now_is_played_all_of_it(
    copied: Made, browse: Browse, tmp_path: Path
) -> None:
    edit_record(copied.scored / "run.json", lambda record: record["config"].update(data=str(copied.data)))
    reference = copied.data / "oracle_target" / "m_2_1_Pour.wav"
    reference.rename(tmp_path / "away.wav")
    client, asked = browse(copied.scored), {"run": key(copied.scored), "id": "m_2", "of": "reference-1"}
    assert client.get("/audio", params=asked).status_code == 422
    (tmp_path / "away.wav").rename(reference)
    edit_record(copied.scored / "run.json", manifest_sha256="f" * 64)  # as one of the folder as it is by now
    assert client.get("/audio", params=asked).status_code == 200
