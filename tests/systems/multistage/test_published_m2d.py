"""The published file of M2D in the three-stage system."""

from pathlib import Path
from typing import Any

import pytest
import torch
from published_m2d import published_file

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.multistage.system import build
from s5eval.systems.networks.m2d import NORM_STATS


@pytest.mark.parametrize("nested", [False, True])
def test_the_published_file_loads(tiny: dict[str, Any], tmp_path: Path, nested: bool) -> None:
    content = published_file()
    path = tmp_path / "weights.pth"
    torch.save({"model": content} if nested else content, path)
    sizes = {**tiny, "m2d": {"width": 16, "depth": 2, "heads": 2, "stem": []}, "m2d_weights": str(path), "stages": 1}
    pipeline = build(sizes, "cpu")
    assert str(pipeline.fingerprint()["m2d"]).startswith("sha256:")
    vit = pipeline.stages[0].classifier.m2d.backbone  # type: ignore[attr-defined]
    assert torch.equal(vit.blocks[1].attn.qkv.weight, content["module.ar.runtime.backbone.blocks.1.attn.qkv.weight"])
    assert torch.allclose(vit.norm_stats, torch.tensor(NORM_STATS))


def test_a_wrong_file_says_which_tensor_and_where_to_get_it(tiny: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    config = {**tiny, "m2d": {"width": 16, "depth": 2, "heads": 2, "stem": []}, "m2d_weights": str(path)}
    content = published_file()
    del content["module.ar.runtime.backbone.blocks.1.mlp.fc2.bias"]
    torch.save(content, path)
    with pytest.raises(DataError, match=r"'blocks.1.mlp.fc2.bias' of shape \(16,\) is missing .*m2d/releases"):
        build(config, "cpu")
    torch.save(published_file(width=32), path)
    with pytest.raises(DataError, match=r"'norm_stats'|has shape \(1, 1, 32\), expected \(1, 1, 16\)"):
        build(config, "cpu")
