"""The two stages: tag the mixture's tracks, then separate what they name.

The official decision is that a track is silent when silence is the likeliest of its 19 outcomes. Here it is a
threshold: `p_silence` compares silence with the track's likeliest class alone, p_sil / (p_sil + p_class), which is
above one half exactly when silence wins the arg-max. With the threshold of 0.5 that every decision starts from, the
prediction is therefore the official one; other thresholds ask for silence to win, or lose, by a factor.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import Mixture
from s5eval.systems.baseline.models.resunet import ResUNetK
from s5eval.systems.baseline.models.tagger import Tagger
from s5eval.systems.batching import device_of, mixture_batches
from s5eval.systems.interface import Candidates, Json
from s5eval.systems.pipeline import class_clues

_ABOVE = 1e-8  # more than the last digits that a decision counts

SILENT = 0.5
"""A track whose `p_silence` is above this is one that the official system calls silent."""


def track_scores(logits: Tensor) -> tuple[Tensor, Tensor]:
    """What the tracks' logits say.

    Args:
        logits: (..., classes + 1), the last one of silence.

    Returns:
        Class scores (..., classes), float64, in proportion to the probabilities, such that the confidence of the
        likeliest class, its score times 1 − `p_silence`, is the official one: its soft-max among all outcomes; and
        `p_silence` (...), float64, above `SILENT` exactly where silence has the largest float32 probability, ties
        going to the class.
    """
    # The official code takes the arg-max of float32 probabilities, so they decide here; the rest is float64.
    probabilities = logits.float().softmax(-1)
    silent = probabilities[..., -1] > probabilities[..., :-1].amax(-1)
    exact = logits.double()
    odds = (exact[..., -1] - exact[..., :-1].amax(-1)).sigmoid()
    p_silence = torch.where(silent, odds.clamp_min(SILENT + _ABOVE), odds.clamp_max(SILENT))
    named = probabilities[..., :-1].double()
    given = named / named.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    shares = torch.where(silent.unsqueeze(-1), exact[..., :-1].softmax(-1), given)
    outcomes = exact.softmax(-1)
    either = outcomes[..., -1] + outcomes[..., :-1].amax(-1)  # silence, or the likeliest class
    return shares * (either / shares.amax(-1)).unsqueeze(-1), p_silence


class TaggingStage:
    """Names the tracks of a mixture; hands on scores without waveforms, silent tracks last, as the separator wants."""

    def __init__(self, name: str, fingerprint: Mapping[str, Json], tagger: Tagger) -> None:
        self.name, self.tagger = name, tagger
        self._fingerprint = dict(fingerprint)

    def fingerprint(self) -> Mapping[str, Json]:
        """Weights by digest, and every setting that the stage's result depends on."""
        return self._fingerprint

    @torch.inference_mode()
    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """Candidates with audio (tracks, 0); there is no stage before this one."""
        if inputs is not None:
            raise ValueError(f"stage {self.name} is the first and takes no inputs")
        results = []
        for audio, _ in mixture_batches(mixtures, device_of(self.tagger)):
            scores, silence = (value.cpu().numpy() for value in track_scores(self.tagger(audio)))
            for row in range(len(audio)):
                order = np.argsort(silence[row] > SILENT, kind="stable")
                nothing = np.zeros((len(order), 0), dtype=np.float32)
                results.append(Candidates(nothing, scores[row][order], silence[row][order]))
        return results


class QueriedSeparationStage:
    """Separates the tracks that are named.

    The separator is queried for the classes of the tracks that are not silent, all at once, with zeros for the
    others, as in the official system: waveforms of tracks that are not silent are the official ones. A silent track
    would come out as nothing; where `silent_slots` is `queried` it gets what a second pass, queried for the likeliest
    class of every track, finds, so that a threshold can revive it. Mixtures without silent tracks need no second pass,
    those without any other no first.
    """

    def __init__(self, name: str, fingerprint: Mapping[str, Json], separator: ResUNetK, *, revive: bool) -> None:
        """`revive`: make the second pass."""
        self.name, self.separator, self.revive = name, separator, revive
        self._fingerprint = dict(fingerprint)

    def fingerprint(self) -> Mapping[str, Json]:
        """Weights by digest, and every setting that the stage's result depends on."""
        return self._fingerprint

    @torch.inference_mode()
    def run(self, mixtures: Sequence[Mixture], inputs: Sequence[Candidates] | None) -> Sequence[Candidates]:
        """The tagger's candidates with waveforms; raises `ValueError` when the tagger's results are not given, or name
        no class.
        """
        if inputs is None or len(inputs) != len(mixtures):
            raise ValueError(f"stage {self.name} needs the candidates of the stage before for every mixture")
        results: list[Candidates] = []
        for audio, rows in mixture_batches(mixtures, device_of(self.separator)):
            named = inputs[rows]
            waveforms = self._separate(audio, named).float().cpu().numpy()
            results += [
                Candidates(waveforms[row], c.class_scores, c.p_silence, c.labels) for row, c in enumerate(named)
            ]
        return results

    def _separate(self, audio: Tensor, named: Sequence[Candidates]) -> Tensor:
        labels = torch.from_numpy(np.stack([_queried(self.name, c) for c in named])).to(audio.device)
        silent = torch.from_numpy(np.stack([c.p_silence > SILENT for c in named])).to(audio.device)
        queries = F.one_hot(labels, len(CLASSES)).to(audio.dtype)
        waveforms = audio.new_zeros(*silent.shape, audio.shape[-1])
        heard = torch.nonzero(~silent.all(1)).flatten()
        if len(heard):
            waveforms[heard] = self.separator(audio[heard], (queries * ~silent.unsqueeze(2))[heard])
        unheard = torch.nonzero(silent.any(1)).flatten()
        if self.revive and len(unheard):
            revived = self.separator(audio[unheard], queries[unheard])
            waveforms[unheard] = torch.where(silent[unheard].unsqueeze(2), revived, waveforms[unheard])
        return waveforms


def _queried(stage: str, named: Candidates) -> npt.NDArray[np.int64]:
    """The class that the separator is queried for, of every track (N,). That of a silent one need not be known."""
    classes: npt.NDArray[np.int64] = named.class_scores.argmax(1)
    known = np.flatnonzero(named.p_silence <= SILENT) if named.labels is None else np.arange(len(classes))
    classes[known] = class_clues(stage, named, known)
    return classes
