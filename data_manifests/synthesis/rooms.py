"""Simulated rooms in first-order Ambisonics: responses (W, Y, Z, X), SN3D, kept in a bank on disk.

Early reflections are image sources (pyroomacoustics), received by four coincident microphones: one omnidirectional
and three figures of eight. Late reverberation is a diffuse field with the decay of the room. Two bands, since
rooms lose their high frequencies first. Sources lie on the spheres of the official responses: 0.75 and 1.5 m,
elevations -20, 0 and 20 degrees.
"""

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from s5eval.data_manifests.common.cache import cache_folder, file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import WriteError
from s5eval.data_manifests.records import SAMPLE_RATE
from s5eval.data_manifests.synthesis.foley.ambience import DIFFUSE, ambience
from s5eval.data_manifests.synthesis.foley.signals import Rng, Samples, decay, log_uniform
from s5eval.data_manifests.synthesis.render import Signal

RESPONSE_LENGTH = 174_763
"""Taps of the official responses; simulated ones leave out the silent end, the level rule counts it."""

MOST_ROOMS = 1_000_000
"""More than anyone draws; a larger number is a slip, and one beyond a machine's integers cannot be drawn from."""

_TAPS = 16_000
_ORDER = 13
_CROSSOVER_HZ = 1500.0
_MIXING_S = (0.055, 0.075)
_RADII_M = (0.75, 1.5)
_ELEVATIONS = (-20.0, 0.0, 20.0)
_FORMAT = 1
_DIGESTS = "digests.json"


@dataclass(frozen=True, slots=True)
class SimulatedRoom:
    """One room.

    Attributes:
        positions: float64 (M, 3), source positions around the microphone, metres.
        responses: float32 (M, 4, N).
        ambience: int16 (4, S), a recording of the room's background, full scale 32768.
    """

    positions: npt.NDArray[np.float64]
    responses: npt.NDArray[np.float32]
    ambience: npt.NDArray[np.int16]

    @property
    def response_length(self) -> int:
        """Taps of a response, silent end included."""
        return RESPONSE_LENGTH

    def response(self, index: int) -> Signal:
        """The response of position `index`, float32 (4, N), without its silent end."""
        return np.asarray(self.responses[index])


def simulate_room(rng: Rng, n_positions: int = 16, ambience_seconds: float = 20.0) -> SimulatedRoom:
    """A living room, kitchen or office with `n_positions` sources around one microphone."""
    size, rt60s, walls, microphone, positions = _geometry(rng, n_positions)
    crossover = _crossover()
    bands = [_image_sources(size, rt60, walls, microphone, positions) for rt60 in rt60s]
    early = [
        scipy.fft.irfft(scipy.fft.rfft(band, 2 * _TAPS) * gain)[..., :_TAPS]
        for band, gain in zip(bands, (crossover, 1 - crossover), strict=True)
    ]
    fade_out = np.clip((_MIXING_S[1] - np.arange(_TAPS) / SAMPLE_RATE) / (_MIXING_S[1] - _MIXING_S[0]), 0, 1)
    responses = sum(early, np.zeros_like(early[0])) * np.sqrt(fade_out)
    for response, low, high in zip(responses, *early, strict=True):
        response += _late(rng, (low, high), rt60s, crossover) * np.sqrt(1 - fade_out)
    background = ambience(rng, ambience_seconds)
    scaled = np.round(background * (32_000 / np.abs(background).max())).astype(np.int16)
    return SimulatedRoom(positions, responses.astype(np.float32), scaled)


