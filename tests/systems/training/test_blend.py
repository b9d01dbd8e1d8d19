"""Weights between two trainings."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.systems.multistage.encoder_by_name import enrollments_of
from s5eval.systems.trained_settings import told_settings
from s5eval.systems.training.blend import blend, main
from s5eval.systems.weight_files import file_digest


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Old weights of zeros, new ones of ones, both with a counter."""
    for name, value in (("old", 0.0), ("new", 1.0)):
        (tmp_path / name).mkdir()
        tensors = {"w": torch.full((3,), value, dtype=torch.float16), "n": torch.tensor(int(value) + 4)}
        save_file(tensors, tmp_path / name / "uss.safetensors")
    return tmp_path / "old", tmp_path / "new"


def test_floats_lie_between_and_counters_are_the_new_ones(folders: tuple[Path, Path], tmp_path: Path) -> None:
    digests = blend(*folders, tmp_path / "out", ["uss"], 0.25)
    found = load_file(tmp_path / "out" / "uss.safetensors")
    assert found["w"].tolist() == [0.25] * 3 and found["w"].dtype == torch.float16 and int(found["n"]) == 5
    (entry,) = json.loads((tmp_path / "out" / "card.json").read_text())["history"]
    assert entry["files"] == digests == {"uss": file_digest(tmp_path / "out" / "uss.safetensors")}
    assert entry["started_from"]["uss (old)"] == file_digest(folders[0] / "uss.safetensors")


def test_blends_of_other_files_are_entries_of_their_own(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for _ in range(2):
        blend(*folders, tmp_path / "out", ["uss"], 0.5)
    blend(folders[0], tmp_path / "out", tmp_path / "out", ["uss"], 0.5)
    first, second = json.loads((tmp_path / "out" / "card.json").read_text())["history"]
    assert second["started_from"]["uss (new)"] == first["files"]["uss"], "the same blend made twice is said once"


@pytest.mark.parametrize(("share", "like"), [(0.0, "old"), (1.0, "new")])
def test_the_ends_are_the_weights_themselves(
    folders: tuple[Path, Path], tmp_path: Path, share: float, like: str
) -> None:
    blend(*folders, tmp_path / "out", ["uss"], share)
    own = load_file(tmp_path / like / "uss.safetensors")["w"]
    assert torch.equal(load_file(tmp_path / "out" / "uss.safetensors")["w"], own)


def test_what_cannot_be_blended_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="share is"):
        blend(*folders, tmp_path / "out", ["uss"], 1.5)
    with pytest.raises(DataError, match="dpc1"):
        blend(*folders, tmp_path / "out", ["dpc1"], 0.5)
    save_file({"w": torch.zeros(4)}, folders[1] / "uss.safetensors")
    with pytest.raises(DataError, match="n, w is not in both"):
        blend(*folders, tmp_path / "out", ["uss"], 0.5)
    assert not (tmp_path / "out" / "uss.safetensors").exists()


def test_the_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    words = [*map(str, folders), str(tmp_path / "out"), "--parts", "uss", "--share"]
    result = CliRunner().invoke(main, [*words, "0.5"])
    assert result.exit_code == 0 and "uss: sha256:" in result.output
    refused = CliRunner().invoke(main, [*words, "2"])
    assert refused.exit_code == 1 and "expected a share from 0 to 1" in refused.output


def test_the_card_of_a_blend_tells_what_both_have_heard(folders: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = folders
    begun = {"recipe": "uss", "plan": "1", "files": {"uss": file_digest(old / "uss.safetensors")}, "recordings": ["a"]}
    further = {
        "recipe": "uss",
        "plan": "2",
        "files": {"uss": file_digest(new / "uss.safetensors")},
        "recordings": ["b"],
    }
    further |= {"started_from": begun["files"], "slots": {"also": [{"recordings": ["c"]}]}}
    other = {"recipe": "tse2", "plan": "3", "files": {"tse2": "sha256:x"}, "recordings": ["d"]}
    described = {digest: {"folder": digest, "files": 1} for digest in "abcd"}
    (old / "card.json").write_text(json.dumps({"history": [begun], "recordings": {"a": described["a"]}}))
    (new / "card.json").write_text(json.dumps({"history": [begun, other, further], "recordings": described}))
    blend(old, new, tmp_path / "out", ["uss"], 0.5)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert [entry["plan"] for entry in card["history"]] == ["1", "2", "0.5 of the new: uss"]
    assert card["recordings"] == {digest: described[digest] for digest in "abc"}
    before = json.loads((new / "card.json").read_text())["history"]
    blend(old, new, new, ["uss"], 0.5)
    assert json.loads((new / "card.json").read_text())["history"][:-1] == before, "they are told once"


def test_every_extractor_keeps_the_clues_that_it_was_told_itself(folders: tuple[Path, Path], tmp_path: Path) -> None:
    told = {"tse2": {"enrollment": {"share": 0.5}}, "tse3": {"frame_encoder": "whisper", "frame_embeddings": "w"}}
    for folder in folders:
        history = []
        for part, clues in told.items():
            value = float(folder.name == "new") + float(part[-1])
            save_file({"w": torch.full((3,), value)}, folder / f"{part}.safetensors")
            digest = file_digest(folder / f"{part}.safetensors")
            history.append({"recipe": part, "plan": folder.name, "files": {part: digest}, **clues})
        (folder / "card.json").write_text(json.dumps({"history": history}))
    out = tmp_path / "out"
    digests = blend(*folders, out, ["uss", "tse2", "tse3"], 0.5)
    assert [enrollments_of(out, digests[part]) for part in told] == [{"share": 0.5}, None]
    card = json.loads((out / "card.json").read_text())
    of_blends = [entry for entry in card["history"] if entry["recipe"] == "blend"]
    assert [list(entry["files"]) for entry in of_blends] == [["uss"], ["tse2"], ["tse3"]]
    assert [entry.get("frame_encoder") for entry in of_blends] == [None, None, "whisper"]
    assert [list(entry["started_from"]) for entry in of_blends][1] == ["tse2 (old)", "tse2 (new)"]
    assert card["files"] == {f"{part}.safetensors": digest for part, digest in digests.items()}


def test_an_entry_of_an_early_card_is_taken_over_once(folders: tuple[Path, Path], tmp_path: Path) -> None:
    old, out = folders[0], tmp_path / "out"
    early = {"recipe": "mini/uss", "files": {"uss": file_digest(old / "uss.safetensors")}}
    (old / "card.json").write_text(json.dumps({"history": [early]}))
    for _ in range(2):
        blend(*folders, out, ["uss"], 0.5)
    history = json.loads((out / "card.json").read_text())["history"]
    assert history[0] == early and len(history) == 2


def test_a_damaged_part_is_not_blended(folders: tuple[Path, Path], tmp_path: Path) -> None:
    path = folders[0] / "uss.safetensors"
    (folders[0] / "card.json").write_text(json.dumps({"history": [], "files": {path.name: file_digest(path)}}))
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match=r"uss\.safetensors: not what was written"):
        blend(*folders, tmp_path / "out", ["uss"], 0.5)


