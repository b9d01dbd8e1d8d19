"""What the stages tell their networks, and whose answer is whose, by networks that say what they were told.

On a processor every mixture goes alone; here several go together, as on a GPU.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import Mixture
from s5eval.systems.interface import Candidates
from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.deft_mamba import TSEOutput, USSOutput
from s5eval.systems.multistage.models.dpc import DPCOutput
from s5eval.systems.multistage.stages import Classifier, ExtractionStage, SeparationStage

Noise = Callable[..., Mixture]
SAMPLES = 640


class Network(nn.Module):
    """Has a device."""

    def __init__(self) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(1))


class Separator(Network):
    """Slot k is channel k of the mixture, at a level of its own; its features are its mean."""

    def forward(self, mixture: Tensor, *, foreground_only: bool) -> USSOutput:
        assert foreground_only
        foreground = mixture[:, :3] * torch.tensor([1.0, 0.1, 0.01]).view(1, 3, 1)
        features = foreground.mean(2).view(-1, 3, 1, 1, 1)
        return USSOutput(foreground, None, None, features, features, None)


class Extractor(Network):
    """Adds up what it is told, each clue with a factor of its own."""

    def forward(self, mixture: Tensor, enrollment: Tensor, classes: Tensor, embeddings: Tensor | None) -> TSEOutput:
        assert (classes.sum(1) == 1).all() and (classes.amax(1) == 1).all()
        estimate = mixture[:, 0] + 10 * enrollment + 100 * classes.argmax(1, keepdim=True)
        if embeddings is not None:
            estimate = estimate + 1000 * embeddings.mean((1, 2)).unsqueeze(1)
        return TSEOutput(estimate, estimate.mean(1).view(-1, 1, 1, 1))


class Encoder:
    """One embedding: the waveform's mean."""

    def embed(self, audio: Tensor) -> Tensor:
        return audio.mean(1).view(-1, 1, 1)


def classifier(heard: list[tuple[Tensor, Tensor, Tensor]]) -> Classifier:
    """Finds class i in the i-th row that it is given, and says in its silence what it was told."""

    class M2D(nn.Module):
        def forward(self, audio: Tensor) -> Tensor:
            return audio

    class DPC(nn.Module):
        def forward(self, features: Tensor, tokens: Tensor, level: Tensor) -> DPCOutput:
            heard.append((features, tokens, level))
            logits = 50.0 * torch.eye(18)[: len(level)]
            return DPCOutput(logits, logits, logits, level)

    return Classifier(DPC(), M2D())  # type: ignore[arg-type]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(mixtures: list[Mixture], device: torch.device) -> Any:
        yield torch.from_numpy(np.stack([mixture.audio() for mixture in mixtures])), slice(0, len(mixtures))

    monkeypatch.setattr("s5eval.systems.multistage.stages.mixture_batches", batches)


