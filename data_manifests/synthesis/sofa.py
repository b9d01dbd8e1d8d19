"""Measured rooms: responses and source positions from SOFA files (AES69), read with h5py alone.

The rules are those of the official synthesizer (nttcslab/SpAudSyn): the channel order is the file's, listener and
receiver geometry and `Data.Delay` are ignored, positions are taken as if the listener were at the origin.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.render import Signal


@dataclass(frozen=True, slots=True)
class SofaRoom:
    """One SOFA file; responses are read one at a time, since official files hold half a gigabyte.

    Attributes:
        path: the file.
        positions: float64 (M, 3), source positions in metres, Cartesian.
        sample_rate: of the responses, Hz.
        n_channels: receivers R.
        response_length: taps N.
    """

    path: Path
    positions: npt.NDArray[np.float64]
    sample_rate: int
    n_channels: int
    response_length: int

    def response(self, index: int) -> Signal:
        """The response of measurement `index`, (R, N), in the file's own precision."""
        import h5py

        with h5py.File(self.path) as file:
            response: Signal = file["Data.IR"][index]
            return response

    def find(self, position: npt.ArrayLike) -> int:
        """The first measurement at `position` (x, y, z): within 1e-6 + 1e-5 |coordinate| in each coordinate.

        Raises:
            DataError: no measurement lies there (there is no nearest-neighbour search).
        """
        wanted = np.asarray(position, dtype=np.float64)
        near = np.isclose(self.positions, wanted, atol=1e-6).all(axis=1)
        if not near.any():
            distances = np.linalg.norm(self.positions - wanted, axis=1)
            raise DataError(
                f"{self.path}: no response for the position {wanted.tolist()}: the nearest of "
                f"{len(self.positions)} is {distances.min():.3g} m away"
            )
        return int(np.argmax(near))


def open_sofa(path: Path) -> SofaRoom:
    """Read a SOFA file's geometry.

    Raises:
        DataError: the file is missing, is not HDF5, or lacks what a room needs; the message names it.
    """
    import h5py

    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a SOFA file with room responses")
    try:
        with h5py.File(path) as file:
            n_positions, n_channels, n_taps = file["Data.IR"].shape
            raw = np.asarray(file["SourcePosition"][()], dtype=np.float64)
            kind, units = (_text(file["SourcePosition"].attrs[name]) for name in ("Type", "Units"))
            rate = int(np.ravel(file["Data.SamplingRate"][()])[0])
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a SOFA file with impulse responses: {error}") from error
    if raw.shape != (n_positions, 3):
        raise DataError(f"{path}: SourcePosition has shape {raw.shape}, expected ({n_positions}, 3)")
    if kind == "spherical":
        raw = _cartesian(raw, degrees=units.partition(",")[0].strip().lower() not in ("radian", "radians", "rad"))
    elif kind != "cartesian":
        raise DataError(f"{path}: SourcePosition has the type {kind!r}, expected 'cartesian' or 'spherical'")
    return SofaRoom(path, raw, rate, n_channels, n_taps)


def _cartesian(spherical: npt.NDArray[np.float64], *, degrees: bool) -> npt.NDArray[np.float64]:
    angles = np.deg2rad(spherical[:, :2]) if degrees else spherical[:, :2]
    azimuth, elevation, radius = angles[:, 0], angles[:, 1], spherical[:, 2]
    return np.stack(
        [
            radius * np.cos(azimuth) * np.cos(elevation),
            radius * np.sin(azimuth) * np.cos(elevation),
            radius * np.sin(elevation),
        ],
        axis=1,
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
