"""Fuzzed folders and archives: every name is scored, or named; no order of names or keys changes anything."""

import json
import os
import random
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from s5eval.data_manifests.common.errors import DataError, S5Error
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.systems.folder import FolderSystem

RATE, LENGTH = 32_000, 800
IDS = ("m_1", "m_10", "m_2")

names = st.sampled_from(
    [f"{id_}_{k}_{label}.wav" for id_ in (*IDS, "other") for k in (0, 1) for label in ("Speech", "Pour")]
    + ["m_1_Speech.wav", "m_2_Barking.wav", "m_1_0_Speech.WAV", "x_m_1_0_Speech.wav", "._m_1_0_Speech.wav"]
    + ["notes.txt", ".DS_Store", "inner.zip", "m-1-0-Speech.wav", "m_1.wav", "eval_results.json", "m_1_0_Speech.flac"]
)
folders = st.sampled_from(["", "sub/", "m_1/", "eval_out/", "A_B_task4_1/eval_out/", "__MACOSX/", ".git/", "x.wav/"])
kinds = st.sampled_from(["file", "file", "file", "dangling", "folder", "pipe", "empty", "pointer", "link"])
trees = st.dictionaries(st.tuples(folders, names).map("".join), kinds, max_size=9)


def tone(number: int = 0) -> bytes:
    samples = 0.1 * np.random.default_rng(number).normal(size=LENGTH)
    with tempfile.TemporaryFile() as file:
        soundfile.write(file, samples, RATE, subtype="PCM_16", format="WAV")
        file.seek(0)
        return file.read()


def plant(folder: Path, tree: Mapping[str, str]) -> None:
    """Write a tree, as far as it can be: a file does not stand where a folder is."""
    for name, kind in tree.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path)
            elif kind in ("dangling", "link"):
                path.symlink_to("nowhere" if kind == "dangling" else folder)
            else:
                content = {"file": tone(), "empty": b"", "pointer": b"/annex/objects/MD5E-s1--0.wav\n"}
                path.write_bytes(content[kind])
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue


def leaves(folder: Path) -> set[str]:
    """All names in a folder that hold no other names, by the plainest walk there is."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
            found.add(path.relative_to(folder).as_posix())
    return found


def accounted(name: str, said: set[str]) -> bool:
    """The name itself, or a folder that it lies in, was said."""
    return any(str(part) in said for part in (PurePosixPath(name), *PurePosixPath(name).parents))


def write_scenes(root: Path) -> Path:
    for folder in ("soundscape", "oracle_target"):
        (root / folder).mkdir(parents=True)
    for number, id_ in enumerate(IDS):
        samples = 0.1 * np.random.default_rng(number).normal(size=(LENGTH, 4))
        soundfile.write(root / "soundscape" / f"{id_}.wav", samples, RATE)
    (root / "oracle_target" / "m_1_0_Speech.wav").write_bytes(tone())
    return root


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return open_manifest(write_scenes(tmp_path_factory.mktemp("scenes")))


def check(path: Path, manifest: Manifest, every: set[str]) -> None:
    """Whatever lies at `path`: refused as a whole, or every one of `every` is an estimate, part of a list, or named."""
    ids = [scene.mixture.id for scene in manifest.scenes]
    try:
        system = FolderSystem(path)
        findings = system.inspect(ids, ids)
    except DataError as error:
        assert str(path) in str(error)
        return
    said = {finding.file for finding in findings}
    scored = {source.file for sources in system._matched.values() for source in sources}
    lists = {name for name in every if PurePosixPath(name).name == "eval_results.json"}
    unaccounted = [name for name in every - lists if not accounted(name, said | scored)]
    assert unaccounted == []
    for scene in manifest.scenes:
        files = [source.file for source in system._matched.get(scene.mixture.id, ())]
        try:
            (candidates,) = system.propose([scene.mixture])
        except S5Error as error:
            assert any(file in str(error) for file in files)
        else:
            assert len(candidates.audio) == len(files)


@settings(max_examples=120, deadline=None)
@given(tree=trees)
def test_every_name_in_a_folder_is_scored_or_named(manifest: Manifest, tree: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plant(Path(folder), tree)
        check(Path(folder), manifest, leaves(Path(folder)))


@settings(max_examples=120, deadline=None)
@given(tree=trees, backslashes=st.booleans())
def test_every_name_in_an_archive_is_scored_or_named(
    manifest: Manifest, tree: dict[str, str], backslashes: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, kind in tree.items():
                info = zipfile.ZipInfo(name.replace("/", "\\") if backslashes else name)
                info.external_attr = (0o120777 if kind in ("dangling", "link") else 0o100644) << 16
                archive.writestr(info, tone() if kind == "file" else b"")
        check(path, manifest, set(tree))


@settings(max_examples=60, deadline=None)
@given(mixtures=trees, references=trees)
def test_every_name_of_a_data_set_is_read_or_named(mixtures: dict[str, str], references: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = write_scenes(Path(folder) / "set")
        plant(root / "soundscape", mixtures)
        plant(root / "oracle_target", references)
        every = {str(path) for part in ("soundscape", "oracle_target") for path in (root / part).iterdir()}
        try:
            manifest = open_manifest(root)
        except DataError as error:
            assert "its content is not here" in str(error)
            manifest = open_manifest(root, as_it_stands=True)
        said = {finding.file for finding in manifest.findings}
        read = {str(file) for scene in manifest.scenes for file in scene.files}
        assert every <= said | read


def answers(path: Path, manifest: Manifest) -> Any:
    ids = [scene.mixture.id for scene in manifest.scenes]
    system = FolderSystem(path)
    findings = {str(finding) for finding in system.inspect(ids, ids)}
    digests = [candidates.sha256() for candidates in system.propose([scene.mixture for scene in manifest.scenes])]
    return findings, system.marks(), digests


@settings(max_examples=40, deadline=None)
@given(
    files=st.lists(st.sampled_from([f"{id_}_{k}_Pour.wav" for id_ in IDS for k in range(3)]), unique=True, min_size=1),
    seed=st.integers(0, 99),
)
def test_no_order_of_files_or_keys_changes_a_number(manifest: Manifest, files: Sequence[str], seed: int) -> None:
    listed = [
        {"soundscape": id_, "estimate": [{"filename": f} for f in files if f.startswith(f"{id_}_")]} for id_ in IDS
    ]
    contents = {f"A/eval_out/{file}": tone(number) for number, file in enumerate(sorted(files))}
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number in range(2):
            order = list(contents.items())
            if number:
                rng.shuffle(order)
                rng.shuffle(listed)
            rows = [dict(reversed(row.items())) if number else row for row in listed]
            results = json.dumps({"probabilities": rows, "nparams": 1} if number else {"probabilities": rows})
            path = Path(folder) / f"{number}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in [*order, ("A/eval_results.json", results)][:: -1 if number else 1]:
                    archive.writestr(name, content)
            with zipfile.ZipFile(path) as archive:
                archive.extractall(Path(folder) / f"unpacked-{number}")
            found += [answers(path, manifest), answers(Path(folder) / f"unpacked-{number}", manifest)]
        assert all(each == found[0] for each in found)
