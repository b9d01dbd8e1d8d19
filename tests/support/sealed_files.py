"""Edits the files of a run as if the run had written them so: for tests whose point is not their digests."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.sealed import seal


def edit_record(path: Path, change: Callable[[dict[str, Any]], object] | None = None, **values: Any) -> dict[str, Any]:
    """Change `run.json` or `summary.json` in place, or set its keys, and close it with a digest that fits."""
    content = json.loads(path.read_text())
    if change is not None:
        change(content)
    content |= values
    path.write_text(seal(content, indent=1) + "\n")
    return content


def edit_lines(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change every line of the journal in place."""
    path = run / "mixtures.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(seal(line) + "\n" for line in lines))


def flip_bit(path: Path, rng: random.Random) -> None:
    """One bit of a file, anywhere."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def as_version_1(run: Path) -> None:
    """Make a run folder what version 1 would have left: no digests, and that of the data by names and sizes alone."""

    def plain(content: dict[str, Any]) -> None:
        content.pop("sha256", None)

    for name in ("run.json", "summary.json"):
        content = json.loads((run / name).read_text())
        plain(content)
        content["schema_version"] = 1
        if name == "run.json":
            content["manifest_sha256"] = content.pop("manifest_sizes_sha256")
        (run / name).write_text(json.dumps(content, indent=1) + "\n")
    journal = run / "mixtures.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        plain(line)
        del line["files"]
    journal.write_text("".join(json.dumps(flat(line)) + "\n" for line in lines))


def flat(line: dict[str, Any]) -> dict[str, Any]:
    """A line as versions 1 and 2 wrote it."""
    rest = dict(line)
    outcome, capi, labels = (rest.pop(key) or {} for key in ("outcome", "capi", "labels"))
    old = {"capi_sdri": capi.get("value"), "capi_sdri_optimal": capi.get("optimal")}
    old |= {key: capi.get(key) for key in ("ca_sdri", "zero_floor", "gain_floor")}
    old |= {"n_entries": capi.get("n_entries", 0), "pairs": capi.get("pairs", [])}
    old |= {"tp": None, "fp": None, "fn": None, **labels}
    old["exact"] = labels["fp"] == labels["fn"] == 0 if labels else None
    parts = rest["decomposition"]
    if parts is not None:
        later = ("value", "unanswered")
        losses = [[loss[key] for key in ("kind", "label", "other", "value")] for loss in parts["losses"]]
        rest["decomposition"] = {**{key: value for key, value in parts.items() if key not in later}, "losses": losses}
    return {**rest, **outcome, **old, "flags": [f"{flag['kind']}:{flag['number']}" for flag in rest["flags"]]}
