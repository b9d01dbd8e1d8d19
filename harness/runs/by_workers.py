"""Evaluates scenes by workers: hands them out, checks what a worker says of itself, writes what comes back."""

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import read_regular, write_atomically
from s5eval.data_manifests.records import Scene
from s5eval.harness.dispatch.crew import Crew
from s5eval.harness.dispatch.driver import Answer, dispatch
from s5eval.harness.dispatch.processes import Processes
from s5eval.harness.dispatch.queue import Queue, Task
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record.run_record import Staff
from s5eval.harness.runs.engine import MixtureResult, batched, failed
from s5eval.harness.runs.evaluation_job import EvaluationJob, Share
from s5eval.harness.runs.guard import Guard
from s5eval.harness.runs.plan import Plan
from s5eval.systems.pipeline import add_to_tally

log = logging.getLogger("s5eval.run")


def results_of_workers(
    plan: Plan, staff: Staff, scenes: Sequence[Scene], audio: Path, guard: Guard
) -> Iterator[MixtureResult]:
    """Outcomes of all scenes, as they come.

    Args:
        plan: of the run.
        staff: who is to work.
        scenes: what is to be evaluated.
        audio: folder of the written estimates.
        guard: knows at which mixtures earlier processes have ended.

    Raises:
        UsageError, DataError: a worker's system, decision or data are not the driver's; names the worker.
        WorkersError: no worker can be kept alive.
        RunFolderError: an estimate cannot be written.
    """
    by_id = {scene.mixture.id: scene for scene in scenes}
    suspects: list[Task] = [(id_,) for id_ in by_id if guard.alone(id_)]
    tasks: list[Task] = list(batched([id_ for id_ in by_id if not guard.alone(id_)], plan.config.batch_size))
    if not by_id:
        return
    mine = plan.identity

    def admit(name: str, theirs: Mapping[str, Any]) -> None:
        _check_same(name, mine, theirs)
        log.info("%s is ready", name)

    def pack(task: Task) -> dict[str, bytes]:
        return packed(by_id[id_] for id_ in task)

    with tempfile.TemporaryDirectory(prefix="s5eval-", ignore_cleanup_errors=True) as scratch:
        crew = _crew(plan, staff, min(staff.size, len(tasks) + len(suspects)), Path(scratch))
        queue = Queue(tasks, places=crew.size, suspects=suspects)
        with closing(dispatch(queue, crew, admit=admit, pack=pack, limit=plan.config.mixture_timeout)) as answers:
            for answer in answers:
                if isinstance(answer.value, Share):
                    _write(audio, answer.value.wavs)
                    add_to_tally(plan.system, answer.value.tally)
                    yield from answer.value.outcomes
                else:
                    yield from _given_up(answer, by_id)


def packed(scenes: Iterable[Scene]) -> dict[str, bytes]:
    """The files of scenes for a worker that does not see them; without one that cannot be read, its mixture fails."""
    found = {}
    for file in (file for scene in scenes for file in scene.files):
        try:
            found[str(file)] = read_regular(file)
        except OSError as error:
            log.error("%s: cannot be read, and so not sent to a worker: %s", file, error.strerror or error)
    return found


def _given_up(answer: Answer, scenes: Mapping[str, Scene]) -> Iterator[MixtureResult]:
    for id_ in answer.task:
        yield failed(scenes[id_], DataError(str(answer.given_up)))


def _crew(plan: Plan, staff: Staff, size: int, scratch: Path) -> Crew:
    job = EvaluationJob(plan.config, staff.devices)
    if staff.engine == "ray":
        from s5eval.harness.dispatch.ray_crew import RayCrew

        gpus = plan.config.gpus_per_worker or 0
        return RayCrew(replace(job, manifest=plan.manifest), size, address=plan.config.address, gpus=gpus)
    return Processes(
        replace(job, scratch=scratch), size, folder=plan.working_folder, threads=staff.threads, heard=_heard
    )


def _heard(name: str, line: str) -> None:
    log.info("%s printed: %s", name, line)


def _check_same(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse a worker that would evaluate something else."""
    if mine["data"] != theirs["data"]:
        raise DataError(
            f"{name} has other data: their digest is {theirs['data'][:12]}, the driver's {mine['data'][:12]}; "
            "every machine has to see the same files"
        )
    for what in ("fingerprint", "decision"):
        ours, others = _plain(mine[what]), _plain(theirs[what])
        if ours != others:
            keys = sorted(key for key in ours.keys() | others.keys() if ours.get(key) != others.get(key))
            raise UsageError(
                f"{name} has another {'system' if what == 'fingerprint' else 'decision'}: its {what} differs in "
                f"{', '.join(keys)}; every machine needs the same version, weights and settings"
            )


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def _write(audio: Path, wavs: Mapping[str, bytes]) -> None:
    for name, content in wavs.items():
        path = audio.parent / name
        try:
            write_atomically(path, content, sync=False)
        except OSError as error:
            raise RunFolderError(f"cannot write {path}: {error}; free some space, then resume the run") from error
