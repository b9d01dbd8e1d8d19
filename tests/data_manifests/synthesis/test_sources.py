"""Recordings in folders: which of them stand for one another, and how often each is drawn."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.synthesis.sources import FileClip, FolderSources

FILES = ("take/a", "take/deeper/b", "take/deeper/c", "other/d", "e", "f")


@pytest.fixture
def coughs(tmp_path: Path) -> FolderSources:
    for file in FILES:
        path = tmp_path / "Cough" / f"{file}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(320, 0.1), 32_000)
    return FolderSources(tmp_path)


def drawn(sources: FolderSources, count: int, excluded: frozenset[str] = frozenset()) -> Counter[str]:
    rng = np.random.default_rng(0)
    clips = [sources.draw("Cough", rng, excluded) for _ in range(count)]
    return Counter(clip.path.stem for clip in clips if isinstance(clip, FileClip))


def test_a_recording_excludes_the_folder_below_its_class_that_holds_it_or_itself_alone(coughs: FolderSources) -> None:
    families = {clip.path.stem: clip.families for clip in coughs.all_clips()}
    for name, left in {"a": "def", "b": "def", "c": "def", "d": "abcef", "e": "abcdf", "f": "abcde"}.items():
        assert set(drawn(coughs, 100, families[name])) == set(left), name
    assert not drawn(coughs, 1, frozenset.union(*families.values()))


def test_every_recording_of_a_class_is_as_likely_as_any_other_whatever_its_folder(coughs: FolderSources) -> None:
    counts = drawn(coughs, 3000)
    assert sorted(counts) == list("abcdef")
    assert max(abs(count / 500 - 1) for count in counts.values()) < 0.15
