"""What every system that ships does alike with its networks: random weights by seed, trained ones by folder."""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import load_decision, thresholds_file
from s5eval.systems.parameter_count import ParameterCount
from s5eval.systems.weight_files import checked_digest, file_digest, load_strictly, read_tensors

UNTRAINED = "untrained"
"""What stands for weights where there are none; as `system.weights` it asks for random ones."""

EXPORTED = "`s5eval train`, which exports such a folder"
"""Where a folder of weights comes from, for errors."""

_M = TypeVar("_M", bound=nn.Module)


def choose_folder(given: Path | None, shipped: Path | None) -> Path | None:
    """The folder that trained weights come from; None: random ones.

    Args:
        given: `system.weights`: a folder, or `untrained`.
        shipped: what comes with the package, which counts where nothing is given and if it has a card.
    """
    if given is not None:
        return None if str(given) == UNTRAINED else given
    return shipped if shipped is not None and (shipped / "card.json").is_file() else None


def check_folder(key: str, folder: Path | None, source: str = EXPORTED) -> None:
    """Refuse what is given as `system.<key>` and is no folder. Raises `DataError`; `source` says who makes one."""
    if folder is not None and not folder.is_dir():
        raise DataError(f"system.{key}: {folder} is no folder; expected one from {source}")


def seeded(name: str, make: Callable[[], nn.Module], *, seed: int) -> nn.Module:
    """A network with random weights, which depend on the seed and its name alone, not on which others are made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + zlib.crc32(name.encode()))
        return make()


def typed(module: nn.Module, kind: type[_M]) -> _M:
    """The module, which must be of this kind. Raises `TypeError`."""
    if not isinstance(module, kind):
        raise TypeError(f"expected a {kind.__name__}, not a {type(module).__name__}")
    return module


def decision_beside(folder: Path | None, default: Decision) -> tuple[Decision, str]:
    """The decision with the tuned thresholds of a weights folder and their digest; without any, the default."""
    tuned = thresholds_file(folder)
    return (default, "default") if tuned is None else (load_decision(tuned), file_digest(tuned))


class PartLoader:
    """Loads the networks of one system for evaluation, and keeps what its fingerprint says of them.

    Attributes:
        folder: of trained weights; None: networks keep their random ones.
        digests: of the weights of every part, `untrained` where they are random.
        parameters: of all parts.
    """

    def __init__(self, folder: Path | None, device: str) -> None:
        """Load from `folder`, and move networks to `device`. Raises `DataError` where it is no folder."""
        check_folder("weights", folder)
        self.folder, self.device = folder, device
        self.digests: dict[str, str] = {}
        self.parameters = ParameterCount()

    def load(
        self,
        name: str,
        module: _M,
        path: Path | None,
        *,
        fixed: Mapping[str, Tensor] | None = None,
        kept: Mapping[str, Tensor] | None = None,
    ) -> _M:
        """A network with the weights of a file, ready for evaluation.

        Args:
            name: of the part, which its digest is kept under.
            module: with random weights.
            path: of exported weights; None: the random ones stay.
            fixed: tensors that exported weights leave out, as the sizes alone determine them.
            kept: tensors in place of the file's.

        Raises:
            DataError: the file is missing, damaged or another one.
        """
        # before the tensors: a damaged file is named as such, not by what is odd about its content
        self.digests[name] = UNTRAINED if path is None else self.digest(path)
        if path is not None:
            tensors = {**(fixed or {}), **read_tensors(path, EXPORTED), **(kept or {})}
            load_strictly(module, tensors, path=path, source=EXPORTED)
        return self.settle(module)

    def digest(self, path: Path) -> str:
        """The digest of a file, confirmed by the card where it lies in the folder of weights; absent: none."""
        if not path.is_file():
            return UNTRAINED
        if self.folder is None or not path.is_relative_to(self.folder):
            return file_digest(path)
        return checked_digest(self.folder, str(path.relative_to(self.folder)))

    def settle(self, module: _M) -> _M:
        """Count a network's parameters and make it ready for evaluation."""
        self.parameters.add(module)
        return module.eval().requires_grad_(False).to(self.device)
