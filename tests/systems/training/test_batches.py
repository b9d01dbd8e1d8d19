"""Batches of scenes: what cards say of their material, and what becomes of errors in a loader's processes."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.training.batches import batches, heard, heard_entry, never_heard
from s5eval.systems.training.training_plan import read_plan
from s5eval.systems.training.training_recipe import DataSettings


def _settings(folder: Path, value: float, **data: object) -> DataSettings:
    """Scenes of one recording of Speech, below `folder`."""
    path = folder / "train" / "Speech" / "a.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.full(3200, value), 32_000, subtype="FLOAT")
    changes = {"folder": str(folder), "seconds": 0.1, "rooms": 1, "target_counts": [0, 1, 0, 0], **data}
    settings: DataSettings = read_plan("mini/segmentation", {"data": changes}).recipe.data
    return settings


def test_a_folder_that_is_called_like_the_procedural_sounds_is_a_folder_of_recordings(tmp_path: Path) -> None:
    material = heard(_settings(tmp_path / "foley", 0.1))
    others = sorted(set(CLASSES) - {"Speech"})
    assert heard_entry(material) == {
        "data": "foley 1",
        "recordings": [material[0]["digest"]],
        "never_heard": others,
    }
    (content,) = (tmp_path / "foley").rglob("*.wav")
    assert material[0]["contents"] == hashlib.sha256(content.read_bytes()).hexdigest()[:12]
    assert heard_entry(heard(read_plan("mini/segmentation").recipe.data)) == {"data": "procedural (mini/train)"}


def test_classes_are_never_heard_that_no_material_has_a_sound_of(tmp_path: Path) -> None:
    """A file whose name nobody reads is no recording of its class; procedural sounds are of every class."""
    settings = _settings(tmp_path / "speech", 0.1)
    unread = tmp_path / "speech" / "train" / "Pour" / "a.WAV"
    unread.parent.mkdir()
    unread.touch()
    _settings(tmp_path / "coughs", 0.1)
    (tmp_path / "coughs" / "train" / "Speech").rename(tmp_path / "coughs" / "train" / "Cough")
    both = replace(settings, folder=None, material={str(tmp_path / name): 1.0 for name in ("speech", "coughs")})
    assert never_heard(heard(both)) == sorted(set(CLASSES) - {"Speech", "Cough"})
    with_foley = heard(replace(settings, folder=None, material={"foley": 1.0, str(tmp_path / "speech"): 1.0}))
    assert [told["share"] for told in with_foley] == [0.5, 0.5], "of all events"
    assert never_heard(with_foley) == [] and "never_heard" not in heard_entry(with_foley)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_a_recording_that_cannot_be_used_is_named_whoever_reads_it(tmp_path: Path, workers: int) -> None:
    settings = _settings(tmp_path, np.nan, workers=workers)
    with pytest.raises(DataError) as raised:
        next(batches(settings, 1, 2, first=0, last=2))
    assert str(raised.value) == f"{tmp_path / 'train' / 'Speech' / 'a.wav'}: NaN or infinite samples"
