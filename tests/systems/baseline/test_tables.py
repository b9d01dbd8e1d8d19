"""The published networks, tensor by tensor: names, shapes and counts of the three checkpoints."""

import pytest
import torch

from s5eval.systems.baseline.configuration import load_preset
from s5eval.systems.baseline.models.frozen import frozen_tensors, trained_tensors
from s5eval.systems.baseline.system import new_part

Shapes = dict[str, tuple[int, ...]]


def norm(name: str, width: int, affine: bool = True) -> Shapes:
    names = ("weight", "bias", "running_mean", "running_var") if affine else ("running_mean", "running_var")
    return {**{f"{name}.{entry}": (width,) for entry in names}, f"{name}.num_batches_tracked": ()}


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def both(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def transformer(prefix: str) -> Shapes:
    shapes: Shapes = {
        "cls_token": (1, 1, 768),
        "pos_embed": (1, 311, 768),
        "norm_stats": (2,),
        "patch_embed.proj.weight": (768, 1, 16, 16),
        "patch_embed.proj.bias": (768,),
        **both("norm", 768),
    }
    for i in range(12):
        shapes |= both(f"blocks.{i}.norm1", 768) | both(f"blocks.{i}.norm2", 768)
        shapes |= linear(f"blocks.{i}.attn.qkv", 2304, 768) | linear(f"blocks.{i}.attn.proj", 768, 768)
        shapes |= linear(f"blocks.{i}.mlp.fc1", 3072, 768) | linear(f"blocks.{i}.mlp.fc2", 768, 3072)
    return {f"{prefix}backbone.{name}": shape for name, shape in shapes.items()}


def tagger(prefix: str, features: int) -> Shapes:
    shapes = transformer(prefix) | norm(f"{prefix}head_norm", 768, affine=False)
    shapes |= {
        f"{prefix}to_spec.mel_basis": (80, 401),
        f"{prefix}to_spec.stft.wsin": (401, 1, 800),
        f"{prefix}to_spec.stft.wcos": (401, 1, 800),
        f"{prefix}to_spec.stft.window_mask": (1, 800, 1),
    }
    shapes |= norm("head.m2d_out_norm", features, affine=False)
    shapes |= linear("head.linear.0", 3072, features) | both("head.linear.1", 3072)
    for i in range(3):
        shapes |= linear(f"head.tracks.{i}.0", 512, 1024) | both(f"head.tracks.{i}.1", 512)
        shapes |= linear(f"head.tracks.{i}.3", 19, 512)
    return shapes


def block(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = norm(f"{name}.bn1", inputs) | norm(f"{name}.bn2", outputs)
    shapes |= {f"{name}.conv1.weight": (outputs, inputs, 3, 3), f"{name}.conv2.weight": (outputs, outputs, 3, 3)}
    if inputs != outputs:
        shapes |= {f"{name}.shortcut.weight": (outputs, inputs, 1, 1), f"{name}.shortcut.bias": (outputs,)}
    return shapes


ENCODERS = [(32, 32), (32, 64), (64, 128), (128, 256), (256, 384), (384, 384)]
DECODERS = [(384, 384, 1, 2), (384, 384, 2, 2), (384, 256, 2, 2), (256, 128, 2, 2), (128, 64, 2, 2), (64, 32, 2, 2)]


def separator() -> Shapes:
    shapes: Shapes = {
        "base.stft.conv_real.weight": (513, 1, 1024),
        "base.stft.conv_imag.weight": (513, 1, 1024),
        "base.istft.conv_real.weight": (1024, 1024, 1),
        "base.istft.conv_imag.weight": (1024, 1024, 1),
        "base.istft.ola_window": (1024,),
        **norm("base.bn0", 513),
        "base.pre_conv.weight": (32, 4, 1, 1),
        "base.pre_conv.bias": (32,),
        "base.after_conv.weight": (36, 32, 1, 1),
        "base.after_conv.bias": (36,),
        "base.out_conv.weight": (1, 4, 1, 1),
        "base.out_conv.bias": (1,),
        **linear("label_embedding.0", 512, 54),
        **both("label_embedding.1", 512),
        **linear("label_embedding.3", 512, 512),
        **both("label_embedding.4", 512),
    }
    films: dict[str, int] = {}
    named = [(f"encoder_block{i + 1}", *widths) for i, widths in enumerate(ENCODERS)]
    for name, inputs, outputs in [*named, ("conv_block7a", 384, 384)]:
        shapes |= block(f"base.{name}.conv_block1", inputs, outputs)
        films |= {f"{name}->conv_block1->beta1": inputs, f"{name}->conv_block1->beta2": outputs}
    for i, (inputs, outputs, *kernel) in enumerate(DECODERS):
        name = f"decoder_block{i + 1}"
        shapes[f"base.{name}.conv1.weight"] = (inputs, outputs, *kernel)
        shapes |= norm(f"base.{name}.bn1", inputs) | norm(f"base.{name}.bn2", inputs)
        shapes |= block(f"base.{name}.conv_block2", 2 * outputs, outputs)
        films |= {f"{name}->beta1": inputs, f"{name}->beta2": inputs}
        films |= {f"{name}->conv_block2->beta1": 2 * outputs, f"{name}->conv_block2->beta2": outputs}
    assert len(films) == 38
    for path, width in films.items():
        shapes |= linear(f"film.{path}", width, 512)
    return shapes


@pytest.mark.parametrize(
    ("part", "table", "parameters"),
    [
        ("tagger-1c", tagger("", 768), 89_468_219),
        ("tagger-4c", tagger("m2d.", 3072), 96_546_107),
        ("separator", separator(), 29_888_747),
    ],
)
def test_names_shapes_and_counts(part: str, table: Shapes, parameters: int) -> None:
    network = new_part(part, load_preset("official"))
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == table
    assert sum(value.numel() for value in network.parameters()) == parameters
    # a state of that table loads, strictly, and is what the network then holds
    state = {
        name: torch.zeros(shape, dtype=torch.long if name.endswith("tracked") else torch.float32)
        for name, shape in table.items()
    }
    network.load_state_dict(state, strict=True)
    assert not any(bool(value.any()) for value in network.state_dict().values())


def test_the_separator_has_342_entries_and_frozen_transforms() -> None:
    network = new_part("separator", load_preset("official"))
    assert len(network.state_dict()) == 342
    assert sum(value.numel() for value in network.parameters() if value.requires_grad) == 26_740_971
    assert len(frozen_tensors(network)) == 5


def test_the_sum_is_the_published_one() -> None:
    assert 96_546_107 + 29_888_747 == 126_434_854


def test_mini_fits_in_ten_megabytes() -> None:
    config = load_preset("mini")
    parts = [new_part(name, config) for name in ("tagger-4c", "separator")]
    values = sum(value.numel() for part in parts for value in trained_tensors(part).values())
    assert 4 * values < 9.9e6
