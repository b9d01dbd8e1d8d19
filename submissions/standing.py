"""What stands under the name of a submission already, and whether another one may take its place."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.words import counted
from s5eval.submissions.archive import Unreadable, open_container
from s5eval.submissions.rules import (
    AUDIO_FOLDER,
    DEV_RESULTS,
    EVAL_RESULTS,
    MAX_AUDIO_BYTES,
    MAX_JSON_BYTES,
    OUT_SUFFIX,
    shortened,
)
from s5eval.submissions.zipping import Member

_RESULTS = {EVAL_RESULTS: "the answers", DEV_RESULTS: "the development results"}
_CONFIG = ("system", "settings", "decision", "fingerprint")


@dataclass(slots=True)
class _Content:
    """What is submitted: sha256 by name, and of both JSON files what they say that made them."""

    digests: dict[str, str] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> None:
        self.digests[name] = hashlib.sha256(content).hexdigest()
        if name in _RESULTS:
            try:
                value = json.loads(content)
            except (ValueError, RecursionError):
                value = None  # no JSON is no JSON of ours: that its digest is another one is all that counts
            self.configs[name] = value.get("config") if isinstance(value, Mapping) else None

    @property
    def outputs(self) -> dict[str, str]:
        return {name: digest for name, digest in self.digests.items() if name not in _RESULTS}


def is_submission_folder(path: Path) -> bool:
    """Whether a folder holds nothing but what a submission has; an empty one as well."""
    return path.is_dir() and {entry.name for entry in path.iterdir()} <= {AUDIO_FOLDER, *_RESULTS}


def other_submissions(out: Path, label: str, members: Sequence[Member]) -> dict[Path, str]:
    """What stands in a folder under a label, under any of its names, and is lost when `members` take its place.

    The same content is not lost, and neither is a part of it: of an earlier build of the same system, say, whose run
    has been resumed since.

    Returns:
        Of each zip or folder that would be lost, what it holds, as a phrase.

    Raises:
        OSError: a file cannot be read.
    """
    found = [path for path in (out / f"{label}.zip", out / f"{label}{OUT_SUFFIX}.zip") if path.is_file()]
    if is_submission_folder(folder := out / label) and any(folder.iterdir()):
        found.append(folder)
    if not found:
        return {}
    new = _Content()
    for member in members:
        content = member.content if isinstance(member.content, bytes) else member.content.read_bytes()
        new.add(member.name.partition("/")[2], content)
    told = {path: _difference(_read(path, label), new) for path in found}
    return {path: difference for path, difference in told.items() if difference is not None}


def _read(path: Path, label: str) -> _Content | None:
    """The content of a zip or folder; None: it cannot be read, or holds something else."""
    content = _Content()
    with open_container(path, label=label) as container:
        for name in container.sizes:
            inner = name.removeprefix(f"{label}/")
            try:
                content.add(inner, container.read(name, MAX_JSON_BYTES if inner in _RESULTS else MAX_AUDIO_BYTES))
            except Unreadable:
                return None
    return content if _RESULTS.keys() & content.digests.keys() else None


def _difference(old: _Content | None, new: _Content) -> str | None:
    """What is there, and in what it is another submission than the new one; None: nothing of it is lost."""
    if old is None:
        return "is there, and is no submission that could be read"
    if old.outputs.items() <= new.outputs.items() and old.configs == new.configs:
        return None
    mine, theirs = ((content.configs.get(EVAL_RESULTS) or {}) for content in (new, old))
    differing = [key for key in _CONFIG if not isinstance(theirs, Mapping) or theirs.get(key) != mine.get(key)]
    if not differing:
        differing = [words for name, words in _RESULTS.items() if old.digests.get(name) != new.digests[name]]
        differing += ["the wavs"] if not old.outputs.items() <= new.outputs.items() else []
    system = theirs.get("system") if isinstance(theirs, Mapping) else None
    said = f"of the system {shortened(str(system), 80)!r}, " if system is not None else ""
    return f"holds another submission, {said}{counted(len(old.outputs), 'output')} (other: {', '.join(differing)})"
