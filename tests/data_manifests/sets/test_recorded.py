"""Sets from folders of recordings, and what is said of such folders."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from tiny_dev_set import write_sofa

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.naming import parse_source_stem
from s5eval.data_manifests.sets import recorded
from s5eval.data_manifests.sets.mini import Recipe
from s5eval.data_manifests.sets.recorded import make_recorded
from s5eval.data_manifests.synthesis.recordings import open_recordings
from s5eval.data_manifests.verify import verify
from s5eval.data_manifests.verify_recordings import verify_recordings


@pytest.fixture
def plain_folder(tmp_path: Path) -> Path:
    """Classes directly below the split, one take each of two, with a manifest that knows the first."""
    rng = np.random.default_rng(1)
    for label in ("Cough", "Typing"):
        clip = tmp_path / "mine" / "valid" / label / f"{label}_1.wav"
        clip.parent.mkdir(parents=True)
        soundfile.write(clip, rng.standard_normal(9600) * 0.1, 32000)
    (tmp_path / "mine" / "manifest.csv").write_text(
        'file,licence,source\nelsewhere/Cough_1.wav,"CC-BY, Somebody","github a/b@1: x.wav"\n'
    )
    return tmp_path / "mine"


@pytest.fixture
def short_scenes(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    recipe = Recipe(duration=1.0, target_counts=(0, 1), interference_counts=(1,))
    monkeypatch.setattr(recorded, "RECIPE", recipe)
    recorded._material.cache_clear()
    yield
    recorded._material.cache_clear()


def scenes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "soundscape").iterdir())}


def verified(folder: Path) -> list[Finding]:
    return verify(open_manifest(folder, as_it_stands=True))


def labels_of(folder: Path) -> set[str]:
    names = [parse_source_stem(path.stem) for path in (folder / "oracle_target").iterdir()]
    return {name.label for name in names if name is not None}


def test_a_set_is_a_function_of_material_and_seed_and_grows_without_change(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"split": "valid", "rooms": 1, "workers": 1}
    one = make_recorded([plain_folder], count=2, seed=7, out=tmp_path / "one", **options)
    first = scenes_of(one)
    assert list(first) == ["recorded_valid_0000.wav", "recorded_valid_0001.wav"]
    assert labels_of(one) <= {"Cough", "Typing"} and labels_of(one)
    make_recorded([plain_folder], count=3, seed=7, out=one, **options)
    assert {name: scenes_of(one)[name] for name in first} == first and len(scenes_of(one)) == 3
    other = make_recorded([plain_folder], count=2, seed=8, out=tmp_path / "other", **options)
    assert scenes_of(other) != first


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 8}, "seed 7, ordered is 8"),
        ({"count": 2, "seed": 8}, "seed 7, ordered is 8"),
        ({"rooms": 2}, r'rooms .*"simulated": 1}, ordered is .*"simulated": 2}'),
        ({"split": "test"}, 'split "valid", ordered is "test"'),
        ({"count": 2}, r"mixtures beside the 2 .*\(recorded_valid_0002\).*larger `count`"),
    ],
)
def test_what_does_not_belong_to_the_order_does_not_stay_silently(
    plain_folder: Path, short_scenes: None, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    options: dict[str, Any] = {"split": "valid", "count": 3, "seed": 7, "rooms": 1, "workers": 1}
    shutil.copytree(plain_folder / "valid", plain_folder / "test")
    out = make_recorded([plain_folder], out=tmp_path / "set", **options)
    before, told = scenes_of(out), (out / "material.json").read_text()
    with pytest.raises(UsageError, match=said):
        make_recorded([plain_folder], out=out, **options | change)
    assert (scenes_of(out), (out / "material.json").read_text()) == (before, told)


def test_other_recordings_under_the_same_names_are_another_order(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"split": "valid", "count": 2, "seed": 7, "rooms": 1, "workers": 1}
    out = make_recorded([plain_folder], out=tmp_path / "set", **options)
    before = scenes_of(out)
    for label in ("Cough", "Typing"):
        soundfile.write(plain_folder / "valid" / label / f"{label}_1.wav", np.ones(9600) * 0.1, 32000)
    with pytest.raises(UsageError, match=r"recordings sha256:\w+, ordered are sha256:\w+.*name another `out`"):
        make_recorded([plain_folder], out=out, **options)
    assert scenes_of(out) == before
    assert scenes_of(make_recorded([plain_folder], out=tmp_path / "other", **options)) != before


def test_a_killed_order_goes_on_and_no_other_takes_its_place(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"split": "valid", "count": 3, "rooms": 1, "workers": 1, "out": tmp_path / "set"}

    def kill(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_recorded([plain_folder], seed=7, progress=kill, **options)
    (short,) = [found for found in verified(tmp_path / "set") if found.rule == "mixture-count"]
    assert short.message == "ordered: 3 scenes, found: 2 mixtures; the same order again makes the others"
    with pytest.raises(UsageError, match="seed 7, ordered is 8"):
        make_recorded([plain_folder], seed=8, **options)
    whole = make_recorded([plain_folder], seed=7, **options)
    assert scenes_of(whole) == scenes_of(make_recorded([plain_folder], seed=7, **options | {"out": tmp_path / "new"}))
    assert "mixture-count" not in {found.rule for found in verified(whole)}


def test_verify_names_scenes_that_an_earlier_order_has_left(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    """As orders of other seeds left them before they were refused."""
    out = make_recorded([plain_folder], split="valid", count=2, seed=7, rooms=1, workers=1, out=tmp_path / "set")
    shutil.copy(out / "soundscape" / "recorded_valid_0000.wav", out / "soundscape" / "recorded_valid_0002.wav")
    (left,) = [found for found in verified(out) if found.rule == "mixture-count"]
    assert left.message == "ordered: 2 scenes, found: 3 mixtures; some are not of this set; make it anew"
    (out / "material.json").write_text('{"scenes": "two"}')
    assert {found.rule for found in verified(out) if found.file.endswith("material.json")} == {"metadata"}
    with pytest.raises(DataError, match=r"material\.json: .*'recordings' is missing.*in another folder"):
        make_recorded([plain_folder], split="valid", count=2, seed=7, rooms=1, workers=1, out=out)


def test_the_manifest_tells_what_the_set_was_made_of(plain_folder: Path, short_scenes: None, tmp_path: Path) -> None:
    out = make_recorded([plain_folder], split="valid", count=1, seed=1, out=tmp_path / "set", rooms=1, workers=1)
    told = json.loads((out / "material.json").read_text())
    assert (told["classes"], told["interference"]) == (["Cough", "Typing"], "procedural")
    assert told["rooms"] == {"measured": 0, "simulated": 1}
    (folder,) = told["recordings"]
    assert (folder["folder"], folder["files"], folder["digest"][:7]) == ("mine", 2, "sha256:")
    assert folder["origins"] == [
        {"licence": "CC-BY, Somebody", "source": "github a/b@1", "files": 1},
        {"licence": "not stated", "source": "not stated", "files": 1},
    ]
    assert folder["licences"] == {"CC BY": 1, "not stated": 1}
    assert str(tmp_path) not in (out / "material.json").read_text()


def test_measured_rooms_of_a_folder_take_the_place_of_simulated_ones(
    tiny_dev_set: SimpleNamespace, short_scenes: None, tmp_path: Path
) -> None:
    out = make_recorded([tiny_dev_set.dev], split="valid", count=2, seed=1, out=tmp_path / "set", workers=1)
    told = json.loads((out / "material.json").read_text())
    assert told["rooms"] == {"measured": 2, "simulated": 0} and told["interference"] == "recordings"
    assert labels_of(out) <= {"Doorbell", "Percussion", "Speech"}


def test_recordings_that_join_a_folder_are_heard_by_the_process_that_knew_it_before(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"split": "valid", "count": 4, "seed": 7, "rooms": 1, "workers": 1}
    make_recorded([plain_folder], out=tmp_path / "before", **options)
    for label in ("Pour", "Speech", "Dishes"):
        shutil.copytree(plain_folder / "valid" / "Cough", plain_folder / "valid" / label)
    after = scenes_of(make_recorded([plain_folder], out=tmp_path / "after", **options))
    recorded._material.cache_clear()
    assert scenes_of(make_recorded([plain_folder], out=tmp_path / "afresh", **options)) == after


def test_a_recording_that_was_replaced_has_its_new_length(plain_folder: Path) -> None:
    path = plain_folder / "valid" / "Cough" / "Cough_1.wav"
    lengths = []
    for samples in (9600, 3200):
        soundfile.write(path, np.ones(samples) * 0.1, 32000)
        lengths += [clip.seconds for clip in open_recordings(plain_folder, "valid").targets.clips["Cough"]]
    assert lengths == [0.3, 0.1]


@pytest.mark.parametrize("channels", [1, 2, 9])
def test_a_measured_room_has_the_four_channels_of_a_mixture(
    channels: int, tiny_dev_set: SimpleNamespace, short_scenes: None, tmp_path: Path
) -> None:
    folder = tmp_path / "dev"
    shutil.copytree(tiny_dev_set.dev, folder)
    rng = np.random.default_rng(1)
    angles = np.linspace(0, 6, 9)
    around = np.stack([np.cos(angles), np.sin(angles), np.zeros(9)], 1)
    room = folder / "room_ir" / "valid" / "odd.sofa"
    write_sofa(room, rng.standard_normal((9, channels, 64)), around, spherical=False, rate=32000)
    with pytest.raises(DataError, match=rf"odd\.sofa: responses of {channels} channels?, expected 4"):
        make_recorded([folder], split="valid", count=1, seed=1, out=tmp_path / "set", workers=1)
    assert [finding.rule for finding in verify_recordings([folder], split="valid").findings] == ["room"]


def test_no_target_is_a_part_of_a_recording_in_which_nothing_sounds(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    mostly_silent = np.zeros(32000 * 8)
    mostly_silent[:16000] = np.random.default_rng(2).standard_normal(16000) * 0.1
    for label in ("Cough", "Typing"):
        soundfile.write(plain_folder / "valid" / label / f"{label}_1.wav", mostly_silent, 32000)
    out = make_recorded([plain_folder], split="valid", count=6, seed=1, rooms=1, workers=1, out=tmp_path / "set")
    references = sorted((out / "oracle_target").iterdir())
    assert len(references) == 6 and all(soundfile.read(path)[0].any() for path in references)


def test_an_ambisonic_recording_is_no_recording_of_a_single_sound(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    for label in ("Cough", "Typing"):
        path = plain_folder / "valid" / label / f"{label}_1.wav"
        soundfile.write(path, np.random.default_rng(1).standard_normal((9600, 4)) * 0.1, 32000)
    with pytest.raises(DataError, match=r"_1\.wav: 4 channels, expected one, or two to be averaged"):
        make_recorded([plain_folder], split="valid", count=1, seed=1, rooms=1, workers=1, out=tmp_path / "set")


def test_recordings_in_which_nothing_sounds_end_it_with_a_word(
    plain_folder: Path, short_scenes: None, tmp_path: Path
) -> None:
    for label in ("Cough", "Typing"):
        soundfile.write(plain_folder / "valid" / label / f"{label}_1.wav", np.zeros(9600), 32000)
    with pytest.raises(DataError, match=r"scene 0: none of a hundred draws .* nothing sounds where (Cough|Typing)"):
        make_recorded([plain_folder], split="valid", count=1, seed=1, rooms=1, workers=1, out=tmp_path / "set")


def test_what_cannot_be_made_is_refused(plain_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least"):
        make_recorded([], split="valid", count=1, seed=1, out=tmp_path / "set")
    with pytest.raises(DataError, match="no recordings"):
        make_recorded([plain_folder], split="test", count=1, seed=1, out=tmp_path / "set")
    (plain_folder / "manifest.csv").write_text("name\nx\n")
    with pytest.raises(DataError, match="columns file, licence and source"):
        open_recordings(plain_folder, "valid").described()


def test_recordings_of_one_name_have_each_its_own_licence(plain_folder: Path) -> None:
    """Files are called 1.wav in every class: one of them must not tell for all."""
    for label in ("Cough", "Typing"):
        (plain_folder / "valid" / label / f"{label}_1.wav").rename(plain_folder / "valid" / label / "1.wav")
    table, head = plain_folder / "manifest.csv", "file,licence,source\n"

    def told() -> dict[str, str]:
        recordings = open_recordings(plain_folder, "valid").described()
        return {origin["source"]: origin["licence"] for origin in recordings["origins"]}

    table.write_text(head + "valid/Cough/1.wav,CC0,a\nvalid/Typing/1.wav,MIT,b\n")
    assert told() == {"a": "CC0", "b": "MIT"}
    table.write_text(head + "valid/Cough/1.wav,CC0,a\n")
    assert told() == {"a": "CC0", "not stated": "not stated"}, "the row is the other file's"
    table.write_text(head + "x/Cough/1.flac,CC0,a\nx/Typing/1.flac,MIT,b\nx/Pour/1.flac,MIT,c\n,MIT,d\n")
    assert told() == {"a": "CC0", "b": "MIT"}, "folders around a name decide"
    table.write_text(head + "x/1.flac,CC0,a\ny/1.flac,MIT,b\n")
    assert told() == {"not stated": "not stated"}


@pytest.mark.parametrize("row", ["1.wav", "1.wav,CC0"])
def test_a_row_that_is_too_short_is_named_with_its_table(plain_folder: Path, row: str) -> None:
    (plain_folder / "manifest.csv").write_text(f"file,licence,source\n{row}\n")
    with pytest.raises(DataError, match=r"manifest\.csv: expected a table with the columns file, licence and source"):
        open_recordings(plain_folder, "valid").described()


def test_the_command_makes_a_set_that_a_run_takes(
    plain_folder: Path, short_scenes: None, tmp_path: Path, s5eval: Callable[..., Any]
) -> None:
    made = s5eval(
        "data", "make", "--recordings", plain_folder, "--count", 2, "--seed", 7, "--rooms", 1, "--workers", 1,
        "--out", tmp_path / "set", "--json",
    )  # fmt: skip
    assert (made.code, made.json) == (0, {"folder": str(tmp_path / "set"), "scenes": 2})
    assert "no recording of AlarmClock, BicycleBell, Blender, Buzzer, Clapping, CupboardOpenClose" in made.err
    assert "Cough," not in made.err and "in valid: no scene has these classes" in made.err
    run = s5eval("run", "--system", "oracle", "--data", tmp_path / "set", "--out", tmp_path / "run", "--json")
    assert (run.code, run.json["n_expected"]) == (0, 2)


def test_a_class_that_is_none_is_named(plain_folder: Path) -> None:
    (plain_folder / "valid" / "Typing").rename(plain_folder / "valid" / "Trombone")
    with pytest.raises(DataError, match="Trombone"):
        open_recordings(plain_folder, "valid")
