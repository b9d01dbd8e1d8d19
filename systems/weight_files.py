"""Weight files: read without executing anything, checked tensor by tensor, known by their digest."""

import functools
import hashlib
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError
from s5eval.systems.card import check_digest


class NeedsTrustError(DataError):
    """A weight file that can be read only by executing code from it."""


def read_tensors(path: Path, source: str, *, trusted: bool = False) -> dict[str, object]:
    """The content of a weight file: `.safetensors`, else a PyTorch file of plain tensors.

    Args:
        path: the file.
        source: where one gets it from, for errors.
        trusted: also read a PyTorch file that has to execute code; never without the user's word.

    Raises:
        NeedsTrustError: it would have to execute code to be read, and is not trusted.
        DataError: missing, truncated, or not a weight file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; get it from {source}")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = _load_pickled(path, trusted)
    except pickle.UnpicklingError as error:
        raise NeedsTrustError(
            f"{path}: not a file of plain tensors (reading it would run code from it, or it is no PyTorch file); "
            f"expected the one from {source}"
        ) from error
    except (
        SafetensorError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        ImportError,
        AttributeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as weights, truncated or foreign ({path.stat().st_size} bytes: {reason}); "
            f"get it again from {source}"
        ) from error
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: holds a {type(content).__name__}, expected a table of tensors; see {source}")
    return {str(key): value for key, value in content.items()}


def _load_pickled(path: Path, trusted: bool) -> object:
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (b"PK", b"\x80\x02"):  # an archive since PyTorch 1.6, a pickle of protocol 2 before
        raise pickle.UnpicklingError("neither an archive nor a pickle")
    return torch.load(path, map_location="cpu", weights_only=not trusted)


def weight_sets(content: Mapping[str, object], names: Collection[str]) -> dict[str, dict[str, object]]:
    """The sets of weights for one network that a file holds, such as `model` beside `ema_model`.

    Args:
        content: of the file; its tables (`state_dict`, `state_dict_ema`, …) are looked into.
        names: the network's own names.

    Returns:
        Per set, named after what stands before the network's own names (and after its table, where that is not
        `state_dict`), its tensors under the network's names. What has less than half of the names is no set.
    """
    tables = {str(key): value for key, value in content.items() if isinstance(value, Mapping)}
    found: dict[str, dict[str, object]] = {}
    for owner, table in {"": content, **tables}.items():
        for prefix, tensors in _by_prefix(table, names).items():
            if 2 * len(tensors) >= len(names):
                words = ("" if owner == "state_dict" else owner, prefix)
                found[".".join(word for word in words if word)] = tensors
    return found


def _by_prefix(table: Mapping[str, object], names: Collection[str]) -> dict[str, dict[str, object]]:
    known, found = frozenset(names), dict[str, dict[str, object]]()
    for key, value in table.items():
        words = str(key).split(".")
        for cut in range(len(words)):
            if (name := ".".join(words[cut:])) in known:
                found.setdefault(".".join(words[:cut]), {})[name] = value
    return found


def refuse_several(sets: Collection[str], path: Path, how: str) -> None:
    """Refuse a file with more than one set of weights for a network. Raises `DataError`; `how` says how to choose."""
    if len(sets) > 1:
        listed = ", ".join(repr(name) if name else "one without a prefix" for name in sorted(sets))
        raise DataError(f"{path}: holds {len(sets)} sets of weights for the same network ({listed}); {how}")


def load_strictly(module: nn.Module, tensors: Mapping[str, object], *, path: Path, source: str) -> None:
    """Copy tensors into a module; every one of its own must be there in its shape, and no other.

    Raises:
        DataError: naming the first tensor that is missing, misshapen or unknown, what was expected, and `source`.
    """
    own = module.state_dict()
    for name, tensor in own.items():
        found = tensors.get(name)
        expected = tuple(tensor.shape)
        if not isinstance(found, Tensor):
            absent = sum(not isinstance(tensors.get(other), Tensor) for other in own)
            raise DataError(
                f"{path}: tensor {name!r} of shape {expected} is missing ({absent} of {len(own)} tensors are); "
                f"expected the file from {source}"
            )
        if tuple(found.shape) != expected:
            raise DataError(
                f"{path}: tensor {name!r} has shape {tuple(found.shape)}, expected {expected}; "
                f"the file belongs to other sizes than these settings; see {source}"
            )
        if not found.is_floating_point() == tensor.is_floating_point():
            raise DataError(f"{path}: tensor {name!r} has type {found.dtype}, expected {tensor.dtype}; see {source}")
    unknown = [name for name in tensors if name not in own]
    if unknown:
        raise DataError(
            f"{path}: tensor {unknown[0]!r} is not part of this network ({len(unknown)} such tensors); "
            f"expected the file from {source}"
        )
    module.load_state_dict({name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)})


def file_digest(path: Path) -> str:
    """`sha256:` and the hexadecimal digest of a file, computed once per content."""
    status = path.stat()
    return _file_digest(path, status.st_mtime_ns, status.st_size)


def checked_digest(folder: Path, name: str) -> str:
    """The digest of a file of a weights folder, which its card, where it lists the file, has to confirm.

    Raises:
        DataError: it is damaged, or another file (see `s5eval.systems.card`).
    """
    return check_digest(folder, name, file_digest(folder / name))


@functools.cache
def _file_digest(path: Path, modified: int, size: int) -> str:
    return f"sha256:{file_sha256(path)}"


def joint_digest(digests: Mapping[str, str]) -> str:
    """One digest for several files, by name."""
    joint = hashlib.sha256("".join(f"{name} {digests[name]}\n" for name in sorted(digests)).encode())
    return "sha256:" + joint.hexdigest()
