"""The separators: lengths, channels, objects, size, and that level means nothing to them."""

from typing import Any

import pytest
import torch

from s5eval.systems.multistage.configuration import MultistageConfiguration, load_preset
from s5eval.systems.multistage.models.deft_mamba import (
    DeFTMambaTSE,
    DeFTMambaUSS,
    HybridPair,
    cell_power,
    deviation,
    set_checkpointing,
)
from s5eval.systems.multistage.models.hybrid import Hybrid


def tiny_with(**changes: Any) -> MultistageConfiguration:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4}
    base = {"mamba2": {"d_state": 4, "headdim": 8, "chunk": 8}, "clue": {"dimension": 6, "width": 4}}
    return load_preset("mini", {"separator": separator, **base, **changes})


@pytest.mark.parametrize("length", [1, 100, 513, 5001])
@pytest.mark.parametrize("channels", [1, 4])
def test_any_length_and_number_of_channels(
    tiny_configuration: MultistageConfiguration, length: int, channels: int
) -> None:
    mixture = torch.randn(2, channels, length)
    out = DeFTMambaUSS(tiny_configuration, channels).eval()(mixture)
    assert out.foreground.shape == (2, 3, length)
    assert out.interference is not None
    assert out.interference.shape == (2, 2, length)
    assert out.noise is not None
    assert out.noise.shape == (2, 1, length)
    assert out.features.shape[:3] == (2, 3, 8)
    tse = DeFTMambaTSE(tiny_configuration, 18, channels).eval()
    extracted = tse(mixture, mixture[:, 0], torch.eye(18)[:2], torch.randn(2, 4, 32))
    assert extracted.estimate.shape == (2, length)
    assert torch.isfinite(extracted.estimate).all()


@pytest.mark.parametrize("decoder", ["map", "cmask"])
@pytest.mark.parametrize("front", [{}, {"bands": [], "inputs": "cues", "frequency_stride": 16, "time_stride": 2}])
def test_in_float64_it_stays_float64(decoder: str, front: dict[str, Any]) -> None:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, **front}
    uss = DeFTMambaUSS(tiny_with(decoder=decoder, separator=separator)).eval()
    mixture = torch.randn(1, 4, 3000)
    with torch.no_grad():
        single, double = uss(mixture), uss.double()(mixture.double())
    assert (double.foreground.dtype, double.features.dtype) == (torch.float64, torch.float64)
    # Clusters near to each other may be told apart in one and joined in the other: the map alone is compared.
    assert (single.features - double.features).abs().max() < 1e-3 * double.features.abs().max()


@pytest.mark.parametrize("mamba", ["both", "time_only", "none"])
@pytest.mark.parametrize("decoder", ["map", "cmask"])
@pytest.mark.parametrize(
    "front",
    [
        {"bands": [], "inputs": "complex", "frequency_stride": 1, "time_stride": 1},
        {"bands": [], "inputs": "cues", "frequency_stride": 16, "time_stride": 2},
        {"bands": [[4, 8], [2, 240]], "inputs": "complex", "time_stride": 2},
        {"bands": [[4, 8], [2, 100]], "inputs": "cues", "time_stride": 1},
    ],
)
def test_switches(mamba: str, decoder: str, front: dict[str, Any]) -> None:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, **front}
    config = tiny_with(mamba=mamba, decoder=decoder, separator=separator)
    uss = DeFTMambaUSS(config)
    out = uss(torch.randn(1, 4, 700))
    assert out.interference is not None
    assert out.directed is not None
    loss = out.foreground.square().sum() + out.interference.square().sum() + out.directed.logits.sum()
    loss.backward()
    without = {name for name, p in uss.named_parameters() if p.grad is None}
    assert not without
    layers = [name for name, _ in uss.named_parameters() if name.endswith("A_log")]
    assert len(layers) == {"both": 4, "time_only": 2, "none": 0}[mamba]


def test_blocks_run_along_every_frame_s_spectrum_then_along_every_bin_s_course(
    tiny_configuration: MultistageConfiguration,
) -> None:
    pair, x = HybridPair(tiny_configuration), torch.randn(2, 5, 7, 8)
    expected = torch.stack([pair.along_frequency(x[:, t]) for t in range(5)], 1)
    expected = torch.stack([pair.along_time(expected[:, :, f]) for f in range(7)], 2)
    torch.testing.assert_close(pair(x), expected, atol=1e-5, rtol=1e-5)


