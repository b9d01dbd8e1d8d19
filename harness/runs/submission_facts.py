"""What a meta file asks of a submitted system, from its run and its profile; what is not known says why."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import S5Error
from s5eval.data_manifests.common.findings import Finding
from s5eval.harness.record.reading import read_lines, read_run
from s5eval.systems.device import resolve_device
from s5eval.systems.registry import load_profile

_SECONDS = 10.0  # of a mixture of the challenge


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
    record = read_run(run)
    costs, problem = _profile(record) if profile else (None, "--no-profile was given")
    found = [Finding("not-profiled", "warning", str(run), str(problem))] if costs is None and profile else []
    facts: dict[str, Any] = {
        "decision_making": decision_text(record["decision"]),
        **_inference(run, record, costs),
        **_evaluation_energy(record),
        **(_of_profile(costs, record) if costs is not None else {"macs": None}),
    }
    stated = record["fingerprint"].get("trainable_parameters")
    if isinstance(stated, int):
        facts["trainable_parameters"] = stated
    return facts, found


def _profile(record: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The profile of the system of a run; or None, and why there is none."""
    config, fingerprint = record["config"], record["fingerprint"]
    try:
        function = load_profile(config["system"])
        costs = function(dict(config["settings"].get("system", {})), resolve_device("auto"), seconds=_SECONDS)
    except S5Error as error:
        return None, f"multiply-adds and description are not known: {error}"
    counted, stated = sum(part.parameters for part in costs.parts), fingerprint.get("parameters")
    if isinstance(stated, int) and counted != stated:
        return None, (
            f"multiply-adds and description are not known: the system that is here has {counted:,} parameters, "
            f"the one of the run {stated:,}"
        )
    return costs, None


def _of_profile(costs: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    macs = costs.macs(_SECONDS)
    facts = {**costs.description, "macs": None if macs is None else round(macs)}
    if costs.external_resources is not None:
        facts["external_resources"] = [dict(entry) for entry in costs.external_resources]
    if (training := costs.training) is None:
        return facts
    facts |= {"training_hours": training["hours"], "training_hardware": "; ".join(training["devices"])}
    energy = training["energy"]
    return facts | _energy("training", energy, "not measured: the weights were trained without --energy")


def _evaluation_energy(record: Mapping[str, Any]) -> dict[str, Any]:
    facts = _energy("evaluation", record.get("energy"), "not measured: the run was made without --energy")
    reused = _reused(record)
    if facts["evaluation_kwh"] is not None and reused:
        facts["evaluation_method"] += f"; {reused} stage results came from the store, and cost nothing here"
    return {**facts, "evaluation_mixtures": len(record["mixtures"]) if facts["evaluation_kwh"] is not None else None}


def _energy(what: str, energy: Mapping[str, Any] | None, missing: str) -> dict[str, Any]:
    if energy is None:
        return {f"{what}_kwh": None, f"{what}_method": missing}
    said = f"estimate; {energy['method']}; {energy['hardware']}"
    if lacking := energy.get("unmeasured_sittings", 0):
        said += f"; less than the whole: {lacking} sittings were not measured"
    return {f"{what}_kwh": float(f"{energy['kwh']:.6g}"), f"{what}_method": said}


def _inference(run: Path, record: Mapping[str, Any], costs: Any) -> dict[str, Any]:
    """Seconds of the system for a mixture, where they were measured best."""
    lines = read_lines(run, record)
    spent = [line.score.seconds for line in lines.values() if line.score.status != "failed"]
    provenance = record.get("provenance", {})
    hardware = hardware_text(provenance)
    stages = record.get("stages", {})
    if spent and not _reused(record) and record["about"]["system"] != "folder":
        seconds, method = sum(spent) / len(spent), f"mean over the {len(spent)} mixtures of the run"
    elif stages and all(stage["executed"] for stage in stages.values()):
        seconds = sum(stage["seconds"] / stage["executed"] for stage in stages.values())
        least = min(stage["executed"] for stage in stages.values())
        method = f"sum over stages of the mean over the mixtures that each was executed for, {least} or more"
    elif costs is not None:
        from s5eval.harness.record.provenance import collect_provenance

        seconds = sum(stage.seconds for stage in costs.stages)
        method = "profiled: 10 s of noise, no slot silent, the faster of two passes"
        hardware = hardware_text(collect_provenance(resolve_device("auto")))
    else:
        known = (
            "the outputs came as files" if record["about"]["system"] == "folder" else "all stage results were reused"
        )
        return {"inference_seconds": None, "inference_hardware": None, "inference_method": f"not measured: {known}"}
    return {"inference_seconds": round(seconds, 4), "inference_hardware": hardware, "inference_method": method}


def _reused(record: Mapping[str, Any]) -> int:
    return sum(int(stage.get("reused", 0)) for stage in record.get("stages", {}).values())


def hardware_text(provenance: Mapping[str, Any]) -> str:
    """The machine of a run as one line, as far as its provenance tells."""
    device = str(provenance.get("device", "not stated"))
    named = provenance.get("hardware") or device
    cores = provenance.get("cpus")
    return f"{named}, {cores} cores" if device == "cpu" and cores else str(named)


def decision_text(decision: Mapping[str, Any]) -> str:
    """A decision in the words of a meta file.

    >>> decision_text({"silence_thresholds": {"default": 0.5}, "max_sources": 3, "duplicate_correlation": 0.9})
    'silence threshold 0.5 for every class; at most 3 sources; of one class, no two that correlate above 0.9'
    """
    thresholds = dict(decision.get("silence_thresholds", {}))
    default = thresholds.pop("default", 0.5)
    if thresholds:
        listed = ", ".join(f"{label} {value:g}" for label, value in sorted(thresholds.items()))
        said = [f"class-specific silence thresholds ({listed}; others {default:g})"]
    else:
        said = [f"silence threshold {default:g} for every class"]
    if decision.get("prior_factors"):
        said.append("class scores adapted to estimated priors")
    if (most := decision.get("max_sources")) is not None:
        said.append(f"at most {most} sources")
    if (limit := decision.get("duplicate_correlation")) is not None:
        said.append(f"of one class, no two that correlate above {limit:g}")
    return re.sub(r"\s+", " ", "; ".join(said))
