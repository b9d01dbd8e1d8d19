"""The three stages: separate and classify, then twice extract with the clues of the stage before, and classify.

What a stage hands on is its candidates: waveforms (the next enrollment), class scores (their arg-max is the next
class clue, however silent the slot looks, so that a later stage can revive it) and silence probabilities. Object
features stay inside. Kwon et al., arXiv 2606.24512. A stage of one's own in the place of the first may give labels
instead of scores.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import Mixture
from s5eval.systems.batching import device_of, mixture_batches
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.multistage.configuration import MultistageConfiguration
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS
from s5eval.systems.multistage.models.dpc import DualPathClassifier, normalise_level, relative_level
from s5eval.systems.multistage.models.frame_encoders import FrameEncoder
from s5eval.systems.networks.m2d import M2D
from s5eval.systems.pipeline import class_clues
from s5eval.systems.spatial_filter import filtered_by_scene


@dataclass(frozen=True, slots=True)
class Classifier:
    """A stage's classifier with the frozen M2D that all stages share."""

    dpc: DualPathClassifier
    m2d: M2D

    def classify(self, features: Tensor, audio: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D, T', F'), waveforms (B, T), mixtures (B, 4, T) → class scores (B, 18), p_silence (B,)."""
        tokens = self.m2d(normalise_level(audio))
        out = self.dpc(features, tokens, relative_level(audio, mixture))
        return out.logits.double().softmax(-1), out.silence.double().sigmoid()


class SeparationStage:
    """Stage 1: DeFT-Mamba-USS and M2D-DPC; three candidates per mixture."""

    def __init__(
        self,
        name: str,
        fingerprint: Mapping[str, Json],
        config: MultistageConfiguration,
        separator: DeFTMambaUSS,
        classifier: Classifier,
    ) -> None:
        self.name = name
        self._fingerprint = dict(fingerprint)
        self.config, self.separator, self.classifier = config, separator, classifier

    def fingerprint(self) -> Mapping[str, Json]:
        """Weights by digest, and every setting that the stage's result depends on."""
        return self._fingerprint

    @torch.inference_mode()
    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """Candidates of every mixture; there is no stage before this one."""
        if inputs is not None:
            raise ValueError(f"stage {self.name} is the first and takes no inputs")
        device = device_of(self.separator)
        results: list[Candidates] = []
        for audio, _ in mixture_batches(mixtures, device):
            with _precision(device, self.config):
                separated = self.separator(audio, foreground_only=True)
                slots = separated.foreground.shape[1]
                scores, silence = self.classifier.classify(
                    separated.features.flatten(0, 1),
                    separated.foreground.flatten(0, 1),
                    audio.repeat_interleave(slots, 0),
                )
            waveforms = separated.foreground.float().cpu().numpy()
            for k, waveform in enumerate(waveforms):
                rows = slice(k * slots, (k + 1) * slots)
                results.append(Candidates(waveform, scores[rows].cpu().numpy(), silence[rows].cpu().numpy()))
        return results


class ExtractionStage:
    """Stages 2 and 3: DeFT-Mamba-TSE, guided by the stage before, and M2D-DPC.

    Slots that are all but certainly silent (`tau_skip`) are handed on unchanged. A stage without a classifier hands on
    the classes and silences of the stage before.
    """

    def __init__(
        self,
        name: str,
        fingerprint: Mapping[str, Json],
        config: MultistageConfiguration,
        extractor: DeFTMambaTSE,
        classifier: Classifier | None,
        encoder: FrameEncoder | None,
    ) -> None:
        """`classifier` None: it has none; `encoder` None: the learned null embedding stands for frame embeddings."""
        self.name = name
        self._fingerprint = dict(fingerprint)
        self.config, self.extractor, self.classifier, self.encoder = config, extractor, classifier, encoder

    def fingerprint(self) -> Mapping[str, Json]:
        """Weights by digest, and every setting that the stage's result depends on."""
        return self._fingerprint

    @torch.inference_mode()
    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """Refined candidates; raises `ValueError` when inputs are missing, name no class, or are not as long as their
        mixtures.
        """
        if inputs is None or len(inputs) != len(mixtures):
            raise ValueError(f"stage {self.name} needs the candidates of the stage before for every mixture")
        device = device_of(self.extractor)
        results: list[Candidates] = []
        for audio, rows in mixture_batches(mixtures, device):
            results += self._refine(audio, inputs[rows])
        return results

    def _refine(self, audio: Tensor, inputs: Sequence[Candidates]) -> list[Candidates]:
        for candidates in inputs:
            if candidates.audio.shape[1] != audio.shape[2]:
                raise ValueError(
                    f"stage {self.name}: candidates of {candidates.audio.shape[1]} samples for a mixture of "
                    f"{audio.shape[2]}"
                )
        alive = [np.flatnonzero(candidates.p_silence <= self.config.tau_skip) for candidates in inputs]
        slots = [(m, int(k)) for m, rows in enumerate(alive) for k in rows]
        if not slots:
            return list(inputs)
        device = audio.device
        enrollment = torch.from_numpy(np.stack([inputs[m].audio[k] for m, k in slots])).to(device)
        clues = [class_clues(self.name, candidates, rows) for candidates, rows in zip(inputs, alive, strict=True)]
        labels = torch.tensor([clue for of_mixture in clues for clue in of_mixture], device=device)
        source = torch.tensor([m for m, _ in slots], device=device)
        mixture = audio[source]
        if (spatial := self.config.spatial_filter.of_enrollments()) is not None:
            enrollment = filtered_by_scene(mixture, source, enrollment, spatial)
        with _precision(device, self.config):
            classes = F.one_hot(labels, len(CLASSES)).to(audio.dtype)
            extracted = self.extractor(mixture, enrollment, classes, self._embed(audio, enrollment, source))
            heard = (extracted.features, extracted.estimate, mixture)
            said = None if self.classifier is None else self.classifier.classify(*heard)
        estimates = extracted.estimate.float().cpu().numpy()
        results = [Candidates(c.audio.copy(), c.class_scores.copy(), c.p_silence.copy(), c.labels) for c in inputs]
        for row, (m, k) in enumerate(slots):
            results[m].audio[k] = estimates[row]
            if said is not None:
                scores, silence = said
                results[m].class_scores[k] = scores[row].cpu().numpy()
                results[m].p_silence[k] = float(silence[row])
        if self.classifier is None:
            return results
        return [_named(candidates, rows) for candidates, rows in zip(results, alive, strict=True)]

    def _embed(self, audio: Tensor, enrollment: Tensor, source: Tensor) -> Tensor | None:
        if self.encoder is None:
            return None
        if self.config.af_source == "mixture":
            return self.encoder.embed(audio[:, 0])[source]
        return self.encoder.embed(enrollment)


def _named(candidates: Candidates, rows: Iterable[int]) -> Candidates:
    """Candidates of which `rows` have been classified anew: a label that was given before counts no more."""
    if candidates.labels is None:
        return candidates
    labels = list(candidates.labels)
    for k in rows:
        labels[k] = CLASSES[int(candidates.class_scores[k].argmax())]
    return replace(candidates, labels=tuple(labels))


def _precision(device: torch.device, config: MultistageConfiguration) -> AbstractContextManager[None]:
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
