"""The official decision as a threshold, and which waveform belongs to which track."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import Mixture
from s5eval.systems.baseline import stages
from s5eval.systems.baseline.stages import QueriedSeparationStage, TaggingStage, track_scores
from s5eval.systems.decision import Decision, decide
from s5eval.systems.interface import Candidates

Noise = Callable[..., Mixture]
OFFICIAL = Decision(max_sources=3, duplicate_correlation=None)


def official_labels(logits: Tensor) -> list[int]:
    """The arg-max of every track over 19 outcomes."""
    return torch.max(torch.softmax(logits, -1), -1).indices.tolist()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-8, 1e-3, 1.0, 30.0, 200.0]), st.booleans())
def test_the_default_decision_is_the_official_one(seed: int, scale: float, tied: bool) -> None:
    logits = scale * torch.randn(3, 19, generator=torch.Generator().manual_seed(seed))
    if tied:
        logits[0, 18] = logits[0, :18].max()
        logits[1, 18] = torch.nextafter(logits[1, :18].max(), torch.tensor(torch.inf))
    scores, silence = (value.numpy() for value in track_scores(logits))
    chosen = decide(class_scores=scores, p_silence=silence, correlation=np.ones((3, 3)), labels=None, decision=OFFICIAL)
    expected = [(k, CLASSES[label]) for k, label in enumerate(official_labels(logits)) if label < 18]
    assert [(selection.index, selection.label) for selection in chosen] == expected
    official = torch.softmax(logits, -1)
    for selection in chosen:  # what a submission states: the tagger's soft-max among all 19 outcomes
        assert selection.confidence == pytest.approx(float(official[selection.index].max()), rel=1e-5)
    assert ((scores >= 0) & (scores <= 1 + 1e-12)).all()
    assert ((silence >= 0) & (silence <= 1)).all()


def test_scores_of_a_certain_silence_stay_scores() -> None:
    logits = torch.zeros(1, 19)
    logits[0, 18], logits[0, 4] = 500.0, 1.0
    scores, silence = track_scores(logits)
    assert int(scores[0].argmax()) == 4
    assert float(scores[0].max()) == pytest.approx(1.0)
    assert float(silence) == 1.0


def test_the_probability_of_a_submission_is_the_official_soft_max() -> None:
    """A class of 0.417 beside a silence of 0.1 was written as 0.376, the product of two conditional ones."""
    outcomes = torch.full((19,), (1 - 0.417 - 0.1) / 17)
    outcomes[4], outcomes[18] = 0.417, 0.1
    scores, silence = (value.numpy() for value in track_scores(outcomes.log().unsqueeze(0)))
    (chosen,) = decide(
        class_scores=scores, p_silence=silence, correlation=np.ones((1, 1)), labels=None, decision=OFFICIAL
    )
    assert (chosen.label, chosen.confidence) == (CLASSES[4], pytest.approx(0.417, abs=1e-6))


class _Tagger(torch.nn.Module):
    """Says what it is told."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, mixture: Tensor) -> Tensor:
        return self.logits.expand(len(mixture), -1, -1)


class _Separator(torch.nn.Module):
    """Gives every track the number of its class plus a tenth of the number of tracks asked for; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))
        self.queries: list[Tensor] = []

    def forward(self, mixture: Tensor, query: Tensor) -> Tensor:
        self.queries.append(query)
        wanted = query.sum(2)
        value = wanted * (query.argmax(2) + 0.1 * wanted.sum(1, keepdim=True))
        return value.unsqueeze(2).expand(-1, -1, mixture.shape[2]).clone()


def told(*labels: int, silent: tuple[int, ...] = ()) -> Tensor:
    """Logits (1, 3, 19): the class of every track, and which of them are silent all the same."""
    logits = torch.zeros(1, 3, 19)
    for track, label in enumerate(labels):
        logits[0, track, label] = 4.0
        logits[0, track, 18] = 5.0 if track in silent else 2.0
    return logits


def run(noise: Noise, logits: Tensor, *, revive: bool) -> tuple[Candidates, list[Tensor]]:
    tagging = TaggingStage("tagger", {}, _Tagger(logits))  # type: ignore[arg-type]
    separator = _Separator()
    separation = QueriedSeparationStage("separator", {}, separator, revive=revive)  # type: ignore[arg-type]
    mixture = noise(100)
    named = tagging.run([mixture], None)
    assert named[0].audio.shape == (3, 0)
    (result,) = separation.run([mixture], named)
    return result, separator.queries


def test_silent_tracks_come_last_and_are_asked_for_apart(noise: Noise) -> None:
    result, queries = run(noise, told(7, 3, 9, silent=(0,)), revive=True)
    assert result.class_scores.argmax(1).tolist() == [3, 9, 7]
    assert (result.p_silence > 0.5).tolist() == [False, False, True]
    # two tracks in the official pass, three in the second
    assert np.allclose(result.audio[:, 0], [3.2, 9.2, 7.3])
    assert [query.sum(2).tolist() for query in queries] == [[[1, 1, 0]], [[1, 1, 1]]]


def test_zeros_spare_the_second_pass(noise: Noise) -> None:
    result, queries = run(noise, told(7, 3, 9, silent=(0,)), revive=False)
    assert np.allclose(result.audio[:, 0], [3.2, 9.2, 0.0])
    assert len(queries) == 1


@pytest.mark.parametrize(("silent", "revive", "passes"), [((), True, 1), ((0, 1, 2), True, 1), ((0, 1, 2), False, 0)])
def test_no_pass_is_made_for_nothing(noise: Noise, silent: tuple[int, ...], revive: bool, passes: int) -> None:
    result, queries = run(noise, told(7, 3, 9, silent=silent), revive=revive)
    assert len(queries) == passes
    assert result.audio.any() == (passes > 0)


class _HearingSeparator(torch.nn.Module):
    """As `_Separator`, with a thousand times the mixture's first sample on top."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = torch.nn.Parameter(torch.zeros(1))

    def forward(self, mixture: Tensor, query: Tensor) -> Tensor:
        wanted = query.sum(2)
        value = wanted * (1000 * mixture[:, 0, :1] + query.argmax(2) + 0.1 * wanted.sum(1, keepdim=True))
        return value.unsqueeze(2).expand(-1, -1, mixture.shape[2]).clone()