def _geometry(
    rng: Rng, n_positions: int
) -> tuple[Samples, tuple[float, float], Samples, Samples, npt.NDArray[np.float64]]:
    """Size, reverberation times, walls, microphone and source positions: all of a room that comes before its sound."""
    size = np.array([rng.uniform(3.8, 8.0), rng.uniform(3.6, 6.5), rng.uniform(2.4, 3.3)])
    low_rt60 = log_uniform(rng, 0.40, 0.74)
    rt60s = (low_rt60, low_rt60 * rng.uniform(0.55, 0.9))
    walls = rng.uniform(0.7, 1.3, 6)
    microphone = np.array([*(rng.uniform(1.6, edge - 1.6) for edge in size[:2]), rng.uniform(1.1, 1.5)])
    azimuths = 2 * np.pi * (np.arange(n_positions) + rng.uniform(0, 0.8, n_positions)) / n_positions
    elevations = np.deg2rad(rng.choice(_ELEVATIONS, n_positions))
    radii = rng.choice(_RADII_M, n_positions)
    positions = radii[:, None] * np.stack(
        [np.cos(azimuths) * np.cos(elevations), np.sin(azimuths) * np.cos(elevations), np.sin(elevations)], axis=1
    )
    return size, rt60s, walls, microphone, positions


def _crossover() -> Samples:
    frequencies = scipy.fft.rfftfreq(2 * _TAPS, 1 / SAMPLE_RATE)
    return 1 / (1 + (frequencies / _CROSSOVER_HZ) ** 4)


def _image_sources(
    size: Samples, rt60: float, walls: Samples, microphone: Samples, positions: npt.NDArray[np.float64]
) -> Samples:
    """Responses (M, 4, taps) of a shoe box whose mean absorption gives `rt60` by Eyring's formula."""
    import pyroomacoustics
    from pyroomacoustics.directivities import CardioidFamily, DirectionVector

    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    mean = 1 - np.exp(-0.161 * float(np.prod(size)) / (surface * rt60))
    names = ("west", "east", "south", "north", "floor", "ceiling")
    materials = {
        name: pyroomacoustics.Material(float(np.clip(mean * wall, 0.02, 0.95)))
        for name, wall in zip(names, walls, strict=True)
    }
    shoe_box = pyroomacoustics.ShoeBox(size, fs=SAMPLE_RATE, materials=materials, max_order=_ORDER)
    axes = ((0, 0, 1.0), (90, 90, 0.0), (0, 0, 0.0), (0, 90, 0.0))  # azimuth, colatitude, pattern of W, Y, Z, X
    capsules = [
        CardioidFamily(DirectionVector(azimuth=azimuth, colatitude=colatitude, degrees=True), p=pattern)
        for azimuth, colatitude, pattern in axes
    ]
    array = pyroomacoustics.MicrophoneArray(np.tile(microphone[:, None], 4), SAMPLE_RATE, directivity=capsules)
    shoe_box.add_microphone_array(array)
    for position in positions:
        shoe_box.add_source(microphone + position)
    threads = pyroomacoustics.constants.get("num_threads")
    pyroomacoustics.constants.set("num_threads", 1)  # sums in one order on every machine
    try:
        shoe_box.compute_rir()
    finally:
        pyroomacoustics.constants.set("num_threads", threads)
    responses = np.zeros((len(positions), 4, _TAPS))
    for channel, row in enumerate(shoe_box.rir):
        for source, taps in enumerate(row):
            responses[source, channel, : min(len(taps), _TAPS)] = taps[:_TAPS]
    return responses


def _late(rng: Rng, early: tuple[Samples, Samples], rt60s: tuple[float, float], crossover: Samples) -> Samples:
    """A diffuse decay (4, taps) that continues the energy of `early` (two bands of (4, taps)) over the mixing time."""
    raw = rng.standard_normal((4, _TAPS))
    start, stop = (int(seconds * SAMPLE_RATE) for seconds in (0.035, 0.075))
    late = np.zeros((4, _TAPS))
    for band, rt60, gain in zip(early, rt60s, (crossover, 1 - crossover), strict=True):
        tail = scipy.fft.irfft(scipy.fft.rfft(raw, 2 * _TAPS) * gain)[:, :_TAPS] * decay(_TAPS, rt60) * DIFFUSE[:, None]
        late += tail * np.sqrt(np.sum(band[:, start:stop] ** 2) / np.sum(tail[:, start:stop] ** 2))
    late[:, -1600:] *= np.linspace(1, 0, 1600)
    return late


