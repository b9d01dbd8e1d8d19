"""Sizes of the networks that several systems share, as their preset files hold them."""

from dataclasses import asdict, dataclass
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.settings import recorded_without


@dataclass(frozen=True, slots=True)
class Mamba2Sizes:
    """Mamba-2, with the names of `mamba_ssm`; `chunk` is the plain-torch scan's and changes no result."""

    d_state: int
    d_conv: int
    expand: int
    headdim: int
    chunk: int


@dataclass(frozen=True, slots=True)
class M2DSizes:
    """The encoder of M2D.

    Attributes:
        mels, frames: of its log-mel input.
        patch: bands and frames that make a token.
        width: of tokens.
        depth: transformer blocks; with a stem there may be none.
        heads: of their attention.
        stem: channels of the convolutions in front of the one that makes tokens; each of them all halves the bands, so
            that patches of 16 take three. Empty: patches are projected as they are, as the published M2D does.
    """

    mels: int
    frames: int
    patch: int
    width: int
    depth: int
    heads: int
    stem: tuple[int, ...]

    def recorded(self) -> dict[str, Any]:
        """Sizes as digests count them: without a stem they are those of the days before there were any."""
        return recorded_without(self, {"stem": ()})

    def used(self) -> dict[str, Any]:
        """Sizes that the encoder computes by: without blocks there are no heads."""
        return {key: value for key, value in asdict(self).items() if self.depth or key != "heads"}

    @property
    def rows(self) -> int:
        """Tokens of one time: so many patches lie one above the other."""
        return self.mels // self.patch

    def check(self, where: str) -> None:
        """Refuse sizes that do not go together.

        Args:
            where: how the settings are called, for errors.

        Raises:
            UsageError: names the key, what it is and what was expected.
        """
        if self.width % self.heads:
            raise UsageError(f"{where}.heads is {self.heads}, expected a divisor of its width {self.width}")
        for name in ("mels", "frames"):
            if (size := getattr(self, name)) < self.patch:
                raise UsageError(f"{where}.{name} is {size}, expected at least its patch {self.patch}")
        if self.depth < (0 if self.stem else 1):
            raise UsageError(
                f"{where}.depth is {self.depth}, expected a positive number, or 0 where {where}.stem has convolutions"
            )
        halvings = self.patch.bit_length() - 1
        if self.stem and (self.patch != 2**halvings or len(self.stem) != halvings - 1):
            raise UsageError(
                f"{where}.stem is {list(self.stem)}; every convolution halves the bands, so that patches of "
                f"{self.patch} take {halvings - 1} before the one that makes tokens: expected as many widths, or none"
            )
        if self.stem and self.mels % self.patch:
            raise UsageError(f"{where}.mels is {self.mels}, expected a multiple of its patch {self.patch} with a stem")
