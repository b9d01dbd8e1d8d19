"""Whether a file is a PDF that holds text, found out without a PDF library.

A page's text is drawn between the operators BT and ET by Tj, TJ, ' or " in a content stream, which is stored plain
or behind FlateDecode and ASCII85Decode. Source: ISO 32000-1, 7.3.8, 7.4 and 9.4.
"""

import base64
import re
import zlib
from pathlib import Path

from s5eval.data_manifests.common.findings import Finding
from s5eval.submissions.rules import finding

MAX_BYTES = 1 << 26
_STREAM_LIMIT = 1 << 24
_STREAMS = 4000
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_SHOWN = re.compile(rb"[)>\]]\s*(?:Tj|TJ|'|\")")


def check_report(path: Path) -> list[Finding]:
    """Check a technical report: a PDF, complete, with text (a scan has none)."""
    if not path.is_file():
        return [finding("report-missing", str(path), "no such file; expected the technical report, a PDF")]
    size = path.stat().st_size
    if size > MAX_BYTES:
        return [finding("report-not-pdf", path.name, f"{size >> 20} MiB; expected at most {MAX_BYTES >> 20} MiB")]
    content = path.read_bytes()
    if b"%PDF-" not in content[:1024]:
        return [finding("report-not-pdf", path.name, "does not begin as a PDF does (%PDF-)")]
    if b"%%EOF" not in content[-2048:]:
        return [finding("report-not-pdf", path.name, "is cut off: it does not end as a PDF does (%%EOF)")]
    if re.search(rb"/Encrypt\s+\d", content):
        return [finding("report-encrypted", path.name, "is encrypted: whether it holds text cannot be told")]
    streams = (match[1] for match, _ in zip(_STREAM.finditer(content), range(_STREAMS), strict=False))
    if any(_shows_text(_decoded(stream)) for stream in streams):
        return []
    message = "holds no text (pages that are pictures only?); expected at least title, authors and abstract"
    return [finding("report-no-text", path.name, message)]


def _shows_text(stream: bytes) -> bool:
    start = stream.find(b"BT")
    return start >= 0 and _SHOWN.search(stream, start) is not None


def _decoded(stream: bytes) -> bytes:
    for candidate in filter(None, (stream, _ascii85(stream))):
        try:
            return zlib.decompressobj().decompress(candidate, _STREAM_LIMIT)
        except zlib.error:
            continue
    return stream


def _ascii85(stream: bytes) -> bytes:
    try:
        return base64.a85decode(stream.strip().removesuffix(b"~>"))
    except ValueError:
        return b""
