"""Folds: every mixture is left out once, and no recording is on both sides."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.harness.record.tables import PairTable
from s5eval.harness.tuning import joint_runs
from s5eval.harness.tuning.expected_tuning import tune_expected_score
from s5eval.harness.tuning.folds import folds_of, told_of_folds
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_tables
from s5eval.harness.tuning.tuned_table import tuning_table
from s5eval.systems.decision import Decision

Call = Callable[..., Any]
Tables = Callable[..., list[PairTable]]


def test_where_nothing_is_shared_folds_are_a_permutation_cut_in_parts() -> None:
    order = np.random.default_rng(3).permutation(np.arange(23))
    alone = [frozenset({str(k)}) for k in range(23)]
    for recordings in (None, [None] * 23, [frozenset()] * 23, alone):
        folds = folds_of(23, 5, 3, recordings)
        for fold, part in zip(folds, np.array_split(order, 5), strict=True):
            assert np.array_equal(fold.out, part)
            assert np.array_equal(fold.fit, np.setdiff1d(np.arange(23), part))
        assert told_of_folds(folds, recordings)["fits_saw"] == 1


@pytest.mark.parametrize("seed", range(12))
def test_no_recording_is_on_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixtures, folds = int(rng.integers(40, 90)), int(rng.integers(2, 12))
    names = [str(k) for k in range(int(rng.integers(30, 120)))]
    recordings = [
        None if rng.random() < 0.2 else frozenset(rng.choice(names, int(rng.integers(0, 3))).tolist())
        for _ in range(mixtures)
    ]
    found = folds_of(mixtures, folds, seed, recordings)
    assert sorted(k for fold in found for k in fold.out.tolist()) == list(range(mixtures))
    assert max(len(fold.out) for fold in found) - min(len(fold.out) for fold in found) <= 1
    for fold in found:
        heard = {name for k in fold.out for name in recordings[k] or ()}
        could = [k for k in range(mixtures) if k not in fold.out and not heard & (recordings[k] or frozenset())]
        assert fold.fit.tolist() == could, "no more is left out than has to be"
    told = told_of_folds(found, recordings)
    assert told["recordings_not_told"] == recordings.count(None)
    assert 0 < told["fits_saw"] <= 1


@pytest.mark.parametrize(
    ("names", "folds"),
    [
        ("ab" * 10, 2),
        ("aabbcccc", 2),  # the commonest first: in another order no part has room for it
        ("a a ab b c c d d", 2),  # what shares with one that has its place goes there
        ("aabbef", 2),  # the next to where most room is
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_what_shares_a_recording_is_left_out_together_where_there_is_room(names: str, folds: int, seed: int) -> None:
    recordings = [frozenset(each) for each in (names.split() if " " in names else names)]
    parts = folds_of(len(recordings), folds, seed, recordings)
    assert told_of_folds(parts, recordings)["fits_saw"] == 1


def test_what_is_told_of_the_parts() -> None:
    recordings = [frozenset("a")] * 4 + [frozenset("b"), None, None]
    parts = folds_of(7, 3, 0, recordings)  # of 3, 2 and 2: three that share are together, and one is elsewhere
    assert told_of_folds(parts, recordings) == {"folds": 3, "fits_saw": round(10 / 14, 3), "recordings_not_told": 2}
    assert told_of_folds(parts, None)["recordings_not_told"] == 7, "of none is told"


def test_where_all_is_shared_it_is_refused() -> None:
    with pytest.raises(UsageError, match="all mixtures share recordings with part 1"):
        folds_of(6, 3, 0, [frozenset("a")] * 6)


@pytest.mark.parametrize(
    ("mixtures", "folds", "seed", "words"),
    [
        (1, 2, 0, "1 scored mixture: cross-validation tunes on some and judges on others"),
        (6, 1, 0, "`folds` is 1, expected 2 to 6"),
        (6, 7, 0, "`folds` is 7, expected 2 to 6"),
        (6, 2, -1, "`seed` is -1, expected a whole number, 0 or larger"),
    ],
)
def test_numbers_that_make_no_parts_are_refused(mixtures: int, folds: int, seed: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        folds_of(mixtures, folds, seed)


def test_as_many_parts_as_mixtures_are_one_each() -> None:
    assert sorted(fold.out.tolist() for fold in folds_of(4, 4, 0)) == [[0], [1], [2], [3]]


def test_a_gain_that_is_recognition_of_recordings_does_not_show(make_tables: Tables) -> None:
    """Every mixture eight times: folds at random have seen all of a part's mixtures, folds of recordings none."""
    tables, heard = make_tables(24, 8) * 8, [frozenset({str(k % 24)}) for k in range(24 * 8)]
    found = {}
    for name, recordings in (("random", None), ("apart", heard)):
        result = tune_tables(tables, base=Decision(), objective=Objective(), shrinkage=0.0, recordings=recordings)
        found[name] = result.gain["value"] or 0.0
        fitted = (result.scores["fitted"]["capi_sdri"] or 0.0) - (result.scores["untuned"]["capi_sdri"] or 0.0)
    assert found["random"] > 0.9 * fitted > 0.1, "as good as fitted to itself"
    assert found["apart"] < 0.5 * found["random"]