def test_clues_act_after_every_pair_the_class_before_the_frames() -> None:
    separator = {"width": 8, "blocks": 2, "heads": 2, "head_dim": 4}
    tse = DeFTMambaTSE(tiny_with(separator=separator), 18).eval()
    for films in (tse.class_films, tse.frame_films):
        for parameter in films.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    mixture, enrollment, classes = torch.randn(2, 4, 3000), torch.randn(2, 3000), torch.eye(18)[[1, 5]]
    embeddings = torch.randn(2, 5, 6)
    inputs = torch.cat([mixture, enrollment[:, None]], 1) / deviation(mixture)
    x = tse.encoder(tse.stft(inputs))
    frames = tse.frame_clue(embeddings, tse.positions(x.shape[1]), 2)
    for k in range(2):
        x = tse.frame_films[k](tse.class_films[k](tse.pairs[k](x), classes), frames)
    found = tse(mixture, enrollment, classes, embeddings)
    torch.testing.assert_close(found.features, x.permute(0, 3, 1, 2), atol=1e-4, rtol=1e-4)


def test_the_level_of_a_mixture_is_the_deviation_of_all_its_channels() -> None:
    mixture = torch.tensor([[[1.0, 3.0], [5.0, 7.0]], [[0.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(deviation(mixture).flatten(), torch.tensor([5.0**0.5, 1e-8]))


def test_foreground_alone_is_the_same_foreground(tiny_configuration: MultistageConfiguration) -> None:
    uss, mixture = DeFTMambaUSS(tiny_configuration).eval(), torch.randn(1, 4, 3000)
    whole, part = uss(mixture), uss(mixture, foreground_only=True)
    assert torch.equal(whole.foreground, part.foreground)
    assert torch.equal(whole.features, part.features)
    assert part.interference is None
    assert part.noise is None


@pytest.mark.parametrize("directions", [0, 5])
def test_objects_of_weights_of_their_own_are_decoded_from_one_map_in_the_order_of_their_kinds(directions: int) -> None:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, "directions": directions}
    uss, mixture = DeFTMambaUSS(tiny_with(separator=separator)).eval(), torch.randn(2, 4, 3000)
    out = uss(mixture)
    assert out.interference is not None and out.noise is not None and uss.object_decoder is not None
    found = torch.cat([out.foreground, out.interference, out.noise], 1)
    spectrum = uss.stft(mixture / deviation(mixture))
    layers = uss.object_decoder.weight.unflatten(0, (-1, 8)), uss.object_decoder.bias.unflatten(0, (-1, 8))
    first = 3 if directions else 0  # those before are made of clusters
    assert len(layers[0]) == 6 - first
    for k, (weight, bias) in enumerate(zip(*layers, strict=True), first):
        features = (out.map @ weight.T + bias).permute(0, 3, 1, 2)
        decoded = uss.audio_decoder(features, uss.audio_decoder.arrange(spectrum), *spectrum.shape[2:])
        expected = uss.stft.inverse(decoded, 3000) * deviation(mixture)[:, 0]
        torch.testing.assert_close(found[:, k], expected, atol=1e-4, rtol=1e-4)
        if k < 3:
            torch.testing.assert_close(out.features[:, k], features, atol=1e-4, rtol=1e-4)


def test_the_map_needs_no_decoding(tiny_configuration: MultistageConfiguration) -> None:
    uss = DeFTMambaUSS(tiny_configuration).eval()
    mixture = torch.randn(2, 4, 5001)
    torch.testing.assert_close(uss.map(mixture), uss(mixture).map)


@pytest.mark.parametrize(
    ("front", "rows", "bins"),
    [
        ({"bands": [[4, 8], [2, 240]], "time_stride": 2}, 2, 8),
        ({"bands": [], "frequency_stride": 4, "time_stride": 1}, 1, 4),
    ],
)
def test_power_is_pooled_over_the_cells_of_the_map(front: dict[str, Any], rows: int, bins: int) -> None:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, **front}
    uss = DeFTMambaUSS(tiny_with(separator=separator))
    audio = torch.randn(3, 5001)
    power = cell_power(uss, audio)
    assert power.shape == (3, *uss.map(audio.unsqueeze(1).expand(-1, 4, -1)).shape[1:3])
    spectrum = uss.stft(audio).abs().square()
    torch.testing.assert_close(power[:, 1, 2], spectrum[:, rows : 2 * rows, 2 * bins : 3 * bins].mean((1, 2)))


def test_a_louder_mixture_gives_louder_estimates(tiny_configuration: MultistageConfiguration) -> None:
    uss, mixture = DeFTMambaUSS(tiny_configuration).eval(), torch.randn(1, 4, 3000)
    assert torch.allclose(8 * uss(mixture).foreground, uss(8 * mixture).foreground, rtol=1e-3, atol=1e-3)
    tse = DeFTMambaTSE(tiny_configuration, 18).eval()
    estimate = tse(mixture, mixture[:, 1], torch.eye(18)[:1]).estimate
    louder = tse(8 * mixture, 8 * mixture[:, 1], torch.eye(18)[:1]).estimate
    assert torch.allclose(8 * estimate, louder, rtol=1e-3, atol=1e-3)


def test_silence_stays_finite(tiny_configuration: MultistageConfiguration) -> None:
    uss = DeFTMambaUSS(tiny_configuration)
    out = uss(torch.zeros(1, 4, 2000)).foreground
    out.square().sum().backward()
    assert out.abs().max() < 1e-6
    assert all(torch.isfinite(p.grad).all() for p in uss.parameters() if p.grad is not None)


def test_slots_are_extracted_each_for_itself(tiny_configuration: MultistageConfiguration) -> None:
    tse = DeFTMambaTSE(tiny_configuration, 18).eval()
    for film in tse.class_films:
        torch.nn.init.normal_(film.clue.weight)  # type: ignore[union-attr, arg-type]
        torch.nn.init.ones_(film.norm2.weight)  # type: ignore[union-attr, arg-type]
    for parameter in tse.audio_decoder.parameters():
        torch.nn.init.normal_(parameter)
    mixture, enrollment = torch.randn(3, 4, 3000), torch.randn(3, 3000)
    classes, embeddings = torch.eye(18)[[1, 5, 5]], torch.randn(3, 5, 32)
    together = tse(mixture, enrollment, classes, embeddings).estimate
    alone = tse(mixture[1:2], enrollment[1:2], classes[1:2], embeddings[1:2]).estimate
    assert torch.allclose(together[1:2], alone, atol=1e-4)
    other = tse(mixture[1:2], enrollment[1:2], classes[:1], embeddings[1:2]).estimate
    assert not torch.allclose(alone, other, atol=1e-3)
    silent = tse(mixture[1:2], torch.zeros(1, 3000), classes[1:2], embeddings[1:2]).estimate
    assert not torch.allclose(alone, silent, atol=1e-3)


@pytest.mark.parametrize(
    "front", [{"bands": [[4, 8], [1, 481]], "time_stride": 2}, {"bands": [], "frequency_stride": 4, "time_stride": 2}]
)
def test_an_untrained_extractor_with_masks_hands_its_enrollment_on(front: dict[str, Any]) -> None:
    separator = {"width": 8, "blocks": 1, "heads": 2, "head_dim": 4, **front}
    tse = DeFTMambaTSE(tiny_with(separator=separator), 18).eval()
    enrollment = torch.randn(2, 5000)
    given = tse(torch.randn(2, 4, 5000), enrollment, torch.eye(18)[:2]).estimate
    torch.testing.assert_close(given, enrollment, atol=1e-4, rtol=1e-4)


def test_the_paper_s_separator_has_its_size() -> None:
    with torch.device("meta"):
        uss = DeFTMambaUSS(load_preset("paper"))
    count = sum(p.numel() for p in uss.parameters())
    assert count == pytest.approx(3.6e6, rel=0.1)
    assert count == 3_427_986


def test_the_paper_s_extractor_hears_an_enrollment_more_and_steers_every_block() -> None:
    with torch.device("meta"):
        uss, tse = (made(load_preset("paper")) for made in (DeFTMambaUSS, lambda config: DeFTMambaTSE(config, 18)))
    shapes = {name: tuple(tensor.shape) for name, tensor in tse.state_dict().items()}
    own = {name: shape for name, shape in shapes.items() if "film" in name or "clue" in name}
    assert shapes["encoder.body.conv.weight"] == (64, 2 * 5, 3, 3)
    assert uss.state_dict()["encoder.body.conv.weight"].shape == (64, 2 * 4, 3, 3)
    assert [len(films) for films in (tse.class_films, tse.frame_films)] == [6, 6]
    assert own["frame_clue.projection.weight"] == (256, 1280)
    assert own["class_films.5.clue.weight"] == (2 * 64, 18) and own["frame_films.5.linear.weight"] == (2 * 64, 256)
    assert sum(p.numel() for p in tse.parameters()) == 4_392_594


def test_checkpointing_reaches_every_block(tiny_configuration: MultistageConfiguration) -> None:
    uss = DeFTMambaUSS(tiny_configuration)
    set_checkpointing(uss, True)
    assert [m.checkpointing for m in uss.modules() if isinstance(m, Hybrid)] == [True, True]
