"""Where the parts of a folder of recordings are looked for."""

from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.synthesis.recordings import open_recordings


def test_rooms_lie_in_their_folder_itself_and_sounds_anywhere_below_theirs(tmp_path: Path) -> None:
    files = {
        "clip": tmp_path / "sound_event" / "train" / "Cough" / "anna" / "first" / "a.wav",
        "other": tmp_path / "interference" / "train" / "Dog" / "b.wav",
        "noise": tmp_path / "noise" / "train" / "park" / "c.wav",
    }
    for name, path in files.items():
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.full((3200, 4 if name == "noise" else 1), 0.1), 32_000)
    spare = tmp_path / "room_ir" / "train" / "spare" / "hall.sofa"
    spare.parent.mkdir(parents=True)
    spare.write_bytes(b"no room, and not looked at")
    found = open_recordings(tmp_path, "train")
    assert [clip.path for clip in found.targets.all_clips()] == [files["clip"]]
    assert found.interference is not None
    assert [clip.path for clip in found.interference.all_clips()] == [files["other"]]
    assert (list(found.rooms), found.backgrounds) == ([], (files["noise"],))


def test_a_table_of_a_spreadsheet_begins_with_a_mark_that_is_no_part_of_its_head(tmp_path: Path) -> None:
    clip = tmp_path / "valid" / "Cough" / "a.wav"
    clip.parent.mkdir(parents=True)
    soundfile.write(clip, np.full(3200, 0.1), 32_000)
    (tmp_path / "manifest.csv").write_text("file,licence,source\na.wav,CC0,us\n", encoding="utf-8-sig")
    assert open_recordings(tmp_path, "valid").described()["origins"] == [{"licence": "CC0", "source": "us", "files": 1}]
