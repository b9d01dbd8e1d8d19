"""From finished runs to the records of a submission; refuses what must not be submitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.data_manifests.naming import RUN_AUDIO
from s5eval.harness.process import resume_command
from s5eval.harness.record.inspection import file_problem
from s5eval.harness.record.lines import source_file
from s5eval.harness.record.reading import unverified
from s5eval.harness.record.same_system import differences
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.runs.submitted_run import (
    SubmittedRun,
    incompleteness,
    is_official_eval,
    read_submitted,
    warning_of,
)
from s5eval.metrics.label_counts import LabelCounts
from s5eval.submissions.rules import EVAL_FRAMES, EVAL_IDS, OFFICIAL_DATASET
from s5eval.submissions.submission import DevResults, DevScore, MixtureOutputs, Output, Submission
from s5eval.systems.decision import Selection


@dataclass(frozen=True, slots=True)
class Gathered:
    """A submission read from runs, and what its maker should know.

    Attributes:
        submission: the records.
        warnings: what was let through, or looks like a slip.
        scores: CAPI-SDRi in memory and as written, of both runs, in dB; None where there is none.
    """

    submission: Submission
    warnings: tuple[Finding, ...]
    scores: Mapping[str, Mapping[str, float | None]]


def gather_submission(
    run: Path,
    dev_run: Path,
    *,
    nparams: int | None = None,
    allow_partial: bool = False,
    allow_untrained: bool = False,
    allow_other_system: bool = False,
) -> Gathered:
    """Read an evaluation run (made with `save_audio`) and a scored run on the development test set.

    Args:
        run: folder of the evaluation run.
        dev_run: folder of the other run.
        nparams: parameters of the whole system, every network once, frozen ones too; default: what the run's
            fingerprint says, 0 for a system without weights, otherwise None.
        allow_partial: accept runs that are not complete. Mixtures of the run without a result are answered with
            silence, and so are those of the official evaluation set that a run on it lacks; a split's other mixtures
            are left out.
        allow_untrained: accept untrained weights.
        allow_other_system: accept scores of another system, or of other weights, than those of the evaluation run.

    Raises:
        UsageError: a run may not be submitted, was made without `save_audio`, or has no scores, or both are one;
            a line for each of these.
        DataError: a run folder is damaged.
    """
    runs = {"run": read_submitted(run), "`dev_run`": read_submitted(dev_run)}
    warnings: list[Finding] = []
    problems: list[str] = []
    if run.resolve() == dev_run.resolve():
        problems.append(
            f"the run and `dev_run` are both {run}: the challenge asks for an evaluation run and for the scores of a "
            "run of the same system on the development test set; make one of each"
        )
    for role, source in runs.items():
        problems += _oracle_problem(role, source)
        problems += _weights_problem(role, source, allow_untrained, warnings)
        problems += _partial_problem(role, source, allow_partial, warnings)
        missing = source.about.missing_parts
        warnings += [warning_of("missing-part", source, f"the system was run without {part}") for part in missing]
        if doubt := unverified(source.record):
            warnings.append(warning_of("unverified", source, doubt))
        if source.about.tuned_on_forbidden:
            warnings.append(warning_of("tuned-on-forbidden", source, "the decision was tuned on a forbidden split"))
    evaluated, dev = runs.values()
    problems += _system_problem(evaluated, dev, allow_other_system, warnings)
    config = evaluated.record.config
    if not config.save_audio:
        problems.append(
            f"{run} was made without `save_audio` and holds no wavs; "
            f"`{resume_command(run, config.system, config.settings)} --save-audio` adds them"
        )
    elif not (run / RUN_AUDIO).is_dir():
        problems.append(
            f"{run} has no audio/ (a rescored run has none); make it again with `save_audio` and its decision"
        )
    if not any(score.status == "scored" for score in dev.scores.values()):
        problems.append(f"`dev_run` {dev_run}: has no scores; give a run on the development test set")
    if problems:
        raise UsageError("\n".join(problems))
    warnings += _slips(evaluated, dev)
    submission = Submission(
        outputs=[_outputs(evaluated, id_) for id_ in _to_answer(evaluated)],
        dev=_dev_results(dev),
        nparams=_nparams(evaluated, nparams, warnings),
        config=_config(evaluated),
        dev_config=_config(dev),
        frames=EVAL_FRAMES if is_official_eval(evaluated) or evaluated.about.dataset == OFFICIAL_DATASET else None,
    )
    return Gathered(submission, tuple(warnings), {"run": _scores(evaluated), "dev_run": _scores(dev)})


def _oracle_problem(role: str, run: SubmittedRun) -> list[str]:
    if not run.about.oracle:
        return []
    return [f"{role} {run.path}: system {run.about.system!r} sees the references; its output is no submission"]


def _weights_problem(role: str, run: SubmittedRun, allowed: bool, warnings: list[Finding]) -> list[str]:
    if run.about.weights != "untrained":
        return []
    if not allowed:
        return [f"{role} {run.path}: the weights are untrained; `allow_untrained` packs it nevertheless"]
    warnings.append(warning_of("untrained", run, "the weights are untrained"))
    return []


def _partial_problem(role: str, run: SubmittedRun, allowed: bool, warnings: list[Finding]) -> list[str]:
    problem = incompleteness(run)
    if problem is None:
        return []
    if not allowed:
        return [f"{role} {run.path} is partial: {problem}; `allow_partial` packs it nevertheless"]
    if role == "`dev_run`":
        effect = "only mixtures that were scored stand in the results and their means"
    elif is_official_eval(run):
        effect = "official mixtures without a result are answered with silence"
    else:
        effect = "mixtures of the run without a result are answered with silence, the split's others are left out"
    warnings.append(warning_of("partial", run, f"{problem}; {effect}"))
    return []


def _system_problem(run: SubmittedRun, dev: SubmittedRun, allowed: bool, warnings: list[Finding]) -> list[str]:
    differing = differences(run.record, dev.record)
    if not differing:
        return []
    if run.about.system == dev.about.system == "folder":  # two folders differ, whoever made what is in them
        message = "whether one system made these files and those of the evaluation run cannot be told"
        warnings.append(warning_of("system-unknown", dev, message))
        return []
    if not allowed:
        return [
            f"`dev_run` {dev.path} is a run of another system than {run.path} ({differing}): its scores are not those "
            "of the outputs; `allow_other_system` packs them nevertheless"
        ]
    warnings.append(warning_of("system-differs", dev, f"not the system of the evaluation run: {differing}"))
    return []


def _slips(run: SubmittedRun, dev: SubmittedRun) -> list[Finding]:
    found = []
    if run.about.dataset == OFFICIAL_DATASET and run.about.split != "eval":
        found.append(warning_of("split", run, f"a run of the split {run.about.split!r}; submissions answer 'eval'"))
    if is_official_eval(run) and (foreign := sorted(set(run.mixtures).difference(EVAL_IDS))):
        message = (
            f"left out: {counted(len(foreign), 'mixture')} that the official set does not have, such as {foreign[0]!r}"
        )
        found.append(warning_of("foreign-mixtures", run, message))
    if dev.about.dataset == OFFICIAL_DATASET and dev.about.split != "dev-test":
        found.append(warning_of("split", dev, f"a run of the split {dev.about.split!r}, expected 'dev-test'"))
    answered = run.about.answered
    if answered is not None and answered < len(run.mixtures):
        message = f"the estimates answer {answered} of {len(run.mixtures)} mixtures; the others are submitted as silent"
        found.append(warning_of("unanswered", run, message))
    if run.record.decision != dev.record.decision:
        found.append(warning_of("decision-differs", dev, "not the same decision as in the evaluation run"))
    return found


def _to_answer(run: SubmittedRun) -> list[str]:
    return sorted(EVAL_IDS if is_official_eval(run) else run.mixtures)


def _outputs(run: SubmittedRun, mixture_id: str) -> MixtureOutputs:
    line = run.lines.get(mixture_id)
    estimates = () if line is None or line.score.status == "failed" else line.score.estimates
    outputs = (Output(e.index, e.label, e.confidence, _wav(run, mixture_id, e)) for e in estimates)
    return MixtureOutputs(mixture_id, tuple(outputs))


def _wav(run: SubmittedRun, mixture_id: str, estimate: Selection) -> Path:
    """The path of a wav that is what was written with its mixture's line."""
    name = f"audio/{source_file(mixture_id, estimate)}"
    line = run.lines[mixture_id]
    if line.sealed:
        digest = line.files.get(name)
        problem = "is not listed in its line" if digest is None else file_problem(run.path / name, digest)
        if problem is not None:
            raise DataError(f"{run.path / name} {problem}; `s5eval check {run.path} --repair` runs the mixture again")
    return run.path / name


