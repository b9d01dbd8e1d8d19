"""Weights on a hub of models: a folder with its card goes up with a page made from the card, and comes down verified.

Through huggingface_hub (extra `hub`), which takes address and login from its own variables (`HF_ENDPOINT`, `HF_TOKEN`).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import WriteError, atomic_folder
from s5eval.harness.exporting.export import missing
from s5eval.harness.exporting.model_card import model_card
from s5eval.systems.card import CARD, check_digest, read_card

_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_FILE = re.compile(r"(?:[\w-][\w.-]*/){0,2}[\w-][\w.-]*\.(?:safetensors|json|yaml|txt|md)|(?:[\w-]+/)?LICENSE")
"""What is sent and taken: tensors, plain records and texts; nothing that runs code when it is read."""
_READ = re.compile(r".*\.(?:safetensors|json|yaml)")
"""What of it is read as weights, and so may not be left of others."""
_MOST = 1 << 34  # bytes in all


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of models, and a revision of it; None: the newest."""

    name: str
    revision: str | None = None


def parse_address(text: str) -> Repository:
    """Read `hf://OWNER/NAME`, or `hf://OWNER/NAME@REVISION`. Raises `UsageError`.

    >>> parse_address("hf://kaist/s5-mini@v1")
    Repository(name='kaist/s5-mini', revision='v1')
    """
    match = _NAME.fullmatch(text)
    if match is None or ".." in text:
        raise UsageError(f"{text!r}: expected hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    return Repository(match[1], match[2])


def push(folder: Path, where: Repository, *, licence: str | None = None, private: bool = False) -> str:
    """Send a folder of weights, with a page made from its card; returns its address.

    Weights that were there before give way: what the folder does not have is taken off, but for texts.

    Args:
        folder: of weights, with `card.json`.
        where: the repository, which is made where it is not there; a revision is a branch.
        licence: an identifier of the hub, such as `cc-by-4.0`; None: the page says that none is stated.
        private: make it for its owner alone.

    Raises:
        UsageError: huggingface_hub is not installed, or the folder has no card.
        DataError: a file is not what the card says, or not there, no page can be made of the card, or the hub refuses.
    """
    hub, errors = _hub()
    if not (folder / CARD).is_file():
        raise UsageError(
            f"{folder} has no {CARD}: only weights whose origin is told are sent; `s5eval train` writes one"
        )
    card = read_card(folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = [name for name in files if _FILE.fullmatch(name) and name != "README.md"]
    if lost := _lost(card, files):
        raise DataError(
            f"{folder / lost[0]}: {CARD} lists it, and it is not there; get the folder again, or take its entry off "
            f"{CARD}"
        )
    for name in files:
        if name != CARD:
            check_digest(folder, name, f"sha256:{file_sha256(folder / name)}")
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        told = model_card(card, where.name, licence=licence, files=files)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # somebody has written into it
        raise DataError(
            f"{folder / CARD}: no page can be made of it ({type(error).__name__}: {error}); get the folder again, or "
            "mend that entry"
        ) from error
    with tempfile.TemporaryDirectory() as made:
        page = Path(made) / "README.md"
        page.write_text(told, encoding="utf-8")
        operations = [hub.CommitOperationAdd(name, str(folder / name)) for name in files]
        operations.append(hub.CommitOperationAdd("README.md", str(page)))
        try:
            api.create_repo(where.name, private=private, exist_ok=True, repo_type="model")
            before = api.model_info(where.name, revision=where.revision).siblings or ()
            stale = sorted({entry.rfilename for entry in before} - set(files))
            operations += [hub.CommitOperationDelete(name) for name in stale if _read_as_weights(name)]
            done = api.create_commit(
                where.name, operations, commit_message="Weights with their card", revision=where.revision
            )
        except errors as error:
            raise _refused(where, error) from error
    return str(done.commit_url)


def pull(where: Repository, folder: Path) -> list[str]:
    """Fetch a folder of weights, and check every file that its card lists.

    Args:
        where: the repository.
        folder: to make.

    Returns:
        The names of the files.

    Raises:
        UsageError: huggingface_hub is not installed, or something other than an empty folder is at `folder`.
        DataError: the repository cannot be read, has no card, or a file is not what the card says.
        WriteError: the disk is full, read-only or faulty; nothing is made.
    """
    hub, errors = _hub()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; choose another folder")
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        info = api.model_info(where.name, revision=where.revision, files_metadata=True)
    except errors as error:
        raise _refused(where, error) from error
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
    names = sorted(name for name in sizes if _FILE.fullmatch(name))
    if CARD not in names:
        raise DataError(f"hf://{where.name}: has no {CARD}: not weights of s5eval, or not pushed by it")
    if sum(sizes[name] for name in names) > _MOST:
        raise DataError(f"hf://{where.name}: more than {_MOST >> 30} GiB, which no weights of s5eval have")
    revision = info.sha or where.revision
    try:
        with atomic_folder(folder) as draft, tempfile.TemporaryDirectory(dir=draft) as cache:
            for name in names:
                got = hub.hf_hub_download(where.name, name, revision=revision, cache_dir=cache, endpoint=api.endpoint)
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(got, draft / name)
            _verify(draft, names, where)
    except errors as error:
        raise _refused(where, error) from error
    except WriteError:
        raise
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return names


def _verify(folder: Path, names: list[str], where: Repository) -> None:
    card = read_card(folder)
    if lost := _lost(card, names):
        raise DataError(f"hf://{where.name}: {lost[0]}, which {CARD} lists, is not there")
    for name in names:
        if name not in (CARD, "README.md"):
            check_digest(folder, name, f"sha256:{file_sha256(folder / name)}")


def _lost(card: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Files that a card lists and that are not among `names`, of those that are sent and taken."""
    return sorted({name for name in card.get("files", {}) if _FILE.fullmatch(str(name))} - set(names))


def _read_as_weights(name: str) -> bool:
    return _FILE.fullmatch(name) is not None and _READ.fullmatch(name) is not None


def _hub() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        import huggingface_hub as hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise missing("huggingface_hub", error, "hub") from error
    transport: tuple[type[Exception], ...] = ()
    for module in ("httpx2", "httpx", "requests"):
        try:
            found = __import__(module)
        except ImportError:
            continue
        transport = (*transport, getattr(found, "HTTPError", getattr(found, "RequestException", OSError)))
    return hub, (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, ValueError, RuntimeError, *transport)


def _refused(where: Repository, error: Exception) -> DataError:
    told, cause = str(error), str(error.__cause__ or "")
    said = " ".join((told if cause in told else f"{told} {cause}").split())
    return DataError(f"hf://{where.name}: the hub cannot be reached, or refuses: {said[:400] or type(error).__name__}")
