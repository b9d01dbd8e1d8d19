"""How many parameters a system has: the one count of fingerprints, of `s5eval profile` and of submissions."""

from collections.abc import Collection

from torch import nn

from s5eval.systems.interface import Json


def count_parameters(network: nn.Module) -> int:
    """Number of values in all parameters of a network, frozen ones included."""
    return sum(parameter.numel() for parameter in network.parameters())


class ParameterCount:
    """Counts the networks of a system as they are made; one that several stages use counts once."""

    def __init__(self) -> None:
        self._all: dict[int, int] = {}
        self._trainable: dict[int, int] = {}

    def add(self, network: nn.Module, *, fixed: Collection[str] | None = None) -> None:
        """Count a network, before it is frozen for use.

        Args:
            network: what has been counted already counts no second time.
            fixed: names of the parameters that no training changes; None: those that want no gradient now.
        """
        for name, value in network.named_parameters():
            if id(value) in self._all:
                continue
            self._all[id(value)] = value.numel()
            if value.requires_grad if fixed is None else name not in fixed:
                self._trainable[id(value)] = value.numel()

    def facts(self) -> dict[str, Json]:
        """The two counts of a fingerprint.

        Returns:
            `parameters`: pre-trained and frozen networks and fixed tables included, as the challenge counts;
            `trainable_parameters`: without what is fixed from the start, such as the kernels of a transform.
            Buffers, such as running means, are in neither.
        """
        return {"parameters": sum(self._all.values()), "trainable_parameters": sum(self._trainable.values())}
