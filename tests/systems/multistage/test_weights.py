"""The weights that ship with preset mini: they load, their card tells of them, and they are small."""

import json
import shutil
from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.multistage.system import SHIPPED, build
from s5eval.systems.weight_files import file_digest

pytestmark = pytest.mark.skipif(not (SHIPPED / "card.json").is_file(), reason="no weights ship")


def test_they_are_what_is_run() -> None:
    pytest.importorskip("transformers")
    facts = build({}, "cpu").fingerprint()
    assert str(facts["weights"]).startswith("sha256:")
    assert str(facts["m2d"]).startswith("sha256:")
    assert str(facts["af_whisper"]).startswith("sha256:")


def test_the_card_tells_where_every_file_comes_from() -> None:
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))
    last = {part: digest for entry in card["history"] for part, digest in entry["files"].items()}
    files = {path.stem: path for path in SHIPPED.glob("*.safetensors")}
    files["encoder"] = SHIPPED / "af_whisper" / "model.safetensors"
    assert {part: file_digest(path) for part, path in files.items()} == {part: last[part] for part in files}
    for entry in card["history"]:
        assert {"recipe", "steps", "scenes", "seed", "hours", "device", "figures"} <= entry.keys()


@pytest.mark.parametrize("file", ["uss", "dpc1", "m2d", "tse2", "af_whisper/model"])
def test_a_flipped_bit_is_an_error_that_names_the_file(file: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    copy = shutil.copytree(SHIPPED, tmp_path / "copy")
    path = copy / f"{file}.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{file}\.safetensors: not what was written.*card\.json"):
        build({"weights": str(copy)}, "cpu")
    (copy / "card.json").unlink()
    build({"weights": str(copy)}, "cpu")  # weights of one's own


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 20e6


def test_the_card_names_every_source_and_licence_of_what_was_heard() -> None:
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))
    heard = {digest for entry in card["history"] for digest in entry.get("recordings", ())}
    assert heard and heard == set(card["recordings"])
    for told in card["recordings"].values():
        assert sum(told["licences"].values()) == sum(origin["files"] for origin in told["origins"]) == told["files"]
        assert all(origin["licence"] and origin["source"] for origin in told["origins"])
