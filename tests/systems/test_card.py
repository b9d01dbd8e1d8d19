"""Weights, decision and encoder of a folder are what its card says, or the run does not begin."""

import json
import random
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sealed_files import flip_bit

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.baseline.system import SHIPPED as BASELINE
from s5eval.systems.card import card_held, check_digest, record_file, recorded_digests
from s5eval.systems.decision_reading import load_decision, thresholds_file
from s5eval.systems.multistage.system import SHIPPED as MULTISTAGE
from s5eval.systems.weight_files import checked_digest

exports = pytest.importorskip("s5eval.systems.training.exports")
update_card = exports.update_card
Call = Callable[..., Any]


def with_thresholds(folder: Path) -> Path:
    """The weights that ship, with thresholds beside them as `tune` writes and records them."""
    shutil.copytree(MULTISTAGE, folder)
    lines = ["silence_thresholds:", "  default: 0.5", *(f"  {label}: 0.4" for label in CLASSES), "max_sources: 3"]
    (folder / "thresholds.yaml").write_text("\n".join(lines) + "\n")
    record_file(folder, "thresholds.yaml")
    return folder


def listed(folder: Path) -> list[str]:
    return sorted(json.loads((folder / "card.json").read_text())["files"])


@pytest.mark.parametrize("folder", [MULTISTAGE, BASELINE])
def test_the_cards_that_ship_list_every_file_and_are_right(folder: Path) -> None:
    here = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"card.json"}
    assert set(listed(folder)) == here
    for name in here:
        assert checked_digest(folder, name) in recorded_digests(folder, name)


@pytest.mark.parametrize("name", [*listed(MULTISTAGE), "thresholds.yaml"])
def test_a_flipped_bit_in_weights_or_thresholds_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = with_thresholds(tmp_path / "weights")
    flip_bit(folder / name, random.Random(name))
    with pytest.raises(DataError, match="not what was written"):
        checked_digest(folder, name)


@pytest.mark.parametrize("name", ["uss.safetensors", "thresholds.yaml"])
def test_a_run_with_damaged_weights_does_not_begin(small_set: Path, tmp_path: Path, s5eval: Call, name: str) -> None:
    folder = with_thresholds(tmp_path / "weights")
    flip_bit(folder / name, random.Random(1))
    result = s5eval(
        "run", "--system", "multistage", "--set", f"system.weights={folder}", "--data", small_set,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert (result.code, f"{folder / name}: not what was written" in result.err) == (3, True), result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("lines", [3, 12, 18])
def test_thresholds_cut_at_a_line_are_refused_although_they_can_be_read(tmp_path: Path, lines: int) -> None:
    folder = with_thresholds(tmp_path / "weights")
    path = folder / "thresholds.yaml"
    text = path.read_text()
    assert thresholds_file(folder) == path
    path.write_text("".join(text.splitlines(keepends=True)[:lines]))
    load_decision(path)
    with pytest.raises(DataError, match=r"thresholds\.yaml: not what was written"):
        thresholds_file(folder)
    path.unlink()
    with pytest.raises(DataError, match="is gone"):
        thresholds_file(folder)


def test_a_file_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "uss.safetensors").write_bytes(b"mine")
    assert check_digest(tmp_path, "uss.safetensors", "sha256:any") == "sha256:any"
    (tmp_path / "card.json").write_text('{"history": [{"recipe": "r", "files": {"tse2": "sha256:x"}}]}')
    assert check_digest(tmp_path, "uss.safetensors", "sha256:any") == "sha256:any"
    with pytest.raises(DataError, match=r"tse2\.safetensors"):
        check_digest(tmp_path, "tse2.safetensors", "sha256:any")


def test_weights_of_before_are_refused_once_the_card_says_what_the_file_is_now(tmp_path: Path) -> None:
    card = {
        "history": [{"recipe": "a", "files": {"uss": "sha256:old"}}, {"recipe": "b", "files": {"uss": "sha256:new"}}]
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert recorded_digests(tmp_path, "uss.safetensors") == {"sha256:old", "sha256:new"}, "an earlier version's card"
    with card_held(tmp_path):
        update_card(tmp_path, {"recipe": "b", "plan": "2"}, written={"uss.safetensors": "sha256:new"})
    assert check_digest(tmp_path, "uss.safetensors", "sha256:new") == "sha256:new"
    with pytest.raises(DataError, match="not what was written"):
        check_digest(tmp_path, "uss.safetensors", "sha256:old")


def test_trainings_that_end_together_all_stand_on_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = exports.read_card

    def slowly(folder: Path) -> dict[str, Any]:
        found = read(folder)
        time.sleep(0.05)
        return found

    def finish(number: int) -> None:
        with card_held(tmp_path):
            update_card(tmp_path, {"recipe": f"r{number}", "plan": "1"}, written={f"p{number}.safetensors": "sha256:x"})

    monkeypatch.setattr(exports, "read_card", slowly)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(finish, range(6)))
    card = read(tmp_path)
    assert {entry["recipe"] for entry in card["history"]} == {f"r{k}" for k in range(6)}
    assert len(card["files"]) == 6


def test_a_plan_that_goes_on_from_its_own_result_is_told_twice(tmp_path: Path) -> None:
    """And once where it was begun with the same, as by a training that is exported anew; early cards do not say."""
    told: list[dict[str, Any]] = [
        {"started_from": {"dpc2": "sha256:0"}, "files": {"dpc2": "sha256:1"}},
        {"started_from": {"dpc2": "sha256:1"}, "files": {"dpc2": "sha256:2"}},
        {"started_from": {"dpc2": "sha256:1"}, "files": {"dpc2": "sha256:3"}},
    ]
    for entry in told:
        update_card(tmp_path, {"recipe": "a", "plan": "1", **entry}, written={})
    history = json.loads((tmp_path / "card.json").read_text())["history"]
    assert [entry["files"]["dpc2"] for entry in history] == ["sha256:1", "sha256:3"]
    update_card(tmp_path, {"recipe": "a", "plan": "1", **told[2], "built_on": {"uss": "sha256:9"}}, written={})
    update_card(tmp_path, {"recipe": "a", "plan": "1", **told[2], "built_on": {"uss": "sha256:8"}}, written={})
    assert len(json.loads((tmp_path / "card.json").read_text())["history"]) == 3, "behind another frozen part"
    (tmp_path / "card.json").write_text(json.dumps({"history": [{"recipe": "a", "plan": "1"}]}))
    update_card(tmp_path, {"recipe": "a", "plan": "1", **told[0]}, written={})
    assert len(json.loads((tmp_path / "card.json").read_text())["history"]) == 1


def test_what_is_recorded_is_confirmed_until_it_changes(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"history": []}')
    (tmp_path / "thresholds.yaml").write_text("max_sources: 2\n")
    record_file(tmp_path, "thresholds.yaml")
    assert thresholds_file(tmp_path) is not None
    (tmp_path / "thresholds.yaml").write_text("max_sources: 3\n")
    with pytest.raises(DataError, match="tune again"):
        thresholds_file(tmp_path)
