"""What each value of a scene's metadata means, in a room whose one response is a single tap: what is read is heard."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_dev_set import event, write_sofa

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.metadata import list_metadata, read_metadata, synthesize
from s5eval.data_manifests.synthesis.render import SynthesizedScene

RATE = 32_000
TARGETS, OTHERS, NOISE = "data/targets", "data/others", "data/noise"
PLACE = np.array([0.75, 0.0, 0.0])

Rebuild = Callable[..., SynthesizedScene]


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def ramp(count: int) -> np.ndarray:
    """Sample n is (n + 1) / 4096: a part of it tells where it was cut."""
    return (1 + np.arange(count)) / 4096


def heard(signal: np.ndarray) -> tuple[int, int, int]:
    """Of a ramp in silence: where it begins in the scene, with which of its samples, and how many there are."""
    places = np.flatnonzero(signal)
    start, step = int(places[0]), signal[places[1]] - signal[places[0]]
    return start, round(float(signal[start] / step)) - 1, len(places)


@pytest.fixture
def rebuild(tmp_path: Path) -> Rebuild:
    """Makes a scene of 0.125 s from lists of events; keys of `config` and `room` may be changed."""
    (tmp_path / "data").mkdir()
    write_sofa(tmp_path / "data" / "room.sofa", np.ones((1, 4, 1)), PLACE[None], spherical=False, rate=RATE)
    write(tmp_path / TARGETS / "Speech" / "ramp.wav", ramp(2000))
    write(tmp_path / OTHERS / "Speech" / "ramp.wav", -ramp(2000))

    def make(
        targets: tuple[Any, ...] = (),
        others: tuple[Any, ...] = (),
        noise: tuple[Any, ...] = (),
        config: dict[str, Any] | None = None,
        room: dict[str, Any] | None = None,
    ) -> SynthesizedScene:
        folders = {"foreground_dir": TARGETS, "interference_dir": OTHERS, "background_dir": NOISE}
        stored = {"sofa_path": "data/room.sofa", "sr": RATE, "nchan": 4, "direct_range_ms": [6, 50], **(room or {})}
        return synthesize(
            {
                "config": {"duration": 0.125, "sr": RATE, "ref_db": -55, **folders, **(config or {})},
                "fg_events": list(targets),
                "int_events": list(others),
                "bg_events": list(noise),
                "room": {"args": {"metadata": stored}},
            },
            tmp_path,
        )

    return make


def speech(**changes: Any) -> dict[str, Any]:
    return event("Speech", "Speech/ramp.wav", PLACE, **({"event_time": 0.0, "event_duration": 1.0} | changes))


def background(file: str, **changes: Any) -> dict[str, Any]:
    return {"source_file": file, "source_time": None, "event_duration": 0.125, "snr": 0, "role": "background"} | changes


def test_times_are_cut_to_samples_in_double_precision(rebuild: Rebuild) -> None:
    """Of 1001 samples as seconds the product with the rate falls just under 1001: one is lost, as officially."""
    (dry,) = rebuild((speech(source_time=100.7 / RATE, event_time=200.7 / RATE, event_duration=300.7 / RATE),)).dry
    assert heard(dry) == (200, 100, 300)
    (dry,) = rebuild((speech(source_time=1001 / RATE, event_time=1003 / RATE, event_duration=500 / RATE),)).dry
    assert heard(dry) == (1002, 1000, 500)
    assert rebuild(config={"duration": 2000.7 / RATE}).mixture.shape == (4, 2000)
    assert rebuild(config={"duration": 1001 / RATE}).mixture.shape == (4, 1000)


def test_what_a_recording_does_not_hold_is_left_out_and_a_start_at_its_end_is_refused(rebuild: Rebuild) -> None:
    (dry,) = rebuild((speech(source_time=1990 / RATE),)).dry
    assert heard(dry) == (0, 1990, 10)
    with pytest.raises(DataError, match=r"ramp\.wav: starts at 0\.0625 s, but holds only 0\.0625 s"):
        rebuild((speech(source_time=2000 / RATE),))


def test_an_event_that_starts_at_the_end_of_the_scene_is_silent_and_a_later_one_refused(rebuild: Rebuild) -> None:
    scene = rebuild((speech(event_time=0.125),))
    assert scene.labels == ("Speech",) and not scene.dry.any() and not scene.mixture.any()
    with pytest.raises(DataError, match="after the scene's end"):
        rebuild((speech(event_time=4001.5 / RATE),))


def test_targets_that_start_together_keep_their_order_and_none_is_left_out(rebuild: Rebuild) -> None:
    labels = ("Pour", "Cough", "Speech", "Buzzer", "Dishes")
    scene = rebuild(tuple(speech() | {"label": label} for label in labels))
    assert scene.labels == labels and scene.dry.shape == (5, 4000)


def test_a_file_that_is_named_with_its_folder_is_not_looked_for_below_it_again(rebuild: Rebuild) -> None:
    plain, whole = (rebuild((speech(source_file=f"{folder}Speech/ramp.wav"),)) for folder in ("", f"{TARGETS}/"))
    assert np.array_equal(plain.mixture, whole.mixture) and plain.mixture.any()


def test_the_role_alone_says_which_folder_a_sound_is_read_from(rebuild: Rebuild) -> None:
    """Whatever is not `foreground` interferes; the list that an event stands in makes it a target."""
    for role, sign in (("foreground", 1), ("interference", -1), ("distractor", -1)):
        target, other = rebuild((speech(role=role),)), rebuild(others=(speech(role=role),))
        assert np.array_equal(target.mixture, other.mixture) and np.sign(target.mixture.sum()) == sign
        assert (target.labels, other.labels) == (("Speech",), ())


def test_levels_are_over_the_reference_level_and_nothing_is_clipped(rebuild: Rebuild) -> None:
    for reference, snr in ((-55, 10.0), (-20, 3.5), (0, 12.0)):
        scene = rebuild((speech(snr=snr),), config={"ref_db": reference})
        expected = ramp(2000) / np.sqrt(np.mean(ramp(2000) ** 2)) * 10 ** ((reference + snr) / 20)
        for signal in (scene.mixture, scene.dry):
            assert np.allclose(signal[:, :2000], expected, rtol=0, atol=1e-6 * expected.max())
    assert scene.mixture.max() > 5


def test_backgrounds_add_up_each_at_its_level_and_one_channel_is_heard_in_all(rebuild: Rebuild, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    four, one = 0.1 * rng.normal(size=(4000, 4)), 0.1 * rng.normal(size=(1500, 1))
    write(tmp_path / NOISE / "four.wav", four)
    write(tmp_path / NOISE / "one.wav", one)
    tiled = np.concatenate([one] * 3)[:4000]
    expected = 10 ** (-55 / 20) * four / np.sqrt(np.mean(four**2))
    expected = expected + 10 ** (-49 / 20) * tiled / np.sqrt(np.mean(tiled**2))
    scene = rebuild(noise=(background("four.wav", source_time=0), background("one.wav", snr=6)))
    assert np.allclose(scene.mixture, expected.T, atol=1e-8)
    assert np.array_equal(scene.noise, scene.mixture)


def test_a_background_that_ends_before_the_scene_is_refused(rebuild: Rebuild, tmp_path: Path) -> None:
    write(tmp_path / NOISE / "short.wav", np.full((3999, 4), 0.1))
    with pytest.raises(DataError, match=r"short\.wav: 3999 samples from second 0, expected 4000"):
        rebuild(noise=(background("short.wav", source_time=0),))


def test_the_direct_part_is_as_long_as_the_room_says_and_not_the_configuration(
    rebuild: Rebuild, tmp_path: Path
) -> None:
    response = np.full((1, 4, 400), 0.1)
    response[:, :, 200] = 1.0
    write_sofa(tmp_path / "data" / "wide.sofa", response, PLACE[None], spherical=False, rate=RATE)
    click = speech(event_duration=1.5 / RATE)
    drawn_with = {"room_config": {"args": {"path": "elsewhere", "direct_range_ms": [6, 50]}}}
    room = {"sofa_path": "data/wide.sofa", "direct_range_ms": [1, 0.5]}
    (dry,) = rebuild((click,), config=drawn_with, room=room).dry
    assert np.flatnonzero(np.abs(dry) > 1e-9).tolist() == list(range(200 - 32, 200 + 16 + 1))


def test_the_rate_of_the_scene_is_that_of_its_configuration(rebuild: Rebuild) -> None:
    """Recordings and responses are brought to it."""
    scene = rebuild((speech(event_time=0.05),), config={"sr": 16_000})
    assert scene.mixture.shape == (4, 2000)
    places = np.flatnonzero(np.abs(scene.dry[0]) > 0.1 * np.abs(scene.dry).max())
    assert places[0] > 800 and places[-1] == pytest.approx(800 + 1000, abs=8)


def test_scenes_are_numbered_by_their_place_in_the_list_whatever_their_files_are_called(tmp_path: Path) -> None:
    names = ("b.json", "soundscape_0002.json", "a.json")
    entries = [{"metadata_path": f"valid/{name}", "remark": name} for name in names]
    (tmp_path / "valid.json").write_text(json.dumps(entries))
    assert list_metadata(tmp_path / "valid.json") == [
        ("soundscape_0000", tmp_path / "valid" / "b.json"),
        ("soundscape_0001", tmp_path / "valid" / "soundscape_0002.json"),
        ("soundscape_0002", tmp_path / "valid" / "a.json"),
    ]


def test_metadata_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    for read in (read_metadata, list_metadata):
        with pytest.raises(DataError, match=r"list\.json"):
            read(tmp_path / "list.json")
