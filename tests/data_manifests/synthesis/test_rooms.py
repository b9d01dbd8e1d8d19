import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import WriteError
from s5eval.data_manifests.synthesis.foley import CLASSES, draw_event
from s5eval.data_manifests.synthesis.render import convolve, direct_part
from s5eval.data_manifests.synthesis.rooms import RESPONSE_LENGTH, RoomBank, simulate_room


def test_direct_sound_comes_from_its_direction(one_room: RoomBank) -> None:
    for room in (one_room[0], one_room[1]):
        for position, response in zip(room.positions, room.responses, strict=True):
            peak = np.abs(response[0]).argmax()
            x, y, z = position / np.linalg.norm(position)
            assert np.allclose(response[1:, peak] / response[0, peak], [y, z, x], atol=0.05)
            assert abs(peak - 40 - np.linalg.norm(position) / 343 * 32000) < 3


def test_late_reverberation_is_diffuse_and_decays(one_room: RoomBank) -> None:
    for response in one_room[0].responses:
        late = response[:, 4000:8000].astype(float)
        power = np.mean(late**2, axis=1)
        assert np.allclose(power[1:] / power[0], 1 / 3, atol=0.12)
        assert np.mean(response[:, 12_000:14_000].astype(float) ** 2) < 0.1 * power.mean()
        assert np.sum(response[0, 2000:2400] ** 2) < 4 * np.sum(response[0, 1600:2000] ** 2)  # no step at the seam


def test_dry_against_wet_is_healthy() -> None:
    # Targets cannot be learned where the room hides them, nor is anything to do where there is no room.
    ratios = []
    for seed in range(8):
        room = simulate_room(np.random.Generator(np.random.PCG64(seed)), n_positions=6, ambience_seconds=0.1)
        for i, response in enumerate(room.responses):
            source = draw_event(CLASSES[(7 * seed + i) % 18], np.random.Generator(np.random.PCG64(i)), 1.0)
            direct = np.zeros_like(response[0])
            part = direct_part(response[0], 32000)
            direct[: len(part)] = part
            wet, dry = convolve(source, np.stack([response[0], direct]))
            ratios.append(10 * np.log10(np.sum(dry**2) / np.sum((wet - dry) ** 2)))
    low, median, high = np.percentile(ratios, [10, 50, 90])
    assert 6.0 < median < 10.0
    assert low > 2.5 and high < 14


def test_a_room_is_a_function_of_seed_and_number(one_room: RoomBank, tmp_path: Path) -> None:
    again = RoomBank(seed=77, n_rooms=2, n_positions=8, folder=tmp_path)
    assert np.array_equal(again[1].responses, one_room[1].responses)
    assert np.array_equal(again[1].ambience, one_room[1].ambience)
    assert not np.array_equal(one_room[0].responses, one_room[1].responses)
    assert not [path for path in tmp_path.rglob("*.part")]
    assert again[1].response(2).shape == (4, 16_000) and again[1].response_length == RESPONSE_LENGTH
    with pytest.raises(IndexError):
        again[2]


def test_rooms_of_other_seeds_and_numbers_of_positions_lie_apart(tmp_path: Path) -> None:
    """One would be taken for the other without a word; how many rooms are asked for changes none of them."""
    banks = [RoomBank(seed, 2, positions, tmp_path) for seed in (1, 11) for positions in (1, 2, 12)]
    assert len({bank.folder for bank in banks}) == len(banks)
    assert RoomBank(1, 5, 2, tmp_path).folder == RoomBank(1, 2, 2, tmp_path).folder


def test_a_damaged_room_says_so(one_room: RoomBank, tmp_path: Path) -> None:
    bank = RoomBank(seed=77, n_rooms=2, n_positions=8, folder=tmp_path)
    shutil.copytree(one_room.folder, bank.folder)
    (bank.folder / "room_000" / "responses.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="room_000"):
        bank[0]


def test_flipped_bits_of_a_cached_room_are_noticed(one_room: RoomBank, tmp_path: Path) -> None:
    one_room.prepare(0)
    for name in ("responses.npy", "positions.npy", "ambience.npy"):
        bank = RoomBank(seed=77, n_rooms=2, n_positions=8, folder=tmp_path / name)
        shutil.copytree(one_room.folder, bank.folder)
        path = bank.folder / "room_000" / name
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{name} is not what was written"):
            bank[0]


def test_a_full_disk_is_told_with_the_room_s_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(WriteError, match="room_000: cannot be written: No space left on device; free some space"):
        RoomBank(1, 1, folder=tmp_path).prepare(0)


@pytest.mark.parametrize("count", [0, 10**30])
def test_numbers_of_rooms_that_cannot_be_meant(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} simulated rooms; expected a number from 1 to 1,000,000"):
        RoomBank(seed=1, n_rooms=count)
