"""The weights that ship with the baseline's preset mini: they load, their card tells of them, and they are small."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.baseline.system import SHIPPED, build_4c
from s5eval.systems.weight_files import file_digest

pytestmark = pytest.mark.skipif(not (SHIPPED / "card.json").is_file(), reason="no weights ship")


def test_they_are_what_is_run() -> None:
    assert str(build_4c({"preset": "mini"}, "cpu").fingerprint()["weights"]).startswith("sha256:")


def test_the_card_tells_where_every_file_comes_from() -> None:
    card = json.loads((SHIPPED / "card.json").read_text(encoding="utf-8"))
    last = {part: digest for entry in card["history"] for part, digest in entry["files"].items()}
    assert {path.stem: file_digest(path) for path in SHIPPED.glob("*.safetensors")} == last


@pytest.mark.parametrize("file", ["tagger", "separator"])
def test_a_flipped_bit_is_an_error_that_names_the_file(file: str, tmp_path: Path) -> None:
    copy = shutil.copytree(SHIPPED, tmp_path / "copy")
    path = copy / f"{file}.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{file}\.safetensors: not what was written.*card\.json"):
        build_4c({"preset": "mini", "weights": str(copy)}, "cpu")


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 10e6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"separator": {"momentum": 0.5}, "silent_slots": "zeros", "seed": 3, "m2d": {"heads": 2}}, []),
        ({"separator": {"hop": 160}}, ["weights trained with separator.hop=160 (separator: 320)"]),
        ({"m2d": {"frames": 1000}}, ["weights trained with m2d.frames=1000 (tagger: 1001)"]),
    ],
)
def test_settings_that_they_were_not_trained_with_are_marks(changes: dict[str, Any], said: list[str]) -> None:
    assert build_4c({"preset": "mini", **changes}, "cpu").fingerprint().get("missing_parts", []) == said
