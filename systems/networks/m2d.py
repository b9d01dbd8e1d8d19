"""M2D (Masked Modeling Duo, nttcslab/m2d): its log-mel front end, its vision transformer, and its published file.

The transformer's parameters carry the names of the published weights
`m2d_as_vit_base-80x1001p16x16p32k-240413_AS-FT_enconly`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s5eval.systems.networks.mel import M2DLogMel
from s5eval.systems.networks.sizes import M2DSizes
from s5eval.systems.weight_files import refuse_several, weight_sets

NORM_STATS = (-7.1, 4.2)
"""Mean and deviation of the log-mel input where a file does not state them."""

SOURCE = (
    "https://github.com/nttcslab/m2d/releases/tag/v0.3.0, "
    "m2d_as_vit_base-80x1001p16x16p32k-240413_AS-FT_enconly.zip, member weights_ep69it3124-0.47998.pth"
)
"""Where the published weights come from."""


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class _MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _PatchEmbedding(nn.Module):
    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x)
        return out


def _plain_strides(gradient: Tensor) -> Tensor:
    """A gradient with the strides of its parameter: that of a single channel may be any number, and several processes
    that train together warn of one that differs.
    """
    return gradient.flatten().view_as(gradient)


class _ConvolutionalStem(nn.Module):
    """Strided convolutions in place of the projection of patches: what is learned from few recordings is learned
    better by what looks at neighbouring bands and frames alike (Xiao et al., Early Convolutions Help Transformers See
    Better, 2021).

    Every convolution halves the bands. Time is strided as fast as it can be without leaving frames out: by four, then
    by two until a column is a patch long, as the widest maps cost most.

    Batch norm takes its statistics of what one device hears in one gradient: several devices, or gradients that are
    accumulated, give another training than one batch of the same size, and the first device's statistics are exported.
    """

    def __init__(self, widths: tuple[int, ...], patch: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, left = 1, patch
        for wide in (*widths, width):
            step = min(left, 2 if layers else 4)
            kernel = (3, 3) if layers else (5, 7)
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers += [
                nn.Conv2d(channels, wide, kernel, stride=(2, step), padding=padding, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
            channels, left = wide, left // step
        self.layers = nn.Sequential(*layers)
        first: Any = layers[0]
        first.weight.register_hook(_plain_strides)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return out


class M2DViT(nn.Module):
    """The encoder: normalised patches of the log-mel map → one token per patch."""

    def __init__(self, sizes: M2DSizes) -> None:
        super().__init__()
        self.frames, self.patch = sizes.frames, sizes.patch
        self.rows, self.columns = sizes.rows, sizes.frames // sizes.patch
        self.norm_stats = nn.Parameter(torch.tensor(NORM_STATS), requires_grad=False)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.rows * self.columns, sizes.width))
        self.patch_embed: nn.Module = (
            _ConvolutionalStem(sizes.stem, sizes.patch, sizes.width)
            if sizes.stem
            else _PatchEmbedding(sizes.patch, sizes.width)
        )
        self.blocks = nn.ModuleList(_Block(sizes.width, sizes.heads) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=1e-6)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.pos_embed, std=0.02)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Log-mel (B, mels, frames), not normalised, of any length → tokens (B, rows, columns, width).

        Longer input is encoded in pieces of `frames` frames; a last piece shorter than a patch is left out. Flattening
        rows and columns gives the published order, frequency outer, time inner (for one piece).
        """
        x = (log_mel - self.norm_stats[0]) / self.norm_stats[1]
        length = x.shape[-1]
        x = F.pad(x, (0, -length % self.patch))
        starts = range(0, max(length, 1), self.frames)
        pieces = [x[..., start : start + self.frames] for start in starts]
        return torch.cat([self._encode(piece) for piece in pieces if piece.shape[-1] >= self.patch], 2)

    def centres(self, frames: int) -> Tensor:
        """Where the columns of `forward` are centred, in frames of a log-mel map that has `frames` of them."""
        padded = frames + -frames % self.patch
        begins = [
            start + column * self.patch
            for start in range(0, max(frames, 1), self.frames)
            for column in range(min(self.frames, padded - start) // self.patch)
        ]
        return torch.tensor(begins, dtype=torch.float32) + (self.patch - 1) / 2

    def _encode(self, x: Tensor) -> Tensor:
        columns = x.shape[-1] // self.patch
        patches = self.patch_embed(x[..., : columns * self.patch].unsqueeze(1))
        place = self.pos_embed[:, 1:].reshape(1, self.rows, self.columns, -1)[:, :, :columns].flatten(1, 2)
        tokens = patches.flatten(2).transpose(1, 2) + place
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        tokens = torch.cat([first, tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        encoded: Tensor = self.norm(tokens)
        return encoded[:, 1:].reshape(len(x), self.rows, columns, -1)


class M2D(nn.Module):
    """Front end and transformer: waveforms in, tokens out."""

    def __init__(self, sizes: M2DSizes) -> None:
        super().__init__()
        self.to_spec = M2DLogMel(sizes.mels)
        self.backbone = M2DViT(sizes)

    def forward(self, audio: Tensor) -> Tensor:
        """(B, T) at 32 kHz → (B, rows, columns, width); 5 × 62 tokens for 10 s at the published sizes."""
        tokens: Tensor = self.backbone(self.to_spec(audio))
        return tokens


_PREFIXES = re.compile(r"^(model\.)?(m2d\.)?(module\.ar\.runtime\.)?(backbone\.)?")


def backbone_weights(content: Mapping[str, object], names: Mapping[str, Tensor], *, path: Path) -> dict[str, Tensor]:
    """Pick the transformer's weights out of a file's content.

    Args:
        content: a flat dictionary, or one with the weights under `model`; published keys start with
            `module.ar.runtime.backbone.`, everything else (heads, buffers of the front end) is left out.
        names: the transformer's own parameters by name.
        path: the file, for errors.

    Returns:
        Those of `names` that are there; `norm_stats` is filled in where a file lacks it.

    Raises:
        DataError: the file holds several sets of weights, such as `model` and `model_ema`.
    """
    refuse_several(weight_sets(content, names), path, "keep the one that is meant and remove the others")
    inner = content.get("model")
    table = cast(Mapping[str, object], inner if isinstance(inner, Mapping) else content)
    stripped = {_PREFIXES.sub("", key): value for key, value in table.items() if ".head" not in key}
    found = {key: value for key, value in stripped.items() if key in names and isinstance(value, Tensor)}
    if found and "norm_stats" not in found:
        found["norm_stats"] = torch.tensor(NORM_STATS)
    return found
