"""Objects made of clusters of directions, and which clusters they are made of."""

import itertools
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from s5eval.systems.multistage.configuration import MultistageConfiguration, load_preset
from s5eval.systems.multistage.models.deft_mamba import DeFTMambaUSS, cell_power
from s5eval.systems.multistage.models.directed_objects import DirectedObjects
from s5eval.systems.multistage.models.direction_clusters import direction_shares
from s5eval.systems.multistage.training.separation import choose_clusters, cluster_loss
from s5eval.systems.training.batches import Batch


def test_objects_differ_by_their_cluster_alone(tiny_configuration: MultistageConfiguration) -> None:
    uss, mixture = DeFTMambaUSS(tiny_configuration).eval(), torch.randn(2, 4, 6000)

    def made_of(*clusters: int) -> torch.Tensor:
        return uss(mixture, foreground_only=True, choose=lambda _s, _l: torch.tensor([clusters] * 2)).foreground

    forward, backward = made_of(0, 1, 4), made_of(4, 1, 0)
    torch.testing.assert_close(forward, backward.flip(1))
    assert not torch.allclose(forward[:, 0], forward[:, 1])


def test_clusters_are_judged_by_what_is_heard_in_them() -> None:
    objects, x = DirectedObjects(6, 3, 2), torch.randn(2, 4, 5, 6)
    spectrum = torch.randn(2, 4, 4, 5, dtype=torch.complex64)
    out = objects(x, spectrum, lambda power: power, None)
    shares, weight = direction_shares(spectrum, lambda power: power, 3)
    normal = objects.norm(x)
    for b in range(2):
        amounts = [float((shares[b, ..., k] * weight[b]).sum()) for k in range(3)]
        for k in range(3):
            if amounts[k] == 0.0:
                continue
            mean = torch.zeros(6 + 4)
            for t, f in itertools.product(range(4), range(5)):
                cell = torch.cat([normal[b, t, f], shares[b, t, f]])
                mean = mean + shares[b, t, f, k] * weight[b, t, f] * cell / amounts[k]
            loudness = math.log(max(amounts[k] / sum(amounts), 1e-4))
            heard = objects.pooled(torch.cat([mean, torch.tensor([loudness])]))
            torch.testing.assert_close(out.logits[b, k], objects.target(heard)[0], atol=1e-4, rtol=1e-4)
            for slot in (out.chosen[b] == k).nonzero().flatten().tolist():
                made = objects.shared(normal[b]) + shares[b, ..., k : k + 1] * objects.marked(normal[b])
                made = made + objects.context(heard)
                torch.testing.assert_close(out.features(slot)[b], made, atol=1e-4, rtol=1e-4)


def test_the_likeliest_clusters_are_chosen(tiny_configuration: MultistageConfiguration) -> None:
    out = DeFTMambaUSS(tiny_configuration).eval()(torch.randn(2, 4, 6000))
    assert out.directed is not None
    assert out.directed.logits.shape == (2, 5)
    assert torch.equal(out.directed.chosen, out.directed.logits.argsort(1, descending=True)[:, :3])


def test_a_source_is_extracted_from_where_it_is(tiny_configuration: MultistageConfiguration) -> None:
    uss = DeFTMambaUSS(tiny_configuration)
    targets = torch.zeros(2, 3, 6000)
    targets[0, 1], targets[0, 2] = 0.1 * torch.randn(6000), torch.sin(0.1 * torch.arange(6000))
    labels = torch.tensor([[-1, 3, 5], [-1, -1, -1]])
    b = Batch(torch.randn(2, 4, 6000), targets, labels, torch.zeros(2, 2, 6000), torch.zeros(2, 1, 6000))
    shares, _ = direction_shares(uss.stft(b.mixture), uss.encoder.pool, 5)
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 4.0, 1.0, 3.0, 2.0]])
    chosen = choose_clusters(shares, logits, batch=b, uss=uss)
    best, expected = -1.0, (0, 0)
    for pair in itertools.permutations(range(5), 2):  # literal: every choice for the two sources of the first scene
        total = 0.0
        for slot, cluster in zip((1, 2), pair, strict=True):
            power = cell_power(uss, targets[:1, slot])[0]
            total += float((power * shares[0, ..., cluster]).sum() / power.sum())
        best, expected = max((best, expected), (total, pair))
    assert tuple(chosen[0, 1:].tolist()) == expected
    assert chosen[0, 0] == max(set(range(5)) - set(expected))  # the likeliest of the rest
    assert set(chosen[1].tolist()) == {1, 3, 4}
    out = uss(b.mixture, foreground_only=True, choose=partial(choose_clusters, batch=b, uss=uss))
    wanted = torch.zeros(2, 5)
    wanted[0, list(expected)] = 1.0
    loss = cluster_loss(out.directed.logits, chosen, b.active)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(out.directed.logits, wanted))


def test_half_precision_chooses_and_hears_the_same(tiny_configuration: MultistageConfiguration) -> None:
    uss, mixture = DeFTMambaUSS(tiny_configuration).eval(), torch.randn(2, 4, 6000)

    def choose(_shares: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        assert logits.dtype == torch.float32
        return torch.tensor([[0, 2, 4]] * 2)

    exact = uss(mixture, foreground_only=True, choose=choose)
    with torch.autocast("cpu", torch.bfloat16):
        half = uss(mixture, foreground_only=True, choose=choose)
    half.foreground.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in uss.parameters() if p.grad is not None)
    torch.testing.assert_close(half.directed.shares, exact.directed.shares)
    torch.testing.assert_close(half.features.float(), exact.features, atol=0.1, rtol=0.1)


def test_a_cluster_that_the_scene_does_not_need_comes_last(tiny_configuration: MultistageConfiguration) -> None:
    wave = torch.randn(6000)
    uss = DeFTMambaUSS(tiny_configuration)
    out = uss(torch.stack([wave, 0 * wave, 0 * wave, wave])[None], foreground_only=True)  # all of it from ahead
    needed = out.directed.shares[..., :-1].amax((0, 1, 2)) > 0
    assert needed.tolist() == [True, False, False, False, False]
    assert out.directed.chosen[0, 0] == 0
    assert (out.directed.logits[0, 1:] == -20).all()
    (out.foreground.square().sum() + out.directed.logits.sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in uss.parameters() if p.grad is not None)


def test_fewer_clusters_than_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="2 clusters are too few for 3 objects"):
        DirectedObjects(8, 2, 3)


def test_nothing_but_foreground(tiny: dict[str, Any]) -> None:
    objects = {"foreground": 3, "interference": 0, "noise": 0}
    config = load_preset("mini", {"separator": tiny["separator"], "mamba2": tiny["mamba2"], "objects": objects})
    out = DeFTMambaUSS(config)(torch.randn(1, 4, 3000))
    assert out.foreground.shape == (1, 3, 3000)
    assert out.interference is not None
    assert out.interference.shape == (1, 0, 3000)


def test_without_directions_every_object_has_its_own_weights() -> None:
    paper = load_preset("paper")
    assert paper.separator.directions == 0
    plain = DeFTMambaUSS(load_preset("mini", {"separator": {"directions": 0}}))
    assert plain.directed is None
    assert plain.object_decoder is not None
    assert len(plain.object_decoder.weight) == 6 * plain.width
    mixture = torch.randn(1, 4, 3000)
    assert torch.equal(plain(mixture).foreground, plain(mixture, foreground_only=True).foreground)
