import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from s5eval.data_manifests.manifest import open_manifest
from s5eval.data_manifests.sets import mini
from s5eval.data_manifests.sets.mini import MiniSplit, make_mini
from s5eval.data_manifests.verify import verify


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S5EVAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(mini, "SPLITS", {"test": MiniSplit(3, 1, 10)})
        patch.setattr(mini, "RECIPE", mini.Recipe(target_counts=(0, 1), interference_counts=(1,)))
        mini.mini_material.cache_clear()
        folder = make_mini("test", out=tmp_path_factory.mktemp("set"), workers=1)
        mini.mini_material.cache_clear()
    return folder


@pytest.fixture
def made(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "set")


def rules(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in verify(open_manifest(folder)):
        found.setdefault(Path(finding.file).name, set()).add(finding.rule)
    return found


def test_every_planted_damage_is_named_in_one_pass(made: Path) -> None:
    assert rules(made) == {}
    rng = np.random.default_rng(0)

    def rewrite(path: Path, shape: tuple[int, ...], rate: int = 32000) -> Callable[[], None]:
        return lambda: soundfile.write(path, rng.standard_normal(shape) * 0.01, rate, subtype="PCM_16")

    mixtures = [made / "soundscape" / f"mini_test_{i:04d}.wav" for i in range(10)]
    targets = sorted((made / "oracle_target").iterdir())
    damage: dict[Path, tuple[Callable[[], object], str]] = {
        mixtures[0]: (rewrite(mixtures[0], (320_000, 4), 16000), "rate"),
        mixtures[1]: (rewrite(mixtures[1], (320_000, 2)), "channels"),
        mixtures[2]: (rewrite(mixtures[2], (100_000, 4)), "length"),
        mixtures[3]: (lambda: mixtures[3].write_bytes(mixtures[3].read_bytes()[:50_000]), "truncated"),
        mixtures[4]: (lambda: mixtures[4].write_bytes(b""), "empty"),
        mixtures[5]: (lambda: mixtures[5].write_bytes(b"not audio at all" * 100), "unreadable"),
        mixtures[6]: (mixtures[6].unlink, "missing"),
        mixtures[7]: (
            lambda: soundfile.write(mixtures[7], np.full((320_000, 4), np.nan), 32000, subtype="FLOAT"),
            "non-finite",
        ),
        targets[8]: (rewrite(targets[8], (1000,)), "length"),
        targets[9]: (targets[9].unlink, "missing"),
        mixtures[9]: (rewrite(mixtures[9], (320_000, 4)), "checksum"),
    }
    for plant, _ in damage.values():
        plant()
    (made / "oracle_target" / "nobody_0_Speech.wav").write_bytes(b"")
    (made / "soundscape" / "notes.txt").write_text("x")
    found = rules(made)
    for path, (_, rule) in damage.items():
        assert rule in found[path.name], (path.name, rule, found)
    assert found["nobody_0_Speech.wav"] == {"orphan"}
    assert found["notes.txt"] == {"suffix"}
    assert mixtures[8].name not in found


def test_progress_counts_mixtures(made: Path) -> None:
    told: list[tuple[int, int]] = []
    verify(open_manifest(made, limit=3), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_unknown_label_is_found(made: Path) -> None:
    target = next((made / "oracle_target").iterdir())
    target.rename(target.with_name("mini_test_0000_0_Speeech.wav"))
    assert any(finding.rule == "label" and "Speech" in finding.message for finding in verify(open_manifest(made)))


def test_audio_that_was_not_written_with_its_scene_is_found_though_numbers_have_no_gap(made: Path) -> None:
    """As where a set is copied over another of the same names: a scene of fewer targets keeps those of the other."""
    stray, mixture = made / "oracle_target" / "mini_test_0000_1_Cough.wav", made / "soundscape" / "mini_test_0010.wav"
    shutil.copyfile(next((made / "oracle_target").iterdir()), stray)
    shutil.copyfile(made / "soundscape" / "mini_test_0000.wav", mixture)
    assert rules(made) == {stray.name: {"checksum"}, mixture.name: {"checksum"}}
