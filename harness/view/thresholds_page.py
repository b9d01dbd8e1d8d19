"""What the page of thresholds shows and asks: a board's numbers, named thresholds, and a file that is saved."""

from collections.abc import Mapping
from typing import Any

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.report.text import typeset_interval
from s5eval.harness.scoring.paired import BY_CHANCE, too_few
from s5eval.harness.view.thresholds import Board
from s5eval.metrics.tolerance import LAST_BITS


def answer(board: Board, question: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Answer what the page asks.

    Args:
        board: of the run.
        question: `evaluate`, `named` or `save`.
        sent: `thresholds`, and `against` or `name`.

    Raises:
        UsageError: something of it is wrong.
    """
    asked = sent.get("thresholds")
    if not isinstance(asked, Mapping):
        raise UsageError("thresholds: expected an object of numbers")
    against = str(sent.get("against", "run"))
    if question == "named":
        return _named(board, against)
    if question == "save":
        file = board.save(asked, str(sent.get("name", "")))
        return {"file": str(file), "marked": board.run.forbidden}
    found = board.evaluate(asked, against)
    return {**found, "few": _few({"changed": found["n_flipped"]})}


def _named(board: Board, key: str) -> dict[str, Any]:
    found = board.against(key)
    thresholds = dict(zip(CLASSES, map(float, found.thresholds), strict=True))
    decision = board.optimum()[0] if key == "optimum" else board.base
    default = 0.5 if key == "0.5" else decision.threshold("default")
    return {"thresholds": {"default": default, **thresholds}, "words": _words(board, key)}


def _words(board: Board, key: str) -> str:
    """What must be said beside fitted thresholds: what they gain on mixtures they have not seen."""
    if key != "optimum":
        return ""
    gain = board.optimum()[1]
    text = typeset_interval(gain["value"], gain["ci_low"], gain["ci_high"], 3, signed=True, places=3)
    hint = "" if (gain["value"] or 0.0) > LAST_BITS else "; keep what you have"
    few = f"; {words}" if (words := _few(gain)) else ""
    return f"Fitted to these very mixtures. On mixtures left out of the fit (cross-validation): {text} dB{hint}{few}."


def _few(gain: Mapping[str, Any]) -> str:
    """Why the interval of a difference tells nothing; empty where it does."""
    return f"{words}: {BY_CHANCE}" if (words := too_few(gain)) else ""
