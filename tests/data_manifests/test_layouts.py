"""What others' folders hold of a scene: nothing of it is left out without a word."""

from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.layouts import map_folder


@pytest.mark.parametrize("lost", ["foreground1_Cough.WAV", "foreground1_Cough.flac", "foreground_Cough.wav"])
def test_a_target_of_fuss_that_is_named_or_stored_otherwise_is_not_left_out_of_its_scene(
    tmp_path: Path, lost: str
) -> None:
    (tmp_path / "a_sources").mkdir()
    beside = ("background0_x.flac", "foreground0_Speech.wav", "foreground0_Speech.txt")
    for name in ("a.wav", *(f"a_sources/{name}" for name in beside)):
        (tmp_path / name).write_bytes(b"")
    assert len(map_folder(tmp_path, "fuss")) == 2
    (tmp_path / "a_sources" / lost).write_bytes(b"")
    with pytest.raises(DataError, match=f"{lost}: expected a wav of a name such as foreground0_Speech.wav"):
        map_folder(tmp_path, "fuss")
