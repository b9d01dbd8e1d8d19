"""A ranking as text: ranks with their intervals, values, differences between neighbours, and who lacks what."""

from collections.abc import Sequence

from s5eval.data_manifests.common.words import counted, first_of
from s5eval.harness.comparing.pair_words import NO_STAR
from s5eval.harness.comparing.published import Published, RankingMetric
from s5eval.harness.comparing.ranked import Condition, RankedSubmission
from s5eval.harness.comparing.ranking import Ranking
from s5eval.harness.report.table import doubts_of, estimate_marks, interval_text, part_mark, settings_of
from s5eval.harness.report.terminal_layout import aligned, fits_apart
from s5eval.harness.report.text import ABSENT, number, number_and_interval
from s5eval.harness.scoring.paired import LEAST_MIXTURES, Difference
from s5eval.metrics.tolerance import settled

METRIC_TITLES: dict[RankingMetric, str] = {"capi_sdri": "CAPI-SDRi", "ca_sdri": "CA-SDRi"}
"""What ranks, in words."""

_EXPLAINED = (
    "A rank's interval holds the submission's own true rank in 95 % of such sets of mixtures, counted from all paired "
    "comparisons with the others at once"
)
_FIRST = "; first: share of resamples in which none is better"
_STAR = ". *: the paired interval excludes 0; of many neighbours some do by chance"

_NAME = 0  # the column that stands apart where it does not fit
_GO_FIRST = (3, 6)  # columns that a narrow terminal has no room for, in this order; `ranking.csv` has them
_LISTED = 5  # missing mixtures that are named in text; JSON and the page have all

Cells = tuple[str, ...]


def in_order(ranking: Ranking) -> list[RankedSubmission | Published]:
    """Submissions with published results between them by value, those without a rank last."""
    rows: list[tuple[float | None, RankedSubmission | Published]] = []
    rows.extend((entry.value if entry.rank else None, entry) for entry in ranking.entries)
    rows.extend((row.capi_sdri, row) for row in ranking.published)
    return [row for _, row in sorted(rows, key=lambda row: (row[0] is None, -settled(row[0] or 0.0)))]


def ranking_table(ranking: Ranking) -> str:
    """The ranking for the terminal; published results stand between the rows, without a rank."""
    title = METRIC_TITLES[ranking.metric]
    differences = ("behind the first dB", "behind the previous dB")
    header = ("", "rank [95 %]", f"{title} dB", *differences, "mixture acc. %", "source acc. %", "n (defined)")
    rows = [_row(row) if isinstance(row, RankedSubmission) else _published_row(row) for row in in_order(ranking)]
    cells = [header, *rows]
    dropped: list[int] = []
    for k in _GO_FIRST:
        if not fits_apart(cells, _NAME):
            dropped.append(k)
            cells = [tuple(row[c] for c in range(len(header)) if c not in dropped) for row in (header, *rows)]
    lines = [heading(ranking), "", *aligned(cells, apart=_NAME), "", explained(ranking, first=False)]
    if dropped:
        lines.append(f"more columns in ranking.csv (--out): {', '.join(header[k] for k in dropped)}")
    if found := unranked_lines(ranking):
        lines += ["", "without a rank (failed mixtures are in none of its numbers, one without a file is silent)"]
        lines += [f"  {line}" for line in found]
    marks = {entry.name: estimate_marks(entry.result.summary) for entry in ranking.entries}
    if any(marks.values()):
        lines += ["", "what counts as silent (no file) or was changed:"]
        lines += [f"  {name}: {', '.join(said)}" for name, said in marks.items() if said]
    if ranking.warnings:
        lines += ["", *(f"warning: {warning}" for warning in ranking.warnings)]
    if ranking.unusable:
        lines += ["", "not scored:", *(f"  {name}: {reason}" for name, reason in ranking.unusable.items())]
    if ranking.note:
        lines += ["", ranking.note]
    return "\n".join(lines)


def heading(ranking: Ranking) -> str:
    """One line: the data, how many mixtures, how many submissions."""
    mixtures = part_mark(ranking.n, ranking.n_split) or counted(ranking.n, "mixture")
    return f"data: {ranking.data} | {mixtures} | {counted(len(ranking.entries), 'submission')} | 95 % intervals"


