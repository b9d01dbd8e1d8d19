"""An ablation as it came out: its rows, the bounds beside them, and their differences to the baseline row."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.harness.errors import EXIT_DONE, EXIT_FAILED_MIXTURES
from s5eval.harness.record.codec import to_json
from s5eval.harness.record.run_record import Facts
from s5eval.harness.record.run_summary import MetricValue

_ABOUT = ("system", "weights", "dataset", "split", "n_split", "n_expected")


@dataclass(frozen=True, slots=True)
class Delta:
    """Difference to the baseline row in one metric, with its paired 95 % interval; None where one is undefined.

    Attributes:
        value: this row − baseline.
        ci_low: lower end.
        ci_high: upper end.
        significant: see `Difference`; None where nothing could be compared.
        withheld: likewise.
        n: mixtures that count, of those that both rows have scored.
    """

    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    significant: bool | None = None
    withheld: bool | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One row of the table.

    Attributes:
        name: of the row, or of a bound.
        assignments: its settings, by dotted keys.
        run: its run folder; None for a bound.
        metrics: as in `summary.json`; every value None where the row failed.
        delta: difference to the baseline row per metric.
        executed: (stage, mixture) pairs that this call has executed.
        reused: pairs whose stored result it has used.
        seconds: what the execution of these took; of a system without stages, the whole run.
        marks: what a reader must not miss (`without tuned thresholds`, `partial: …`, `differences over …`).
        n_failed: mixtures that failed.
        error: why the row failed.
        weights: of the files that its system reads, which are fewer with fewer stages; None: no run stands, or a bound.
    """

    name: str
    assignments: Mapping[str, Any]
    run: Path | None
    metrics: Mapping[str, MetricValue]
    delta: Mapping[str, Delta]
    executed: int = 0
    reused: int = 0
    seconds: float = 0.0
    marks: tuple[str, ...] = ()
    n_failed: int = 0
    error: str | None = None
    weights: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row's JSON object."""
        content: dict[str, Any] = {
            "name": self.name,
            "set": dict(self.assignments),
            "metrics": to_json(self.metrics),
            "delta": to_json(self.delta),
            "marks": list(self.marks),
        }
        if self.run is not None:
            content |= {
                "run": str(self.run),
                "weights": self.weights,
                "stage_runs": {"executed": self.executed, "reused": self.reused},
                "seconds": round(self.seconds, 3),
            }
        return content if self.error is None else {**content, "error": self.error}


@dataclass(frozen=True, slots=True)
class Ablation:
    """All rows, in order of the grid, the bounds on the same mixtures, and whose rows were compared with which.

    `about` is of the first row that could be run; None: none could.
    """

    about: Facts | None
    baseline: str
    rows: tuple[AblationRow, ...]
    bounds: tuple[AblationRow, ...]

    def __repr__(self) -> str:
        about = "" if self.about is None else f" of {self.about.system}"
        rows = ", ".join(row.name if row.error is None else f"{row.name} (failed)" for row in self.rows)
        return f"<Ablation{about}, {len(self.rows)} rows: {rows}; differences to {self.baseline}>"

    @property
    def exit_code(self) -> int:
        """0, or 4 when a row, or a mixture of one, failed."""
        failed = any(row.error is not None or row.n_failed for row in self.rows)
        return EXIT_FAILED_MIXTURES if failed else EXIT_DONE

    @property
    def notes(self) -> dict[str, str]:
        """Every mark of a row → the letter that stands for it in a table."""
        marks = dict.fromkeys(mark for row in (*self.rows, *self.bounds) for mark in row.marks)
        return {mark: _letter(k) for k, mark in enumerate(marks)}

    def letters(self, row: AblationRow) -> list[str]:
        """The letters of a row's marks, in their order."""
        notes = self.notes
        return [notes[mark] for mark in row.marks]

    @property
    def weights(self) -> tuple[str, ...]:
        """The weights of all rows, each once."""
        return tuple(dict.fromkeys(row.weights for row in self.rows if row.weights is not None))

    @property
    def executed(self) -> int:
        """(stage, mixture) pairs executed by this call."""
        return sum(row.executed for row in self.rows)

    @property
    def reused(self) -> int:
        """(stage, mixture) pairs taken from the store, or from rows that were finished before."""
        return sum(row.reused for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The content of `table.json`; its `weights` are those of all rows, null where these differ."""
        weights = self.weights[0] if len(self.weights) == 1 else None
        return {
            **({} if self.about is None else {key: getattr(self.about, key) for key in _ABOUT} | {"weights": weights}),
            "baseline": self.baseline,
            "stage_runs": {"executed": self.executed, "reused": self.reused},
            "rows": [row.as_dict() for row in self.rows],
            "bounds": [row.as_dict() for row in self.bounds],
        }


def _letter(number: int) -> str:
    """a, b, …, z, aa, ab, …: a large grid can have more marks than there are letters."""
    before, last = divmod(number, 26)
    return ("" if before == 0 else _letter(before - 1)) + chr(ord("a") + last)
