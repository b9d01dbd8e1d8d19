"""What the files of a run folder must hold to be used: whoever made them, and whatever became of them since."""

from s5eval.data_manifests.common.structured import Either, Shape

_NUMBER = (float, type(None))
_TEXT = (str, type(None))
_NULL = type(None)
_METRIC = Either(
    {"value": _NUMBER, "ci_low": _NULL, "ci_high": _NULL, "n": int, "n_defined": int},
    {"value": float, "ci_low": float, "ci_high": float, "n": int, "n_defined": int},
)
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
    "unverified?": str,
    "set?": [str],
    "findings?": {"*": int},
}
"""The facts that a summary repeats."""

TUNED = "tuned thresholds"
"""What is missing where they were asked for and the weights have none: a part of the decision, not of the system."""

_ENERGY: dict[str, Shape] = {"kwh": float, "seconds": float, "method": str, "hardware": str}

RUN: dict[str, Shape] = {
    "schema_version?": int,
    "metric_version": (int, type(None)),
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
        "energy?": bool,
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
        "git": Either(_NULL, {"commit": str, "dirty": bool}),
    },
    "sittings?": [
        {
            "seconds?": float,
            "stages?": {"*": {"executed": int, "reused": int, "seconds": float}},
            "provenance?": dict,
            "energy?": _ENERGY,
        }
    ],
    "energy?": _ENERGY,
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
    "decomposition?": Either(_NULL, _DECOMPOSITION),
    "as_written?": Either(_NULL, {"capi_sdri": {"value": _NUMBER}, "clipped_samples": int}),
}
"""`summary.json`."""


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
    "reference_labels?": Either(_NULL, [str]),
    "decomposition?": Either(
        _NULL,
        {
            **dict.fromkeys(("bound", "oracle_labels", "oracle_count", "oracle_silence"), _NUMBER),
            "losses": [list],
        },
    ),
    "secondary?": Either(_NULL, {"*": _NUMBER}),
    "as_written?": Either(_NULL, {"capi_sdri": _NUMBER, "clipped_samples": int}),
}
"""A line of `mixtures.jsonl`."""
