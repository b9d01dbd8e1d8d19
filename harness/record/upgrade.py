"""What earlier versions of a run folder wrote, brought into the form of today: one function a version and file.

Each takes the JSON object as it was read, and returns one that the types of today read. Nothing else in the package
knows that there were other forms. What a digest vouches for is the file as it was written: it is verified before.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from s5eval.data_manifests.chosen_split import FOLDER
from s5eval.harness.record.run_record import TUNED


def upgraded_run(content: Mapping[str, Any]) -> dict[str, Any]:
    """`run.json`."""
    upgraded = dict(content)
    if _version(content) < 3 and isinstance(content.get("about"), Mapping):
        upgraded["about"] = _about_from_2(content["about"])
    return _with_folder(upgraded)


def upgraded_summary(content: Mapping[str, Any]) -> dict[str, Any]:
    """`summary.json`."""
    return _about_from_2(content) if _version(content) < 3 else dict(content)


def upgraded_line(content: Mapping[str, Any]) -> dict[str, Any]:
    """A line of `mixtures.jsonl`; they carry no version, and one journal may hold both (a resume that was killed)."""
    return dict(content) if "outcome" in content else _line_from_2(content)


def _version(content: Mapping[str, Any]) -> int:
    found = content.get("schema_version", 0)
    return found if isinstance(found, int) else 0


def _about_from_2(about: Mapping[str, Any]) -> dict[str, Any]:
    """Versions 1 and 2 said in one text which thresholds were used and that there were no tuned ones."""
    upgraded = dict(about)
    thresholds = about.get("thresholds")
    if isinstance(thresholds, str) and thresholds.startswith("default ("):
        upgraded["thresholds"] = "default"
        missing = about.get("missing_parts", [])
        if isinstance(missing, list) and TUNED not in missing:
            upgraded["missing_parts"] = [*missing, TUNED]
    return upgraded


def _with_folder(run: dict[str, Any]) -> dict[str, Any]:
    """What a plain folder is called was told by the options alone."""
    about, config = run.get("about"), run.get("config")
    data = config.get("data") if isinstance(config, Mapping) else None
    if (
        isinstance(about, Mapping)
        and about.get("dataset") == FOLDER
        and "folder" not in about
        and isinstance(data, str)
    ):
        return {**run, "about": {**about, "folder": PurePath(data).name or None}}
    return run


def _line_from_2(line: Mapping[str, Any]) -> dict[str, Any]:
    """Versions 1 and 2 had twenty keys beside each other, losses as lists, and flags as texts."""
    scored = line.get("status") == "scored"
    upgraded: dict[str, Any] = {
        "mixture_id": line["mixture_id"],
        "outcome": {"status": line["status"], "error": line.get("error"), "seconds": line.get("seconds", 0.0)},
        **{key: line[key] for key in _KEPT if key in line},
        "flags": [_flag_from_2(flag) for flag in line.get("flags", ())],
    }
    if scored:
        upgraded["capi"] = {
            "value": line.get("capi_sdri"),
            "optimal": line.get("capi_sdri_optimal"),
            **{key: line.get(key) for key in ("ca_sdri", "zero_floor", "gain_floor")},
            "n_entries": line.get("n_entries", 0),
            "pairs": line.get("pairs", []),
        }
        upgraded["labels"] = {key: line.get(key) for key in ("tp", "fp", "fn")}
    if scored and line.get("decomposition") is not None:
        parts = line["decomposition"]
        upgraded["decomposition"] = {
            **parts,
            "value": line.get("capi_sdri"),
            "losses": [dict(zip(_LOSS, loss, strict=True)) for loss in parts["losses"]],
        }
    return upgraded


_KEPT = ("reference_labels", "estimates", "bounds", "secondary", "as_written", "files")
_LOSS = ("kind", "label", "other", "value")


def _flag_from_2(flag: str) -> dict[str, Any]:
    kind, _, number = flag.partition(":")
    return {"kind": kind, "number": int(number)}
