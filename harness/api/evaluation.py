"""Whole data sets and whole runs: the functions behind the commands, for Python."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from os import PathLike
from typing import Any, Literal, TypeAlias

from s5eval.arguments import (
    as_assignments,
    as_data,
    as_needed_number,
    as_needed_path,
    as_number,
    as_path,
    as_settings,
    as_switch,
    as_words,
)
from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.manifest import Manifest, open_manifest
from s5eval.frames import Run
from s5eval.harness.comparing.ablation import Ablation
from s5eval.harness.comparing.ablation_files import write_ablation
from s5eval.harness.comparing.ablation_grid import load_grid, system_of
from s5eval.harness.comparing.ablation_running import run_grid as ablate_grid
from s5eval.harness.record.config import TRUST, RunConfig, take_trust
from s5eval.harness.runs.plan import default_run_path
from s5eval.harness.runs.resume import resume
from s5eval.harness.runs.run import start_run as run_config
from s5eval.loaded_system import LoadedSystem
from s5eval.submissions import validate as checks
from s5eval.submissions.archive import check_is_one
from s5eval.submissions.expected import find_expected
from s5eval.systems.decision import Decision
from s5eval.systems.hooks import Hook, Hooks
from s5eval.systems.settings import overlay

AnyPath: TypeAlias = str | PathLike[str]


def open_data(
    path: AnyPath | None = None,
    *,
    split: str | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    only: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Find the scenes of a split; their audio is made first where the split ships none.

    Args:
        path: the official root (holds `dev_set/` or `eval_set/`), or a folder with `soundscape/` and, if there are
            references, `oracle_target/`; None: the embedded set.
        split: a split of the set, such as `dev-test`; may be left out where only one is there.
        dataset: `dcase2026`, `dcase2025` or `mini`; None: recognised from the folders.
        limit: keep the first so many scenes.
        only: keep these mixture ids.
        progress: is told (scenes done, scenes in all) while audio is being made.

    Returns:
        The scenes, to be iterated over: `scene.mixture.audio()` is float32 (4, T), `scene.references` are labels with
        audio (T,), or None where the set ships none. Audio is read on demand.

    Raises:
        DataError: the folder or the split is missing or empty.
        UsageError: no such data set, split or mixture; or a folder beside `dataset="mini"`, which is made in the cache.

    >>> open_data("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    s5eval.data_manifests.common.errors.DataError: no data folder at nowhere; expected in `data` ...
    """
    return open_manifest(
        as_data(path, "path", dataset),
        dataset=dataset,
        split=split,
        limit=as_number(limit, "limit"),
        only=as_words(only, "only"),
        progress=progress,
    )


def run(
    system: str | LoadedSystem,
    data: AnyPath | None = None,
    out: AnyPath | None = None,
    *,
    split: str | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    only: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    decision: AnyPath | Mapping[str, Any] | None = None,
    batch_size: int = 1,
    device: str = "auto",
    save_audio: bool = False,
    cache: bool = True,
    strict: bool = False,
    metrics: Literal["ranking", "all"] = "ranking",
    workers: int | None = None,
    go_on: bool = False,
    energy: bool = False,
    hooks: Sequence[Hook] = (),
) -> Run:
    """Evaluate a system over a split into a run folder.

    Args:
        system: name of an installed system, or `module:factory` of your own; or a loaded one, whose name, settings and
            device are taken (a run builds its system itself, so that it can be repeated); `settings` join them.
        data: see `open_data`; None: the embedded set.
        out: the run folder to make; default: a new one in `runs/`.
        split: see `open_data`.
        dataset: see `open_data`.
        limit: see `open_data`.
        only: see `open_data`.
        settings: of the system, such as `{"stages": 2}` or `{"clue.dimension": 96}`.
        decision: a decision file, as `tune` writes it; or keys of a decision that replace the system's own, such as
            `{"max_sources": 2}`.
        batch_size: mixtures that the system gets at once.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        save_audio: write the estimates as 16-bit wavs, and score those as well.
        cache: use the stage store.
        strict: findings about the files are errors.
        metrics: `all` for the secondary metrics as well, which are slow.
        workers: processes to share the mixtures among; 0: as many as pay; None: this process alone.
        go_on: continue a run that was interrupted in `out`; a finished one is read as it is, and refused where system,
            decision or data are others by now.
        energy: estimate the energy that it takes (extra `energy`); it stands in `run.json`.
        hooks: are told how it goes; one that fails is warned of, and told no more.

    Returns:
        The run, with DataFrames. Mixtures that failed are in no number: see `summary.n_failed`.

    Raises:
        UsageError: a name, a setting or an option is wrong, or `out` is in use.
        DataError: data or weights are missing or wrong.
    """
    settings = as_settings(settings, "settings")
    if isinstance(system, LoadedSystem):
        settings = overlay(system.settings, settings)
        device = system.device if device == "auto" else device
        system = system.name
    elif not isinstance(system, str):
        raise UsageError(
            f"system is a {type(system).__name__}, expected a name, module:factory, or what load_system returned"
        )
    sections, trusted = take_trust({"system": settings} if settings else {}, flag=False)
    if isinstance(decision, Mapping):
        sections["decision"] = as_settings(decision, "decision")
    elif isinstance(decision, Decision):
        raise UsageError(
            "`decision` is a Decision, which a run could not be repeated from; expected a file, as `s5eval.tune` has "
            "written it (its result's `file`), or the keys that replace: {'max_sources': 2}"
        )
    config = RunConfig(
        system=system,
        trust_checkpoint=trusted,
        data=as_data(data, "data", dataset),
        dataset=dataset,
        split=split,
        settings=sections,
        decision_file=None if isinstance(decision, Mapping) else as_path(decision, "decision"),
        limit=as_number(limit, "limit"),
        only=as_words(only, "only"),
        batch_size=as_needed_number(batch_size, "batch_size"),
        device=device,
        save_audio=save_audio,
        cache=cache,
        strict=strict,
        metrics=metrics,
        workers=as_number(workers, "workers"),
        energy=energy,
    )
    told = Hooks(hooks, say=lambda text: warnings.warn(text, stacklevel=3))
    folder = (as_path(out, "out") or default_run_path(config)).absolute()  # a system may change the working folder
    if as_switch(go_on, "go_on"):
        given = {entry.name: getattr(config, entry.name) for entry in fields(config)}
        return Run(resume(folder, given=given, fresh=config, hooks=told).path)
    return Run(run_config(config, folder, hooks=told).path)


