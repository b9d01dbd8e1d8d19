"""Files with the names and shapes of M2D's published weights."""

from typing import Any

import torch


def published_shapes(width: int = 768, depth: int = 12) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 311, width),
        "norm_stats": (2,),
        "patch_embed.proj.weight": (width, 1, 16, 16),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for i in range(depth):
        for name, shape in {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            "mlp.fc1.weight": (4 * width, width),
            "mlp.fc1.bias": (4 * width,),
            "mlp.fc2.weight": (width, 4 * width),
            "mlp.fc2.bias": (width,),
        }.items():
            shapes[f"blocks.{i}.{name}"] = shape
    return shapes


def published_file(width: int = 16, depth: int = 2) -> dict[str, Any]:
    content = {
        f"module.ar.runtime.backbone.{name}": torch.randn(shape)
        for name, shape in published_shapes(width, depth).items()
        if name != "norm_stats"
    }
    content["module.head.norm.running_mean"] = torch.zeros(width)
    content["module.head.mlp.mlp.0.weight"] = torch.zeros(527, width)
    content["module.ar.runtime.to_spec.mel_basis"] = torch.zeros(80, 401)
    return content
