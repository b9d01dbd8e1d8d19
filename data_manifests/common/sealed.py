"""JSON that tells whether it is still what was written: the last member of the object is the digest of all before it.

A flipped bit, a cut and a spliced tail change the text or its digest, never both alike; other tools read the file as
they always did.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s5eval.data_manifests.common.structured import parse_json

_SEAL = re.compile(rb',\s*"sha256": "([0-9a-f]{64})"\s*\}\s*\Z')


class DamagedError(ValueError):
    """A text is not what was written, or never was JSON; says which."""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """What a text holds, without the digest, and whether there was one (files of version 1 have none)."""

    content: dict[str, Any]
    sealed: bool


def seal(content: Mapping[str, Any], *, indent: int | None = None) -> str:
    """The JSON text of a non-empty object, closed by its digest, without a newline at the end."""
    text = json.dumps({key: value for key, value in content.items() if key != "sha256"}, indent=indent, allow_nan=False)
    body = text[:-1].rstrip()
    digest = hashlib.sha256(body.encode()).hexdigest()
    if indent is None:
        return f'{body}, "sha256": "{digest}"}}'
    return f'{body},\n{" " * indent}"sha256": "{digest}"\n}}'


def unseal(text: bytes) -> Unsealed:
    """Read what `seal` made, or a JSON object without a digest.

    Raises:
        DamagedError: the digest is another one, or the text is no JSON object.
    """
    match = _SEAL.search(text, max(0, len(text) - 200))
    if match is not None and hashlib.sha256(text[: match.start()]).hexdigest().encode() != match[1]:
        raise DamagedError("the content does not match its digest")
    try:
        content = parse_json(text.decode())
    except ValueError as error:
        raise DamagedError(f"cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"a {type(content).__name__}, expected an object")
    content.pop("sha256", None)
    return Unsealed(content, match is not None)


_CLOSED = "# closed by its digest: whoever edits this file removes this line and the last one"
_DIGEST = "# sha256: "


def seal_comment(text: str) -> str:
    """A text with `#` comments, such as YAML, below a line that says so, and above the line that is its digest."""
    body = f"{_CLOSED}\n{text.rstrip()}\n"
    return f"{body}{_DIGEST}{hashlib.sha256(body.encode()).hexdigest()}\n"


def check_sealed_comment(text: str) -> None:
    """Refuse a text of `seal_comment` that is not what was written; one without a word of a digest is taken as it is.

    Raises:
        DamagedError: it was cut, changed or edited.
    """
    body, found, digest = text.rpartition(_DIGEST)
    if not (text.startswith(_CLOSED) or found):
        return
    if hashlib.sha256(body.encode()).hexdigest() != digest.strip() or not text.startswith(_CLOSED):
        raise DamagedError(
            "it is not what was written: cut, damaged, or edited; whoever edits it removes its first and its last "
            "line, which are its digest"
        )