def ablate(
    out: AnyPath,
    *,
    grid: AnyPath | None = None,
    axes: Sequence[str] = (),
    system: str | None = None,
    data: AnyPath | None = None,
    split: str | None = None,
    dataset: str | None = None,
    limit: int | None = None,
    only: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    batch_size: int = 1,
    device: str = "auto",
) -> Ablation:
    """Run every row of a grid and set the results side by side; rows share stage results, so each is paid for once.

    Args:
        out: folder for a run per row, and the tables; called again, it goes on there.
        grid: a YAML file of rows or axes; None: number of stages × AF-Whisper × thresholds.
        axes: axes of the grid to combine; empty: those of its `default`, or all.
        system: installed system or `module:factory`; None: the grid's, which must be installed.
        data: see `open_data`; None: the embedded set.
        split: see `open_data`.
        dataset: see `open_data`.
        limit: see `open_data`.
        only: see `open_data`.
        settings: of the system, such as `{"stages": 2}`, that all rows share.
        baseline: the row that the others are compared with; None: the grid's, or the first.
        batch_size: see `run`.
        device: see `run`.

    Returns:
        Rows with metrics and differences to the baseline. What failed stands in the row's `error`.

    Raises:
        UsageError: the grid or an option is wrong, or `out` holds rows of another grid, system or decision.
        DataError: `out` holds rows on other data, or weights that they need are gone.
        S5Error: no row can be begun, all for the same reason.
    """
    folder = as_needed_path(out, "out").absolute()  # a system may change the working folder
    _, trusted = take_trust({"system": as_settings(settings, "settings")}, flag=False)
    # as they are written: `clue.b` made into a mapping would take the place of all that the grid sets of `clue`
    shared = {f"system.{key}": value for key, value in as_assignments(settings, "settings").items() if key != TRUST}
    chosen = load_grid(as_path(grid, "grid"), axes=list(as_words(axes, "axes")), base=shared, baseline=baseline)
    config = RunConfig(
        system=system_of(chosen, system),
        trust_checkpoint=trusted,
        data=as_data(data, "data", dataset),
        dataset=dataset,
        split=split,
        limit=as_number(limit, "limit"),
        only=as_words(only, "only"),
        batch_size=as_needed_number(batch_size, "batch_size"),
        device=device,
    )
    result = ablate_grid(chosen, config, folder)
    write_ablation(result, folder)
    return result


def validate(
    path: AnyPath,
    *,
    data: AnyPath | None = None,
    dataset: str | None = None,
    split: str | None = None,
    audio: bool = True,
) -> checks.Report:
    """Check anybody's submission, and list every fault.

    Args:
        path: zip archive or folder.
        data: whose mixtures must be answered; None: the official evaluation set where the names suggest it.
        dataset: see `open_data`.
        split: see `open_data`; default: `eval`, and `test` of the embedded set.
        audio: read the wavs as well; otherwise names and JSON only.

    Returns:
        A report with `ok` and `findings`. What is wrong with the submission is never an exception.

    Raises:
        UsageError: there is nothing at `path`, or several submissions.
        DataError: the data are missing.
    """
    found = as_needed_path(path, "path")
    check_is_one(found)
    expected = find_expected(data=as_data(data, "data", dataset), dataset=dataset, split=split, mixtures=None)
    return checks.check_submission(found, expected=expected, audio=audio)
