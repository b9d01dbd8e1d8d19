"""Takes scenes through system, pair matrix, decision and score, one record each; one bad mixture costs itself only."""

import itertools
import logging
import sysconfig
import time
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TypeVar

import numpy as np

from s5eval.data_manifests.common.errors import DataError, S5Error
from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.data_manifests.labels import label_problem
from s5eval.data_manifests.records import SAMPLE_RATE, Scene
from s5eval.harness.errors import RunFolderError
from s5eval.harness.record import tables
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.pictures import LONGEST_AT_ONCE, draw_picture
from s5eval.harness.runs.contract import check_proposals
from s5eval.harness.runs.estimate_files import write_estimates
from s5eval.harness.runs.guard import Guard, OverTime, TimeLimit
from s5eval.harness.runs.scene_audio import SceneAudio
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.secondary_metrics import with_secondary
from s5eval.metrics.sdr import Blocks, pairwise_sdr_in_blocks
from s5eval.systems.decision import Decision
from s5eval.systems.interface import OracleSystem, Proposal, System

log = logging.getLogger("s5eval.run")

_Item = TypeVar("_Item")
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


@dataclass(frozen=True, slots=True)
class MixtureResult:
    """What became of one mixture.

    Attributes:
        score: of the mixture.
        table: its pairs; None when it failed.
        audio: digests of the wavs written, by name.
        picture: its small spectrogram for pages, as base64; None: not drawn.
    """

    score: MixtureScore
    table: PairTable | None
    audio: Mapping[str, str] = field(default_factory=dict)
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """How scenes are evaluated.

    Attributes:
        system: what proposes candidates.
        decision: what makes them a prediction.
        batch_size: how many mixtures the system gets at once.
        audio_folder: where estimates are written as 16-bit wavs; None: not written.
        secondary: compute the metrics that rank nothing as well.
        guard: keeps a mixture that ends the process, or takes for ever, from doing so again; None: nothing does.
        draws: ids of mixtures whose picture is drawn here, where their audio has just been read.
    """

    system: System | OracleSystem
    decision: Decision
    batch_size: int = 1
    audio_folder: Path | None = None
    secondary: bool = False
    guard: Guard | TimeLimit | None = None
    draws: Collection[str] = ()

    def evaluate(self, scenes: Sequence[Scene]) -> Iterator[MixtureResult]:
        """Outcomes of all scenes, in order, as they come.

        Raises:
            RunFolderError: an estimate cannot be written. Nothing else a mixture does ends the evaluation.
        """
        keep_freed_memory()
        for batch in self._batches(scenes):
            yield from self._evaluate_batch(batch)

    def _batches(self, scenes: Sequence[Scene]) -> Iterator[tuple[Scene, ...]]:
        """In order; a mixture during which an earlier process ended stands alone."""
        guard = self.guard
        for single, group in itertools.groupby(scenes, lambda s: guard is not None and guard.alone(s.mixture.id)):
            yield from batched(group, 1 if single else self.batch_size)

    def _evaluate_batch(self, batch: Sequence[Scene]) -> list[MixtureResult]:
        start = time.perf_counter()
        try:
            with nullcontext() if self.guard is None else self.guard.working_on([s.mixture.id for s in batch]):
                proposals = self._propose(batch)
        except (Exception, SystemExit, OverTime) as error:  # noqa: BLE001 - a plugin may raise anything
            if len(batch) == 1:
                return [failed(batch[0], error)]
            log.info("a batch failed (%s); its mixtures are run one by one", error)
            return [outcome for scene in batch for outcome in self._evaluate_batch([scene])]
        seconds = (time.perf_counter() - start) / len(batch)
        return [self._evaluate(scene, found, seconds) for scene, found in zip(batch, proposals, strict=True)]

    def _propose(self, batch: Sequence[Scene]) -> Sequence[Proposal]:
        if isinstance(self.system, OracleSystem):
            proposals = self.system.propose_with_references(batch)
        else:
            proposals = self.system.propose([scene.mixture for scene in batch])
        return check_proposals(proposals, len(batch))

    def _evaluate(self, scene: Scene, candidates: Proposal, seconds: float) -> MixtureResult:
        try:
            if scene.problem is not None:
                raise DataError(scene.problem)
            audio = SceneAudio(scene, candidates)
            table = pair_table(scene.mixture.id, candidates, scene.labels, audio.blocks, audio.length)
            score = score_candidates(scene.mixture.id, table, self.decision, seconds=round(seconds, 4))
            score = replace(score, conditions=scene.conditions)
            if self.secondary and score.status == "scored":
                score = with_secondary(score, table, candidates.audio, audio.references())
            files: Mapping[str, str] = {}
            if self.audio_folder is not None:
                score, files = write_estimates(self.audio_folder, score, audio)
        except RunFolderError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above: candidates may be read only here
            return failed(scene, error)
        draws = scene.mixture.id in self.draws and audio.length <= LONGEST_AT_ONCE
        return MixtureResult(score, table, files, draw_picture(scene, audio.omni) if draws else None)


