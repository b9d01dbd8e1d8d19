"""How large the directory of a zip archive says that it is, found out before anything loads it."""

import struct
from typing import BinaryIO

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")


def stated_size(file: BinaryIO) -> tuple[int, int]:
    """Entries and bytes of an archive's directory by its end records; (0, 0) where there are none to be found."""
    end = file.seek(0, 2)
    # the longest comment, and what may stand before the record that it ends
    start = file.seek(max(0, end - (1 << 16) - _END.size - _END64_LOCATOR.size))
    tail = file.read()
    at = len(tail) - _END.size if tail[-_END.size :].startswith(b"PK\5\6") else tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        return 0, 0
    *_, entries, size, _offset, _comment = _END.unpack_from(tail, at)
    before = at - _END64_LOCATOR.size
    if before >= 0 and tail.startswith(b"PK\6\7", before):
        _, _disk, named, _disks = _END64_LOCATOR.unpack_from(tail, before)
        # Which record counts depends on the version of Python: until CVE-2025-8291 it was the one beside the locator.
        beside = max(0, start + before - _END64.size)
        records = [_record64(file, place) for place in (beside, named) if place < end]
        if stated := [record for record in records if record]:
            entries, size = (max(numbers) for numbers in zip(*stated, strict=True))
    return entries, size


def _record64(file: BinaryIO, place: int) -> tuple[int, int] | None:
    """Entries and bytes as a ZIP64 record states them; None: there is none at `place`."""
    file.seek(place)
    record = file.read(_END64.size)
    if len(record) < _END64.size or not record.startswith(b"PK\6\6"):
        return None
    *_, entries, size, _offset = _END64.unpack(record)
    return entries, size
