"""What the small encoders hear and what they are told: blends against hand-made scenes, the loss against a loop."""

import math
from types import SimpleNamespace

import pytest
import torch

from s5eval.systems.multistage.training import tagging
from s5eval.systems.multistage.training.tagging import blended_sources, frame_activity, masked_mixtures, tagging_terms
from s5eval.systems.training.batches import Batch


def test_taggers_hear_sources_with_some_of_the_rest_and_mixtures(batch: Batch) -> None:
    b = batch
    blends = blended_sources(b)
    assert blends.own.tolist() == [0, 1, -1, -1]
    assert blends.scene.tolist() == [0, 0, 0, 1]
    assert torch.equal(blends.audio[2:], b.omni)
    assert torch.equal(blends.shares[2:], torch.ones(2, 3))
    assert blends.shares[0, 0] == blends.shares[1, 1] == 1
    assert 0 <= blends.shares[0, 1] < 1


def test_about_half_of_the_sources_get_all_of_the_rest_and_the_others_are_masked(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = batch.targets.clone()
    targets[1, 2] = 0.1 * torch.randn(6400)
    mixture = batch.mixture.clone()
    mixture[:, 0] = targets.sum(1) + 0.1 * torch.randn(2, 6400)
    b = batch._replace(targets=targets, mixture=mixture, labels=torch.tensor([[4, 9, -1], [-1, -1, 2]]))
    asked: list[tuple[torch.Tensor, ...]] = []

    def mark(*arguments: torch.Tensor) -> torch.Tensor:
        asked.append(arguments)
        return torch.full_like(arguments[0], 7.0)

    monkeypatch.setattr(tagging, "masked_mixtures", mark)
    count = 0
    for _ in range(50):
        asked.clear()
        blends = blended_sources(b)
        rows = [row for row in range(3) if blends.audio[row, 0] == 7.0]
        for row, (scene, own, other) in enumerate(((0, 0, 1), (0, 1, 0), (1, 2, 0))):
            dry, leak = b.targets[scene, own], blends.shares[row, other]
            if row not in rows:
                torch.testing.assert_close(blends.audio[row], dry + leak * (b.omni[scene] - dry))
                continue
            place = rows.index(row)
            assert torch.equal(asked[0][0][place], dry)
            assert torch.equal(asked[0][1][place], b.omni[scene])
            assert asked[0][2][place] == leak
        count += len(rows)
    assert 50 < count < 100


@pytest.mark.parametrize("length", [6655, 6656, 6657])
def test_a_masks_end_is_no_louder_than_the_rest(length: int) -> None:
    dry, rest = 0.1 * torch.randn(2, 1, length)
    for _ in range(5):
        heard = masked_mixtures(dry, dry + rest, torch.zeros(1, 1))
        assert heard.shape == (1, length)
        assert heard[0, -600:].abs().max() < 2 * heard[0, :-600].abs().max()


def test_masks_let_less_of_the_rest_through_the_less_they_leak() -> None:
    dry, rest = 0.1 * torch.randn(2, 4, 16384)
    dry[:, 8192:] = 0.0  # the second half is the rest alone
    power = []
    for leak in (0.0, 0.5, 1.0):
        torch.manual_seed(3)
        power.append(masked_mixtures(dry, dry + rest, torch.full((4, 1), leak))[:, 9216:15360].square().mean())
    whole = rest[:, 9216:15360].square().mean()
    torch.testing.assert_close(torch.stack(power), whole * torch.tensor([0.0, 0.25, 1.0]), atol=2e-4, rtol=0.02)


def test_masks_keep_the_cells_of_the_source_and_leak_what_they_are_told() -> None:
    time = torch.arange(32000) / 32000
    low, high = torch.sin(2 * math.pi * 500 * time), torch.sin(2 * math.pi * 5000 * time)
    dry, mixture = torch.stack([low, high]), (low + high).expand(2, -1)
    for leak in (0.0, 0.25, 1.0):
        heard = masked_mixtures(dry, mixture, torch.full((2, 1), leak))
        wanted = dry + leak * (mixture - dry)
        inner = slice(2048, -2048)
        torch.testing.assert_close(heard[:, inner], wanted[:, inner], atol=0.05, rtol=0)


def test_a_mask_is_the_source_s_share_of_the_power_to_a_power_of_its_own() -> None:
    """Source and rest are half of the mixture each, so that the mask is one half to that power in every cell."""
    mixture = 0.1 * torch.randn(200, 8192)
    heard = masked_mixtures(0.5 * mixture, mixture, torch.zeros(200, 1))
    inner = slice(1024, -1024)
    gain = (heard * mixture)[:, inner].sum(1) / mixture[:, inner].square().sum(1)
    torch.testing.assert_close(heard[:, inner], gain.unsqueeze(1) * mixture[:, inner], atol=1e-4, rtol=1e-3)
    power = -torch.log2(gain)
    assert 0.3 <= power.min() + 1e-3 < 0.35 and 1.45 < power.max() < 1.501


def test_a_mask_over_silence_is_finite() -> None:
    heard = masked_mixtures(torch.zeros(1, 6400), torch.zeros(1, 6400), torch.zeros(1, 1))
    assert torch.equal(heard, torch.zeros(1, 6400))


def test_leaks_are_of_all_sizes(batch: Batch) -> None:
    leaks = torch.stack([blended_sources(batch).shares[0, 1] for _ in range(200)])
    assert leaks.min() < 0.05
    assert leaks.max() > 0.95
    assert leaks.mean().item() == pytest.approx(0.5, abs=0.1)


def test_activity_follows_the_source(batch: Batch) -> None:
    activity = frame_activity(batch.targets[0], 10)
    assert activity[0].tolist() == [False] * 5 + [True] * 5
    assert activity[1].all()


def test_a_source_sounds_down_to_40_decibels_below_its_loudest_frame() -> None:
    levels = torch.tensor([0.0, -10.0, -30.0, -39.0, -41.0, -60.0])
    dry = 0.2 * (10 ** (levels / 20)).repeat_interleave(100).unsqueeze(0)
    activity = frame_activity(torch.cat([dry, 1e-3 * dry]), 6, step=100, first=50)
    assert activity.tolist() == 2 * [[True, True, True, True, False, False]], "whatever its level"


def test_a_frame_reaches_half_a_step_to_either_side_of_its_centre() -> None:
    """Centres at samples 30, 130 and 230: the last sample of one frame is followed by the first of the next."""
    dry = torch.zeros(5, 300)
    for row, sample in enumerate((0, 79, 80, 179, 180)):
        dry[row, sample] = 1.0
    assert frame_activity(dry, 3, step=100, first=30).int().argmax(1).tolist() == [0, 0, 1, 1, 2]
    assert frame_activity(dry, 3, step=100, first=30).sum(1).tolist() == [1] * 5


def test_the_loss_is_told_where_frames_are_centred(batch: Batch) -> None:
    """A source from sample 3520 on: frame 5 of 640 samples hears it where the first is centred at 320, not at 0."""
    targets = batch.targets.clone()
    targets[0, 0, :3520] = 0.0
    b = batch._replace(targets=targets, labels=torch.tensor([[4, -1, -1], [-1, -1, -1]]))
    logits = torch.zeros(3, 10, 18)
    logits[:, 5, 4] = 1.0  # right in this frame alone
    blends = blended_sources(b)
    found = [tagging_terms(logits, b, blends, step=640, first=first)["_frame_accuracy"].item() for first in (320, 0)]
    assert found == [pytest.approx(1 / 5), 0.0]


def test_the_loss_is_the_cross_entropy_of_what_is_left_of_every_class(batch: Batch) -> None:
    b = batch
    blends = blended_sources(b)
    logits = torch.randn(4, 10, 18)
    total = 0.0
    for row in range(4):
        scene = int(blends.scene[row])
        for frame in range(10):
            for label in range(18):
                wanted = 0.0
                for slot in range(3):
                    sounds = int(b.labels[scene, slot]) == label and (slot == 1 or frame >= 5)
                    wanted = max(wanted, float(blends.shares[row, slot]) * sounds)
                probability = 1 / (1 + math.exp(-float(logits[row, frame, label])))
                total -= wanted * math.log(probability) + (1 - wanted) * math.log(1 - probability)
    terms = tagging_terms(logits, b, blends, step=640, first=0)
    assert terms["classes"].item() == pytest.approx(total / 40, rel=1e-5)


def test_accuracy_counts_frames_in_which_the_waveforms_own_source_sounds(batch: Batch) -> None:
    b = batch
    blends = blended_sources(b)
    logits = torch.zeros(4, 10, 18)
    logits[0, :, 4] = 1.0  # right in its five frames
    logits[1, :8, 9] = 1.0  # right in eight of ten
    logits[1, 8:, 4] = 1.0
    terms = tagging_terms(logits, b, blends, step=640, first=0)
    assert terms["_frame_accuracy"].item() == pytest.approx(13 / 15)


def test_a_batch_without_sources_has_a_loss_with_a_gradient(batch: Batch) -> None:
    b = batch
    silent = b._replace(labels=torch.full_like(b.labels, -1), targets=torch.zeros_like(b.targets))
    blends = blended_sources(silent)
    logits = torch.zeros(2, 10, 18, requires_grad=True)
    terms = tagging_terms(logits, silent, blends, step=640, first=0)
    terms["classes"].backward()  # type: ignore[no-untyped-call]
    assert terms["classes"].item() == pytest.approx(18 * math.log(2))
    assert terms["_frame_accuracy"].isnan(), "no frame is no frame that was named wrongly"
    assert logits.grad is not None
    assert (logits.grad > 0).all()


@pytest.mark.parametrize("patch", [8, 16])
def test_frames_are_centred_where_their_encoders_hear(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, patch: int
) -> None:
    """M2D's tokens are columns of `patch` mel frames of 320 samples; AF-Whisper's embeddings are 640 samples apart."""
    told: list[tuple[int, int]] = []

    def keep(logits: object, batch: object, blends: object, *, step: int, first: int) -> dict[str, torch.Tensor]:
        told.append((step, first))
        return {}

    monkeypatch.setattr(tagging, "tagging_terms", keep)
    m2d, encoder = torch.nn.Module(), SimpleNamespace(network=torch.nn.Identity(), dimension=4)
    m2d.backbone = SimpleNamespace(patch=patch)  # type: ignore[assignment]
    m2d.forward = lambda audio: torch.zeros(len(audio), 2, 3, 4)
    encoder.states = lambda audio: torch.zeros(len(audio), 3, 4)
    tagging.ClipTagging(m2d, 4)(batch)  # type: ignore[arg-type]
    tagging.FrameTagging(encoder)(batch)  # type: ignore[arg-type]
    centre_of_the_first = sum(320 * frame for frame in range(patch)) // patch
    assert told == [(320 * patch, centre_of_the_first), (640, 0)]


def test_a_clip_tagger_hears_everything_at_one_level_and_tells_classes_of_the_mean_of_a_column(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[torch.Tensor] = []
    said: list[torch.Tensor] = []
    tokens = torch.randn(4, 2, 3, 5)

    def listen(audio: torch.Tensor) -> torch.Tensor:
        heard.append(audio)
        return tokens

    def keep(logits: torch.Tensor, *_: object, **__: object) -> dict[str, torch.Tensor]:
        said.append(logits)
        return {}

    monkeypatch.setattr(tagging, "tagging_terms", keep)
    m2d = torch.nn.Module()
    m2d.backbone = SimpleNamespace(patch=16)  # type: ignore[assignment]
    m2d.forward = listen
    task = tagging.ClipTagging(m2d, 5)  # type: ignore[arg-type]
    task(batch)
    level = 20 * torch.log10(heard[0].square().mean(1).sqrt())
    assert level.tolist() == pytest.approx([-26.0] * 4, abs=1e-3)
    mean = (tokens[:, 0] + tokens[:, 1]) / 2
    torch.testing.assert_close(said[0], mean @ task.head.weight.T + task.head.bias)
