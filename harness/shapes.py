"""What the files of a run folder must hold to be used: whoever made them, and whatever became of them since."""

from typing import Any

from s5eval.data_manifests.structured import Shape

_NUMBER = (float, type(None))
_TEXT = (str, type(None))
_METRIC = {"value": _NUMBER, "ci_low": _NUMBER, "ci_high": _NUMBER, "n": int, "n_defined": int}
_BOUND = {"capi_sdri": _METRIC, "mixture_accuracy": _METRIC, "source_accuracy": _METRIC}
_SLICE = {**_BOUND, "capi_sdri_zero_floor": _METRIC, "capi_sdri_gain_floor": _METRIC}

ABOUT: dict[str, Shape] = {
    "system": str,
    "weights": str,
    "dataset": str,
    "split": str,
    "oracle?": bool,
    "tuned_on_forbidden?": bool,
    "thresholds?": str,
    "decided_by?": str,
    "missing_parts?": [str],
    "findings?": {"*": int},
}
"""The facts that a summary repeats."""

RUN: dict[str, Shape] = {
    "schema_version?": int,
    "metric_version": int,
    "status": str,
    "config": {
        "system": str,
        "data": _TEXT,
        "dataset?": _TEXT,
        "split?": _TEXT,
        "settings": {"*": dict},
        "decision_file": _TEXT,
        "limit?": (int, type(None)),
        "only": [str],
        "batch_size?": int,
        "device?": str,
        "save_audio?": bool,
        "cache?": bool,
        "strict?": bool,
        "metrics?": str,
        "mixture_timeout?": _NUMBER,
    },
    "decision": dict,
    "fingerprint": dict,
    "about": {**ABOUT, "tune": str},
    "manifest_sha256": str,
    "n_expected": int,
    "mixtures": [str],
    "findings?": [str],
    "provenance": {
        "time": str,
        "device": str,
        "platform": str,
        "python": str,
        "argv": [str],
        "packages": {"*": _TEXT},
        "git": (dict, type(None)),
    },
    "sittings?": [
        {"seconds?": float, "stages?": {"*": {"executed": int, "reused": int, "seconds": float}}, "provenance?": dict}
    ],
}
"""`run.json`."""

_DECOMPOSITION: dict[str, Shape] = {
    **dict.fromkeys(("value", "bound", "ceiling", "gap"), float),
    **dict.fromkeys(("oracle_labels", "oracle_count", "oracle_silence"), _NUMBER),
    "terms": dict.fromkeys(("separation", "miss", "false_alarm", "confusion", "repeated_class"), float),
    "classes": {"*": dict.fromkeys(("miss", "false_alarm", "confusion", "repeated_class"), float)},
    "confusions": [{"reference": str, "estimate": str, "loss": float, "mixtures": int}],
}

SUMMARY: dict[str, Shape] = {
    "schema_version?": int,
    "status": str,
    **ABOUT,
    **dict.fromkeys(("n_expected", "n_scored", "n_predicted", "n_failed"), int),
    "undefined_reason": _TEXT,
    "metrics": {**_SLICE, "ca_sdri": _METRIC},
    "bounds": dict.fromkeys(("silence", "oracle-mixture", "oracle-zeros", "oracle-gain", "oracle"), _BOUND),
    "slices": {"targets?": {"*": _SLICE}, "repeated_class?": {"*": _SLICE}, "class?": {"*": {"*": _METRIC}}},
    "secondary?": {"*": _METRIC},
    "flags": {"*": int},
    "failures": {"*": _TEXT},
}
"""`summary.json`, without its sections that may be null; see `summary_shape`."""


def summary_shape(summary: Any) -> dict[str, Shape]:
    """The shape of a summary, with the sections that this one has."""
    shape = dict(SUMMARY)
    if isinstance(summary, dict) and summary.get("decomposition") is not None:
        shape["decomposition"] = _DECOMPOSITION
    if isinstance(summary, dict) and summary.get("as_written") is not None:
        shape["as_written"] = {"capi_sdri": {"value": _NUMBER}, "clipped_samples": int}
    return shape


LINE: dict[str, Shape] = {
    "mixture_id": str,
    "status": str,
    **dict.fromkeys(
        ("capi_sdri?", "capi_sdri_optimal?", "ca_sdri?", "zero_floor?", "gain_floor?", "seconds?"), _NUMBER
    ),
    **dict.fromkeys(("n_entries?", "tp?", "fp?", "fn?"), (int, type(None))),
    "exact?": (bool, type(None)),
    "pairs?": [{"label": str, "estimate": int, "reference": int, "sdr": float, "sdr_mixture": float}],
    "estimates?": [{"index": int, "label": str, "confidence": float}],
    "bounds?": {"*": _NUMBER},
    "flags?": [str],
    "error?": _TEXT,
}
"""A line of `mixtures.jsonl`, without the parts that may be null; see `line_shape`."""


def line_shape(line: Any) -> dict[str, Shape]:
    """The shape of a line, with the parts that this one has."""
    shape = dict(LINE)
    parts: dict[str, Shape] = {
        "reference_labels": [str],
        "decomposition": {"bound": _NUMBER, "oracle_labels": _NUMBER, "oracle_count": _NUMBER,
                          "oracle_silence": _NUMBER, "losses": [list]},
        "secondary": {"*": _NUMBER},
        "as_written": {"capi_sdri": _NUMBER, "clipped_samples": int},
    }  # fmt: skip
    if isinstance(line, dict):
        shape |= {name: part for name, part in parts.items() if line.get(name) is not None}
    return shape
