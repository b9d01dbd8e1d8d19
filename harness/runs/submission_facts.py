"""What a meta file asks of a submitted system, from its run and its profile; what is not known says why."""

from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.words import counted
from s5eval.harness.record.provenance import Provenance, collect_provenance
from s5eval.harness.record.reading import read_lines, read_run_record
from s5eval.harness.record.run_record import RunRecord, Staff
from s5eval.systems.decision import Decision
from s5eval.systems.device import resolve_device
from s5eval.systems.energy import Energy, how_estimated
from s5eval.systems.profiling import Profile
from s5eval.systems.registry import code_named, load_profile

_SECONDS = 10.0  # of a mixture of the challenge

# The share of the mixtures that every stage must have been executed for, for a mean to stand for all of them. A stage
# may have next to nothing to do (a mixture without candidates): the mean of a few can be any number. With a tenth
# missing it is a tenth off, or a little more.
_NEARLY_ALL = 0.9


def gather_facts(run: Path, *, profile: bool = True) -> tuple[dict[str, Any], list[Finding]]:
    """The facts of the system of a run, by the names of a template's placeholders.

    Args:
        run: folder of the evaluation run.
        profile: load the system, and profile it on made-up noise: a mixture of ten seconds, twice through every stage.

    Returns:
        The facts, and findings on what could not be found out. None stands for what nobody measured; a key that is
        not there for what only the system's maker can tell.

    Raises:
        UsageError: `run` is no run folder.
        DataError: it is damaged.
    """
    record = read_run_record(run)
    costs, problem = _profile(record) if profile else (None, "--no-profile was given")
    found = [Finding("not-profiled", "warning", str(run), str(problem))] if costs is None and profile else []
    facts: dict[str, Any] = {
        "decision_making": decision_text(record.decision),
        **_inference(run, record, costs),
        **_evaluation_energy(record),
        **(_of_profile(costs) if costs is not None else {"macs": None}),
    }
    stated = record.fingerprint.get("trainable_parameters")
    if isinstance(stated, int):
        facts["trainable_parameters"] = stated
    return facts, found


def _profile(record: RunRecord) -> tuple[Profile | None, str | None]:
    """The profile of the system of a run; or None, and why there is none."""
    try:
        function = load_profile(record.config.system)
        settings = dict(record.config.settings.get("system", {}))
        if code := code_named(settings):
            return None, (
                f"multiply-adds and description are not known: the run was made with code of its own ({code[0]}), "
                "which is not run from a record; `s5eval profile` with the same settings counts it"
            )
        costs: Profile = function(settings, resolve_device("auto"), seconds=_SECONDS)
    except S5Error as error:
        return None, f"multiply-adds and description are not known: {error}"
    counted, stated = sum(part.parameters for part in costs.parts), record.fingerprint.get("parameters")
    if isinstance(stated, int) and counted != stated:
        return None, (
            f"multiply-adds and description are not known: the system that is here has {counted:,} parameters, "
            f"the one of the run {stated:,}"
        )
    return costs, None


def _of_profile(costs: Profile) -> dict[str, Any]:
    macs = costs.macs(_SECONDS)
    facts: dict[str, Any] = {**costs.description, "macs": None if macs is None else round(macs)}
    if costs.external_resources is not None:
        facts["external_resources"] = [dict(entry) for entry in costs.external_resources]
    if (training := costs.training) is None:
        return facts
    facts |= {"training_hours": training["hours"], "training_hardware": "; ".join(training["devices"])}
    return facts | _energy("training", training["energy"], "not measured: the weights were trained without --energy")


def _evaluation_energy(record: RunRecord) -> dict[str, Any]:
    facts = _energy("evaluation", record.energy, "not measured: the run was made without --energy")
    if record.energy is None:
        return {**facts, "evaluation_mixtures": None}
    if record.reused:
        facts["evaluation_method"] += f"; {record.reused} stage results came from the store, and cost nothing here"
    return {**facts, "evaluation_mixtures": len(record.mixtures)}


