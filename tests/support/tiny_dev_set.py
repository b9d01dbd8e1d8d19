"""A miniature of the official development set, written from scratch: rooms as SOFA files, clips, noise, metadata."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile

AZIMUTHS = np.arange(0, 360, 40)


def write_sofa(path: Path, responses: np.ndarray, positions: np.ndarray, *, spherical: bool, rate: float) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["SOFAConventions"], file.attrs["DataType"] = np.bytes_("SingleRoomSRIR"), np.bytes_("FIR")
        file["Data.IR"] = responses
        file["Data.SamplingRate"] = np.array([rate])
        file["SourcePosition"] = positions
        kind, units = ("spherical", "degree, degree, metre") if spherical else ("cartesian", "metre")
        file["SourcePosition"].attrs["Type"] = np.bytes_(kind)
        file["SourcePosition"].attrs["Units"] = np.bytes_(units)


def on_circle(radius: float) -> np.ndarray:
    angles = np.deg2rad(AZIMUTHS)
    return radius * np.stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))], axis=1)


def event(label: str, file: str, position: np.ndarray, **changes: Any) -> dict[str, Any]:
    plain = {
        "label": label, "source_file": file, "source_time": 0, "event_time": 0.5, "event_duration": 1.0,
        "event_position": [position.tolist()], "snr": 10.0, "role": "foreground",
    }  # fmt: skip
    return plain | changes


@pytest.fixture(scope="session")
def tiny_dev_set(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """`root` holds `data/dev_set/`; `scenes` are metadata by name; responses are short."""
    rng = np.random.default_rng(5)
    root = tmp_path_factory.mktemp("official")
    dev = root / "data" / "dev_set"
    responses = rng.standard_normal((len(AZIMUTHS), 4, 2400)) * np.exp(-np.arange(2400) / 500)
    responses[:, :, :60] = 0
    responses[3, 0, 700] = -9.0  # the largest tap is a negative reflection
    for split in ("train", "valid"):
        folder = dev / "room_ir" / split
        folder.mkdir(parents=True)
        write_sofa(folder / "a.sofa", responses, on_circle(0.75), spherical=False, rate=32000)
        around = np.stack([AZIMUTHS, np.full(len(AZIMUTHS), 20), np.full(len(AZIMUTHS), 1.5)], axis=1).astype(float)
        write_sofa(folder / "b.sofa", 0.3 * responses[::-1], around, spherical=True, rate=32000)
        for label in ("Speech", "Doorbell", "Percussion"):
            for family in ("one", "two", "three"):
                clip = dev / "sound_event" / split / label / family / f"{label}_{family}.wav"
                clip.parent.mkdir(parents=True)
                samples = rng.standard_normal(int(rng.integers(16000, 64000))) * 0.2
                soundfile.write(clip, samples, 32000, subtype="PCM_16")
        drip = dev / "interference" / split / "Drip, drop" / "tap.wav"
        drip.parent.mkdir(parents=True)
        soundfile.write(drip, rng.standard_normal((40001, 2)) * 0.1, 32000, subtype="PCM_16")
        noise = dev / "noise" / split
        noise.mkdir(parents=True)
        soundfile.write(noise / "short.wav", rng.standard_normal((20000, 4)) * 0.05, 32000, subtype="PCM_16")
        soundfile.write(noise / "long.flac", rng.standard_normal((160000, 4)) * 0.05, 32000, subtype="PCM_16")
    return SimpleNamespace(root=root, dev=dev, scenes=_write_metadata(dev))


def _write_metadata(dev: Path) -> dict[str, dict[str, Any]]:
    circle = on_circle(0.75)
    raised = 1.5 * np.stack(
        [
            np.cos(np.deg2rad(AZIMUTHS)) * np.cos(np.deg2rad(20)),
            np.sin(np.deg2rad(AZIMUTHS)) * np.cos(np.deg2rad(20)),
            np.full(len(AZIMUTHS), np.sin(np.deg2rad(20))),
        ],
        axis=1,
    )

    def scene(room: str, fg: list[Any], bg: list[Any], noise: list[Any]) -> dict[str, Any]:
        metadata = {"sofa_path": f"data/dev_set/room_ir/valid/{room}.sofa", "sr": 32000, "nchan": 4, "nrir": 9,
                    "rir_len": 2400, "direct_range_ms": [6, 50]}  # fmt: skip
        config = {
            "duration": 3.0, "sr": 32000, "max_event_overlap": 3, "max_event_dur": 10.0, "ref_db": -55,
            "foreground_dir": "data/dev_set/sound_event/valid", "background_dir": "data/dev_set/noise/valid",
            "interference_dir": "data/dev_set/interference/valid", "verbose": False,
        }  # fmt: skip
        factory = {"module": "x.room", "main": "SofaRoom.from_metadata", "args": {"metadata": metadata}}
        return {"config": config, "fg_events": fg, "bg_events": noise, "int_events": bg, "room": factory}

    tiled = {"label": None, "source_file": "short.wav", "source_time": None, "event_time": 0, "event_duration": 3.0,
             "event_position": None, "snr": 0, "role": "background"}  # fmt: skip
    part = tiled | {"source_file": "long.flac", "source_time": 1}
    drip = event("Drip, drop", "Drip, drop/tap.wav", circle[5], role="interference", event_time=2.5, snr=3.25)
    scenes = {
        "empty": scene("a", [], [], [tiled]),
        "order": scene(
            "a",
            [
                event("Speech", "Speech/one/Speech_one.wav", circle[0], event_time=1.7, event_duration=32001 / 32000),
                event("Doorbell", "Doorbell/two/Doorbell_two.wav", circle[3], event_time=0.1, source_time=0.2),
                event("Speech", "Speech/two/Speech_two.wav", circle[6], event_time=2.9, snr=18.0),
            ],
            [drip],
            [part],
        ),
        "spherical": scene("b", [event("Percussion", "Percussion/one/Percussion_one.wav", raised[7])], [drip | {
            "event_position": [raised[1].tolist()]}], [tiled]),
        "bare": scene("a", [event("Speech", "Speech/three/Speech_three.wav", circle[2].round(6))], [], []),
    }  # fmt: skip
    folder = dev / "metadata" / "valid"
    folder.mkdir(parents=True)
    for name, content in scenes.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    listing = [{"metadata_path": f"valid/{name}.json"} for name in scenes]
    (dev / "metadata" / "valid.json").write_text(json.dumps(listing))
    return scenes
