"""Runs that share mixtures are not tuned together; what numbers no tuning takes; which metric a verdict is of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sealed_files import as_version_1, edit_record

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.run_record import Shard
from s5eval.harness.record.tables import PairTable
from s5eval.harness.runs.chosen_decision import describe_decision
from s5eval.harness.runs.run import start_run
from s5eval.harness.tuning.decision_file import inherited_marks
from s5eval.harness.tuning.joint_runs import refuse_repeated
from s5eval.harness.tuning.priors import adapt_priors
from s5eval.harness.tuning.priors_table import priors_table
from s5eval.harness.tuning.threshold_curves import _titles
from s5eval.harness.tuning.threshold_table import Objective
from s5eval.harness.tuning.tune import tune_runs, tune_tables
from s5eval.harness.tuning.tuned_table import tuning_table
from s5eval.systems.decision import Decision

Call = Callable[..., Any]
Tables = Callable[..., list[PairTable]]


def test_a_mixture_of_two_runs_is_refused_by_its_content(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """Cross-validation would test on what it was fitted to: a run with itself gains where there is nothing to gain."""
    twice = s5eval("tune", staged_run, staged_run)
    assert (twice.code, "mixture 'm_00'" in twice.err) == (2, True)
    assert "Name every mixture's run once" in twice.err
    elsewhere = tmp_path / "elsewhere"
    for folder in staged_set.iterdir():
        (elsewhere / folder.name).mkdir(parents=True)
        for wav in folder.glob("m_07*"):
            (elsewhere / folder.name / wav.name).write_bytes(wav.read_bytes())
    part = tmp_path / "part"
    assert s5eval("run", "--system", "staged:build", "--data", elsewhere, "--out", part).code == 0
    refused = s5eval("tune", staged_run, part)
    assert (refused.code, "mixture 'm_07' of" in refused.err) == (2, True)
    assert not (staged_run / "thresholds.yaml").exists()


def test_runs_without_digests_are_compared_by_data_set_and_id(
    staged_run: Path, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    part = tmp_path / "part"
    assert s5eval("run", "--system", "staged:build", "--data", staged_set, "--limit", 3, "--out", part).code == 0
    as_version_1(part)
    refused = s5eval("tune", staged_run, part)
    assert (refused.code, "mixture 'm_00'" in refused.err) == (2, True)


def test_what_is_the_same_mixture_is_told_by_content_where_all_runs_tell_it(made_run: Callable[..., Path]) -> None:
    runs = [made_run("one", 3), made_run("two", 3)]
    one, two = (read_run_record(run) for run in runs)
    theirs, ours = one.mixture_digests or (), two.mixture_digests or ()
    refuse_repeated(runs, [one, two])
    refuse_repeated(runs, [one, replace(two, mixture_digests=(ours[0], ours[0], ours[2]))])  # twice in one is its own
    words = f"mixture 'm_0002' of {runs[1]} is a mixture of {runs[0]} too"
    with pytest.raises(UsageError, match=words):
        refuse_repeated(runs, [one, replace(two, mixture_digests=(*ours[:2], theirs[1]))])
    silent = replace(two, mixture_digests=None)
    with pytest.raises(UsageError, match="mixture 'm_0000' of"):
        refuse_repeated(runs, [one, silent])
    for elsewhere in ({"split": "test"}, {"dataset": "another"}):
        refuse_repeated(runs, [one, replace(silent, about=replace(silent.about, **elsewhere))])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_numbers_that_are_none_are_refused(value: float, staged_run: Path, s5eval: Call) -> None:
    for refused in (
        lambda: tune_runs(staged_run, shrinkage=value),
        lambda: adapt_priors(staged_run, strength=value),
        lambda: Objective("mix", value),
    ):
        with pytest.raises(UsageError, match=f"is {value}, expected a finite number, 0 or larger"):
            refused()
    for words in (("--shrinkage",), ("--objective", "mix", "--weight"), ("--unlabelled", "--strength")):
        assert s5eval("tune", staged_run, *words, value).code == 2


def test_a_weight_without_a_mix_is_refused(staged_run: Path, s5eval: Call) -> None:
    """It would change nothing, and whoever gave it would take the thresholds for those of a mix."""
    told = "`weight` is of the objective mix, and capi_sdri has no use for it"
    with pytest.raises(UsageError, match=told):
        Objective("capi_sdri", 0.5)
    result = s5eval("tune", staged_run, "--weight", 0.5)
    assert (result.code, told.replace("`weight`", "--weight") in result.err) == (2, True), result.err
    assert not (staged_run / "thresholds.yaml").exists()


def test_the_verdict_is_that_of_the_objective(make_tables: Tables) -> None:
    """Candidates all but silenced: both metrics gain, and the objective's line has the verdict and its own unit."""
    result = tune_tables(make_tables(120, 5), base=Decision({"default": 0.02}), objective=Objective("mixture_accuracy"))
    scores = result.scores
    gain = scores["cross_validated"]["mixture_accuracy"] - scores["untuned"]["mixture_accuracy"]  # type: ignore[operator]
    found = result.objective_gain
    assert found["value"] == pytest.approx(gain) and found["ci_low"] <= gain <= found["ci_high"]  # type: ignore[operator]
    lines = tuning_table(result).splitlines()
    of_objective, in_db = (k for k, line in enumerate(lines) if line.startswith("gain in "))
    assert lines[of_objective].startswith("gain in mixture accuracy, cross-validated: +") and "%" in lines[of_objective]
    assert in_db == of_objective + 1 and lines[in_db].endswith(" dB")
    worse = tune_tables(make_tables(12, 1), base=Decision(), objective=Objective("mix", 0.1))
    assert (worse.objective_gain["value"] or 0.0) <= 0
    assert "gain in capi sdri + 0.1 mixture accuracy, cross-validated: " in tuning_table(worse)
    assert "none, so keep the decision of before" in tuning_table(worse)


