"""What has been unpacked of a packed run lies in the cache, and stays as it was packed."""

from pathlib import Path

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import UsageError

_BEFORE = "bundles"  # what the folder was called first


def unpacked_runs() -> Path:
    """The folder of the cache in which packed runs are unpacked, each in a folder of its digest."""
    return cache_folder() / "packed_runs"


def is_unpacked(path: Path) -> bool:
    """Whether a path lies in what has been unpacked of a packed run."""
    homes = (unpacked_runs(), unpacked_runs().with_name(_BEFORE))
    return any(path.resolve().is_relative_to(home.resolve()) for home in homes)


def refuse_in_place(path: Path, instead: str) -> None:
    """Refuse to write into what has been unpacked of a packed run.

    Args:
        path: what would be written, or written in.
        instead: what to do in its place.

    Raises:
        UsageError: it lies there.
    """
    if is_unpacked(path):
        raise UsageError(f"a packed run stays as it was packed: {instead}")
