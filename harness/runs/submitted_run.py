"""A run folder as it is read for a submission, and what it lacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from s5eval.data_manifests.chosen_split import FOLDER
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.sets.known import known_datasets
from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import read_lines, read_run_record, unverified
from s5eval.harness.record.run_record import About, RunRecord
from s5eval.harness.record.run_summary import Summary
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.scoring.summary import summarize
from s5eval.submissions.expected import guess_expected
from s5eval.submissions.rules import EVAL_IDS, OFFICIAL_DATASET


@dataclass(frozen=True, slots=True)
class SubmittedRun:
    """A run folder as it is read for a submission."""

    path: Path
    record: RunRecord
    lines: Mapping[str, Line]
    scores: Mapping[str, MixtureScore]
    summary: Summary

    @property
    def mixtures(self) -> list[str]:
        """Ids of the mixtures to evaluate, in order."""
        return list(self.record.mixtures)

    @property
    def about(self) -> About:
        """Its facts in short."""
        return self.record.about


def read_submitted(path: Path) -> SubmittedRun:
    """Read a run folder.

    Raises:
        UsageError: there is none.
        DataError: it is damaged.
    """
    record = read_run_record(path)
    lines = read_lines(path, record)
    found = {id_: line.score for id_, line in lines.items()}
    scores = {id_: found[id_] for id_ in record.mixtures if id_ in found}
    summary = summarize(
        list(scores.values()),
        n_expected=len(record.mixtures),
        finished=len(scores) == len(record.mixtures),
        about=record.about,
        unverified=unverified(record),
    )
    return SubmittedRun(path, record, lines, scores, summary)


def incompleteness(run: SubmittedRun) -> str | None:
    """What a run lacks of its mixtures or of its split; None: nothing."""
    missing = len(run.mixtures) - len(run.scores)
    failed = sum(score.status == "failed" for score in run.scores.values())
    if missing or failed:
        return f"of {counted(len(run.mixtures), 'mixture')} {failed} failed and {missing} were not run"
    if is_official_eval(run) and (absent := len(set(EVAL_IDS).difference(run.mixtures))):
        return f"{absent} of the {len(EVAL_IDS)} official mixtures are not in it"
    dataset = known_datasets().get(run.about.dataset)
    split = None if dataset is None else dataset.splits.get(run.about.split)
    if split is not None and split.mixtures not in (None, len(run.mixtures)):
        return f"{counted(len(run.mixtures), 'mixture')}, the split {split.name!r} has {split.mixtures}"
    config = run.record.config
    given = [option for option in ("limit", "only") if getattr(config, option)]
    if given:
        return f"it was made with --{given[0]}"
    if len(run.mixtures) < run.about.n_split:  # such as a shard
        return f"{counted(len(run.mixtures), 'mixture')} of the {run.about.n_split} that the data have"
    return None


def is_official_eval(run: SubmittedRun) -> bool:
    """Whether it answers the evaluation set of the challenge: by the name of its data; or as a plain folder by its ids,
    by which `submit validate` will take it for that, and by the references that this set does not have.
    """
    if run.about.dataset == FOLDER and all(score.status != "scored" for score in run.scores.values()):
        return guess_expected(run.mixtures).official
    return run.about.dataset == OFFICIAL_DATASET and run.about.split == "eval"


def warning_of(rule: str, run: SubmittedRun, message: str) -> Finding:
    """A warning on a run."""
    return Finding(rule, "warning", str(run.path), message)
