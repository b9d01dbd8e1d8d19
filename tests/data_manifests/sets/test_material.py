"""What a set is made of, as it stands beside its scenes: whatever makes other samples makes another order."""

import json
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.digests import digest_start
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.sets.material import begin_set, contents_of_set, scenes_ordered

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
MATERIAL: dict[str, Any] = {
    "version": 2, "scenes": 1, "split": "valid", "seed": 7, "rooms": {"simulated": 8}, "recipe": {"duration": 10.0},
    "classes": ["Cough"], "recordings": [{"digest": FIRST, "contents": {"x/1.wav": "aa"}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("version", 3),
        ("split", "test"),
        ("seed", 8),
        ("rooms", {"simulated": 9}),
        ("recipe", {"duration": 5.0}),
        ("recordings", [{"digest": SECOND}]),
    ],
)
def test_an_order_that_differs_in_what_makes_samples_is_refused(tmp_path: Path, key: str, other: object) -> None:
    begin_set(tmp_path, ["a"], MATERIAL)
    with pytest.raises(UsageError, match=rf"made of something else: {key} [^;]*, ordered (is|are) [^;]*\. Expected"):
        begin_set(tmp_path, ["a"], {**MATERIAL, key: other})
    assert json.loads((tmp_path / "material.json").read_text()) == MATERIAL


def test_more_scenes_of_the_same_order_go_on(tmp_path: Path) -> None:
    assert scenes_ordered(tmp_path) is None
    begin_set(tmp_path, ["a"], MATERIAL)
    begin_set(tmp_path, ["a", "b"], {**MATERIAL, "scenes": 2, "classes": ["Cough", "Pour"]})
    assert scenes_ordered(tmp_path) == 2


def test_contents_are_named_by_the_folder_that_holds_them(tmp_path: Path) -> None:
    assert contents_of_set(tmp_path) == {}
    others = [{"digest": SECOND, "contents": {"x/1.wav": "bb"}}, {"digest": f"sha256:{'c' * 64}"}]
    begin_set(tmp_path, ["a"], {**MATERIAL, "recordings": [*MATERIAL["recordings"], *others]})
    first, second = digest_start(FIRST), digest_start(SECOND)
    assert first != second
    assert contents_of_set(tmp_path) == {f"{first}/x/1.wav": "aa", f"{second}/x/1.wav": "bb"}