def test_the_gain_of_capi_sdri_is_the_paired_one(make_tables: Tables) -> None:
    result = tune_tables(make_tables(80, 2), base=Decision({"default": 0.1}), objective=Objective())
    assert result.gain == result.objective_gain
    scores = result.scores
    expected = scores["cross_validated"]["capi_sdri"] - scores["untuned"]["capi_sdri"]  # type: ignore[operator]
    assert np.isclose(result.gain["value"], expected)  # type: ignore[arg-type]


def test_what_a_killed_run_did_not_reach_is_a_part(staged_run: Path, s5eval: Call, lines: Any) -> None:
    journal = staged_run / "mixtures.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:7]))
    edit_record(staged_run / "run.json", lambda record: record.update(status="running", lines=None))
    shown = s5eval("tune", staged_run, "--folds", 2)
    assert shown.code == 0 and "tuned on a part: PARTIAL: 7 of the split's 12 mixtures" in shown.out
    provenance = yaml.safe_load((staged_run / "thresholds.yaml").read_text())["provenance"]
    assert len(provenance["mixture_digests"].split()) == 7


def test_priors_do_not_come_from_a_forbidden_source_unasked(probable_run: Path, s5eval: Call) -> None:
    source = probable_run.with_name("source")
    assert s5eval("rescore", probable_run, "--out", source).code == 0
    edit_record(source / "run.json", lambda record: record["about"].update(tune="forbidden"))
    refused = s5eval("tune", probable_run, "--unlabelled", "--source", source)
    assert (refused.code, "forbids tuning" in refused.err) == (2, True)
    assert s5eval("tune", probable_run, "--unlabelled", "--source", source, "--allow-test").code == 0


