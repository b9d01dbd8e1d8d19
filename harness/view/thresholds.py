"""Thresholds moved by hand: what any of them would earn, from the stored tables and the states that tuning looks up.

Every state of every mixture was scored once, by the `decide` and the metric that runs are scored with; a position of
the sliders is then a choice of states. So a number here is what `s5eval rescore` gives for the saved file.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import PairTable
from s5eval.harness.scoring.mixture import adapted
from s5eval.harness.scoring.summary import finite
from s5eval.harness.tuning.decision_file import made_on, write_decision
from s5eval.harness.tuning.folds import FOLDS
from s5eval.harness.tuning.joint_runs import recordings_in
from s5eval.harness.tuning.threshold_table import Objective, SweepTable, sweep_table
from s5eval.harness.tuning.tune import tune_tables
from s5eval.harness.view.runs import Snapshot
from s5eval.metrics.arrays import Array
from s5eval.metrics.bootstrap import RESAMPLES, Resamples, percentiles, ratios
from s5eval.systems.decision import Decision, candidate_labels
from s5eval.systems.decision_reading import load_decision, parse_decision
from s5eval.systems.provenance import on_top_of

FEWER_RESAMPLES = 1_000
"""Of the intervals where there are many mixtures; the page says so."""

_MANY = 4_000  # mixtures: 10,000 resamples of them are 40 MB, and near 100 ms a look
_LISTED = 200  # flipped mixtures that are named
_SHOWN = 400  # candidates of a class that are drawn
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\.yaml")
_PARTS = ("value", "ci_low", "ci_high", "delta", "delta_low", "delta_high")
_METRICS = ("capi_sdri", "mixture_accuracy", "source_accuracy")


@dataclass(frozen=True, slots=True)
class Against:
    """What the sliders are compared with: its name, in words and in addresses, and its thresholds (18,)."""

    key: str
    title: str
    thresholds: Array


class Board:
    """The tables of a run, ready to be asked what thresholds would earn."""

    def __init__(self, run: Snapshot) -> None:
        """Read every pair table, and score every state.

        Raises:
            UsageError: there is nothing that thresholds could change, or it is not known what decided.
        """
        if run.record is None or run.decision is None:
            raise UsageError("run.json cannot be read, so it is not known what decided")
        self.run, self.record, self.base = run, run.record, run.decision
        self.ids: list[str] = []
        self.references = 0
        self.unread: list[str] = []
        tables = list(self._tables())
        if not tables:
            raise UsageError("no mixture of the run has references and a readable pair table: nothing to decide anew")
        self.right = [_rightness(table) for table in tables]
        self.table: SweepTable = sweep_table(tables, self.base)
        self.resamples = Resamples(len(tables), resamples=FEWER_RESAMPLES if len(tables) > _MANY else RESAMPLES)
        self._found: Decision | None = None
        self._gain: Mapping[str, float | None] = {}
        self._compared: tuple[bytes, Array] | None = None
        self._lock = threading.Lock()

    def _tables(self) -> "Sequence[PairTable]":
        found = []
        for score in self.run.scores:
            if score.status != "scored":
                continue
            try:
                table = self.run.table(score.mixture_id)
            except S5Error:
                self.unread.append(score.mixture_id)
                continue
            self.ids.append(score.mixture_id)
            self.references += len(table.reference_labels or ())
            found.append(adapted(table, self.base))
        return found

    @property
    def files(self) -> list[str]:
        """Decision files in the run folder."""
        return sorted(path.name for path in self.run.path.glob("*.yaml") if path.is_file() and not path.is_symlink())

    def thresholds(self, asked: Mapping[str, Any]) -> tuple[Decision, Array]:
        """The run's decision with the thresholds that are asked for: `default`, and classes.

        Raises:
            UsageError: a class is unknown, or a value is none from 0 to 1.
        """
        content = {**self.base.as_dict(), "silence_thresholds": dict(asked)}
        decision = parse_decision({k: v for k, v in content.items() if k != "provenance"}, where="what was sent")
        return decision, of_decision(decision)

    def against(self, key: str) -> Against:
        """What to compare with: `run`, `0.5`, `optimum`, or the name of a decision file in the run folder.

        Raises:
            UsageError: it is none of these, or not readable; or its other rules are not the run's.
        """
        if key == "0.5":
            then = "" if self.base.expected_score is None else ", then the expected score"
            return Against(key, f"0.5 for every class{then}", np.full(len(CLASSES), 0.5))
        if key == "optimum":
            return Against(key, "the optimum on these mixtures", of_decision(self.optimum()[0]))
        if key in self.files:
            decision = load_decision(self.run.path / key)
            if _other_rules(decision) != _other_rules(self.base):
                raise UsageError(
                    f"{key} differs from the run's decision in more than thresholds: rescore the run with it"
                )
            return Against(key, key, of_decision(decision))
        if key != "run":  # a file that is gone by now, or lies elsewhere: another's numbers would pass for its own
            raise UsageError(f"{key}: expected run, 0.5, optimum, or a decision file in the run folder")
        return Against("run", "the run as it was decided", of_decision(self.base))

    def optimum(self) -> tuple[Decision, Mapping[str, float | None]]:
        """The thresholds that `s5eval tune` would fit, and its cross-validated gain; computed once.

        Raises:
            UsageError: there are too few mixtures, or nothing to tune.
        """
        with self._lock:
            if self._found is None:
                scored = [self.run.table(id_) for id_ in self.ids]
                heard = recordings_in(self.record, self.ids)
                folds = min(FOLDS, len(scored))
                result = tune_tables(scored, base=self.base, objective=Objective(), folds=folds, recordings=heard)
                self._found, self._gain = result.decision, result.gain
            return self._found, self._gain

    def evaluate(self, asked: Mapping[str, Any], against: str = "run") -> dict[str, Any]:
        """What thresholds would earn, and how that differs from something else.

        Args:
            asked: threshold by class, and `default`.
            against: see `against`.

        Returns:
            `metrics` with value, interval and paired difference; `counts`; `flipped` mixtures, largest change first.
        """
        _, thresholds = self.thresholds(asked)
        other = self.against(against)
        now, before = self.table.scores(thresholds), self.table.scores(other.thresholds)
        drawn = self.resamples.draw(now[:, 0::2], now[:, 1::2])
        values, others = (ratios(side[:, 0::2], side[:, 1::2]) for side in (now, before))
        low, high = percentiles(drawn)
        change_low, change_high = percentiles(drawn - self._drawn(other, before))
        metrics = {}
        for k, (name, scale) in enumerate(zip(_METRICS, (1.0, 100.0, 100.0), strict=True)):
            parts = (values, low, high, values - others, change_low, change_high)
            metrics[name] = {key: finite(part[k] * scale) for key, part in zip(_PARTS, parts, strict=True)}
        flipped = self._flipped(thresholds, other.thresholds, now, before)
        return {
            "metrics": metrics,
            "counts": self._counts(now),
            "against": other.title,
            "flipped": flipped[:_LISTED],
            "n_flipped": len(flipped),
            "resamples": self.resamples.resamples,
        }

    def _drawn(self, other: Against, scores: Array) -> Array:
        """The metrics of what is compared with in every resample; kept, since the sliders move and it does not."""
        key = other.thresholds.tobytes()
        if self._compared is None or self._compared[0] != key:
            self._compared = key, self.resamples.draw(scores[:, 0::2], scores[:, 1::2])
        return self._compared[1]

    def _counts(self, scores: Array) -> dict[str, int]:
        right, entries = int(scores[:, 4].sum()), int(scores[:, 5].sum())
        missed = self.references - right
        false = entries - right - missed
        return {
            "estimates": right + false,
            "right": right,
            "false": false,
            "missed": missed,
            "exact": int(scores[:, 2].sum()),
            "defined": int(scores[:, 1].sum()),
            "mixtures": len(scores),
        }

    def _flipped(self, thresholds: Array, others: Array, now: Array, before: Array) -> list[dict[str, Any]]:
        """Mixtures that are answered otherwise."""
        moved = np.flatnonzero(self.table.states(thresholds) != self.table.states(others))
        found: list[dict[str, Any]] = [
            {
                "id": self.ids[i],
                "before": finite(before[i, 0]) if before[i, 1] else None,
                "now": finite(now[i, 0]) if now[i, 1] else None,
                "exact_before": bool(before[i, 2]),
                "exact": bool(now[i, 2]),
            }
            for i in moved
            if not np.array_equal(now[i], before[i])
        ]
        return sorted(found, key=lambda row: (-abs((row["now"] or 0.0) - (row["before"] or 0.0)), row["id"]))

    def classes(self) -> list[dict[str, Any]]:
        """Every class among the candidates: its threshold, and how silent its candidates look.

        Right ones (the class is in the scene) and wrong ones stand apart; of many, some evenly.
        """
        silence: dict[str, dict[bool, list[float]]] = {}
        for rows in self.right:
            for label, p_silence, right in rows:
                silence.setdefault(label, {True: [], False: []})[right].append(p_silence)
        return [
            {
                "label": label,
                "n": sum(map(len, silence[label].values())),
                "threshold": self.base.threshold(label),
                "right": _some(silence[label][True]),
                "wrong": _some(silence[label][False]),
            }
            for label in CLASSES
            if label in silence
        ]

    def save(self, asked: Mapping[str, Any], name: str) -> Path:
        """Write a decision file into the run folder, marked as one that `tune` has made.

        Raises:
            UsageError: the name is not that of a file there, or taken; or see `thresholds`.
        """
        if not _FILE.fullmatch(name):
            raise UsageError("the name has to be one word of letters, digits, dots, dashes, and end with .yaml")
        file = self.run.path / name
        if file.is_symlink() or file.exists():
            raise UsageError(f"{name} is there already; choose another name")
        decision, _ = self.thresholds(asked)
        kept = {label: round(value, 6) for label, value in decision.silence_thresholds.items()}
        told = self.evaluate(kept)["metrics"]
        provenance = {
            **made_on([self.run.path], [self.record], [set(self.ids)]),
            **on_top_of(self.base.provenance),
            "objective": "moved by hand in s5eval view, in sight of these mixtures",
            "mixtures": len(self.ids),
            "scores": {name: told[name]["value"] for name in _METRICS},
        }
        write_decision(file, replace(decision, silence_thresholds=kept, provenance=provenance))
        return file


def of_decision(decision: Decision) -> Array:
    """The thresholds of a decision, (18,)."""
    return np.array([decision.threshold(label) for label in CLASSES])


def _other_rules(decision: Decision) -> tuple[Any, ...]:
    return decision.max_sources, decision.duplicate_correlation, decision.prior_factors, decision.expected_score


def _rightness(table: PairTable) -> list[tuple[str, float, bool]]:
    names = candidate_labels(table.class_scores, table.labels)
    there = table.reference_labels or ()
    return [(name, float(p), name in there) for name, p in zip(names, table.p_silence, strict=True)]


def _some(values: list[float]) -> list[float]:
    values = sorted(values)
    if len(values) > _SHOWN:
        values = [values[int(k)] for k in np.linspace(0, len(values) - 1, _SHOWN)]
    return [round(value, 4) for value in values]


class Boards:
    """The boards of the runs that were looked at last; a run that has grown gets a new one."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._lock = threading.Lock()
        self._kept: dict[str, Board] = {}

    def of(self, run: Snapshot) -> Board:
        """The board of a run; see `Board` for errors."""
        with self._lock:
            board = self._kept.pop(run.key, None)
            if board is None or board.run is not run:
                board = Board(run)
            self._kept[run.key] = board
            while len(self._kept) > 2:
                self._kept.pop(next(iter(self._kept)))
            return board
