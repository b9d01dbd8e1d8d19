"""What the page of a mixture shows: its tracks in the order in which one listens, and what was decided about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import S5Error
from s5eval.harness.record.same_data import on_other_files
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.report.charted import pairs_of
from s5eval.harness.report.text import typeset_number
from s5eval.harness.view.judged_candidates import Candidate, judged_candidates, likeliest
from s5eval.harness.view.runs import Snapshot
from s5eval.harness.view.sound import MixtureAudio
from s5eval.metrics.capi import Pair
from s5eval.metrics.sdr import pairwise_sdr
from s5eval.systems.interface import Candidates

Improvements = npt.NDArray[np.floating]
"""Improvements of N candidates against R references, dB."""


@dataclass(frozen=True, slots=True)
class Track:
    """One row of the listening table.

    Attributes:
        run: key of the run whose it is.
        name: of the waveform, see `Waveform`.
        title: what it is.
        label: its class, where it has one.
        note: what else is to be said, such as the SDRi of its pair.
        role: `mixture`, `reference`, `estimate`, `other` (of the run beside) or `dropped`.
        problem: why it cannot be heard.
    """

    run: str
    name: str
    title: str
    label: str = ""
    note: str = ""
    role: str = "mixture"
    problem: str | None = None
    sdri: float | None = None


@dataclass(frozen=True, slots=True)
class SlotAtStage:
    """A slot at one stage: its likeliest classes, its silence, and its SDRi against the reference it is followed to.

    Of a stage that separates nothing, `source` is empty, and there is no SDRi.
    """

    stage: str
    source: str
    likeliest: Sequence[tuple[str, float]]
    p_silence: float
    sdri: float | None
    change: float | None


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot through the stages; `target` names the reference that its waveform is nearest to at the end."""

    index: int
    target: str
    steps: Sequence[SlotAtStage]


@dataclass(frozen=True)
class MixtureView:
    """All that the page of a mixture says.

    Attributes:
        score: its line.
        tracks: in order of the page.
        pairs: of references, see `_reference_rows`.
        candidates: all of them; empty where the pair table cannot be read.
        slots: through the stages; empty where the stage store has none.
        words: what is missing, and why.
    """

    score: MixtureScore
    tracks: Sequence[Track]
    references: Sequence[Mapping[str, object]]
    candidates: Sequence[Candidate]
    slots: Sequence[Slot]
    stages_problem: str | None = None
    words: Sequence[str] = field(default_factory=tuple)


def view_of(run: Snapshot, sound: MixtureAudio, beside: tuple[Snapshot, MixtureAudio] | None = None) -> MixtureView:
    """Put together the page of a mixture; `beside` is the same mixture of another run."""
    score, table = sound.line.score, sound.table
    candidates = [] if table is None else judged_candidates(table, run.decision, score)
    words = [word for word in (sound.problem, sound.table_problem) if word]
    if beside is not None and _on_other_files(run, beside[0], score.mixture_id):
        words.append("B was run on other files of this mixture: the references that its estimates answer are not these")
    slots: Sequence[Slot] = ()
    if not sound.stages.problem and len(sound.stages.candidates) > 1:
        try:
            slots = _slots(sound)
        except (S5Error, ValueError) as error:
            words.append(f"the stages cannot be set beside the references: {error}")
    return MixtureView(
        score,
        _tracks(run, sound, candidates, beside),
        _reference_rows(score, table),
        candidates,
        slots,
        sound.stages.problem,
        tuple(words),
    )


def _on_other_files(run: Snapshot, other: Snapshot, mixture_id: str) -> bool:
    """Whether two runs are known to have heard different files, or other references, as a mixture of one name."""
    labels = {side.lines[mixture_id].score.reference_labels for side in (run, other)} - {None}
    if len(labels) > 1 or run.record is None or other.record is None:
        return len(labels) > 1
    return on_other_files(run.record, other.record, mixture_id)


def _reference_rows(score: MixtureScore, table: PairTable | None) -> list[Mapping[str, object]]:
    """Every reference with the estimate that was assigned to it, dB."""
    pairs = {pair.reference: pair for pair in pairs_of(score)}
    rows: list[Mapping[str, object]] = []
    for r, label in enumerate(score.reference_labels or ()):
        pair = pairs.get(r)
        snr = pair.sdr_mixture if pair else None if table is None else float(table.pair_scores.sdr_mixture[r])
        rows.append(
            {
                "index": r,
                "label": label,
                "estimate": pair.estimate if pair else None,
                "snr": snr,
                "sdr": pair.sdr if pair else None,
                "sdri": pair.sdri if pair else None,
            }
        )
    return rows


