"""Part of a published model in safetensors, in one file or in shards with an index: only what is needed is opened."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.safe_names import path_below
from s5eval.data_manifests.common.structured import read_json


def read_json_of(path: Path, source: str) -> dict[str, Any]:
    """The mapping in a JSON file of a local copy of `source`. Raises `DataError`."""
    try:
        content = read_json(path, what=f"a local copy of {source}")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; expected a local copy of {source}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, expected a mapping; get it again from {source}")
    return content


def encoder_shards(directory: Path, prefixes: Sequence[str], source: str) -> tuple[dict[Path, list[str]], str]:
    """Which tensors to read from which files, and what precedes their names.

    Those of the first prefix that any name has; all, after no prefix, where there is nothing but an encoder.

    Raises:
        DataError: a file is missing or wrong, or the index leads out of the folder.
    """
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        table = read_json_of(index, source).get("weight_map")
        if not isinstance(table, Mapping):
            raise DataError(f"{index}: has no weight_map; get it again from {source}")
        located = {str(name): path_below(directory, str(file), str(index)) for name, file in table.items()}
    else:
        single = directory / "model.safetensors"
        located = dict.fromkeys(_names(single, source), single)
    prefix = next((p for p in prefixes if any(name.startswith(p) for name in located)), "")
    shards: dict[Path, list[str]] = {}
    for name in (name for name in located if name.startswith(prefix)):
        shards.setdefault(located[name], []).append(name)
    return shards, prefix


def read_shard(path: Path, names: Sequence[str], source: str) -> dict[str, object]:
    """Some tensors of a file. Raises `DataError` where one is missing, or the file is no safetensors."""
    with _open(path, source) as file:
        present = set(file.keys())
        for name in names:
            if name not in present:
                raise DataError(f"{path}: tensor {name!r}, which the index places here, is missing; see {source}")
        return {name: file.get_tensor(name) for name in names}


def _names(path: Path, source: str) -> list[str]:
    with _open(path, source) as file:
        return list(file.keys())


def _open(path: Path, source: str) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; get it from {source}")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as safetensors, truncated or foreign ({error}); see {source}"
        ) from error
