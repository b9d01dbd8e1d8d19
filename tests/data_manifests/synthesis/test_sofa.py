"""Rooms from SOFA files: where their sources are, and which response a position stands for."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.sofa import SofaRoom, open_sofa


def room(
    path: Path, positions: object, kind: str = "cartesian", units: str = "metre", precision: str = "float64"
) -> SofaRoom:
    places = np.array(positions, dtype=float)
    with h5py.File(path, "w") as file:
        file["Data.IR"] = np.arange(len(places) * 8, dtype=precision).reshape(len(places), 4, 2)
        file["Data.SamplingRate"] = np.array([32_000.0])
        file["SourcePosition"] = places
        file["SourcePosition"].attrs["Type"], file["SourcePosition"].attrs["Units"] = kind, units
    return open_sofa(path)


@pytest.mark.parametrize(
    ("units", "turn"),
    [("degree, degree, metre", 1.0), ("radian, radian, metre", np.pi / 180), ("Radians,radians,metre", np.pi / 180)],
)
def test_spherical_positions_are_azimuth_elevation_and_radius(tmp_path: Path, units: str, turn: float) -> None:
    angles = [[0, 0, 1], [90, 0, 2], [180, 0, 1], [270, 30, 2], [0, -90, 3]]
    there = room(tmp_path / "a.sofa", [[a * turn, e * turn, r] for a, e, r in angles], "spherical", units)
    expected = [[1, 0, 0], [0, 2, 0], [-1, 0, 0], [0, -(3**0.5), 1], [0, 0, -3]]
    assert np.allclose(there.positions, expected, atol=1e-9)


def test_the_first_response_at_a_position_counts_and_no_other_is_near_enough(tmp_path: Path) -> None:
    there = room(tmp_path / "a.sofa", [[1, 0, 0], [0, 0.75, 0], [0, 0.75, 0], [0, 0, -1]])
    assert there.find([0, 0.75, 0]) == 1
    assert there.response(1).tolist() == [[8, 9], [10, 11], [12, 13], [14, 15]]
    # 1e-6 and a hundred-thousandth of the coordinate, in each coordinate
    assert there.find([1 + 1.05e-5, 0.9e-6, -0.9e-6]) == 0
    for position in ([1 + 1.2e-5, 0, 0], [1, 1.1e-6, 0], [0, 0, 1], [0.75, 0, 0]):
        with pytest.raises(DataError, match="no response for the position"):
            there.find(position)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_responses_keep_the_precision_that_they_are_stored_in(tmp_path: Path, precision: str) -> None:
    assert room(tmp_path / "a.sofa", [[1, 0, 0]], precision=precision).response(0).dtype == precision


@pytest.mark.parametrize("kind", ["Spherical", "Cartesian", "spherical harmonics"])
def test_a_type_of_positions_that_is_written_otherwise_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=f"type '{kind}', expected 'cartesian' or 'spherical'"):
        room(tmp_path / "a.sofa", [[1, 0, 0]], kind)