def _tracks(
    run: Snapshot, sound: MixtureAudio, candidates: Sequence[Candidate], beside: tuple[Snapshot, MixtureAudio] | None
) -> list[Track]:
    """The mixture, every reference with the estimates that answer it below, then what answers none."""
    score = sound.line.score
    tracks = [_track(run, sound, "mixture", "Mixture, W"), _track(run, sound, "stereo", "Mixture, stereo")]
    sides = [(run, sound, "estimate", "Estimate" if beside is None else "A")]
    sides += [] if beside is None else [(*beside, "other", "B")]
    for r, label in enumerate(score.reference_labels or ()):
        tracks.append(_track(run, sound, f"reference-{r}", f"Reference {r}", label, role="reference"))
        for side, of, role, title in sides:
            answers = (pair for pair in pairs_of(of.line.score) if pair.reference == r)
            tracks += [_answer(side, of, role, title, pair) for pair in answers]
    for side, of, role, title in sides:
        answered = {pair.estimate for pair in pairs_of(of.line.score)}
        for estimate in of.line.score.estimates:
            if estimate.index not in answered:
                name = f"{title} {estimate.index}"
                note = _nearest(of, estimate.index)
                tracks.append(
                    _track(side, of, f"estimate-{estimate.index}", name, estimate.label, role=role, note=note)
                )
    for candidate in candidates:
        if not candidate.kept:
            name = f"estimate-{candidate.index}"
            title = f"Dropped {candidate.index}"
            tracks.append(_track(run, sound, name, title, candidate.label, role="dropped", note=candidate.why))
    return tracks


def _nearest(sound: MixtureAudio, k: int) -> str:
    """What to say of an estimate that answers no reference: which of them its waveform is nearest to."""
    score, table = sound.line.score, sound.table
    if score.reference_labels is None:
        return ""
    if not score.reference_labels or table is None:
        return "answers no reference"
    improvements = table.pair_scores.sdr[k] - table.pair_scores.sdr_mixture
    r = int(improvements.argmax())
    near = f"{score.reference_labels[r]} ({r}), {typeset_number(float(improvements[r]), 1, signed=True)} dB"
    return f"answers no reference; nearest to {near}"


def _answer(run: Snapshot, sound: MixtureAudio, role: str, title: str, pair: Pair) -> Track:
    track = _track(run, sound, f"estimate-{pair.estimate}", f"{title} {pair.estimate}", pair.label, role=role)
    return replace(track, sdri=pair.sdri)


def _track(
    run: Snapshot, sound: MixtureAudio, name: str, title: str, label: str = "", *, role: str = "mixture", note: str = ""
) -> Track:
    source = sound.sources.get(name)
    problem = "it is not there" if source is None else source.problem
    return Track(run.key, name, title, label, note, role, problem)


def _slots(sound: MixtureAudio) -> list[Slot]:
    """Every slot through the stages, against the reference that its last waveform is nearest to."""
    by_stage = sound.stages.candidates
    labels = sound.line.score.reference_labels or ()
    references = np.stack([sound.waveform(f"reference-{r}") for r in range(len(labels))]) if labels else None
    mixture = sound.waveform("mixture")
    improvements = {
        stage: None
        if references is None or not candidates.audio.shape[-1]
        else _improvements(candidates, references, mixture)
        for stage, candidates in by_stage.items()
    }
    count = min(len(candidates.p_silence) for candidates in by_stage.values())
    slots = []
    for k in range(count):
        target = _followed_to(sound.line.score, list(improvements.values())[-1], k)
        steps: list[SlotAtStage] = []
        for stage, candidates in by_stage.items():
            table = improvements[stage]
            sdri = None if target is None or table is None else float(table[k, target])
            before = steps[-1].sdri if steps else None
            change = None if sdri is None or before is None else sdri - before
            scores = candidates.class_scores[k]
            top = likeliest(scores) if candidates.labels is None else [(candidates.labels[k], 1.0)]
            source = f"stage-{stage}-{k}" if candidates.audio.shape[-1] else ""
            steps.append(SlotAtStage(stage, source, top, float(candidates.p_silence[k]), sdri, change))
        slots.append(Slot(k, "" if target is None else f"{labels[target]} ({target})", steps))
    return slots


def _followed_to(score: MixtureScore, table: Improvements | None, k: int) -> int | None:
    """The reference that a slot is measured against: the one it was assigned to, else the nearest."""
    for pair in pairs_of(score):
        if pair.estimate == k:
            return pair.reference
    return None if table is None or not table.shape[1] else int(table[k].argmax())


def _improvements(candidates: Candidates, references: Improvements, mixture: Improvements) -> Improvements:
    scores = pairwise_sdr(estimate=candidates.audio, reference=references, mixture=mixture)
    return scores.sdr - scores.sdr_mixture
