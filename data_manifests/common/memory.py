"""How the process keeps memory: audio comes and goes in arrays of a megabyte."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_SIZES = 1 << 30, 1 << 25
"""Bytes below which memory is kept: more than an array has, and the most that an older glibc takes."""


def keep_freed_memory() -> None:
    """Tell the C library (glibc) to keep freed memory, for processes that handle much audio: up to a third faster.

    By default every large temporary array is returned to the system at once and its pages are faulted in again.
    Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    # Where none is taken the other threshold stays as well: with it alone, arrays above 128 KiB are never kept.
    if hasattr(library, "mallopt") and any(library.mallopt(_MMAP_THRESHOLD, size) for size in _SIZES):
        library.mallopt(_TRIM_THRESHOLD, _SIZES[0])
