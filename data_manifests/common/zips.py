"""What zip archives raise that others have made, or a disk has damaged."""

import lzma
import struct
import tokenize
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

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)
"""What `zipfile` and numpy's reader of headers raise on damaged tables, beside the errors of files."""
