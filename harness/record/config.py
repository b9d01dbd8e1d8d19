"""What a run is asked to do, resolved and written down, so that it can be resumed and repeated."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import expanded
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.harness.record.codec import NOT_RECORDED, MismatchError, from_json, to_json
from s5eval.systems.interface import Json
from s5eval.systems.settings import fits_json, place_of, typed

SECTIONS = ("system", "decision")
"""Sections that `--set SECTION.KEY=VALUE` can reach."""

TRUST = "trust_checkpoint"
"""The key of section `system` that is trust: it counts where it is typed, and nowhere else."""

_PATHS = ("checkpoint_dir", "weights", "m2d_weights", "af_whisper_weights", "whisper_weights")
"""Keys of section `system` that may name a file or folder; what is none stays the word that it is."""

RESUMABLE = frozenset(
    {"batch_size", "device", "cache", "data", "name", "mixture_timeout", "energy"}
    | {"workers", "devices", "engine", "address", "gpus_per_worker", "shard"}
)
"""Options that may differ when a run is resumed: they change how fast, where and under which name, not what.

Whether other data are the same is for the manifest's digest to say.
"""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run, as resolved from the command line; everything here is written to `run.json`.

    Attributes:
        system: name of an installed system, or `module:factory`.
        data: folder of the data; None: the embedded set.
        dataset: name of the data set; None: recognised from the folders.
        split: split of the set; None for a plain folder, or where the set has but one.
        settings: what `--set` gave: section → key → value.
        decision_file: decision file that replaces the system's own decision; None: the system's own.
        limit: evaluate the first so many mixtures.
        only: evaluate these mixture ids.
        batch_size: mixtures given to the system at once.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        save_audio: write the estimates as PCM_16 wavs, and score those beside the ones in memory.
        cache: use the stage store.
        strict: findings about the files (orphans, missing estimates, odd suffixes) are errors.
        metrics: `ranking`, or `all` for the secondary metrics as well (CASA-SDR, and BSS Eval, which is slow).
        mixture_timeout: seconds that the system may take for a mixture; None: any.
        energy: estimate the energy that it takes (extra `energy`).
        trust_checkpoint: read checkpoints that have to run code. Given with each call, never written down or read.
        name: what tables call the run; None: the system's name.
        workers: how many processes or actors share the mixtures; 0: as many as pay; None: this process alone.
        devices: GPUs that workers are spread over, such as ("0", "1"); empty: `device` for all.
        engine: what workers are: `processes` of this machine, or actors of `ray`.
        address: of the Ray cluster; None: `auto`, one that runs on this machine.
        gpus_per_worker: GPUs that every actor reserves.
        shard: `3/16`: evaluate the third of sixteen parts, for `s5eval merge`; None: all.
    """

    system: str
    data: Path | None = None
    dataset: str | None = None
    split: str | None = None
    settings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    decision_file: Path | None = None
    limit: int | None = None
    only: tuple[str, ...] = ()
    batch_size: int = 1
    device: str = "auto"
    save_audio: bool = False
    cache: bool = True
    strict: bool = False
    metrics: Literal["ranking", "all"] = "ranking"
    mixture_timeout: float | None = None
    energy: bool = False
    trust_checkpoint: bool = field(default=False, metadata=NOT_RECORDED)
    name: str | None = None
    workers: int | None = None
    devices: tuple[str, ...] = ()
    engine: Literal["processes", "ray"] = "processes"
    address: str | None = None
    gpus_per_worker: float | None = None
    shard: str | None = None

    @property
    def part(self) -> tuple[int, int]:
        """`shard` as numbers: `3/16` → (3, 16); (1, 1) without one.

        Raises:
            UsageError: it is not K/N with K from 1 to N.
        """
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", self.shard)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"`shard` {self.shard}: expected K/N with K from 1 to N, such as 3/16")
        return int(found[1]), int(found[2])

    def check(self) -> None:
        """Refuse what means nothing wherever it is run, or could not be read again from `run.json`. What is for the
        other engine is passed over: a resumed run may have it.

        Raises:
            UsageError, DataError: naming the field.
        """
        limit = self.mixture_timeout
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise DataError(f"mixture_timeout is {limit}, expected seconds above 0")
        try:
            from_json(RunConfig, to_json(self))
        except MismatchError as error:
            raise UsageError(re.sub(r"^'(\w+)([^']*)'", r"`\1`\2", str(error))) from error
        if self.batch_size < 1:
            raise UsageError(f"`batch_size` is {self.batch_size}, expected at least 1")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"`workers` is {self.workers}, expected a number from 1, or 0 for as many as pay")
        if self.engine not in ("processes", "ray"):
            raise UsageError(f"`engine` is {self.engine!r}, expected processes or ray")
        if self.engine == "ray" and not self.workers:
            raise UsageError("`engine` ray needs a number of `workers`, such as 8")
        for device in self.devices:
            if not device.isdecimal():
                raise UsageError(f"`devices`: {device!r}, expected numbers of GPUs, such as 0,1")
        _ = self.part

    def absolute(self) -> "RunConfig":
        """The same with its paths absolute: a system may change the working folder, and whoever goes on with the run
        may stand in another.
        """
        own = dict(self.settings.get("system", {}))
        named = ("path",) if self.system == "folder" else _PATHS
        paths = {key: expanded(value) for key in named if isinstance(value := own.get(key), str)}
        # `Path.exists` raises for what is too long for a name
        there = {key for key, path in paths.items() if key == "path" or os.path.exists(path)}  # noqa: PTH110
        own |= {key: str(paths[key].resolve()) for key in there}
        return replace(
            self,
            data=None if self.data is None else expanded(self.data).resolve(),
            decision_file=None if self.decision_file is None else expanded(self.decision_file).resolve(),
            settings={**self.settings, "system": own} if paths else self.settings,
        )

    def without_trust(self) -> "RunConfig":
        """The configuration as it is recorded: trust is for one call, and stands in no file."""
        return replace(self, settings=_without_trust(self.settings), trust_checkpoint=False)

    def as_dict(self) -> dict[str, Any]:
        """The configuration as it stands in `run.json`."""
        content: dict[str, Any] = to_json(self.without_trust())
        return content

    def differences(self, other: "RunConfig", *, finished: bool = False) -> list[str]:
        """What keeps `other` from continuing a run of this configuration, one phrase an option.

        Audio may be asked for later: what was evaluated without is then evaluated again. A `finished` run, which
        nothing is written to, keeps its name as well; one without a name is called as its system.
        """
        mine, theirs = (
            {**config.as_dict(), "only": sorted(config.only), "name": config.name or config.system}
            for config in (self, other)
        )
        may_differ = RESUMABLE - {"name"} if finished else RESUMABLE
        return [
            f"{key}: {_said(theirs[key])}, the run was started with {_said(mine[key])}"
            for key in mine
            if key not in may_differ and mine[key] != theirs[key] and not (key == "save_audio" and theirs[key])
        ]


