"""Measured rooms: responses and source positions from SOFA files (AES69), read with h5py alone.

The rules are those of the official synthesizer (nttcslab/SpAudSyn): the channel order is the file's, listener and
receiver geometry and `Data.Delay` are ignored, positions are taken as if the listener were at the origin.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.listing import not_a_file
from s5eval.data_manifests.synthesis.render import Signal

_DATASETS = ("Data.IR", "SourcePosition", "Data.SamplingRate")


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
        """The response of measurement `index`, (R, N), in the file's own precision.

        Raises:
            DataError: it cannot be read, or is not finite.
        """
        import h5py

        try:
            with h5py.File(self.path) as file:
                response: Signal = _own(file, "Data.IR")[index]
        except (OSError, ValueError) as error:  # a filter that is not at hand, a chunk that is cut
            raise DataError(f"{self.path}: the response {index} cannot be read: {error}") from error
        if not np.isfinite(response).all():
            raise DataError(f"{self.path}: the response {index} holds NaN or infinite values")
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
        DataError: the file is missing, is not HDF5, lacks what a room needs, or takes it from another file (external
            storage, external links, virtual data sets): a room must not carry what else is on a disk into audio.
    """
    import h5py

    if problem := not_a_file(path):
        raise DataError(f"{path}: {problem}; expected a SOFA file with room responses")
    try:
        with h5py.File(path) as file:
            responses, positions, rates = (_own(file, name) for name in _DATASETS)
            n_positions, n_channels, n_taps = responses.shape
            if responses.dtype.kind != "f":
                raise ValueError(f"Data.IR is of type {responses.dtype}, expected floating-point numbers")
            raw = np.asarray(positions[()], dtype=np.float64)
            kind, units = (_text(positions.attrs[name]) for name in ("Type", "Units"))
            rate = int(np.ravel(rates[()])[0])
    except (OSError, KeyError, ValueError, TypeError, IndexError, OverflowError, RuntimeError) as error:
        raise DataError(f"{path}: not a SOFA file with impulse responses: {error}") from error
    if not np.isfinite(raw).all():
        raise DataError(f"{path}: SourcePosition holds NaN or infinite values")
    if raw.shape != (n_positions, 3):
        raise DataError(f"{path}: SourcePosition has shape {raw.shape}, expected ({n_positions}, 3)")
    if kind == "spherical":
        raw = _cartesian(raw, degrees=units.partition(",")[0].strip().lower() not in ("radian", "radians", "rad"))
    elif kind != "cartesian":
        raise DataError(f"{path}: SourcePosition has the type {kind!r}, expected 'cartesian' or 'spherical'")
    return SofaRoom(path, raw, rate, n_channels, n_taps)


def _own(file: Any, name: str) -> Any:
    """A data set whose values are in this file."""
    import h5py

    link = file.get(name, getlink=True)
    if link is None:
        raise KeyError(f"it has no {name}")
    if not isinstance(link, h5py.HardLink):
        raise DataError(f"{file.filename}: {name} is a link to {link.path!r}; only values of the file itself are read")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name} is a {type(found).__name__.lower()}, expected a data set")
    if found.external or found.is_virtual:
        kept = "external storage" if found.external else "a virtual data set"
        raise DataError(f"{file.filename}: {name} is {kept}, in other files; only values of the file itself are read")
    return found


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
