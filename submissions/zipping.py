"""Zip archives whose bytes depend on their content alone."""

import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import atomic_path
from s5eval.data_manifests.common.progress import WorkProgress

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can tell
_MODE = 0o100644  # a regular file, readable by all
_UNIX = 3
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name there, and its bytes or the file that holds them."""

    name: str
    content: bytes | Path


def write_zip(
    target: Path, members: Iterable[Member], *, compress: bool = False, progress: WorkProgress | None = None
) -> None:
    """Write an archive of `members`, sorted by name, with fixed times and permissions, one of them in memory at a time.

    Members are stored by default: the bytes then are the same on every machine, whereas deflated ones differ
    between builds of zlib; and the disk sets the pace, ten to fifty times that of deflating. `compress` deflates
    at the lowest level, which takes a third off 16-bit audio; higher levels are slower and gain a percent.

    Raises:
        OSError: a file cannot be read, or the archive not be written.
    """
    ordered = sorted(members, key=lambda member: member.name)
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(target, "w") as archive:
        for member in ordered if progress is None else progress(ordered, len(ordered), "packing"):
            info = zipfile.ZipInfo(member.name, _TIME)
            info.external_attr = _MODE << 16
            info.create_system = _UNIX
            content = member.content if isinstance(member.content, bytes) else member.content.read_bytes()
            archive.writestr(info, content, method, _LEVEL)


def place_zip(target: Path, members: Iterable[Member], *, compress: bool = False, replace: bool = False) -> None:
    """Write an archive in one piece where nothing stands, or the same archive; another file is replaced when told to.

    Args:
        target: the archive.
        members: see `write_zip`.
        compress: see `write_zip`.
        replace: whatever file stands at `target` may be lost.

    Raises:
        UsageError: another file, or something else, stands there.
        OSError: see `write_zip`.
    """
    with atomic_path(target) as temporary:
        write_zip(temporary, members, compress=compress)
        stands = os.path.lexists(target)
        if stands and not replace and not (target.is_file() and file_sha256(target) == file_sha256(temporary)):
            raise UsageError(
                f"{target} stands there already, and is something else: choose another `out`, or give `replace` to "
                "lose it"
            )