def test_a_share_that_is_not_all_is_not_shown_as_all(make_tables: Tables) -> None:
    result = tune_tables(make_tables(6, 1), base=Decision(), objective=Objective(), folds=2)
    for share, shown in ((0.999, "99.9 %"), (0.5, "50.0 %")):
        provenance = {**(result.decision.provenance or {}), "fits_saw": share}
        text = tuning_table(replace(result, decision=replace(result.decision, provenance=provenance)))
        assert f"a fit saw {shown}: the others" in text


def test_both_rules_keep_recordings_apart_and_say_so(
    probable_run: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = s5eval("tune", probable_run, "--folds", 3)
    assert "recordings are not told: where mixtures share any" in plain.out

    def told(ids: list[str], data: Path | None, **where: Any) -> dict[str, frozenset[str] | None]:
        return {id_: frozenset({f"clip_{k // 3}"}) if k else None for k, id_ in enumerate(ids)}

    monkeypatch.setattr(joint_runs, "recordings_of", told)
    for rule in ("thresholds", "expected_score"):
        shown = s5eval("tune", probable_run, "--rule", rule, "--folds", 3)
        assert shown.code == 0
        assert "recordings of 1 of 12 mixtures are not told" in shown.out
        provenance = yaml.safe_load((probable_run / "thresholds.yaml").read_text())["provenance"]
        assert (provenance["folds"], provenance["recordings_not_told"]) == (3, 1)
        assert ("outside its part a fit saw" in shown.out) == (provenance["fits_saw"] < 1)

    def gone(*given: Any, **where: Any) -> None:
        raise DataError("the folder is not there")

    monkeypatch.setattr(joint_runs, "recordings_of", gone)
    assert "recordings are not told" in s5eval("tune", probable_run, "--folds", 3).out


def test_expected_scores_are_fitted_apart(make_tables: Tables) -> None:
    tables = []
    for table in make_tables(40, 2):
        scores = table.class_scores / table.class_scores.sum(axis=1, keepdims=True)
        tables.append(PairTable(table.pair_scores, scores, table.p_silence, None, table.reference_labels))
    chained = [frozenset({str(k), str(k + 1)}) for k in range(40)]  # no part shares nothing with the rest
    result = tune_expected_score(tables, base=Decision(), recordings=chained)
    assert (result.decision.provenance or {})["fits_saw"] < 1
    assert (result.decision.provenance or {})["recordings_not_told"] == 0
    apart = [frozenset({str(k // 4)}) for k in range(40)]
    result = tune_expected_score(tables, base=Decision(), recordings=apart)
    assert (result.decision.provenance or {})["fits_saw"] == 1
