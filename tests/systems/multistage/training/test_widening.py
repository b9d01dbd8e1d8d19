"""An extractor that starts from a separator analyses as that does."""

from typing import Any

import pytest
import torch

from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE, DeFTMambaUSS
from s5eval.systems.multistage.training.widening import widen

SIZES: dict[str, Any] = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4}
BASE: dict[str, Any] = {"mamba2": {"d_state": 4, "headdim": 8}, "clue": {"dimension": 6, "width": 4}}
FRONTS: list[dict[str, Any]] = [
    {"bands": [[4, 8], [2, 100]], "inputs": "complex", "time_stride": 2},
    {"bands": [], "inputs": "complex", "frequency_stride": 8, "time_stride": 2},
    {"bands": [], "inputs": "cues", "frequency_stride": 4, "time_stride": 1},
    {"bands": [[4, 8], [2, 100]], "inputs": "cues", "time_stride": 2},
]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("decoder", ["map", "cmask"])
def test_without_clues_it_is_the_separator(front: dict[str, Any], decoder: str) -> None:
    config = load_preset("mini", {"separator": {**SIZES, **front}, "decoder": decoder, **BASE})
    uss, tse = DeFTMambaUSS(config).eval(), DeFTMambaTSE(config, 18).eval()
    started = widen(uss.state_dict(), tse)
    own = tse.state_dict()
    tse.load_state_dict({**own, **{k: v for k, v in started.items() if k in own and v.shape == own[k].shape}})
    missing = set(own) - {k for k, v in started.items() if k in own and v.shape == own[k].shape}
    new = ("class_films", "frame_films", "frame_clue")
    masks = ("audio_decoder.body.weights", "audio_decoder.body.conv")
    assert all(name.startswith(new if decoder == "map" else new + masks) for name in missing)
    mixture = torch.randn(2, 4, 3000)
    spectrum = uss.stft(mixture)
    silent = torch.cat([spectrum, torch.zeros_like(spectrum[:, :1])], 1)
    enrolled = torch.cat([spectrum, torch.randn_like(spectrum[:, :1])], 1)
    torch.testing.assert_close(tse.encoder(silent), uss.encoder(spectrum))
    torch.testing.assert_close(tse.encoder(enrolled), uss.encoder(spectrum))
    if decoder == "map":
        features = torch.randn(2, 8, *uss.encoder(spectrum).shape[1:3])
        torch.testing.assert_close(
            tse.audio_decoder(features, tse.audio_decoder.arrange(silent), *spectrum.shape[2:]),
            uss.audio_decoder(features, uss.audio_decoder.arrange(spectrum), *spectrum.shape[2:]),
        )


def test_an_extractor_s_weights_come_back_as_they_are() -> None:
    config = load_preset("mini", {"separator": {**SIZES, **FRONTS[0]}, **BASE})
    tse = DeFTMambaTSE(config, 18)
    again = widen(tse.state_dict(), tse)
    assert all(again[name] is value or torch.equal(again[name], value) for name, value in tse.state_dict().items())


def test_weights_of_another_width_are_left_alone() -> None:
    config = load_preset("mini", {"separator": {**SIZES, **FRONTS[0]}, **BASE})
    other = load_preset("mini", {"separator": {**SIZES, **FRONTS[0], "width": 16}, **BASE})
    started = widen(DeFTMambaUSS(other).state_dict(), DeFTMambaTSE(config, 18))
    own = DeFTMambaTSE(config, 18).state_dict()
    assert started["encoder.body.weights.0"].shape != own["encoder.body.weights.0"].shape