def test_every_tensor_keeps_its_type(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for folder in folders:
        save_file({"a": torch.ones(1, dtype=torch.float16), "b": torch.full((1,), 1e6)}, folder / "uss.safetensors")
    blend(*folders, tmp_path / "out", ["uss"], 0.5)
    found = load_file(tmp_path / "out" / "uss.safetensors")
    assert [found[name].dtype for name in "ab"] == [torch.float16, torch.float32]
    assert found["b"].item() == 1e6


def test_one_extractor_that_was_told_what_the_other_was_not_is_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in folders:
        save_file({"w": torch.full((3,), float(folder.name == "new"))}, folder / "tse2.safetensors")
    told = {"recipe": "tse2", "plan": "1", "enrollment": {"share": 0.5}}
    for folder in folders:
        entry = {**told, "files": {"tse2": file_digest(folder / "tse2.safetensors")}}
        (folder / "card.json").write_text(json.dumps({"history": [entry]}))
        with pytest.raises(UsageError, match=r"tse2: .*the usual clues.*Train both on the same"):
            blend(*folders, tmp_path / "out", ["tse2"], 0.5)
        (folder / "card.json").unlink()


def test_of_a_file_that_was_exported_twice_the_later_training_tells_the_clues(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in folders:
        save_file({"w": torch.full((3,), float(folder.name == "new"))}, folder / "tse2.safetensors")
        files = {"tse2": file_digest(folder / "tse2.safetensors")}
        shares = [{"recipe": "tse2", "plan": str(k), "files": files, "enrollment": {"share": k}} for k in (0.25, 0.5)]
        (folder / "card.json").write_text(json.dumps({"history": shares}))
    digests = blend(*folders, tmp_path / "out", ["tse2"], 0.5)
    assert enrollments_of(tmp_path / "out", digests["tse2"]) == {"share": 0.5}


def test_the_card_tells_where_every_part_of_a_blend_comes_from(folders: tuple[Path, Path], tmp_path: Path) -> None:
    old = folders[0]
    save_file({"w": torch.zeros(2)}, old / "dpc1.safetensors")
    save_file({"w": torch.ones(2)}, folders[1] / "dpc1.safetensors")
    history = [
        {"recipe": part, "plan": "1", "files": {part: file_digest(old / f"{part}.safetensors")}}
        for part in ("uss", "dpc1")
    ]
    (old / "card.json").write_text(json.dumps({"history": history}))
    blend(*folders, tmp_path / "out", ["uss", "dpc1"], 0.5)
    told = json.loads((tmp_path / "out" / "card.json").read_text())["history"]
    assert [entry["recipe"] for entry in told] == ["uss", "dpc1", "blend"]


def test_nothing_is_blended_of_no_parts_or_beside_a_card_that_cannot_be_read(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="at least one part"):
        blend(*folders, tmp_path / "out", [], 0.5)
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "card.json").write_text("{")
    with pytest.raises(DataError, match=r"card\.json: cannot be read as a card"):
        blend(*folders, tmp_path / "out", ["uss"], 0.5)
    assert not list((tmp_path / "out").glob("*.safetensors")), "weights that no card tells of"


def test_a_blend_was_trained_with_the_settings_of_both(folders: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = folders

    def tell(folder: Path, told: dict[str, int]) -> None:
        files = {"uss": file_digest(folder / "uss.safetensors")}
        entry = {"recipe": "uss", "plan": folder.name, "files": files, "settings": {"uss": told, "dpc1": {"scale": 1}}}
        (folder / "card.json").write_text(json.dumps({"history": [entry]}))

    tell(new, {"heads": 2})
    digests = blend(old, new, tmp_path / "out", ["uss"], 0.5)
    assert told_settings(tmp_path / "out", digests["uss"]) == {"heads": 2}, "cards of before do not say"
    tell(old, {"heads": 4})
    with pytest.raises(UsageError, match=r"uss: .*system\.heads=4 in .*, and with 2 in .*; a blend would know neither"):
        blend(old, new, tmp_path / "again", ["uss"], 0.5)
    assert not (tmp_path / "again" / "uss.safetensors").exists()