def _energy(what: str, energy: Energy | None, missing: str) -> dict[str, Any]:
    if energy is None:
        return {f"{what}_kwh": None, f"{what}_method": missing}
    return {f"{what}_kwh": float(f"{energy.kwh:.6g}"), f"{what}_method": how_estimated(energy)}


def _inference(run: Path, record: RunRecord, costs: Profile | None) -> dict[str, Any]:
    """Seconds of the system for a mixture, where they were measured best."""
    lines = read_lines(run, record)
    spent = [line.score.outcome.seconds for line in lines.values() if line.score.status != "failed"]
    hardware, stages = _all_hardware(record), record.stages
    of_files, least = record.about.system == "folder", min((stage.executed for stage in stages.values()), default=0)
    nearly_all = bool(spent) and least >= _NEARLY_ALL * len(spent)
    if spent and not of_files and not record.reused and (not stages or least >= len(spent)):
        seconds, method = sum(spent) / len(spent), f"mean over {counted(len(spent), 'mixture')} of the run"
    elif nearly_all:
        seconds = sum(stage.seconds / stage.executed for stage in stages.values())
        method = f"sum over stages of the mean over the mixtures that each was executed for, {least} or more"
    elif costs is not None and costs.stages:
        seconds = sum(stage.seconds for stage in costs.stages)
        method = "profiled: 10 s of noise, no slot silent, the faster of two passes"
        method += f"; {held}" if (held := costs.held_up()) else ""
        hardware = hardware_text(collect_provenance(resolve_device("auto")))
    else:
        known = f"what every stage takes is known of {least} of {counted(len(spent), 'mixture')} of the run"
        reason = "the outputs came as files" if of_files else known
        return {"inference_seconds": None, "inference_hardware": None, "inference_method": f"not measured: {reason}"}
    return {"inference_seconds": round(seconds, 4), "inference_hardware": hardware, "inference_method": method}


def _all_hardware(record: RunRecord) -> str:
    """What a run's mixtures took their seconds on: a run that was gone on with, or merged, may have had several."""
    told = [_with_workers(sitting.provenance or record.provenance, sitting.staff) for sitting in record.sittings]
    return " | ".join(dict.fromkeys(told)) or hardware_text(record.provenance)


def _with_workers(provenance: Provenance, staff: Staff | None) -> str:
    """A machine, and how many mixtures it was at in the same seconds, where these were several."""
    if staff is None or staff.size == 1:
        return hardware_text(provenance)
    return f"{hardware_text(provenance)}, {staff.size} workers at once"


def hardware_text(provenance: Provenance) -> str:
    """The machine of a run as one line, as far as its provenance tells."""
    named = provenance.hardware or provenance.device
    return f"{named}, {provenance.cpus} cores" if provenance.device == "cpu" and provenance.cpus else named


def decision_text(decision: Decision) -> str:
    """A decision in the words of a meta file.

    >>> decision_text(Decision())
    'silence threshold 0.5 for every class; at most 3 sources; of one class, no two that correlate above 0.9'
    """
    thresholds = dict(decision.silence_thresholds)
    default = thresholds.pop("default", 0.5)
    if not decision.by_thresholds:
        said = []
    elif decision.one_threshold is None:
        listed = ", ".join(f"{label} {value:g}" for label, value in sorted(thresholds.items()))
        said = [f"class-specific silence thresholds ({listed}; others {default:g})"]
    else:
        said = [f"silence threshold {decision.one_threshold:g} for every class"]
    if decision.prior_factors:
        said.append("class scores adapted to estimated priors")
    if decision.expected_score is not None:
        heat, share = decision.expected_score.temperature, decision.expected_score.usual_share
        said.append(
            "as many of the likeliest as maximise the expected score, E[TP / (TP + FP + FN)] less "
            f"{share:g} P(TP + FP + FN > 0), class scores at temperature {heat:g}"
        )
    if decision.max_sources is not None:
        said.append(f"at most {counted(decision.max_sources, 'source')}")
    if decision.duplicate_correlation is not None:
        said.append(f"of one class, no two that correlate above {decision.duplicate_correlation:g}")
    return "; ".join(said)
