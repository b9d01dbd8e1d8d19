"""The two JSON files of a submission, made from records. Source: submission script of the official baseline."""

import json
from collections.abc import Iterable
from typing import Any

from s5eval.data_manifests.naming import format_source_name
from s5eval.submissions.rules import MAX_OUTPUTS
from s5eval.submissions.submission import DevScore, MixtureOutputs, Output, Submission

PADDING = "silence"
"""The official files pad label lists to three with this word; it stands for a track without a source."""


def output_file_name(mixture_id: str, output: Output) -> str:
    """Name of an output's wav in `eval_out`."""
    return format_source_name(mixture_id, output.index, output.label)


def eval_results(submission: Submission) -> dict[str, Any]:
    """Content of `eval_results.json`: every mixture, sorted by id, with the files that answer it."""
    return {
        "nparams": submission.nparams,
        "probabilities": [
            {"soundscape": answer.mixture_id, "estimate": _estimates(answer)}
            for answer in sorted(submission.outputs, key=lambda answer: answer.mixture_id)
        ],
        "config": dict(submission.config),
    }


def dev_results(submission: Submission) -> dict[str, Any]:
    """Content of `dev_set_test_results.json`: means in dB and percent, and every mixture, sorted by id.

    Label lists are padded with `silence` to three as the official script does; the probability of a track
    without a source is 0 there, since there is no source that it could be sure of.
    """
    dev = submission.dev
    return {
        "CAPI-SDRi": {"mean": dev.capi_sdri},
        "label_metrics": {"accuracy_mix": dev.mixture_accuracy, "accuracy_src": dev.source_accuracy},
        "nparams": submission.nparams,
        "details": [_detail(score) for score in sorted(dev.scores, key=lambda score: score.mixture_id)],
        "config": dict(submission.dev_config),
    }


def as_json(content: Any) -> bytes:
    """The bytes of a JSON file: the same for the same content, strict (no NaN), UTF-8."""
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode("utf-8")


def _estimates(answer: MixtureOutputs) -> list[dict[str, Any]]:
    return [
        {
            "filename": output_file_name(answer.mixture_id, output),
            "label": output.label,
            "probability": output.probability,
        }
        for output in sorted(answer.outputs, key=lambda output: output.index)
    ]


def _detail(score: DevScore) -> dict[str, Any]:
    counts = {"acc": score.fp == score.fn == 0, "tp": score.tp, "fp": score.fp, "fn": score.fn}
    return {
        "soundscape": score.mixture_id,
        "ref_labels": _padded(score.reference_labels, PADDING),
        "est_labels": _padded(score.estimate_labels, PADDING),
        "probabilities": _padded(score.probabilities, 0.0),
        "metrics": [
            {"metric": "CAPI-SDRi", "value": score.capi_sdri},
            {"metric": "label_metrics", "value": counts},
        ],
    }


def _padded(values: Iterable[Any], filling: Any) -> list[Any]:
    found = list(values)
    return found + [filling] * (MAX_OUTPUTS - len(found))