def _dev_results(run: SubmittedRun) -> DevResults:
    metrics = run.summary.metrics
    return DevResults(
        capi_sdri=metrics["capi_sdri"].value,
        mixture_accuracy=metrics["mixture_accuracy"].value,
        source_accuracy=metrics["source_accuracy"].value,
        scores=[_dev_score(score, score.labels) for score in run.scores.values() if score.labels is not None],
    )


def _dev_score(score: MixtureScore, counts: LabelCounts) -> DevScore:
    return DevScore(
        score.mixture_id,
        tuple(score.reference_labels or ()),
        tuple(estimate.label for estimate in score.estimates),
        tuple(estimate.confidence for estimate in score.estimates),
        score.capi_sdri,
        counts.tp,
        counts.fp,
        counts.fn,
    )


def _nparams(run: SubmittedRun, given: int | None, warnings: list[Finding]) -> int | None:
    stated = run.record.fingerprint.get("parameters")
    if given is not None:
        if isinstance(stated, int) and stated != given:
            warnings.append(
                warning_of("nparams-differs", run, f"`nparams` says {given:,}, the system itself {stated:,}")
            )
        return given
    if isinstance(stated, int) and not isinstance(stated, bool):
        return stated
    # a folder of estimates has no weights itself, but whatever made its files may have
    without = run.about.weights == "none" and run.about.system != "folder"
    return 0 if without else None


def _config(run: SubmittedRun) -> dict[str, Any]:
    """What made the outputs, without paths of the machine or times, so that equal runs give equal bytes."""
    config = run.record.config
    fingerprint = {key: value for key, value in run.record.fingerprint.items() if key != "path"}
    settings = {
        section: {key: value for key, value in values.items() if key != "path"}
        for section, values in config.settings.items()
    }
    return {
        "system": config.system,
        "settings": settings,
        "decision": run.record.decision.as_dict(),
        "fingerprint": fingerprint,
        "made_with": "s5eval",
    }


def _scores(run: SubmittedRun) -> dict[str, float | None]:
    written = run.summary.as_written
    return {
        "capi_sdri": run.summary.metrics["capi_sdri"].value,
        "capi_sdri_as_written": None if written is None else written.capi_sdri.value,
    }
