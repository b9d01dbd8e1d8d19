"""Scenes rebuilt from official metadata files, sample-exact: JSON in, mixture and dry targets out.

Source: nttcslab/SpAudSyn (commit cc44461) and the data set class of nttcslab/dcase2026_task4_baseline (20e6992).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from s5eval.data_manifests.audio import check_whole
from s5eval.data_manifests.common.errors import AudioError, DataError, UsageError
from s5eval.data_manifests.common.safe_names import path_below
from s5eval.data_manifests.common.structured import read_json
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.records import Audio
from s5eval.data_manifests.synthesis.render import (
    PlacedEvent,
    Signal,
    SynthesizedScene,
    assemble,
    scale_background,
    tile,
)
from s5eval.data_manifests.synthesis.sofa import SofaRoom, open_sofa
from s5eval.data_manifests.synthesis.values import check_metadata


def read_metadata(path: Path) -> dict[str, Any]:
    """Read one scene's JSON.

    Raises:
        UsageError: it is a list of scenes (`valid.json`).
        DataError: missing, or not the JSON of a scene; or the scene of another tool, as in the set of 2025.
    """
    try:
        metadata = read_json(path, what="scene metadata")
    except FileNotFoundError as error:
        raise DataError(f"{path}: cannot be read as scene metadata: {error.strerror}") from error
    if isinstance(metadata, list) and metadata and isinstance(metadata[0], dict) and "metadata_path" in metadata[0]:
        raise UsageError(
            f"{path}: a list of {counted(len(metadata), 'scene')}, expected the metadata of one: name the files that "
            f"it lists ({path.parent / path.stem}/*.json); `s5eval run --data ROOT --split valid` makes the whole split"
        )
    if isinstance(metadata, dict) and "fg_events" in metadata and isinstance(metadata.get("room"), str):
        raise DataError(
            f"{path}: a scene of SpatialScaper, as the set of 2025 has them; only those of SpAudSyn are made"
        )
    if not isinstance(metadata, dict) or not {"config", "fg_events", "bg_events", "room"} <= metadata.keys():
        raise DataError(f"{path}: not the metadata of a scene: expected config, fg_events, bg_events, int_events, room")
    return metadata


def list_metadata(listing: Path) -> list[tuple[str, Path]]:
    """The scenes of an official list (`valid.json`): mixture id and metadata file, in file order.

    Ids are `soundscape_0000`, … by position in the list, whatever the files are called; paths are relative to the list.
    """
    try:
        entries = read_json(listing, what="a list of scenes")
        return [
            (f"soundscape_{i:04d}", path_below(listing.parent, entry["metadata_path"], str(listing)))
            for i, entry in enumerate(entries)
        ]
    except OSError as error:
        raise DataError(f"{listing}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{listing}: expected a JSON list of objects with 'metadata_path': {error}") from error


def synthesize(metadata: Mapping[str, Any], root: Path) -> SynthesizedScene:
    """Rebuild one scene.

    Args:
        metadata: the content of a scene's JSON; keys that synthesis does not need are ignored.
        root: the folder that the paths in it are relative to (the one that holds `data/`), or the data folder itself
            (the one that holds `dev_set/`).

    Returns:
        The scene; targets and labels are in order of their start times (ties: file order). An event whose source
        is all zero stays in the list, with a silent target.

    Raises:
        DataError: a key is missing, a file is missing or unusable, or a value cannot be carried out.
    """
    check_metadata(metadata)
    config, stored = metadata["config"], metadata["room"]["args"]["metadata"]
    rate, ref_db = int(config["sr"]), float(config["ref_db"])
    length = int(config["duration"] * config["sr"])
    room = open_sofa(_below(root, stored["sofa_path"]))
    if room.n_channels != stored.get("nchan"):
        raise DataError(f"{room.path}: {room.n_channels} channels, the metadata say {stored.get('nchan')}")

    def placed(events: list[Mapping[str, Any]]) -> list[PlacedEvent]:
        return [
            _place(event, config, room, int(stored["sr"]), root)
            for event in sorted(events, key=lambda event: float(event["event_time"]))
        ]

    noise = np.zeros((room.n_channels, length), dtype=np.float32)
    for event in metadata["bg_events"]:
        background = _background(event, config, length, root)
        if len(background) not in (1, room.n_channels):  # of one channel every channel gets the same
            raise DataError(f"{event['source_file']}: {len(background)} channels, the room has {room.n_channels}")
        noise = noise + background
    before, after = stored["direct_range_ms"]
    scene = assemble(
        targets=placed(metadata["fg_events"]),
        interference=placed(metadata.get("int_events") or []),
        noise=noise,
        sample_rate=rate,
        ref_db=ref_db,
        direct_range_ms=(before, after),
    )
    return replace(scene, recordings=target_files(metadata))


def files_of_scene(metadata: Mapping[str, Any], root: Path) -> tuple[Path, ...]:
    """Everything that a scene is made from beside its metadata: responses, sounds and backgrounds, in order.

    Args:
        metadata: as for `synthesize`.
        root: likewise.

    Raises:
        DataError: the metadata cannot be carried out; whether the files are there is not looked at.
    """
    check_metadata(metadata)
    config, stored = metadata["config"], metadata["room"]["args"]["metadata"]
    sounds = [*metadata["fg_events"], *(metadata.get("int_events") or [])]
    backgrounds = [_joined(config["background_dir"], event) for event in metadata["bg_events"]]
    names = {stored["sofa_path"], *backgrounds, *(_file_of(event, config) for event in sounds)}
    return tuple(_below(root, name) for name in sorted(names))


def target_files(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that a scene's targets are read from, by the names that its metadata have for them.

    Raises:
        KeyError, TypeError, AttributeError: it is not the metadata of a scene.
    """
    return tuple(sorted({_file_of(event, metadata["config"]) for event in metadata["fg_events"]}))


