"""Costs of the baseline: the published sum, without any checkpoint."""

from typing import Any

import pytest

from s5eval.systems.baseline.configuration import load_preset
from s5eval.systems.baseline.profile import count_parts, profile_1c, profile_4c


@pytest.mark.parametrize(("kind", "total"), [("1c", 89_468_219 + 29_888_747), ("4c", 126_434_854)])
def test_parts_do_not_overlap(kind: Any, total: int) -> None:
    parts = count_parts(kind, load_preset("official"))
    assert [part.name for part in parts] == ["tagger", "separator"]
    assert sum(part.parameters for part in parts) == total
    # four channels cost the transformer four times; the separator makes one pass
    assert parts[0].macs_per_second > (3.0e9 if kind == "1c" else 1.1e10) * 0.8
    assert 2.0e10 < parts[1].macs_per_second < 2.6e10


@pytest.mark.parametrize("profile", [profile_1c, profile_4c])
def test_no_checkpoint_is_needed(tiny: dict[str, Any], profile: Any) -> None:
    config = {key: value for key, value in tiny.items() if key != "weights"}
    content = profile(config, "cpu", seconds=0.3).as_dict()
    assert [stage["name"] for stage in content["stages"]] == ["tagger", "separator"]
    assert all(stage["seconds"] > 0 for stage in content["stages"])
    with pytest.raises(ValueError, match="seconds is 0"):
        profile(config, "cpu", seconds=0)
