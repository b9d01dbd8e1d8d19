"""Zip archives that others have made."""

import lzma
import struct
import zipfile
import zlib

ZIP_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,  # an encrypted member
    ValueError,  # a name that is not what its flags say, a negative offset
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""What Python's zipfile raises on damaged or odd archives."""
