"""Costs: counted where the count is known, measured where it is not."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from s5eval.systems.multistage.configuration import load_preset, read_settings
from s5eval.systems.multistage.profile import count_parts, profile
from s5eval.systems.multistage.system import build
from s5eval.systems.profiling import count_macs, time_stages


def test_multiply_adds_of_known_networks() -> None:
    with torch.device("meta"):
        assert count_macs(nn.Linear(30, 7), torch.empty(5, 30))[0] == 5 * 30 * 7
        assert count_macs(nn.Conv1d(2, 3, 5), torch.empty(1, 2, 14))[0] == 10 * 2 * 3 * 5


def test_shape_of_the_result(tiny: dict[str, Any]) -> None:
    content = profile({**tiny, "stages": 2}, "cpu", seconds=0.3).as_dict()
    assert [part["name"] for part in content["parts"]] == ["uss", "tse", "dpc", "m2d", "af_whisper"]
    assert set(content["parts"][0]) == {"name", "parameters", "macs_per_second", "networks", "calls"}
    assert content["parameters"] == sum(part["parameters"] for part in content["parts"])
    assert [part["networks"] for part in content["parts"][:4]] == [1, 1, 2, 1]
    assert [stage["name"] for stage in content["stages"]] == ["stage1", "stage2"]
    assert all(part["parameters"] > 0 and part["macs_per_second"] > 0 for part in content["parts"][:4])
    for stage in content["stages"]:
        assert set(stage) == {"name", "seconds", "peak_mb", "real_time_factor", "waited"}
        assert 0 <= stage["waited"] <= stage["seconds"]
        assert stage["real_time_factor"] == pytest.approx(stage["seconds"] / 0.3)
        assert stage["peak_mb"] > 10


def test_linear_parts_cost_the_same_per_second(tiny: dict[str, Any]) -> None:
    settings = read_settings({**tiny, "mamba": "none"})
    short, long = (count_parts(settings.configuration, seconds=s) for s in (1.0, 2.0))
    assert long[0].parameters == short[0].parameters
    assert short[0].macs_per_second < long[0].macs_per_second < 1.5 * short[0].macs_per_second


def test_the_published_transformer_is_counted() -> None:
    tiny = {"separator": {"width": 8, "blocks": 1, "frequency_stride": 32, "time_stride": 4}, "mamba2": {"headdim": 8}}
    parts = {part.name: part for part in count_parts(load_preset("paper", tiny), seconds=10.0)}
    assert parts["m2d"].parameters == 85_492_994
    # every token meets every block weight once: 311 tokens, 85.05 M weights in the blocks, and attention beside
    assert parts["m2d"].macs_per_second == pytest.approx(311 * 85.05e6 / 10, rel=0.12)


def test_no_time_at_all_is_refused(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a positive number"):
        profile(tiny, "cpu", seconds=0.0)


def test_the_sum_over_applications_is_what_a_whole_pass_multiplies(tiny: dict[str, Any]) -> None:
    """The slow twin: every operation of the stages themselves is counted, on noise, no slot silent."""
    settings = {**tiny, "stages": 3}
    costs = profile(settings, "cpu", seconds=0.5)
    pipeline = build(settings, "cpu")
    # the fused attention of a processor is not in the counter's list
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        list(time_stages(pipeline.stages, torch.device("cpu"), 0.5))  # twice through every stage
    assert costs.macs(0.5) == pytest.approx(counter.get_total_flops() / 4, rel=1e-6)
