"""Recordings changed by chance: what is drawn is what is read, and nothing more is changed than was asked for."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.augmentation import (
    UNCHANGED,
    Augmentation,
    AugmentedClip,
    AugmentedSources,
    LayeredClip,
    PieceClip,
    augmented,
    equalised,
)
from s5eval.data_manifests.synthesis.mixing import MixedSources, PooledSources
from s5eval.data_manifests.synthesis.rooms import RoomBank
from s5eval.data_manifests.synthesis.scene import Material, Recipe, draw_scene
from s5eval.data_manifests.synthesis.sources import Clip, FileClip, FoleyClip, FoleySources, JoinedClip


@dataclass(frozen=True)
class Tone:
    """A sine of known length."""

    hertz: float
    seconds: float
    family: str = "a"

    @property
    def families(self) -> frozenset[str]:
        return frozenset({self.family})

    def read(self, start: float, seconds: float) -> Audio:
        first, last = int(start * SAMPLE_RATE), int(min(start + seconds, self.seconds) * SAMPLE_RATE)
        return np.sin(2 * np.pi * self.hertz * np.arange(first, last) / SAMPLE_RATE).astype(np.float32)


@dataclass(frozen=True)
class Few:
    """Given clips by class."""

    clips: dict[str, tuple[Clip, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.clips)

    def draw(self, label: str, rng: np.random.Generator, excluded: frozenset[str]) -> Clip | None:
        left = [clip for clip in self.clips[label] if clip.families.isdisjoint(excluded)]
        return left[int(rng.integers(len(left)))] if left else None


def peak_hertz(audio: Audio) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio * np.hanning(len(audio))))) * SAMPLE_RATE / len(audio))


def plain(clip: Clip, **changes: object) -> AugmentedClip:
    return replace(AugmentedClip(clip, 3, factor=1.0, equalise=0.0, gain=0.0, backwards=False), **changes)


def test_nothing_asked_for_changes_nothing() -> None:
    sources = Few({"Speech": (Tone(500, 1.0),)})
    assert augmented(sources, UNCHANGED) is sources
    assert np.array_equal(plain(Tone(500, 1.0)).read(0, 1.0), Tone(500, 1.0).read(0, 1.0))


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_changes_pitch_and_length_together(factor: float) -> None:
    clip = plain(Tone(1000, 2.0), factor=factor)
    audio = clip.read(0.0, clip.seconds)
    assert clip.seconds == pytest.approx(2.0 / factor)
    assert len(audio) == pytest.approx(clip.seconds * SAMPLE_RATE, abs=2)
    assert peak_hertz(audio) == pytest.approx(1000 * factor, rel=0.01)


def test_the_equaliser_gives_every_frequency_its_gain_and_no_delay() -> None:
    colour = np.linspace(-8.0, 8.0, 9)
    impulse = np.zeros(8000, dtype=np.float32)
    impulse[4000] = 1.0
    response = equalised(impulse, colour)
    assert np.argmax(np.abs(response)) == 4000
    levels = 20 * np.log10(np.abs(np.fft.rfft(response)))
    frequencies = np.fft.rfftfreq(8000, 1 / SAMPLE_RATE)
    for centre, gain in zip(np.geomspace(60, 15000, 9)[2:], colour[2:], strict=True):
        assert levels[np.argmin(np.abs(frequencies - centre))] == pytest.approx(gain, abs=0.5)
    beginning = equalised(np.roll(impulse, -4000), colour)
    assert np.abs(beginning[-1000:]).max() < 1e-2 * np.abs(beginning[:1000]).max()  # nothing comes round to the end


@pytest.mark.parametrize("backwards", [False, True])
def test_the_same_clip_reads_the_same_and_its_parts_are_parts_of_the_whole(backwards: bool) -> None:
    clip = plain(Tone(700, 3.0), gain=6.0, backwards=backwards)
    whole = clip.read(0.0, 3.0)
    assert np.array_equal(whole, clip.read(0.0, 3.0))
    assert np.allclose(clip.read(0.5, 1.0), whole[SAMPLE_RATE // 2 : 3 * SAMPLE_RATE // 2], atol=1e-6)
    loudness = np.abs(whole).reshape(-1, 3200).max(1)
    assert loudness.max() / loudness.min() > 1.1 and loudness.max() <= 10 ** (6 / 20) + 1e-3
    assert not np.array_equal(whole, replace(clip, seed=4).read(0.0, 3.0))


def test_backwards_is_the_excerpt_of_the_reversed_whole() -> None:
    rising = Tone(50, 2.0)
    clip = plain(rising, backwards=True)
    reversed_whole = rising.read(0.0, 2.0)[::-1]
    assert np.allclose(clip.read(0.5, 1.0), reversed_whole[SAMPLE_RATE // 2 : SAMPLE_RATE * 3 // 2], atol=1e-6)


def test_pieces_are_faded_parts() -> None:
    piece = PieceClip(Tone(440, 2.0), 0.5, 1.0)
    audio = piece.read(0.0, 1.0)
    source = Tone(440, 2.0).read(0.5, 1.0)
    assert len(audio) == SAMPLE_RATE and audio[0] == 0
    assert np.array_equal(audio[200:-200], source[200:-200])


def test_layers_sound_together_at_the_level_that_was_drawn() -> None:
    louder = JoinedClip((Tone(3000, 1.0),), pauses=(0.0,), gains=(4.0,))
    layered = LayeredClip(Tone(500, 1.0), louder, offset=0.5, level=0.5)
    audio = layered.read(0.0, layered.seconds)
    assert layered.seconds == 1.5 and len(audio) == 48_000
    assert np.array_equal(audio[:16_000], Tone(500, 1.0).read(0, 0.5))
    assert np.sqrt(np.mean(audio[32_000:] ** 2)) == pytest.approx(0.5 * np.sqrt(0.5), rel=0.01)


def test_classes_that_tell_time_or_a_single_source_are_left_alone() -> None:
    sources = AugmentedSources(
        Few({"Speech": (Tone(500, 1.0),), "Pour": (Tone(500, 1.0),)}), Augmentation(reverse=1.0, mix=1.0)
    )
    rng = np.random.default_rng(0)
    speech, pour = sources.draw("Speech", rng, frozenset()), sources.draw("Pour", rng, frozenset())
    assert isinstance(speech, AugmentedClip) and isinstance(pour, AugmentedClip)
    assert not speech.backwards and isinstance(speech.clip, Tone)
    assert pour.backwards and isinstance(pour.clip, LayeredClip)


def test_joined_pieces_keep_the_family_and_the_chance_of_everything_is_the_seed_s() -> None:
    sources = AugmentedSources(
        Few({"Typing": tuple(Tone(300 + i, 1.0, str(i)) for i in range(4))}), Augmentation(join=1.0)
    )
    one, same = (sources.draw("Typing", np.random.default_rng(5), frozenset({"0"})) for _ in range(2))
    assert one == same and one is not None and "0" not in one.families
    assert np.array_equal(one.read(0.0, one.seconds), same.read(0.0, one.seconds))  # type: ignore[union-attr]
    assert sources.draw("Typing", np.random.default_rng(5), frozenset("0123")) is None


def test_levels_of_layers_and_joined_pieces_are_drawn_in_decibels() -> None:
    layers = AugmentedSources(Few({"Typing": (Tone(300, 1.0),)}), Augmentation(mix=1.0))
    joined = AugmentedSources(Few({"Typing": (Tone(300, 1.0),)}), Augmentation(join=1.0))
    rng, levels, gains, pauses, pieces = np.random.default_rng(3), [], [], [], []
    for _ in range(200):
        layer, join = (sources.draw("Typing", rng, frozenset()) for sources in (layers, joined))
        assert isinstance(layer, AugmentedClip) and isinstance(layer.clip, LayeredClip)
        assert isinstance(join, AugmentedClip) and isinstance(join.clip, JoinedClip)
        levels.append(20 * np.log10(layer.clip.level))
        gains += [20 * np.log10(gain) for gain in join.clip.gains]
        pauses += join.clip.pauses
        pieces += [piece.seconds for piece in join.clip.clips]
    assert -12 <= min(levels) < -11 and -1 < max(levels) <= 0
    assert -4 <= min(gains) < -3.5 and 3.5 < max(gains) <= 4
    assert 0.03 <= min(pauses) < 0.05 and 0.38 < max(pauses) <= 0.4
    assert 1 / 3 <= min(pieces) < 0.4 and 0.95 < max(pieces) <= 1.0


def takes_of(clip: Clip) -> set[str]:
    """Every recording that sounds in a clip, by looking into it."""
    if isinstance(clip, Tone):
        return {clip.family}
    if isinstance(clip, AugmentedClip | PieceClip):
        return takes_of(clip.clip)
    parts = (clip.first, clip.second) if isinstance(clip, LayeredClip) else clip.clips  # type: ignore[attr-defined]
    return {take for part in parts for take in takes_of(part)}


def test_a_clip_is_of_the_families_of_all_that_sounds_in_it() -> None:
    typing = tuple(Tone(300 + i, 1.0, str(i)) for i in range(8))
    sources = AugmentedSources(Few({"Typing": typing}), Augmentation(mix=0.5, join=0.5))
    rng = np.random.default_rng(2)
    clips = [clip for _ in range(60) if (clip := sources.draw("Typing", rng, frozenset({"0"})))]
    assert all(clip.families == takes_of(clip) for clip in clips)
    assert {len(clip.families) for clip in clips} >= {1, 2, 3} and all("0" not in clip.families for clip in clips)


def test_a_clip_is_of_the_files_of_all_that_sounds_in_it() -> None:
    one, two, three = (FileClip(Path(f"{i}.wav"), str(i)) for i in range(3))
    layered = LayeredClip(PieceClip(one, 0.0, 0.1), JoinedClip((two, three), (0.1, 0.1), (1.0, 1.0)), 0.1, 1.0)
    assert plain(layered).files == {clip.path for clip in (one, two, three)}
    assert plain(FoleyClip("Typing", 3, 1.0)).files == frozenset()


def test_targets_of_one_class_share_no_recording_though_takes_are_layered_and_joined(one_room: RoomBank) -> None:
    """With the shares of the recipes that ship."""
    few = Few({label: tuple(Tone(300 + i, 1.0, str(i)) for i in range(6)) for label in ("Typing", "Cough", "Speech")})
    material = Material(augmented(few, Augmentation(mix=0.25, join=0.3)), FoleySources(("Buzzer",)), one_room)
    recipe = Recipe(target_counts=(0, 0, 0.5, 0.5), repeat_rate=1.0)
    several = 0
    for index in range(120):
        drawn = draw_scene(seed=1, index=index, material=material, recipe=recipe)
        heard = [(event.label, take) for event in drawn.targets for take in takes_of(event.clip)]
        assert len(heard) == len(set(heard)), f"scene {index}: {heard}"
        several += len(heard) > len(drawn.targets)
    assert several > 30


@pytest.mark.parametrize("wrong", [{"speed": 3.0}, {"mix": 1.5}, {"gain": -1.0}, {"equalise": float("nan")}])
def test_impossible_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_shares_hold_among_the_sources_that_have_the_class() -> None:
    mixed = MixedSources(((3.0, Few({"Speech": (Tone(1, 1.0, "few"),)})), (1.0, FoleySources(("Speech", "Buzzer")))))
    assert mixed.labels == ("Buzzer", "Speech")
    rng = np.random.default_rng(0)
    families = [mixed.draw("Speech", rng, frozenset()) for _ in range(400)]
    share = sum(clip is not None and "few" in clip.families for clip in families) / 400
    assert 0.68 < share < 0.82
    assert all(mixed.draw("Buzzer", rng, frozenset()) is not None for _ in range(5))
    left = mixed.draw("Speech", rng, frozenset({"few"}))
    assert left is not None and "few" not in left.families


def test_pooled_sounds_follow_the_shares_not_the_number_of_kinds() -> None:
    pooled = PooledSources(((1.0, Few({"Mixed": (Tone(1, 1.0, "few"),)})), (1.0, FoleySources(("Buzzer", "Cough")))))
    rng = np.random.default_rng(1)
    drawn = [pooled.draw("any", rng, frozenset()) for _ in range(400)]
    assert 0.4 < sum(clip is not None and "few" in clip.families for clip in drawn) / 400 < 0.6