def _said(value: object) -> str:
    """The value of a field in an error; settings as they are typed."""
    return (", ".join(typed(value)) or "none") if isinstance(value, Mapping) else repr(value)


def _without_trust(settings: Mapping[str, Mapping[str, Json]]) -> dict[str, dict[str, Json]]:
    return {
        section: {key: value for key, value in values.items() if (section, key) != ("system", TRUST)}
        for section, values in settings.items()
    }


def take_trust(settings: Mapping[str, Any], flag: bool) -> tuple[dict[str, Any], bool]:
    """Split what `--set` gave into the settings proper and whether trust is given, by `--trust-checkpoint` or there.

    Raises:
        UsageError: `system.trust_checkpoint` is neither true nor false.
    """
    said = settings.get("system", {}).get(TRUST, False)
    if not isinstance(said, bool):
        raise UsageError(f"system.{TRUST} is {said!r}, expected true or false")
    kept = _without_trust(settings)
    return {section: values for section, values in kept.items() if values or settings[section] == {}}, said or flag


def parse_settings(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `--set` values: dotted keys, YAML values, the last of equal keys wins.

    >>> parse_settings(["system.stages=2", "system.mamba=none"])
    {'system': {'stages': 2, 'mamba': 'none'}}

    Raises:
        UsageError: not KEY=VALUE, an unknown section, or a value that is not YAML.
    """
    for assignment in assignments:
        key, equals, _ = assignment.partition("=")
        section, _, rest = key.partition(".")
        if not equals or not rest:
            raise UsageError(f"`settings` {assignment!r}: expected SECTION.KEY=VALUE, such as system.stages=2")
        if section not in SECTIONS:
            raise UsageError(f"`settings` {assignment!r}: unknown section {section!r}{suggestion(section, SECTIONS)}")
    return parse_assignments(assignments)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words with dotted keys into nested mappings; values are YAML, the last of equal keys wins.

    Raises:
        UsageError: not KEY=VALUE, a value that is not YAML or that JSON cannot hold, a key inside a value, or a value
            that would replace what a longer key has set before.
    """
    result: dict[str, Any] = {}
    given: list[str] = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"`settings` {assignment!r}: expected KEY=VALUE, such as data.seconds=4")
        try:
            value = load_yaml(text)
        except ValueError as error:
            raise UsageError(f"`settings` {assignment!r}: the value is not YAML: {error}") from error
        if not fits_json(value):
            advice = "" if isinstance(value, float) else "; quote it"
            raise UsageError(f"`settings` {assignment!r}: read as {value!r}, which JSON cannot hold{advice}")
        if dropped := [earlier for earlier in given if earlier.startswith(f"{key}.")]:
            raise UsageError(f"`settings` {assignment!r} would drop {dropped[-1]}, which was set before; put it first")
        given.append(key)
        node, leaf = place_of(key, result, f"`settings` {assignment!r}")
        node[leaf] = value
    return result
