"""A system that is loaded and asked about arrays: no file, no run folder."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from s5eval.arguments import as_needed_path, as_settings
from s5eval.arrays import Recording, as_foa, check_rate
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.records import SAMPLE_RATE, Audio, MixtureInMemory
from s5eval.harness.record.tables import PairTable
from s5eval.harness.runs.chosen_decision import choose_decision
from s5eval.harness.runs.contract import build_system, check_proposals, read_fingerprint, stated_missing_parts
from s5eval.harness.runs.engine import pair_table
from s5eval.harness.scoring.mixture import kept
from s5eval.systems.decision import Decision
from s5eval.systems.decision_reading import load_decision, parse_decision
from s5eval.systems.device import resolve_device
from s5eval.systems.folder import FolderSystem
from s5eval.systems.interface import Candidates, Estimate, System
from s5eval.systems.registry import load_factory


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A system that is ready to separate.

    Attributes:
        name: as it was loaded.
        settings: the settings it was loaded with.
        device: where its networks run.
        system: the system itself.
        decision: what makes candidates an answer; the system's own.
        missing_parts: what its settings ask for and is not there, such as an encoder whose extra is not installed.
    """

    name: str
    settings: Mapping[str, Any]
    device: str
    system: System
    decision: Decision
    missing_parts: tuple[str, ...] = ()

    def separate(
        self,
        mixture: Recording,
        *,
        sample_rate: int = SAMPLE_RATE,
        decision: Decision | str | PathLike[str] | Mapping[str, Any] | None = None,
    ) -> tuple[Estimate, ...]:
        """The labelled sources of one recording.

        Args:
            mixture: (4, T), first-order Ambisonics (W, Y, Z, X), numpy or torch, full scale 1.0; or that of a scene.
            sample_rate: Hz. Nothing is resampled.
            decision: rules in place of the system's own; or, as `s5eval.run` takes them, a decision file, or keys of a
                decision that replace its own, such as `{"max_sources": 2}`.

        Returns:
            Estimates in order of candidates, audio float32 (T,); none where no target is heard. They can be given
            to `s5eval.score_mixture` as they are.

        Raises:
            DataError: the shape or rate is wrong, or a sample is not finite; or the system's answer is not usable: no
                `Candidates`, of another length, with a NaN, a probability that is none, or an unknown label; or with
                class scores that are no probabilities, where the decision needs those, or that name no class.
            UsageError: `mixture` is no array, or a tensor that requires a gradient; or `decision` names no class, or
                has a value that no decision has.

        What the code of the system itself raises is passed on as it is.

        >>> import numpy as np
        >>> from s5eval import load_system
        >>> load_system("silence").separate(np.zeros((4, 3200), np.float32))
        ()
        """
        check_rate(sample_rate)
        samples = as_foa(mixture)
        rules = self._rules(decision)
        candidates, table = self._propose(samples)
        selections = kept("mixture", table, rules)[1]
        return tuple(Estimate(s.index, s.label, candidates.audio[s.index], s.confidence) for s in selections)

    def propose(self, mixture: Recording, *, sample_rate: int = SAMPLE_RATE) -> Candidates:
        """All candidates of one recording, before any decision; arguments and errors as `separate`."""
        check_rate(sample_rate)
        return self._propose(as_foa(mixture))[0]

    def _propose(self, samples: Audio) -> tuple[Candidates, PairTable]:
        proposed = self.system.propose([MixtureInMemory("mixture", samples=samples)])
        try:
            (found,) = check_proposals(proposed, 1)
        except ValueError as error:
            raise DataError(f"system {self.name!r}: {error}") from error
        candidates = found if isinstance(found, Candidates) else found.gathered()
        table = pair_table(
            "mixture", candidates, None, lambda: [(candidates.audio, (), samples[0])], length=samples.shape[1]
        )
        return candidates, table

    def _rules(self, decision: object) -> Decision:
        if decision is None:
            return self.decision
        if isinstance(decision, Decision):
            parse_decision(decision.as_dict(), where="`decision`")
            return decision
        if isinstance(decision, Mapping):
            return choose_decision(self.decision, as_settings(decision, "decision")).decision
        if not isinstance(decision, str | PathLike):
            raise UsageError(
                f"`decision` is a {type(decision).__name__}, expected an s5eval.Decision, a decision file, or keys "
                "that replace the system's own"
            )
        return load_decision(as_needed_path(decision, "decision"))


def load_system(name: str, *, device: str = "auto", **settings: Any) -> LoadedSystem:
    """Build a system by name.

    Args:
        name: an installed system (`s5eval systems` lists them), or `module:factory` for one of your own.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        settings: what the command line sets as `system.…`, such as `stages=2` or `weights="folder"`.

    What is missing of it (`LoadedSystem.missing_parts`) is told by a warning.

    Raises:
        UsageError: there is no such system or setting, or it needs references or files (a bound, `folder`).
        DataError: weights are missing or wrong.

    >>> load_system("multistag")
    Traceback (most recent call last):
        ...
    s5eval.data_manifests.common.errors.UsageError: unknown system 'multistag'; did you mean 'multistage'? Known: \
baseline-1c, baseline-4c, folder, multistage, oracle, oracle-gain, oracle-mixture, oracle-zeros, silence; or give \
module:factory for a system of your own
    """
    if not isinstance(name, str):
        raise UsageError(f"`name` is a {type(name).__name__}, expected the name of a system, or module:factory")
    settings = as_settings(settings, "settings")
    on = resolve_device(device)
    built = build_system(name, load_factory(name), settings, on)
    if isinstance(built, FolderSystem) or not isinstance(built, System):
        needs = "estimates in files" if isinstance(built, FolderSystem) else "references"
        raise UsageError(f"system {name!r} needs {needs}, and cannot separate an array; evaluate it with s5eval.run")
    missing = stated_missing_parts(read_fingerprint(name, built))
    if missing:
        warnings.warn(f"system {name!r} was loaded without {', '.join(missing)}", stacklevel=2)
    return LoadedSystem(name, dict(settings), on, built, built.decision, missing)
