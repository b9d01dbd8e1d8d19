"""What scenes of recordings share: the names that are told of recordings, and the rooms of a seed."""

from dataclasses import replace
from pathlib import Path

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.sets.recorded import RecordedSet, _material
from s5eval.data_manifests.synthesis.rooms import RoomBank

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")


def test_a_recording_is_named_by_the_folder_that_it_is_from(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    both = RecordedSet((one, two), "valid", 0, 8, (FIRST, SECOND))
    found = both.named([str(two / "x" / "1.wav"), str(one / "x" / "1.wav"), str(one / "x" / "1.wav")])
    assert found == (f"{digest_start(FIRST)}/x/1.wav", f"{digest_start(SECOND)}/x/1.wav")


def test_sets_of_two_seeds_have_no_room_in_common(tmp_path: Path) -> None:
    (tmp_path / "valid" / "Cough").mkdir(parents=True)
    (tmp_path / "valid" / "Cough" / "1.wav").write_bytes(b"")
    seven = RecordedSet((tmp_path,), "valid", 7, 3, (FIRST,))
    banks = [_material(of).rooms for of in (seven, replace(seven, seed=8))]
    assert [(type(bank), bank.seed, len(bank)) for bank in banks if isinstance(bank, RoomBank)] == [
        (RoomBank, 3_026_000_007, 3),
        (RoomBank, 3_026_000_008, 3),
    ]
