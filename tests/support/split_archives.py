"""Zip archives in several parts, as `zip -s` makes them and as the official records hold them."""

import struct


def split(archive: bytes, size: int, *, wide: bool) -> list[bytes]:
    """A split archive (APPNOTE 8): the same bytes in parts, offsets in the directory counted from each part's start."""
    archive = b"PK\7\x08" + archive  # every split archive begins with this mark
    end = archive.rfind(b"PK\5\6")
    entries, length, start = struct.unpack_from("<H2L", archive, end + 10)
    start += 4
    data, directory = archive[:start], bytearray(archive[start : start + length])
    at, out = 0, bytearray()
    for _ in range(entries):
        n_name, n_extra, n_comment = struct.unpack_from("<3H", directory, at + 28)
        (offset,) = struct.unpack_from("<L", directory, at + 42)
        disk, local = divmod(offset + 4, size)
        entry = bytearray(directory[at : at + 46 + n_name + n_extra + n_comment])
        struct.pack_into("<H", entry, 34, disk)
        struct.pack_into("<L", entry, 42, 0xFFFFFFFF if wide else local)
        if wide:
            struct.pack_into("<H", entry, 30, 12)
            entry += struct.pack("<2HQ", 1, 8, local)
        out += entry
        at += 46 + n_name + n_extra + n_comment
    last, local = divmod(start, size)
    whole = data + out
    if wide:
        record_disk, record_local = divmod(len(whole), size)
        final = (len(whole) + 56 + 20) // size
        whole += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, final, last, entries, entries, len(out), local)
        whole += struct.pack("<4sLQL", b"PK\6\7", record_disk, record_local, final + 1)
        whole += struct.pack("<4s4H2LH", b"PK\5\6", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    else:
        final = len(whole) // size
        whole += struct.pack("<4s4H2LH", b"PK\5\6", final, last, entries, entries, len(out), local, 0)
    return [whole[i * size : (i + 1) * size] for i in range(final)] + [whole[final * size :]]
