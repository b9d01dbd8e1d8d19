"""Published results of the challenges, for whoever sets runs among them.

They are those of the results pages that could be read: the whole tables of teams, and the tables of systems as far as
their first rows; and of the baselines that are not among these, what their repositories say of the test set. What is
not among them is not known here, and nothing is filled in (`MISSING`).
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

from s5eval.data_manifests.sets.known import known_datasets
from s5eval.submissions.rules import EVAL_IDS, OFFICIAL_DATASET

RankingMetric = Literal["capi_sdri", "ca_sdri"]

RANKED_EVAL_MIXTURES = 1512
"""The challenge ranks the first so many mixtures of the evaluation set; published results are means over these."""

MISSING = {
    "dcase2026": "the first seven systems, and of every team the best; the others' figures are not known here",
    "dcase2025": "of every team the best system, and some others; the others' figures are not known here",
}
"""What the table of a challenge holds, and lacks."""

_SPLITS = {("dcase2026", "dev-test"): "test", ("dcase2025", "test"): "test", ("dcase2025", "eval"): "eval"}


@dataclass(frozen=True, slots=True)
class Published:
    """A published result.

    Attributes:
        system: the submission, without `task4`.
        capi_sdri: the value that ranked it, dB: CAPI-SDRi, or CA-SDRi in 2025 (see `metric`).
        mixture_accuracy: percent.
        note: what is known of the system.
        metric: what `capi_sdri` is.
        official_rank: among all systems, on the evaluation set; None: not known here.
        official_team_rank: among the teams, of a team's best system; None: it is not that.
        source: where the figures stand.
    """

    system: str
    capi_sdri: float
    mixture_accuracy: float
    note: str
    metric: RankingMetric = "capi_sdri"
    official_rank: int | None = None
    official_team_rank: int | None = None
    source: str = ""


def ranking_metric(dataset: str) -> RankingMetric:
    """What a data set's challenge ranks by: CA-SDRi in 2025, CAPI-SDRi since."""
    return "ca_sdri" if dataset == "dcase2025" else "capi_sdri"


def published_on(
    dataset: str, split: str, ids: Sequence[str], n_split: int = 0
) -> tuple[tuple[Published, ...], str | None]:
    """Published results that are means over exactly these mixtures, best first, and what is to be said of them.

    Args:
        dataset: name of the data set; the official evaluation set is recognised by its ids alone.
        split: of it.
        ids: the mixtures, in order.
        n_split: how many the whole split has, where no count is on record (2025).

    Returns:
        The rows, empty where there are none on these mixtures; a note, None where nothing was published on such data.
    """
    column = _SPLITS.get((dataset, split))
    official = known_datasets()[dataset].splits[split].mixtures if column else None
    if column and len(ids) != (official or n_split or len(ids)):
        return (), "a part of the official split: published results are of all its mixtures"
    if column is None:
        if tuple(ids) != EVAL_IDS[:RANKED_EVAL_MIXTURES]:
            if tuple(ids) == EVAL_IDS:
                return (), f"published results are of the first {RANKED_EVAL_MIXTURES} mixtures alone"
            if (dataset, split) == (OFFICIAL_DATASET, "eval"):
                return (), f"published results are of the first {RANKED_EVAL_MIXTURES} mixtures, all of them"
            return (), None
        dataset, column = OFFICIAL_DATASET, "eval"
    found = sorted(_rows(dataset, column), key=lambda row: -row.capi_sdri)
    known = f"{MISSING[dataset]} ({', '.join(dict.fromkeys(row.source for row in found))})"
    return tuple(found), f"published: results of DCASE {dataset[-4:]} Challenge Task 4, without intervals; {known}"


def _rows(challenge: str, column: str) -> list[Published]:
    rows = []
    for row in _table():
        if row["challenge"] != challenge or not row[f"value_{column}"]:
            continue
        (metric,) = (name for name in get_args(RankingMetric) if name == row["metric"])
        rows.append(
            Published(
                row["system"],
                float(row[f"value_{column}"]),
                float(row[f"mixture_accuracy_{column}"]),
                row["note"],
                metric,
                int(row["official_rank"]) if row["official_rank"] else None,
                int(row["official_team_rank"]) if row["official_team_rank"] else None,
                row["source"],
            )
        )
    return rows


def _table() -> list[dict[str, str]]:
    text = (files("s5eval.data_manifests.sets") / "published_results.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
