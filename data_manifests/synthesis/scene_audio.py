"""The audio of drawn scenes: recordings through the responses of their room, over its ambience or a background."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.audio import check_whole
from s5eval.data_manifests.common.errors import AudioError, DataError
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.foley.signals import Rng
from s5eval.data_manifests.synthesis.metadata import read_excerpt
from s5eval.data_manifests.synthesis.render import PlacedEvent, SynthesizedScene, assemble, scale_background, tile
from s5eval.data_manifests.synthesis.rooms import SimulatedRoom
from s5eval.data_manifests.synthesis.scene import DrawnEvent, DrawnScene, Material, Recipe, draw_scene
from s5eval.data_manifests.synthesis.sources import files_of


def render_scene(drawn: DrawnScene) -> SynthesizedScene:
    """Make the audio of a drawn scene; targets and interference are in order of their start times.

    Raises:
        DataError: a recording cannot be read.
    """
    recipe = drawn.recipe
    return assemble(
        targets=_placed(drawn, drawn.targets),
        interference=_placed(drawn, drawn.interference),
        noise=scale_background(_background(drawn), 0.0, recipe.ref_db),
        sample_rate=SAMPLE_RATE,
        ref_db=recipe.ref_db,
    )


def make_scene(*, seed: int, index: int, material: Material, recipe: Recipe) -> SynthesizedScene:
    """Scene `index` of the series `seed`, for a set of 16-bit files.

    It is drawn anew where it would not fit (a peak of 1 or above), and where a draw met digital silence in a recording:
    a target of which nothing sounds would lift every floor of the set by tens of decibels. Its `recordings` are paths.

    Raises:
        DataError: see `draw_scene` and `render_scene`; or a hundred draws in a row came to nothing, with the reason.
    """
    for attempt in range(100):
        drawn = draw_scene(seed=seed, index=index, material=material, recipe=recipe, attempt=attempt)
        scene = render_scene(drawn)
        silent = [label for label, dry in zip(scene.labels, scene.dry, strict=True) if not dry.any()]
        fits = abs(scene.mixture).max() < 1 and (scene.dry.size == 0 or abs(scene.dry).max() < 1)
        if fits and not silent:
            heard = files_of(event.clip for event in drawn.targets)
            return replace(scene, recordings=tuple(sorted(map(str, heard))))
        why = f"nothing sounds where {silent[0]} was drawn" if silent else "its peak is 1 or more"
    raise DataError(
        f"scene {index}: none of a hundred draws can be used, of the last {why}; look at the recordings "
        "(`s5eval data verify` reads them all)"
    )


def _placed(drawn: DrawnScene, events: Sequence[DrawnEvent]) -> list[PlacedEvent]:
    placed = []
    for event in sorted(events, key=lambda event: event.start):
        source = event.clip.read(event.source_time, event.duration)
        response = drawn.room.response(event.position)
        start = int(event.start * SAMPLE_RATE)
        placed.append(PlacedEvent(event.label, source, response, drawn.room.response_length, start, event.snr))
    return placed


def _background(drawn: DrawnScene) -> Audio:
    rng = np.random.Generator(np.random.PCG64(drawn.background_seed))
    length = int(drawn.recipe.duration * SAMPLE_RATE)
    if drawn.background is not None:
        return _background_file(rng, drawn.background, drawn.recipe.duration)
    if not isinstance(drawn.room, SimulatedRoom):
        raise DataError("measured rooms bring no ambience: name a folder of background recordings")
    # The room's own ambience, begun anywhere and turned about the vertical axis.
    recorded = drawn.room.ambience
    first = int(rng.integers(recorded.shape[1]))
    pieces = [recorded[:, first : first + length]]
    while (missing := length - sum(piece.shape[1] for piece in pieces)) > 0:
        pieces.append(recorded[:, :missing])
    tone: Audio = np.concatenate(pieces, axis=1).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    tone[1], tone[3] = cosine * tone[1] + sine * tone[3], cosine * tone[3] - sine * tone[1]
    return tone


def _background_file(rng: Rng, path: Path, duration: float) -> Audio:
    check_whole(path)
    try:
        info = soundfile.info(path)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: cannot be read as audio: {error}") from error
    if info.channels != MIXTURE_CHANNELS:
        raise AudioError(f"{path}: {info.channels} channels; a background has {MIXTURE_CHANNELS}")
    seconds = info.frames / info.samplerate
    length = int(duration * SAMPLE_RATE)
    if seconds > duration:
        start = float(int(rng.uniform(0, seconds - duration)))
        return tile(read_excerpt(path, start, duration, SAMPLE_RATE), length)
    return tile(read_excerpt(path, 0, None, SAMPLE_RATE), length)
