"""Clues: which frames an embedding reaches, and that new layers change nothing."""

import torch

from s5eval.systems.multistage.configuration import load_preset
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaTSE
from s5eval.systems.multistage.models.film import FrameClue, ResFiLM, TemporalFiLM


def positions(preset: str, frames: int, **separator: int) -> torch.Tensor:
    changes = {"separator": {"width": 8, "blocks": 1, "heads": 1, "head_dim": 4, **separator}}
    changes |= {"mamba2": {"headdim": 8, "expand": 1}, "clue": {"dimension": 4, "width": 4}}
    return DeFTMambaTSE(load_preset(preset, changes), 18).positions(frames)


def of_one_group(x: torch.Tensor) -> torch.Tensor:
    """(B, D, T, F) normalised over the whole map of every item."""
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) / ((x - mean).square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()


def test_a_new_temporal_film_is_the_identity() -> None:
    x, clue = torch.randn(2, 5, 7, 8), torch.randn(2, 5, 4)
    assert torch.equal(TemporalFiLM(4, 8)(x, clue), x)


def test_scale_and_shift() -> None:
    film = TemporalFiLM(1, 2)
    with torch.no_grad():
        film.linear.weight.copy_(torch.tensor([[2.0], [0.0], [0.0], [5.0]]))
    x = torch.full((1, 2, 1, 2), 10.0)  # of ones, a scale and a shift make the same
    assert film(x, torch.tensor([[[0.0], [1.0]]])).tolist() == [[[[10.0, 10.0]], [[30.0, 15.0]]]]


def test_an_impulse_moves_only_the_frames_around_its_time() -> None:
    place = positions("paper", 626)
    clue, film = FrameClue(4, 6), TemporalFiLM(6, 8)
    torch.nn.init.normal_(film.linear.weight)
    x = torch.randn(1, 626, 3, 8)
    quiet = torch.randn(1, 1, 4).repeat(1, 500, 1)
    for j in (0, 1, 37, 250, 499):
        struck = quiet.clone()
        struck[0, j] += torch.tensor([3.0, -2.0, 1.0, 0.0])
        difference = film(x, clue(struck, place, 1)) - film(x, clue(quiet, place, 1))
        moved = difference.abs().amax((0, 2, 3)) > 1e-7
        milliseconds = torch.arange(626) * 512 / 32.0  # frame t is centred at 16·t ms
        near = (milliseconds - 20.0 * j).abs() < 20.0
        if j == 499:  # frames beyond the last embedding hold on to it
            near |= milliseconds > 20.0 * j
        assert moved.any()
        assert not (moved & ~near).any()
        assert (moved == near).all()


def test_embeddings_are_normalised_projected_and_gated_each_for_itself() -> None:
    clue, embeddings = FrameClue(4, 6), 3.0 * torch.randn(2, 9, 4) + 1.0
    torch.nn.init.normal_(clue.norm.weight)
    torch.nn.init.normal_(clue.norm.bias)
    mean = embeddings.mean(-1, keepdim=True)
    normal = (embeddings - mean) / ((embeddings - mean).square().mean(-1, keepdim=True) + 1e-5).sqrt()
    wide = (normal * clue.norm.weight + clue.norm.bias) @ clue.projection.weight.T + clue.projection.bias
    expected = wide / (1 + torch.exp(-wide))
    torch.testing.assert_close(clue(embeddings, torch.arange(9.0), 2), expected, atol=1e-5, rtol=1e-5)


def test_interpolation_is_linear_in_time() -> None:
    clue = FrameClue(4, 6)
    embeddings = torch.randn(1, 10, 4)
    exact = clue(embeddings, torch.arange(10.0), 1)
    between = clue(embeddings, torch.tensor([3.25]), 1)
    assert torch.allclose(between[:, 0], 0.75 * exact[:, 3] + 0.25 * exact[:, 4], atol=1e-6)


def test_merged_frames_are_placed_at_their_centre() -> None:
    # two frames of 16 ms, at 0 and 16 ms, are one cell at 8 ms = 0.4 embedding frames
    assert torch.allclose(positions("paper", 3, time_stride=2), torch.tensor([0.4, 2.0, 3.6]))
    assert torch.allclose(positions("paper", 3), torch.tensor([0.0, 0.8, 1.6]))


def test_without_embeddings_the_learned_null_stands_for_them() -> None:
    clue, place = FrameClue(4, 6), torch.arange(5.0)
    absent = clue(None, place, 3)
    assert absent.shape == (3, 5, 6)
    assert torch.allclose(absent, clue(clue.null.expand(3, 9, 4), place, 3), atol=1e-6)
    embeddings = torch.randn(3, 9, 4)
    mixed = clue(clue.replace(embeddings, torch.tensor([False, True, False])), place, 3)
    assert torch.allclose(mixed[1], absent[1], atol=1e-6)
    assert torch.allclose(mixed[0], clue(embeddings, place, 3)[0], atol=1e-6)


def test_class_clue_shifts_first_then_scales() -> None:
    film, x = ResFiLM(4, 18), torch.randn(2, 5, 6, 4)
    classes = torch.eye(18)[[3, 7]]
    assert torch.equal(film(x, classes), x)  # zero-initialised: the identity
    with torch.no_grad():
        film.norm2.weight.fill_(0.7)
        film.clue.weight[:, 3] = torch.tensor([1.0, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])
    h = (of_one_group(film.conv1(x.permute(0, 3, 1, 2))) + 1.0) * 1.5
    added = 0.7 * of_one_group(film.conv2(torch.nn.functional.leaky_relu(h, 0.01))).permute(0, 2, 3, 1)
    expected = x + x.square().mean((1, 2, 3), keepdim=True).sqrt() * added
    assert torch.allclose(film(x, classes)[0], expected[0], atol=1e-5)
    assert not torch.allclose(film(x, classes)[1], expected[1], atol=1e-3)
