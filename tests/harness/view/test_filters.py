"""Which mixtures the viewer lists, and in which order."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from viewing import Elements, Made, key, rows, text_of

Browse = Callable[..., Any]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"m_1", "m_10", "m_2", "m_3", "m_4"}),
        ({"reference": "Pour", "estimate": "Speech"}, {"m_2"}),
        ({"reference": "Speech", "estimate": "Pour"}, set()),
        ({"reference": "Dishes", "estimate": "missed"}, {"m_3"}),
        ({"loss": "confusion"}, {"m_2"}),
        ({"label": "Speech"}, {"m_1", "m_2"}),
        ({"targets": "2"}, {"m_2", "m_4"}),
        ({"targets": "0"}, {"m_10"}),
        ({"result": "silent"}, {"m_10"}),
        ({"result": "exact"}, {"m_1", "m_10", "m_4"}),
        ({"result": "wrong"}, {"m_2", "m_3"}),
        ({"repeated_class": "yes"}, {"m_4"}),
        ({"text": "COUGH"}, {"m_2"}),
        ({"text": "m_1"}, {"m_1", "m_10"}),
        ({"low": "0", "high": "0.001"}, {"m_3"}),
        ({"low": "no number", "targets": "-1", "sort": "x", "label": ""}, {"m_1", "m_10", "m_2", "m_3", "m_4"}),
    ],
)  # fmt: skip
def test_the_table_of_mixtures_shows_what_is_asked_for(
    made: Made, browse: Browse, query: dict[str, str], expected: set[str]
) -> None:
    answer = browse(made.runs).get("/mixtures", params={"run": key(made.scored), **query})
    assert set(rows(answer.text)) == expected


def test_the_table_sorts_and_what_has_no_value_stands_last(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    scores = {
        i["mixture_id"]: i["capi"]["value"]
        for i in map(json.loads, (made.scored / "mixtures.jsonl").read_text().splitlines())
    }
    asked = {"run": key(made.scored), "sort": "capi_sdri"}
    up = rows(client.get("/mixtures", params=asked).text)
    assert up == [*sorted((i for i in scores if scores[i] is not None), key=scores.__getitem__), "m_10"]
    down = rows(client.get("/mixtures", params={**asked, "down": "1"}).text)
    assert down == [*up[:-1][::-1], "m_10"]


def test_one_goes_on_from_mixture_to_mixture_among_those_that_were_asked_for(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    listed = client.get("/mixtures", params={"run": key(made.scored), "targets": "2", "sort": "id", "down": "1"}).text
    first = next(a["data-href"] for _, a in Elements(listed).found if "data-href" in a)
    page = client.get(first).text
    assert "1 of 2" in text_of(page)
    following = next(a["href"] for _, a in Elements(page).found if a.get("rel") == "next")
    assert "id=m_2" in following
    assert "2 of 2" in text_of(client.get(following).text)


@pytest.mark.parametrize("down", ["", "1"])
@pytest.mark.parametrize(
    "sort", ["", "order", "id", "capi_sdri", "gain", "loss", "snr", "targets", "estimates", "seconds"]
)
def test_orders_and_cells_that_are_kept_are_those_of_a_literal_sort(made: Made, sort: str, down: str) -> None:
    from s5eval.harness.report.charted import cells_of
    from s5eval.harness.view.filters import SORTS, Filter
    from s5eval.harness.view.runs import ViewedRun
    from s5eval.metrics.tolerance import settled

    index = ViewedRun("x", made.scored).snapshot().index
    for asked in ({}, {"targets": "2"}, {"reference": "Pour", "estimate": "Speech"}, {"estimate": "missed"}):
        wanted = Filter(sort=sort, down=down, **asked)
        found = [score.mixture_id for score in wanted.apply(index)]
        meant = [
            score
            for score in index.scores
            if ("targets" not in asked or len(score.reference_labels or ()) == 2)
            and (
                "estimate" not in asked
                or any(
                    column == asked["estimate"] and row == asked.get("reference", row)
                    for row, column in cells_of(score)
                )
            )
        ]
        if sort == "order" and down:
            meant.reverse()
        if sort in SORTS and sort != "order":
            value = SORTS[sort][1]
            known = [score for score in meant if value(score) is not None]
            places = {s.mixture_id: value(s) if sort == "id" else settled(value(s)) for s in known}
            known.sort(key=lambda s, of=places: of[s.mixture_id], reverse=bool(down))
            meant = known + [score for score in meant if value(score) is None]
        assert found == [score.mixture_id for score in meant], asked
        assert [score.mixture_id for score in wanted.apply(index)] == found  # a second look at what was kept


def test_ranges_hold_their_lower_end_and_not_their_upper_one(made: Made) -> None:
    """Neighbouring marks of a chart lead to every mixture once."""
    from s5eval.harness.view.filters import Filter
    from s5eval.harness.view.runs import ViewedRun

    index = ViewedRun("x", made.scored).snapshot().index

    def found(**asked: str) -> set[str]:
        return {score.mixture_id for score in Filter(**asked).apply(index)}

    assert "m_3" in found(low="0") and "m_3" not in found(high="0"), "its CAPI-SDRi is 0 dB"
    (m_4,) = [score for score in index.scores if score.mixture_id == "m_4"]
    assert m_4.capi is not None
    low, high = sorted(pair.sdr_mixture for pair in m_4.capi.pairs)
    assert low < high
    for asked in ({"snr_low": str(high)}, {"snr_high": str(high)}):
        assert "m_4" in found(**asked), "one of its sources is there, if not both"
    assert "m_4" not in found(snr_high=str(low))
    assert found(flag="no-such-flag") == set()


def test_a_mixture_that_failed_has_neither_right_nor_wrong_labels() -> None:
    from s5eval.harness.view.filters import RESULTS, _is

    failed: Any = SimpleNamespace(status="failed", labels=None, exact=None, reference_labels=("Speech",))
    assert [result for result in RESULTS if _is(failed, result)] == ["failed"]


def test_what_labels_cost_and_what_they_gain_are_set_against_each_other() -> None:
    from s5eval.harness.view.filters import lost

    losses = [SimpleNamespace(value=1.5), SimpleNamespace(value=-0.5)]
    score: Any = SimpleNamespace(decomposition=SimpleNamespace(bound=3.0, losses=losses))
    assert lost(score) == 1.0
    score.decomposition.bound = None
    assert lost(score) is None