def _file_of(event: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return _joined(config["foreground_dir" if event["role"] == "foreground" else "interference_dir"], event)


def _place(
    event: Mapping[str, Any], config: Mapping[str, Any], room: SofaRoom, room_rate: int, root: Path
) -> PlacedEvent:
    rate = int(config["sr"])
    path = _below(root, _file_of(event, config))
    source = read_excerpt(path, event["source_time"], event["event_duration"], rate).mean(axis=0)
    if source.any():
        source = source / np.abs(source).max()
    response = room.response(room.find(event["event_position"][0]))
    start = int(event["event_time"] * rate)
    if start > int(config["duration"] * rate):
        raise DataError(f"{path}: starts at {event['event_time']} s, after the scene's end")
    response = _resample(response, room_rate, rate)
    return PlacedEvent(event["label"], source, response, None, start, float(event["snr"]))


def _background(event: Mapping[str, Any], config: Mapping[str, Any], length: int, root: Path) -> Audio:
    rate = int(config["sr"])
    path = _below(root, _joined(config["background_dir"], event))
    if event["source_time"] is None:
        background = tile(read_excerpt(path, 0, None, rate), length)
    else:
        background = read_excerpt(path, event["source_time"], event["event_duration"], rate)
    if background.shape[1] != length:
        raise DataError(f"{path}: {background.shape[1]} samples from second {event['source_time']}, expected {length}")
    return scale_background(background, float(event["snr"]), float(config["ref_db"]))


def _joined(folder: str, event: Mapping[str, Any]) -> str:
    # The official code joins unless the name already begins with the folder's name.
    file: str = event["source_file"]
    return file if file.startswith(folder) else f"{folder}/{file}"


def _below(root: Path, path: str) -> Path:
    # Official paths begin with the baseline's `data/`; where the data lie elsewhere that step is left out.
    below = path_below(root, path, "the metadata")
    return below if (root / "data").is_dir() or below.exists() else root / path.removeprefix("data/")


def read_excerpt(path: Path, start: float, seconds: float | None, rate: int) -> Audio:
    """Part of an audio file, all channels, resampled to `rate`: float32 (C, S).

    Times turn into frames by truncation, in double precision, as in the official code; an end beyond the file is
    the file's end; `seconds=None` reads on to the end.

    Raises:
        AudioError: missing, not audio, truncated, not finite, or `start` is not before the end.
    """
    check_whole(path)
    try:
        with soundfile.SoundFile(path) as file:
            native: int = file.samplerate
            first = int(start * native)
            if first >= file.frames:
                raise AudioError(f"{path}: starts at {start} s, but holds only {file.frames / native:g} s")
            file.seek(first)
            count = -1 if seconds is None else int(seconds * native)
            samples: Audio = file.read(count, dtype="float32", always_2d=True).T
    except (soundfile.SoundFileError, ValueError) as error:  # the latter where no length is told
        raise AudioError(f"{path}: cannot be read as audio: {error}") from error
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: NaN or infinite samples", rule="non-finite")
    resampled = _resample(samples, native, rate)
    return resampled.astype(np.float32, copy=False)


def _resample(signal: Signal, native: int, rate: int) -> Signal:
    """Resample (C, S) along time with soxr HQ to exactly ceil(S rate / native) samples."""
    if native == rate:
        return signal
    wanted = math.ceil(signal.shape[1] * rate / native)
    channels = [soxr.resample(channel, native, rate, quality="HQ")[:wanted] for channel in signal]
    return np.stack([np.pad(channel, (0, wanted - len(channel))) for channel in channels])