def failed(scene: Scene, error: BaseException) -> MixtureResult:
    """The outcome of a mixture that could not be done; the log gets a traceback of what was not expected."""
    if isinstance(error, S5Error):
        message = str(error).removeprefix(f"{scene.mixture.id}: ")  # which stands before it wherever it is told
        log.error("%s: %s", scene.mixture.id, message)
    else:
        message = f"{type(error).__name__}: {error}{_place(error)}"
        log.error("%s: %s\n%s", scene.mixture.id, message, "".join(traceback.format_exception(error)))
    outcome = tables.Outcome("failed", message)
    return MixtureResult(MixtureScore(scene.mixture.id, outcome, reference_labels=scene.labels), None)


def _place(error: BaseException) -> str:
    """` (my_system.py, line 31)`: where an error came from, in the code of whoever wrote the system if it is in there.

    The innermost line of code that is neither of s5eval nor of an installed package; the innermost of all where every
    line is.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    theirs = [place for place in frames if _is_theirs(place[0])]
    if not isinstance(error, Exception) or not frames:
        return ""
    frame, line = (theirs or frames)[-1]
    return f" ({Path(frame.f_code.co_filename).name}, line {line})"


def _is_theirs(frame: FrameType) -> bool:
    """Whether the code of a frame is a user's own."""
    ours = str(frame.f_globals.get("__name__", "")).partition(".")[0] == "s5eval"
    file = Path(frame.f_code.co_filename)
    return not ours and "site-packages" not in file.parts and not file.is_relative_to(_STANDARD_LIBRARY)


def pair_table(
    mixture_id: str, candidates: Proposal, labels: tuple[str, ...] | None, blocks: Blocks, length: int
) -> PairTable:
    """Check what a system proposed for a mixture, and compare it with the references.

    Args:
        mixture_id: names the mixture in errors.
        candidates: of the mixture.
        labels: R labels of the references; None when there are none to score against (R is 0 then).
        blocks: candidates, references and channel 0 of the mixture, block by block.
        length: T, of the mixture.

    Raises:
        DataError: lengths differ, a number is not finite, a probability is none, or a label is unknown.
    """
    if candidates.length != length:
        raise DataError(
            f"{mixture_id}: the system returned {candidates.length} samples, the mixture has {length}"
            f"{_as_of_a_rate(candidates.length, length)}"
        )
    try:
        scores = pairwise_sdr_in_blocks(blocks)
    except ValueError as error:
        raise DataError(f"{mixture_id}: {error}") from error
    for k, (row, silent) in enumerate(zip(candidates.class_scores, candidates.p_silence, strict=True)):
        if not np.isfinite(row).all():
            raise DataError(f"{mixture_id}: NaN or infinite class scores of candidate {k}")
        if not 0 <= silent <= 1:
            advice = "; a logit goes through a sigmoid first" if abs(silent - 0.5) > 0.6 else ""
            raise DataError(
                f"{mixture_id}: the silence probability of candidate {k} is {float(silent)!r}, expected 0 to 1{advice}"
            )
    for k, label in enumerate(candidates.labels or ()):
        if problem := label_problem(label):
            raise DataError(f"{mixture_id}: candidate {k}: {problem}")
    return PairTable(scores, candidates.class_scores, candidates.p_silence, candidates.labels, labels)


_RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000)  # Hz
_TELLING = 200  # samples: of fewer, any number is that of some rate


def _as_of_a_rate(given: int, due: int) -> str:
    """What a wrong length is most likely: the right one at another sample rate; empty where it is of none."""
    rates = _RATES if min(given, due) >= _TELLING else ()
    rate = next((rate for rate in rates if abs(given * SAMPLE_RATE - due * rate) <= SAMPLE_RATE), None)
    return "" if rate is None else f": as many as at {rate} Hz, expected {SAMPLE_RATE} Hz"


def batched(items: Iterable[_Item], size: int) -> Iterator[tuple[_Item, ...]]:
    """The items in their order, so many at once; the last batch may be smaller."""
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch
