"""What is known of a submitted system beyond its archive: a file beside it, from which meta files are filled.

An archive is the same for the same outputs, wherever and however fast they were made; seconds, hardware and energy are
not, and so they stand in `<label>.facts.json`, which names the archive that it belongs to.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.common.structured import check_shape, read_json
from s5eval.submissions.rules import FACTS_SUFFIX, SubmissionName

_ADVICE = "expected what `submit build` wrote; build the submission again, or remove the file"
_FACT = (str, int, float, list, type(None))


def facts_file(name: SubmissionName) -> str:
    """Name of the file, beside the archive."""
    return f"{name.label}{FACTS_SUFFIX}"


def write_facts(archive: Path, sha256: str, name: SubmissionName, facts: Mapping[str, Any]) -> Path:
    """Write the facts of an archive beside it, and return their file.

    Raises:
        DataError: it cannot be written.
    """
    path = archive.parent / facts_file(name)
    content = {"archive_sha256": sha256, "facts": dict(facts)}
    try:
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def read_facts(submission: Path, name: SubmissionName) -> dict[str, Any]:
    """The facts beside a submission, a zip or the folder that was built with it; empty where there are none.

    Raises:
        DataError: the file cannot be read, or belongs to another archive of the name.
    """
    path = submission.resolve().parent / facts_file(name)
    try:
        content = read_json(path, what="the facts of a submission")
    except FileNotFoundError:
        return {}
    check_shape(content, {"archive_sha256": str, "facts": {"*": _FACT}}, str(path), _ADVICE)
    if submission.is_file() and file_sha256(submission) != content["archive_sha256"]:
        raise DataError(f"{path}: belongs to another archive than {submission}; {_ADVICE}")
    return dict(content["facts"])