def explained(ranking: Ranking, *, first: bool) -> str:
    """What the columns of a ranking say; `first`: whether the column of that name is among them."""
    text = f"{_EXPLAINED}{_FIRST if first else ''}{_STAR}"
    if ranking.n < LEAST_MIXTURES:
        return f"{text}; {NO_STAR}, and every rank is possible."
    changes = [change for entry in ranking.entries for change in (entry.to_previous, entry.difference)]
    withheld = any(change is not None and change.withheld for change in changes)
    return f"{text}; {NO_STAR}." if withheld else f"{text}."


def unranked_lines(ranking: Ranking) -> list[str]:
    """Who has no rank, why, and which mixtures are missing."""
    return [f"{e.name}: {why}{_missing(e.missing)}" for e in ranking.entries if (why := e.why_no_rank) is not None]


def note_lines(ranking: Ranking) -> list[str]:
    """What a reader of the table in a file must not miss, a line each; it goes wherever the numbers go."""
    return [
        *ranking.doubts,
        *(f"without a rank: {line}" for line in unranked_lines(ranking)),
        *(f"{entry.name}: {said}" for entry in ranking.entries if (said := said_of(entry))),
        *(f"not scored: {name}: {reason}" for name, reason in ranking.unusable.items()),
    ]


def said_of(entry: RankedSubmission) -> str:
    """The marks and the settings of a submission, which stand beside its numbers everywhere."""
    return "; ".join([*settings_of(entry.result.summary), *doubts_of(entry.result.summary)])


def _missing(ids: Sequence[str]) -> str:
    return f" (missing: {first_of(ids, _LISTED)})" if ids else ""


def rank_text(entry: RankedSubmission) -> str:
    """`3 [2, 5]`; a dash without a rank."""
    if entry.rank is None or entry.place is None:
        return ABSENT
    return f"{entry.rank} [{entry.place.low}, {entry.place.high}]"


def behind_text(difference: Difference | None) -> str:
    """`-0.412 [-0.73, -0.10] *`; nothing where there is no other."""
    if difference is None or difference.delta is None:
        return ""
    text = number_and_interval(difference.delta, difference.ci_low, difference.ci_high, 3)
    return f"{text} *" if difference.significant else text


def first_text(entry: RankedSubmission) -> str:
    """The share of resamples in which it is the first, in percent."""
    return number(None if entry.place is None else 100 * entry.place.first, 1)


def shown_as(entry: RankedSubmission) -> str:
    """Its name, with its status where that is not complete."""
    return f"{entry.name}{'' if entry.status == 'complete' else f' ({entry.status})'}"


def published_as(row: Published) -> str:
    """Its name, with what is known of it."""
    said = ["published", *([row.note] if row.note else [])]
    if row.official_rank is not None:
        said.append(f"rank {row.official_rank} of the challenge")
    elif row.official_team_rank is not None:
        said.append(f"team rank {row.official_team_rank} of the challenge")
    return f"{row.system} ({', '.join(said)})"


def condition_rows(ranking: Ranking) -> list[tuple[Condition, list[str]]]:
    """Every condition with a cell per ranked submission: `1 [1, 2] 7.41`, the rank, its interval and the value."""
    names = [entry.name for entry in ranking.entries if entry.rank is not None]
    return [(condition, [_cell(condition, name) for name in names]) for condition in ranking.conditions]


def _cell(condition: Condition, name: str) -> str:
    place = condition.places[name]
    return ABSENT if place.rank is None else f"{place.rank} [{place.low}, {place.high}] {number(place.value, 2)}"


def _row(entry: RankedSubmission) -> Cells:
    metrics = entry.result.summary.metrics
    place = "  – " if entry.rank is None else f"{entry.rank:3d} "
    return (
        f"{place}{shown_as(entry)}",
        "" if entry.place is None else f"[{entry.place.low}, {entry.place.high}]",
        interval_text(entry.ranking_value, 3),
        behind_text(entry.difference),
        behind_text(entry.to_previous),
        interval_text(metrics["mixture_accuracy"], 2),
        interval_text(metrics["source_accuracy"], 2),
        f"{entry.ranking_value.n} ({entry.ranking_value.n_defined})",
    )


def _published_row(row: Published) -> Cells:
    return f"    {published_as(row)}", "", number(row.capi_sdri, 2), "", "", number(row.mixture_accuracy, 2), "", ""