def test_shards_of_one_run_are_the_whole_together_and_a_part_where_one_is_missing(
    systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    shards = [tmp_path / f"R.{k}" for k in (1, 2, 3)]
    for k, out in enumerate(shards, start=1):
        options = ("--system", "staged:build", "--data", staged_set, "--shard", f"{k}/3", "--out", out)
        assert s5eval("run", *options).code == 0
    out, figure = tmp_path / "t.yaml", tmp_path / "f.svg"
    whole = s5eval("tune", *shards, "--folds", 2, "--out", out, "--figure", figure)
    assert (whole.code, "12 mixtures" in whole.out, "PARTIAL" in whole.out) == (0, True, False), whole.out
    assert "partial" not in yaml.safe_load(out.read_text())["provenance"]
    titles = _titles(shards)
    assert [("R.1, R.2, R.3" in title, title.endswith("| 12 mixtures")) for title in titles] == [(True, True)]
    two = s5eval("tune", *shards[1:], "--folds", 2, "--out", out)
    assert "tuned on a part: PARTIAL: 8 of the split's 12 mixtures\n" in two.out, two.out
    (title,) = _titles(shards[1:])
    assert "PARTIAL: 8 of the split's 12 mixtures" in title
    alone = s5eval("tune", shards[0], "--folds", 2, "--out", out)
    assert "tuned on a part: PARTIAL: 4 of the split's 12 mixtures\n" in alone.out, alone.out


def test_shards_of_two_runs_are_no_whole(systems_on_path: None, make_set: Callable[..., Path], tmp_path: Path) -> None:
    """Halves of two sets: they count as many mixtures as one set has."""
    runs = []
    for k, labels in ((1, ["Speech"]), (2, ["Cough"])):
        data = make_set(tmp_path / f"set{k}", {f"{k}_{n}": labels for n in range(4)}, seconds=0.25)
        runs.append(tmp_path / f"half{k}")
        start_run(RunConfig(system="staged:build", data=data, shard=f"{k}/2"), runs[-1])
    records = [read_run_record(run) for run in runs]
    assert inherited_marks(records, [2, 2])["partial"] == "PARTIAL: 2 of the split's 4 mixtures"


def test_what_the_weights_were_trained_on_is_added_up_over_shards(made_run: Callable[..., Path]) -> None:
    record = read_run_record(made_run("one", 3))
    shards = [
        replace(record, about=replace(record.about, trained_here=k), shard=Shard(k, 2, "whole", "sizes", 6))
        for k in (1, 2)
    ]
    assert inherited_marks(shards, [3, 3])["trained_on"] == "trained on recordings of 3 mixtures of it"


def test_all_that_stands_beside_the_numbers_of_a_run_is_told_of_what_is_tuned_on_it(
    made_run: Callable[..., Path], probable_run: Path
) -> None:
    """Random weights are tuned as any others are, and nothing said that the gain is one of noise."""
    run = made_run("one", 6)
    edit_record(run / "run.json", lambda record: record["about"].update(weights="untrained", made_on=2))
    words = "RANDOM WEIGHTS: the numbers say nothing about the system; scenes made on 2 kinds of machines"
    result = tune_runs(run, folds=2)
    assert f"tuned on a run that is marked: {words}" in tuning_table(result).splitlines()
    assert describe_decision(result.decision, None).endswith(f", on a run {words}, which came with the system")
    edit_record(probable_run / "run.json", lambda record: record["about"].update(oracle=True))
    told = priors_table(adapt_priors(probable_run)).splitlines()[-1]
    assert told.startswith("adapted to a run that is marked: RANDOM WEIGHTS: ")
    assert told.endswith("; oracle: sees the references")


def test_what_a_provenance_has_keys_for_is_not_told_twice(made_run: Callable[..., Path]) -> None:
    record = read_run_record(made_run("one", 6))
    about = replace(
        record.about, tuned_on_forbidden=True, fitted_here=2, trained_here=1, missing_parts=("a part",), n_split=9
    )
    assert inherited_marks([replace(record, about=about, adopted_unverified=2)], [6]).keys() == {
        "tuned_on_forbidden", "missing_parts", "partial", "unverified", "trained_on"
    }  # fmt: skip
