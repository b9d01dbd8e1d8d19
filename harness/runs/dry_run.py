"""What a run would do, before it does it: configuration, mixtures, stage results at hand, disk space."""

import json
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s5eval.data_manifests.audio import audio_length
from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.errors import AudioError
from s5eval.data_manifests.records import Scene
from s5eval.harness.runs.plan import Plan
from s5eval.systems.pipeline import Pipeline
from s5eval.systems.settings import typed

_SLOTS = 3  # candidates a mixture, as in every system of the challenge so far
_TABLE_BYTES = 8192
_WIDTH = 80  # columns of a page; a path that is longer is not cut
_NAMES = 17
_DIGEST = len("sha256:") + 12  # characters of a digest that are told


def describe_plan(plan: Plan, *, as_json: bool = False) -> str:
    """The plan as a page of text; or as a JSON object, which alone has all of the decision, of the fingerprint and of
    the names. Sizes are in bytes there. None of it is executed.
    """
    facts = _facts(plan)
    if as_json:
        return json.dumps(facts, indent=1)
    ids, disk = facts["mixtures"], facts["disk_needed"]
    told = {
        **{name: _plain(facts[name]) for name in plan.config.as_dict() if facts[name] not in (None, False, [], {})},
        "settings": ", ".join(typed(facts["settings"])) or "none",
        "weights": _plain(plan.fingerprint.get("weights"))[:_DIGEST],
        "missing_parts": ", ".join(plan.missing_parts) or "none",
        "decision": facts["decided_by"],
        "findings": f"{len(plan.findings)} about the files",
        "mixtures": f"{len(ids)}: {', '.join(ids[:6])}{', …' if len(ids) > 6 else ''}",
        "stage_results": ", ".join(f"{name} {said}" for name, said in facts.get("stage_results", {}).items()),
        "run_folder": _megabytes(disk["run_bytes"]),
        "stage_store": f"{_megabytes(disk['cache_bytes'])}, {_megabytes(disk['cache_free_bytes'])} free there",
    }
    return "\n".join(line for name, text in told.items() if text for line in _row(name, text))


def _row(name: str, text: str) -> list[str]:
    """A name and its text, which goes on below itself."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{name:{_NAMES}}",
        subsequent_indent=" " * _NAMES,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _facts(plan: Plan) -> dict[str, Any]:
    scenes = plan.manifest.scenes
    frames = _frames(scenes)
    facts: dict[str, Any] = {
        **plan.config.as_dict(),
        "device": plan.device,
        "fingerprint": dict(plan.fingerprint),
        "missing_parts": plan.missing_parts,
        "decision": plan.decision.as_dict(),
        "decided_by": plan.chosen.decided_by,
        "findings": len(plan.findings),
        "mixtures": [scene.mixture.id for scene in scenes],
    }
    run_bytes = len(scenes) * (_TABLE_BYTES + (_SLOTS * frames * 2 if plan.config.save_audio else 0))
    cache_bytes = 0
    if isinstance(plan.system, Pipeline) and plan.config.cache:
        stored = [plan.system.stored(scene.mixture) for scene in scenes]
        facts["stage_results"] = {
            stage.name: f"{sum(row[k] for row in stored)} of {len(stored)} stored"
            for k, stage in enumerate(plan.system.stages)
        }
        missing = sum(not hit for row in stored for hit in row)
        cache_bytes = missing * _SLOTS * frames * 4
    facts["disk_needed"] = {
        "run_bytes": run_bytes,
        "cache_bytes": cache_bytes,
        "cache_free_bytes": _free(cache_folder()),
    }
    return facts


def _frames(scenes: Sequence[Scene]) -> int:
    for scene in scenes:
        try:
            return audio_length(scene.mixture.path)
        except AudioError:  # the run will fail that mixture by name
            continue
    return 0


def _free(folder: Path) -> int:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(existing).free


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
