"""A ranking as one static page: the table, a picture of ranks and values, conditions, and what is missing."""

from s5eval.harness.comparing.published import Published
from s5eval.harness.comparing.ranking import Ranking
from s5eval.harness.comparing.ranking_table import (
    METRIC_TITLES,
    behind_text,
    condition_rows,
    explained,
    first_text,
    heading,
    in_order,
    published_as,
    rank_text,
    shown_as,
)
from s5eval.harness.report.style import stylesheet
from s5eval.harness.report.table import estimate_marks, interval_text
from s5eval.harness.report.templates import templates_of
from s5eval.harness.report.text import ABSENT, typeset, typeset_number


def ranking_page(ranking: Ranking) -> str:
    """The page's HTML; it needs no server, no network and no script."""
    environment = templates_of("s5eval.harness.comparing")
    ranked = [entry for entry in ranking.entries if entry.rank is not None]
    environment.tests["published"] = lambda row: isinstance(row, Published)
    environment.filters |= {"number": lambda value, digits: typeset_number(value, digits)}
    return environment.get_template("ranking.html").render(
        style=stylesheet(),
        ranking=ranking,
        heading=heading(ranking),
        title=METRIC_TITLES[ranking.metric],
        explained=explained(ranking, first=True),
        rows=in_order(ranking),
        ranked=ranked,
        conditions=[(condition, list(map(typeset, cells))) for condition, cells in condition_rows(ranking)],
        absent=ABSENT,
        rank_text=rank_text,
        shown_as=shown_as,
        published_as=published_as,
        interval_text=lambda value, digits: typeset(interval_text(value, digits)),
        behind_text=lambda difference: typeset(behind_text(difference)),
        first_text=first_text,
        marks=estimate_marks,
    )
