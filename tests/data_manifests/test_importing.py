"""Stems of other tools become a set: to the last bit where nothing is converted, and never by a guess."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.importing import Convention, import_set, to_ambix
from s5eval.data_manifests.layouts import map_folder
from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.mapping import mapping_text, read_classes, read_mapping

Call = Callable[..., Any]
RATE = 32_000
SCENES: Mapping[str, list[str]] = {"a_1": ["Speech"], "a_10": [], "b": ["Pour", "Cough"], "c": ["Typing", "Typing"]}
NUMBERS = {"Speech": 0, "Cough": 3, "Pour": 7, "Typing": 11}


@pytest.fixture
def official(tmp_path: Path, make_set: Call) -> Path:
    """Four scenes in the official layout, with estimates."""
    return make_set(tmp_path / "official", SCENES, estimates=SCENES)


def targets(official: Path, id_: str) -> list[tuple[int, str, Path]]:
    return [(k, label, official / "oracle_target" / f"{id_}_{k}_{label}.wav") for k, label in enumerate(SCENES[id_])]


@pytest.fixture
def fuss(official: Path, tmp_path: Path) -> Path:
    """The same scenes as FUSS lays them out, with names of its own and sounds that are no targets."""
    root = tmp_path / "fuss"
    for id_ in SCENES:
        sources = root / "ssdata" / "train" / f"{id_}_sources"
        sources.mkdir(parents=True)
        shutil.copy(official / "soundscape" / f"{id_}.wav", sources.with_name(f"{id_}.wav"))
        soundfile.write(sources / "background0_sound.wav", np.zeros(100), RATE)
        soundfile.write(sources / "foreground9_bark.wav", np.zeros(100), RATE)
        for k, label, path in targets(official, id_):
            shutil.copy(path, sources / f"foreground{k}_{label.lower()}.wav")
    names = [*((label.lower(), label) for label in NUMBERS), ("bark", "")]
    (root / "classes.csv").write_text("theirs,ours\n" + "".join(f"{a},{b}\n" for a, b in names))
    return root


@pytest.fixture
def spatialscaper(official: Path, tmp_path: Path) -> Path:
    """The same scenes as SpatialScaper lays them out, stems beside them."""
    root = tmp_path / "scaper"
    for folder in ("foa_dev/train", "metadata_dev/train", "stems_dev/train"):
        (root / folder).mkdir(parents=True)
    for id_ in SCENES:
        shutil.copy(official / "soundscape" / f"{id_}.wav", root / "foa_dev" / "train")
        lines = []
        for k, label, path in targets(official, id_):
            shutil.copy(path, root / "stems_dev" / "train" / f"{id_}_{NUMBERS[label]}_{k}.wav")
            lines += [f"{frame},{NUMBERS[label]},{k},30,0,2\n" for frame in range(k if id_ == "c" else 0, 5)]
        (root / "metadata_dev" / "train" / f"{id_}.csv").write_text("".join(lines))
    (root / "classes.csv").write_text("theirs,ours\n" + "".join(f"{n},{label}\n" for label, n in NUMBERS.items()))
    return root


def scores(s5eval: Call, official: Path, data: Path, out: Path) -> list[dict[str, Any]]:
    done = s5eval("score", official / "estimate", "--data", data, "--out", out)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in (out / "mixtures.jsonl").read_text().splitlines()]
    for line in lines:
        line["outcome"].pop("seconds")
        for key in ("files", "sha256"):
            line.pop(key, None)
    return lines


def test_the_same_scenes_through_three_layouts_score_the_same_to_the_last_bit(
    s5eval: Call, official: Path, fuss: Path, spatialscaper: Path, tmp_path: Path
) -> None:
    wanted = scores(s5eval, official, official, tmp_path / "run")
    assert len(wanted) == len(SCENES) and any(line["capi"]["value"] for line in wanted)
    for layout, root in (("fuss", fuss), ("spatialscaper", spatialscaper)):
        mapped = s5eval("data", "map", root, "--layout", layout, "--out", root / "MAP.csv")
        assert mapped.code == 0, mapped.err
        made = tmp_path / f"set_{layout}"
        done = s5eval("data", "import", root / "MAP.csv", "--classes", root / "classes.csv", "--out", made, "--json")
        assert (done.code, done.json["scenes"], done.json["targets"]) == (0, 4, 5), done.err
        assert open_manifest(made).findings == ()
        assert scores(s5eval, official, made, tmp_path / f"run_{layout}") == wanted
        tables = [sorted((tmp_path / run / "pairs").glob("*.npz")) for run in ("run", f"run_{layout}")]
        assert [a.read_bytes() for a in tables[0]] == [b.read_bytes() for b in tables[1]]


def test_order_and_norm_are_converted_as_told(official: Path, tmp_path: Path, s5eval: Call) -> None:
    wanted = scores(s5eval, official, official, tmp_path / "run")
    rows = [(id_, "mixture", f"foa/{id_}.wav", "") for id_ in SCENES]
    rows += [(id_, "target", str(path), label) for id_ in SCENES for _, label, path in targets(official, id_)]
    (tmp_path / "foa").mkdir()
    (tmp_path / "MAP.csv").write_text(mapping_text(rows))
    for order, norm in (("fuma", "fuma"), ("fuma", "sn3d"), ("acn", "n3d")):
        for id_ in SCENES:
            w, y, z, x = soundfile.read(official / "soundscape" / f"{id_}.wav", dtype="float32")[0].T
            first = [signal * np.float32(np.sqrt(3)) for signal in (x, y, z)] if norm == "n3d" else [x, y, z]
            w = w / np.float32(np.sqrt(2)) if norm == "fuma" else w
            ordered = [w, *first] if order == "fuma" else [w, first[1], first[2], first[0]]
            soundfile.write(tmp_path / "foa" / f"{id_}.wav", np.stack(ordered, 1), RATE, subtype="FLOAT")
        out = tmp_path / f"{order}_{norm}"
        told = s5eval("data", "import", tmp_path / "MAP.csv", "--order", order, "--norm", norm, "--out", out)
        assert told.code == 0, told.err
        for id_ in SCENES:
            back, there = (soundfile.read(f / "soundscape" / f"{id_}.wav", dtype="float32")[0] for f in (out, official))
            np.testing.assert_allclose(back, there, rtol=3e-7, atol=0)
        found = scores(s5eval, official, out, tmp_path / f"run_{order}_{norm}")
        if norm != "fuma":
            assert found == wanted, "W is as it was, and scores hear nothing else"
        assert [line["capi"]["value"] for line in found] == pytest.approx(
            [line["capi"]["value"] for line in wanted], abs=1e-4
        )
        assert json.loads((out / "import.json").read_text())["norm"] == norm


def test_files_of_other_suffixes_are_part_of_the_set(official: Path, tmp_path: Path) -> None:
    rows = []
    for id_ in SCENES:
        mixture, rate = soundfile.read(official / "soundscape" / f"{id_}.wav", dtype="float32")
        soundfile.write(tmp_path / f"{id_}.aiff", mixture, rate, subtype="FLOAT")
        rows.append((id_, "mixture", f"{id_}.aiff", ""))
        for k, label, path in targets(official, id_):
            shutil.copy(path, tmp_path / f"{id_}_{k}.wave")  # a wav by its content
            rows.append((id_, "target", f"{id_}_{k}.wave", label))
    (tmp_path / "MAP.csv").write_text(mapping_text(rows))
    import_set(tmp_path / "MAP.csv", tmp_path / "set")
    manifest = open_manifest(tmp_path / "set")
    assert manifest.findings == ()
    for scene, known in zip(manifest.scenes, open_manifest(official).scenes, strict=True):
        assert (scene.mixture.id, scene.labels) == (known.mixture.id, known.labels)
        np.testing.assert_array_equal(scene.mixture.audio(), known.mixture.audio())
        for reference, same in zip(scene.references or (), known.references or (), strict=True):
            np.testing.assert_array_equal(reference.audio(), same.audio())


def test_conversions_keep_what_is_given() -> None:
    foa = np.ones((4, 2), np.float32)
    to_ambix(foa, "acn", "n3d")
    assert (foa == 1).all()
    np.testing.assert_allclose(to_ambix(foa, "fuma", "fuma")[:, 0], [np.sqrt(2), 1, 1, 1], rtol=1e-7)


def test_a_channel_of_spatial_stems_is_taken_when_it_is_named(official: Path, tmp_path: Path) -> None:
    signal = soundfile.read(official / "oracle_target" / "a_1_0_Speech.wav", dtype="float32")[0]
    soundfile.write(tmp_path / "four.wav", np.stack([signal, *3 * [0 * signal]], 1), RATE, subtype="FLOAT")
    mixture = official / "soundscape" / "a_1.wav"
    (tmp_path / "MAP.csv").write_text(
        mapping_text([("a", "mixture", str(mixture), ""), ("a", "target", "four.wav", "Speech")])
    )
    with pytest.raises(DataError, match="`target_channel=N` takes one of them"):
        import_set(tmp_path / "MAP.csv", tmp_path / "out")
    import_set(tmp_path / "MAP.csv", tmp_path / "out", convention=Convention(target_channel=0))
    back = soundfile.read(tmp_path / "out" / "oracle_target" / "a_0_Speech.wav", dtype="float32")[0]
    np.testing.assert_array_equal(back, signal)


@pytest.mark.parametrize(
    ("norm", "channel", "gain"),
    [("fuma", 0, 2**0.5), ("fuma", 2, 1), ("n3d", 0, 1), ("n3d", 2, 3**-0.5), ("sn3d", 2, 1)],
)
def test_a_channel_of_spatial_stems_is_as_loud_as_it_is_in_its_mixture(
    tmp_path: Path, norm: Any, channel: int, gain: float
) -> None:
    """A mixture of one source alone: what is taken of the source is what the mixture has in that channel."""
    foa = 0.1 * np.random.default_rng(0).normal(size=(320, 4))
    soundfile.write(tmp_path / "m.wav", foa, RATE, subtype="FLOAT")
    (tmp_path / "MAP.csv").write_text(mapping_text([("a", "mixture", "m.wav", ""), ("a", "target", "m.wav", "Speech")]))
    told = Convention(norm=norm, target_channel=channel)
    import_set(tmp_path / "MAP.csv", tmp_path / "out", convention=told)
    mixture, _ = soundfile.read(tmp_path / "out" / "soundscape" / "a.wav")
    target, _ = soundfile.read(tmp_path / "out" / "oracle_target" / "a_0_Speech.wav")
    np.testing.assert_allclose(target, gain * foa[:, channel], rtol=1e-6)
    np.testing.assert_allclose(target, mixture[:, channel], rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,mixture,m.wav,\na,target,t.wav,Barking\n", "unknown label 'Barking'"),
        ("a,mixture,m.wav,\na,mixture,n.wav,\n", "a second mixture of 'a'"),
        ("a,mixture,m.wav,\nb,mixture,./m.wav,\n", r"line 3: '\./m\.wav' is the mixture of 'a' already"),
        ("a,target,t.wav,Speech\n", "which has no mixture"),
        (
            "a,mixture,m.wav,\na,target,t.wav,Speech\na,target,s/../t.wav,Speech\n",
            r"line 4: 's/\.\./t\.wav' is a target of 'a' already",
        ),
        ("a,source,m.wav,\n", "expected the role mixture or target"),
        ("../a,mixture,m.wav,\n", "is a path"),
        ("", "no row has the role mixture"),
        ('a,mixture,"m.wav,\n', "cannot be read as a table"),
    ],
)
def test_wrong_mappings_name_the_line(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "MAP.csv").write_text(f"id,role,file,label\n{rows}")
    with pytest.raises(DataError, match=message):
        read_mapping(tmp_path / "MAP.csv")


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_two_names_of_one_file_are_no_two_targets_of_a_scene(tmp_path: Path, link: str) -> None:
    (tmp_path / "t.wav").write_bytes(b"")
    getattr(tmp_path / "u.wav", link)(tmp_path / "t.wav")
    both = "{id},mixture,{id}.wav,\n{id},target,t.wav,Speech\n{id},target,u.wav,Speech\n"
    (tmp_path / "MAP.csv").write_text(f"id,role,file,label\n{both.format(id='a')}")
    with pytest.raises(DataError, match=r"line 4: 'u\.wav' is a target of 'a' already as 't\.wav'; name every file"):
        read_mapping(tmp_path / "MAP.csv")
    (tmp_path / "MAP.csv").write_text(f"id,role,file,label\n{both.format(id='a').replace('a,target,u', 'b,target,u')}")
    with pytest.raises(DataError, match=r"MAP\.csv: targets of 'b', which has no mixture$"):
        read_mapping(tmp_path / "MAP.csv")


def test_a_table_without_a_target_makes_a_set_without_references(official: Path, tmp_path: Path, s5eval: Call) -> None:
    (tmp_path / "MAP.csv").write_text(mapping_text([("a", "mixture", f"{official}/soundscape/a_1.wav", "")]))
    done = s5eval("data", "import", tmp_path / "MAP.csv", "--out", tmp_path / "set")
    assert "1 scene, no target in the table: a set without references" in done.out
    assert not open_manifest(tmp_path / "set").has_references


def test_wrong_files_are_all_named_and_nothing_is_made(official: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(10), RATE)
    mixture = str(official / "soundscape" / "a_1.wav")
    rows = [("a", "mixture", mixture, ""), ("a", "target", "short.wav", "Speech"), ("b", "mixture", "gone.wav", "")]
    (tmp_path / "MAP.csv").write_text(mapping_text(rows))
    with pytest.raises(DataError) as refused:
        import_set(tmp_path / "MAP.csv", tmp_path / "out")
    assert "short.wav: 10 samples" in str(refused.value) and "gone.wav" in str(refused.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_tables_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text("theirs,ours,remark\n0,Speech,x\nbird,,not a target\n")
    assert read_classes(path) == {"0": "Speech", "bird": None}
    path.write_text("theirs,ours\n0,Speach\n0,Cough\n")
    with pytest.raises(DataError, match=r"(?s)did you mean 'Speech'.*stands there twice"):
        read_classes(path)
    path.write_text("theirs,ours\n,\n0,Cough\n,Speech\n")
    with pytest.raises(DataError, match=r"(?s)line 2: expected a name of yours; found none.*line 4: expected"):
        read_classes(path)
    path.write_text("a,b\n")
    with pytest.raises(DataError, match="the head lacks theirs, ours"):
        read_classes(path)


def test_targets_of_fuss_are_in_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a_sources").mkdir()
    for name in ("a.wav", *(f"a_sources/foreground{k}_s{k}.wav" for k in (10, 2, 0))):
        (tmp_path / name).write_bytes(b"")
    assert [label for _, role, _, label in map_folder(tmp_path, "fuss") if role == "target"] == ["s0", "s2", "s10"]


def test_layouts_that_are_not_there_or_not_whole(s5eval: Call, fuss: Path, spatialscaper: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of fuss, spatialscaper"):
        map_folder(fuss, "desed")
    with pytest.raises(DataError, match="holds no scene as spatialscaper"):
        map_folder(fuss, "spatialscaper")
    next((spatialscaper / "stems_dev" / "train").glob("b_*.wav")).unlink()
    with pytest.raises(DataError, match="there is no stem b_"):
        map_folder(spatialscaper, "spatialscaper")
    (fuss / "ssdata" / "train" / "b.wav").unlink()
    with pytest.raises(DataError, match=r"b\.wav: is not there"):
        map_folder(fuss, "fuss")
    elsewhere = s5eval("data", "map", spatialscaper, "--layout", "spatialscaper", "--out", tmp_path / "MAP.csv")
    assert (elsewhere.code, "relative to itself" in elsewhere.err) == (2, True)


@pytest.mark.parametrize("kind", ["stems", "metadata"])
def test_which_of_two_files_of_a_name_is_meant_is_not_guessed(spatialscaper: Path, kind: str) -> None:
    """As dry and wet stems beside each other: the last one by name was taken."""
    shutil.copytree(spatialscaper / f"{kind}_dev", spatialscaper / f"{kind}_wet")
    with pytest.raises(DataError, match=rf"{kind}_wet/train/.*: .*{kind}_dev/train/.* has the same name, and either"):
        map_folder(spatialscaper, "spatialscaper")


def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MAP.csv").write_text("id,role,file,label,label\na,mixture,m.wav,,\na,target,t.wav,Speech,Cough\n")
    with pytest.raises(DataError, match="the head has label twice; expected each column once"):
        read_mapping(tmp_path / "MAP.csv")


def test_a_label_that_no_table_of_classes_names_is_one_of_ours_or_refused(tmp_path: Path) -> None:
    (tmp_path / "MAP.csv").write_text("id,role,file,label\na,mixture,m.wav,\na,target,t.wav,Speech\na,target,b.wav,0\n")
    (scene,) = read_mapping(tmp_path / "MAP.csv", classes={"0": None, "1": "Cough"})
    assert [source.label for source in scene.targets] == ["Speech"], "0 is no target, and Speech is ours"
    with pytest.raises(DataError, match=r"line 4: unknown label '0'.*`classes` says what names of yours are"):
        read_mapping(tmp_path / "MAP.csv", classes={"1": "Cough"})


def test_tables_of_a_spreadsheet_begin_with_a_mark_that_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "MAP.csv").write_text("id,role,file,label\na,mixture,m.wav,\n", encoding="utf-8-sig")
    assert [scene.id for scene in read_mapping(tmp_path / "MAP.csv")] == ["a"]
