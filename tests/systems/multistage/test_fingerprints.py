"""What a stage's results are kept under: every setting that changes them, the weights, and the code."""

from typing import Any

import pytest

from s5eval.systems.multistage import system as module
from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.system import build


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"af_whisper": False}, (2, 3)),
        ({"tau_skip": 0.5}, (2, 3)),
        ({"clue": {"width": 4}}, (2, 3)),
        ({"seed": 3}, (1, 2, 3)),
        ({"mamba": "none"}, (1, 2, 3)),
        ({"decoder": "map"}, (1, 2, 3)),
        ({"clue": {"dimension": 16}}, (2, 3)),
        ({"spatial_filter": {"enrollment": 0.4}}, (2, 3)),
        ({"precision": "bf16"}, (1, 2, 3)),
        ({"stft": {"hop": 256}}, (1, 2, 3)),
        ({"objects": {"noise": 2}}, (1, 2, 3)),
        ({"separator": {"heads": 1}}, (1, 2, 3)),
        ({"mamba2": {"d_state": 6}}, (1, 2, 3)),
        ({"dpc": {"fusion": 12}}, (1, 2, 3)),
        ({"m2d": {"width": 32}}, (1, 2, 3)),
        ({"mamba2": {"chunk": 4}}, ()),
        ({"spatial_filter": {"share": 0.4}}, ()),
        ({"stages": 3}, ()),
    ],
)
def test_fingerprints_carry_what_changes_a_stage(
    tiny: dict[str, Any], change: dict[str, Any], stages: tuple[int, ...]
) -> None:
    base, changed = load_preset("mini"), {**tiny}
    assert base.frame_encoder == "af_whisper"
    for key, value in change.items():
        changed[key] = {**tiny.get(key, {}), **value} if isinstance(value, dict) else value
    before, after = (build(config, "cpu").fingerprint()["stages"] for config in (tiny, changed))
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert [n for n in (1, 2, 3) if before[f"stage{n}"] != after[f"stage{n}"]] == list(stages)


def test_results_of_other_code_are_not_taken_for_these(tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = build(tiny, "cpu").fingerprint()["stages"]
    monkeypatch.setattr(module, "REVISION", module.REVISION + 1)
    after = build(tiny, "cpu").fingerprint()["stages"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert all(before[name] != after[name] for name in ("stage1", "stage2", "stage3"))