@pytest.mark.parametrize("revive", [True, False])
def test_mixtures_that_go_together_get_what_each_alone_gets(
    noise: Noise, monkeypatch: pytest.MonkeyPatch, revive: bool
) -> None:
    """As on a GPU: of five mixtures, two without silent tracks, two with some and one with nothing else."""

    def batches(mixtures: list[Mixture], device: torch.device) -> Any:
        yield torch.from_numpy(np.stack([mixture.audio() for mixture in mixtures])), slice(0, len(mixtures))

    scenes = [((7, 3, 9), (0, 1, 2)), ((1, 2, 3), ()), ((4, 4, 6), (0, 2)), ((5, 8, 17), (1,)), ((0, 1, 2), ())]
    logits = torch.cat([told(*labels, silent=silent) for labels, silent in scenes])
    separation = QueriedSeparationStage("separator", {}, _HearingSeparator(), revive=revive)  # type: ignore[arg-type]
    mixtures = [noise(100, seed) for seed in range(5)]
    monkeypatch.setattr(stages, "mixture_batches", batches)
    together = separation.run(mixtures, TaggingStage("tagger", {}, _Tagger(logits)).run(mixtures, None))  # type: ignore[arg-type]
    for mixture, (labels, silent), found in zip(mixtures, scenes, together, strict=True):
        heard = [track for track in range(3) if track not in silent]
        order = [*heard, *silent]
        first = 1000 * float(mixture.audio()[0, 0])
        revived = [first + labels[track] + 0.3 if revive else 0.0 for track in silent]
        expected = [first + labels[track] + 0.1 * len(heard) for track in heard] + revived
        assert found.class_scores.argmax(1).tolist() == [labels[track] for track in order]
        assert (found.p_silence > 0.5).tolist() == [False] * len(heard) + [True] * len(silent)
        np.testing.assert_allclose(found.audio, np.repeat(np.array(expected)[:, None], 100, 1), rtol=1e-4, atol=1e-4)


def test_tracks_keep_their_order_however_sure_the_tagger_is_of_them(noise: Noise) -> None:
    """All that is asked of silence is whether it wins: the official code puts silent tracks last, and no more."""
    logits = told(7, 3, 9)
    logits[0, :, 18] = torch.tensor([3.0, 1.0, 2.0])
    result, _ = run(noise, logits, revive=True)
    assert result.class_scores.argmax(1).tolist() == [7, 3, 9]


def test_inputs_that_do_not_belong_are_refused(noise: Noise) -> None:
    tagging = TaggingStage("tagger", {}, _Tagger(told(1, 2, 3)))  # type: ignore[arg-type]
    separation = QueriedSeparationStage("separator", {}, _Separator(), revive=True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes no inputs"):
        tagging.run([noise(100)], [])
    with pytest.raises(ValueError, match="needs the candidates"):
        separation.run([noise(100)], None)


def test_labels_of_a_tagger_of_ones_own_are_what_is_asked_for(noise: Noise) -> None:
    """The contract: where labels are given, scores may be zeros."""
    separator = _Separator()
    separation = QueriedSeparationStage("separator", {}, separator, revive=True)  # type: ignore[arg-type]
    nothing, zeros = np.zeros((3, 0), np.float32), np.zeros((3, 18))
    labels = (CLASSES[3], CLASSES[9], CLASSES[7])
    (result,) = separation.run([noise(100)], [Candidates(nothing, zeros, np.array([0.1, 0.2, 0.9]), labels)])
    assert np.allclose(result.audio[:, 0], [3.2, 9.2, 7.3])
    assert result.labels == labels
    with pytest.raises(ValueError, match=r"stage separator is told classes, .* candidate 0 .* are 0 throughout"):
        separation.run([noise(100)], [Candidates(nothing, zeros, np.array([0.1, 0.2, 0.9]))])
    scores = np.array([np.eye(18)[3], np.eye(18)[9], zeros[0]])  # of a silent one no class need be known
    (result,) = separation.run([noise(100)], [Candidates(nothing, scores, np.array([0.1, 0.2, 0.9]))])
    assert np.allclose(result.audio[:2, 0], [3.2, 9.2])
