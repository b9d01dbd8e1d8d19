"""Sizes of the networks that several systems share, as their preset files hold them."""

from dataclasses import dataclass


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
    """The vision transformer of M2D: log-mel input (mels × frames), patch, and transformer sizes."""

    mels: int
    frames: int
    patch: int
    width: int
    depth: int
    heads: int