class RoomBank:
    """Rooms of one seed, simulated when first asked for and kept on disk; the same on every machine within 1e-6.

    Reading maps the files into memory, so worker processes share them.
    """

    def __init__(self, seed: int, n_rooms: int, n_positions: int = 16, folder: Path | None = None) -> None:
        """`n_positions` of sources in each of `n_rooms`; `folder` holds them, by default one in the user's cache.

        Raises:
            UsageError: a number of rooms below 1 or above `MOST_ROOMS`.
        """
        if not 1 <= n_rooms <= MOST_ROOMS:
            raise UsageError(f"{n_rooms} simulated rooms; expected a number from 1 to {MOST_ROOMS:,}")
        self.seed, self.n_rooms, self.n_positions, self._root = seed, n_rooms, n_positions, folder
        self._open: dict[int, SimulatedRoom] = {}

    @property
    def folder(self) -> Path:
        """Where its rooms are kept."""
        return (self._root or cache_folder() / "rooms") / f"v{_FORMAT}-{self.seed}-{self.n_positions}"

    def __len__(self) -> int:
        return self.n_rooms

    def __getitem__(self, index: int) -> SimulatedRoom:
        if not 0 <= index < self.n_rooms:
            raise IndexError(f"room {index} of {self.n_rooms}")
        if index not in self._open:
            self._open[index] = self._read(self.prepare(index))
        return self._open[index]

    def prepare(self, index: int) -> Path:
        """Simulate room `index` unless it is there already; returns its folder."""
        folder = self.folder / f"room_{index:03d}"
        if not folder.is_dir():
            room = simulate_room(_room_rng(self.seed, index), self.n_positions)
            unfinished = self.folder / f".{uuid.uuid4().hex}.part"
            try:
                unfinished.mkdir(parents=True)
                np.save(unfinished / "positions.npy", room.positions)
                np.save(unfinished / "responses.npy", room.responses)
                np.save(unfinished / "ambience.npy", room.ambience)
                digests = {path.name: file_sha256(path) for path in unfinished.iterdir()}
                (unfinished / _DIGESTS).write_text(json.dumps(digests, indent=1), encoding="utf-8")
                unfinished.rename(folder)
            except OSError as error:
                if not folder.is_dir():  # somebody else was faster: theirs is the same
                    raise WriteError(folder, error) from error
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return folder

    @staticmethod
    def _read(folder: Path) -> SimulatedRoom:
        try:
            if (folder / _DIGESTS).is_file():  # a room of an earlier version has none
                recorded = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
                for name, digest in recorded.items():
                    if file_sha256(folder / name) != digest:
                        raise ValueError(f"{name} is not what was written: its digest differs")
            return SimulatedRoom(
                np.load(folder / "positions.npy"),
                np.load(folder / "responses.npy", mmap_mode="r"),
                np.load(folder / "ambience.npy", mmap_mode="r"),
            )
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{folder}: a cached room cannot be read ({error}); delete the folder") from error


@dataclass(frozen=True, slots=True)
class RoomPlans:
    """The rooms of a `RoomBank` without their sound: where sources are, at once and on any machine."""

    seed: int
    n_rooms: int
    n_positions: int = 16

    def __len__(self) -> int:
        return self.n_rooms

    def __getitem__(self, index: int) -> SimulatedRoom:
        """Room `index`: its positions, no responses, no ambience."""
        positions = _geometry(_room_rng(self.seed, index), self.n_positions)[-1]
        silence = np.zeros((len(positions), 4, 0), np.float32)
        return SimulatedRoom(positions, silence, np.zeros((4, 0), np.int16))


def _room_rng(seed: int, index: int) -> Rng:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index])))
