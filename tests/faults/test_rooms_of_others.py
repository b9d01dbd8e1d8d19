"""A room in a SOFA file that was received holds its own finite values, and nothing of other files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.sofa import open_sofa


def begin_sofa(path: Path, responses: np.ndarray | None) -> h5py.File:
    file = h5py.File(path, "w")
    if responses is not None:
        file["Data.IR"] = responses
    file["SourcePosition"] = np.array([[1.0, 0.0, 0.0]])
    file["SourcePosition"].attrs["Type"], file["SourcePosition"].attrs["Units"] = "cartesian", "metre"
    file["Data.SamplingRate"] = np.array([32000.0])
    return file


@pytest.mark.parametrize("kind", ["external storage", "external link", "virtual", "soft link"])
def test_a_room_takes_nothing_from_other_files(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 4 * 16 * 8)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["Data.IR"] = np.ones((1, 4, 16))
    room = tmp_path / "room.sofa"
    with begin_sofa(room, None) as file:
        if kind == "external storage":
            file.create_dataset("Data.IR", (1, 4, 16), "f8", external=[(str(secret), 0, 512)])
        elif kind == "external link":
            file["Data.IR"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "Data.IR")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((1, 4, 16), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "Data.IR", (1, 4, 16))
            file.create_virtual_dataset("Data.IR", layout)
        else:
            file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
            file["Data.IR"] = h5py.SoftLink("/link/Data.IR")
    with pytest.raises(DataError, match="only values of the file itself are read"):
        open_sofa(room)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_response_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    responses = np.zeros((1, 4, 16))
    responses[0, 2, 3] = value
    begin_sofa(tmp_path / "room.sofa", responses).close()
    room = open_sofa(tmp_path / "room.sofa")
    with pytest.raises(DataError, match="NaN or infinite"):
        room.response(0)
