"""The weights folder that recipes read what they build on from, and write what they made to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.progress import CountProgress
from s5eval.systems.training.together import ALONE
from s5eval.systems.weight_files import checked_digest, file_digest, load_strictly, read_tensors

EARLIER_RECIPE = "an earlier recipe of the same preset, run with the same `weights`"
"""Where parts come from, for errors."""

Adaptation = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Makes the weights of one network fit another."""

_M = TypeVar("_M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Part:
    """A network that is trained and exported.

    Attributes:
        network: the module.
        file: where its weights go, below the weights folder.
        tensors: what of the network is exported.
        beside: writes what else a reader of that file needs, into the file's folder, and says which file that is.
    """

    network: nn.Module
    file: str
    tensors: Callable[[nn.Module], Mapping[str, Tensor]] = nn.Module.state_dict
    beside: Callable[[Path], Path] | None = None


class BatchSource(Protocol):
    """Gives the batches of a task that does not hear scenes as they are made.

    Attributes:
        size: rows of a batch on all devices together; a multiple of their number.
    """

    size: int

    def __call__(
        self, out: Path, *, first: int, last: int, progress: CountProgress | None = None, fabric: Any = ALONE
    ) -> Iterator[Any]:
        """One device's share of batches `first` to `last` − 1, the same at every attempt; each has `to(device)`.

        Args:
            out: the folder of the training, where a source may keep what it makes.
            first: number of the first batch; where a resumed training goes on.
            last: number after the last.
            progress: is told of what is made before the first batch, and of nothing that is there already, in every
                process as often. It may raise to end the making, and what was made stays for the next call.
            fabric: of the processes that share the batches, and what is made for them.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What the loop needs to know.

    Attributes:
        task: called with a batch, gives the terms of the loss; figures that are no terms have names that begin
            with `_`.
        parts: trained networks by name.
        facts: what else the card should tell.
        batches: in place of scenes.
        also_heard: material (`batches.heard`) of what is heard beside the recipe's own, for the card.
        least: rows of a batch that every device must have; batch norm of single values takes two.
    """

    task: nn.Module
    parts: Mapping[str, Part]
    facts: Mapping[str, object] = field(default_factory=dict)
    batches: BatchSource | None = None
    also_heard: Sequence[Mapping[str, Any]] = ()
    least: int = 1


_IN_COMMON = 0.1
"""Share of a file's numbers that have to fit what starts from it: with less, it is the start of something else."""


@dataclass(frozen=True, slots=True)
class PartsFolder:
    """Reads parts.

    Attributes:
        folder: of weights.
        device: that networks are moved to.
        m2d_weights: published M2D weights in place of the folder's own; None: the folder's.
        af_whisper_weights: published AF-Whisper weights likewise.
        whisper_weights: published Whisper weights likewise.
        made_by: part → recipe that exports it, for errors; of others no recipe is known.
        resumed: trained parts have their values from a checkpoint: what they began with is not read. Its file may be
            another one by now, such as one that an interrupted export has written and the card does not know.
        built_on: digests of the frozen parts that were read so far.
        started_from: digests of what trained parts began with, by name of the part that was read.
    """

    folder: Path
    device: torch.device
    m2d_weights: Path | None = None
    af_whisper_weights: Path | None = None
    whisper_weights: Path | None = None
    made_by: Mapping[str, str] = field(default_factory=dict)
    resumed: bool = False
    built_on: dict[str, str] = field(default_factory=dict)
    started_from: dict[str, str] = field(default_factory=dict)

    def frozen(self, module: _M, name: str) -> _M:
        """A module with the weights that an earlier recipe has exported as `name`, for evaluation.

        Raises:
            DataError: they are not there; says which file is missed.
        """
        path = self.folder / f"{name}.safetensors"
        tensors = self._read(path)
        load_strictly(module, tensors, path=path, source=self._source(path))
        self.built_on[name] = file_digest(path)
        return module.eval().requires_grad_(False).to(self.device)

    def trained(self, module: _M, start: str | None, *, prefix: str = "", adapt: Adaptation | None = None) -> _M:
        """A module to train: anew, or with the weights of the exported part `start`, where names and shapes agree.

        Args:
            module: with weights of its own.
            start: name of a part; None: the module stays as it is.
            prefix: what precedes the part's names within the module.
            adapt: makes weights of another kind of network fit the module first.

        Raises:
            DataError: the part is not there, or has next to nothing in common with the module: it is of other sizes.
        """
        if start is not None and not self.resumed:
            path = self.folder / f"{start}.safetensors"
            own = module.state_dict()
            content = {k: v for k, v in self._read(path).items() if isinstance(v, Tensor)}
            kept = {
                prefix + key: value
                for key, value in (content if adapt is None else adapt(content)).items()
                if prefix + key in own and own[prefix + key].shape == value.shape
            }
            shared, whole = (sum(value.numel() for value in table.values()) for table in (kept, content))
            if shared < _IN_COMMON * whole or not kept:
                raise DataError(
                    f"{path}: only {shared:,} of its {whole:,} numbers fit what starts from it, which has other sizes; "
                    f"it comes from {self._source(path)}. Export it with the sizes of this recipe's `system`, or start "
                    "anew: null in `starts_from`"
                )
            module.load_state_dict({**own, **kept})
            self.started_from[start] = file_digest(path)
        return module.to(self.device)

    def _read(self, path: Path) -> dict[str, object]:
        """The tensors of a part, which the card has to confirm where it lists the file."""
        if path.is_file():
            checked_digest(self.folder, str(path.relative_to(self.folder)))
        return read_tensors(path, self._source(path))

    def _source(self, path: Path) -> str:
        recipe = self.made_by.get(path.stem)
        return EARLIER_RECIPE if recipe is None else f"recipe {recipe}, run with the same `weights`"