def rms(audio: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sqrt(np.mean(audio.astype(float) ** 2, axis=-1))
    return found


def in_tens_of_decibels(audio: np.ndarray, mixture: Mixture) -> np.ndarray:
    return 2 * np.log10(rms(audio) / rms(mixture.audio()[0]))


@pytest.mark.usefixtures("together")
def test_every_slot_is_classified_by_its_own_waveform_and_mixture(
    noise: Noise, tiny_configuration: MultistageConfiguration
) -> None:
    heard: list[tuple[Tensor, Tensor, Tensor]] = []
    stage = SeparationStage("s", {}, tiny_configuration, Separator(), classifier(heard))  # type: ignore[arg-type]
    mixtures = [noise(SAMPLES, 1), noise(SAMPLES, 2, level=0.06)]
    found = stage.run(mixtures, None)
    ((features, tokens, _),) = heard
    np.testing.assert_allclose(rms(tokens.numpy()), 10 ** (-26 / 20), rtol=1e-4)  # M2D hears all at one level
    for m, (mixture, candidates) in enumerate(zip(mixtures, found, strict=True)):
        expected = mixture.audio()[:3] * np.array([[1.0], [0.1], [0.01]])
        np.testing.assert_allclose(candidates.audio, expected, rtol=1e-5)
        assert candidates.class_scores.argmax(1).tolist() == [3 * m, 3 * m + 1, 3 * m + 2]
        level = in_tens_of_decibels(expected, mixture)
        np.testing.assert_allclose(candidates.p_silence, 1 / (1 + np.exp(-level)), rtol=1e-4)
        np.testing.assert_allclose(features[3 * m : 3 * m + 3].flatten(), expected.mean(1), atol=1e-6)


def earlier(seed: int, p_silence: list[float], classes: list[int]) -> Candidates:
    rng = np.random.default_rng(seed)
    scores = np.full((3, 18), 0.01)
    scores[np.arange(3), classes] = 0.83
    return Candidates(rng.normal(0, 0.1, (3, SAMPLES)).astype(np.float32), scores, np.array(p_silence))


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("source", ["mixture", "estimate"])
def test_every_slot_is_extracted_by_its_own_clues(
    noise: Noise, tiny_configuration: MultistageConfiguration, source: Any
) -> None:
    heard: list[tuple[Tensor, Tensor, Tensor]] = []
    config = replace(tiny_configuration, af_source=source, tau_skip=0.97)
    stage = ExtractionStage("s", {}, config, Extractor(), classifier(heard), Encoder())  # type: ignore[arg-type]
    mixtures = [noise(SAMPLES, 1), noise(SAMPLES, 2, level=0.3)]
    inputs = [earlier(3, [0.2, 0.98, 0.97], [4, 5, 17]), earlier(4, [0.99, 0.1, 0.3], [0, 9, 2])]
    found = stage.run(mixtures, inputs)
    slots = [(0, 0), (0, 2), (1, 1), (1, 2)]  # 0.97 is just as silent as a slot that is extracted may be
    for row, (m, k) in enumerate(slots):
        first, told = mixtures[m].audio()[0], inputs[m].audio[k]
        embedded = (first if source == "mixture" else told).mean()
        expected = first + 10 * told + 100 * inputs[m].class_scores[k].argmax() + 1000 * embedded
        np.testing.assert_allclose(found[m].audio[k], expected, rtol=1e-4, atol=1e-3)
        assert found[m].class_scores[k].argmax() == row
        level = in_tens_of_decibels(expected, mixtures[m])
        assert found[m].p_silence[k] == pytest.approx(1 / (1 + np.exp(-level)), rel=1e-4)
        features, tokens, _ = heard[0]
        assert float(features[row]) == pytest.approx(expected.mean(), rel=1e-3, abs=1e-3)
        quieter = max(10 ** (-26 / 20) / rms(expected), 0.01)  # by at most 40 dB
        np.testing.assert_allclose(tokens[row], expected * quieter, rtol=1e-3, atol=1e-5)
    for m, k in ((0, 1), (1, 0)):
        assert np.array_equal(found[m].audio[k], inputs[m].audio[k])
        assert np.array_equal(found[m].class_scores[k], inputs[m].class_scores[k])
        assert found[m].p_silence[k] == inputs[m].p_silence[k]


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("classifies", [True, False])
def test_labels_of_a_stage_of_ones_own_are_the_clue_and_stand_where_nothing_is_said_anew(
    noise: Noise, tiny_configuration: MultistageConfiguration, classifies: bool
) -> None:
    """The contract: where labels are given, scores may be zeros."""
    config = replace(tiny_configuration, tau_skip=0.97)
    said = classifier([]) if classifies else None
    stage = ExtractionStage("s", {}, config, Extractor(), said, None)  # type: ignore[arg-type]
    mixtures = [noise(SAMPLES, 1), noise(SAMPLES, 2)]
    labels = ("Speech", "Typing", "Cough")
    scored = earlier(3, [0.2, 0.1, 0.99], [4, 5, 17])
    given = replace(earlier(4, [0.1, 0.98, 0.3], [0, 9, 2]), class_scores=np.zeros((3, 18)), labels=labels)
    found = stage.run(mixtures, [scored, given])
    first, told = mixtures[1].audio()[0], given.audio
    for k in (0, 2):
        expected = first + 10 * told[k] + 100 * CLASSES.index(labels[k])
        np.testing.assert_allclose(found[1].audio[k], expected, rtol=1e-4, atol=1e-3)
    assert found[0].labels is None
    # rows 2 and 3 of the four that are classified are found to be of classes 2 and 3
    assert found[1].labels == ((CLASSES[2], "Typing", CLASSES[3]) if classifies else labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("Speech", "Typing", "Typin")}, "stage s: candidate 2 .* unknown label 'Typin'; did you mean"),
        ({"class_scores": np.zeros((3, 18))}, "stage s is told classes, .* candidate 0 .* are 0 throughout"),
    ],
)
def test_a_stage_that_is_told_no_class_says_so(
    noise: Noise, tiny_configuration: MultistageConfiguration, change: dict[str, Any], message: str
) -> None:
    stage = ExtractionStage("s", {}, tiny_configuration, Extractor(), None, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        stage.run([noise(SAMPLES)], [replace(earlier(4, [0.1, 0.2, 0.3], [0, 9, 2]), **change)])
