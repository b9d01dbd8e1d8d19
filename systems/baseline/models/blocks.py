"""The convolutional blocks of ResUNetK, each steered by shifts that depend on the query.

`forward` is the definition, and what training differentiates; `fast.py` computes the same for evaluation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shifts = dict[str, Tensor]
"""Per normalisation, by its path in the network (such as `encoder_block1->conv_block1->beta1`): (B, channels)."""


class ConvBlock(nn.Module):
    """Two 3 x 3 convolutions, each behind normalisation, shift and leaky rectifier, and a way around them."""

    def __init__(self, inputs: int, outputs: int, momentum: float, slope: float) -> None:
        """Channels in and out; see `ResUNetSizes` for the rest."""
        super().__init__()
        self.slope = slope
        self.bn1 = nn.BatchNorm2d(inputs, momentum=momentum)
        self.bn2 = nn.BatchNorm2d(outputs, momentum=momentum)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None
        initialise(self)

    def forward(self, x: Tensor, shifts: Shifts, path: str) -> Tensor:
        """(B, inputs, frames, bins) → (B, outputs, frames, bins)."""
        hidden = self.conv1(activate(self.bn1(x), shifts[f"{path}->beta1"], self.slope))
        hidden = self.conv2(activate(self.bn2(hidden), shifts[f"{path}->beta2"], self.slope))
        around: Tensor = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = around + hidden
        return out

    def shift_widths(self) -> dict[str, int]:
        """Its shifts and their numbers of channels."""
        return {"beta1": self.bn1.num_features, "beta2": self.bn2.num_features}


class Encoder(nn.Module):
    """A block, and its output pooled."""

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, int], momentum: float, slope: float) -> None:
        """Channels in and out, and how many frames and bins are averaged."""
        super().__init__()
        self.pool = pool
        self.conv_block1 = ConvBlock(inputs, outputs, momentum, slope)

    def forward(self, x: Tensor, shifts: Shifts, path: str) -> tuple[Tensor, Tensor]:
        """(B, inputs, frames, bins) → the pooled map, and the map itself."""
        whole = self.conv_block1(x, shifts, f"{path}->conv_block1")
        return F.avg_pool2d(whole, self.pool), whole

    def shift_widths(self) -> dict[str, int]:
        """Its shifts and their numbers of channels."""
        return {f"conv_block1->{name}": width for name, width in self.conv_block1.shift_widths().items()}


class Decoder(nn.Module):
    """Enlarges a map, joins the encoder's of that size to it, and applies a block."""

    def __init__(self, inputs: int, outputs: int, scale: tuple[int, int], momentum: float, slope: float) -> None:
        """Channels in and out, and by how much frames and bins are multiplied."""
        super().__init__()
        self.slope = slope
        self.bn1 = nn.BatchNorm2d(inputs, momentum=momentum)
        self.conv1 = nn.ConvTranspose2d(inputs, outputs, scale, stride=scale, bias=False)
        self.conv_block2 = ConvBlock(2 * outputs, outputs, momentum, slope)
        # never applied, but in the checkpoints, with a shift of its own
        self.bn2 = nn.BatchNorm2d(inputs, momentum=momentum)
        initialise(self)

    def forward(self, x: Tensor, skip: Tensor, shifts: Shifts, path: str) -> Tensor:
        """(B, inputs, frames, bins), and the encoder's (B, outputs, …) → (B, outputs, larger frames, larger bins)."""
        larger = self.conv1(activate(self.bn1(x), shifts[f"{path}->beta1"], self.slope))
        joined: Tensor = self.conv_block2(torch.cat([larger, skip], 1), shifts, f"{path}->conv_block2")
        return joined

    def shift_widths(self) -> dict[str, int]:
        """Its shifts and their numbers of channels."""
        own = {"beta1": self.bn1.num_features, "beta2": self.bn2.num_features}
        return own | {f"conv_block2->{name}": width for name, width in self.conv_block2.shift_widths().items()}


def activate(normalised: Tensor, shift: Tensor, slope: float) -> Tensor:
    """Add a shift (B, C) to a map (B, C, frames, bins), and rectify."""
    return F.leaky_relu(normalised + shift[:, :, None, None], slope)


def initialise(module: nn.Module) -> None:
    """Uniform Glorot weights and no offset for the convolutions and linear layers directly in a module."""
    for layer in module.children():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
