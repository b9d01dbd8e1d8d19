"""A run as a folder to send to somebody, or to put on a web server: its pages, with the sounds of some mixtures.

Everything is relative: nothing leads out of the folder. The mixtures to be heard are the worst, the best, and some at
random, so that nobody has to trust whoever chose them.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import WriteError, atomic_path, make_folder, write_atomically
from s5eval.data_manifests.records import SAMPLE_RATE, Scene
from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import read_lines, read_run_record, read_scores
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.listening import Sound, common_gain, sounds_of
from s5eval.harness.report.mixture_page import SoundFiles, mixture_page
from s5eval.harness.report.page import PER_PAGE, render_pages, worst_first
from s5eval.harness.report.pictures import small_pictures
from s5eval.harness.report.rows import mixture_row
from s5eval.harness.report.sounds import Sounds, find_sounds
from s5eval.harness.report.spectrogram import picture

SOUNDS = 5
"""How many mixtures of each kind are heard, unless it is said."""

PICTURE = (800, 120)
"""Width and height of the spectrograms on the page of a mixture, px."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was written.

    Attributes:
        path: the folder or archive.
        heard: ids of the mixtures with sounds, and why each was chosen.
        problems: what could not be put in.
    """

    path: Path
    heard: Mapping[str, str]
    problems: tuple[str, ...]


def write_bundle(run: Path, target: Path, *, sounds: int = SOUNDS, seed: int = 0) -> Bundle:
    """Write the pages of a run, with the sounds of its `sounds` worst, best and random mixtures, as a folder or `.zip`.

    Sounds are FLAC, 16 bit: the mixture as channel W and as stereo, references and estimates, at one level for all of a
    mixture; spectrograms are PNG files.

    Args:
        run: the run folder.
        target: a folder that is not there, or is empty; or an archive, if its name ends in `.zip`.
        sounds: how many mixtures of each kind.
        seed: of those at random.

    Raises:
        UsageError: the target holds something already, or `sounds` is negative.
        DataError: the run is damaged.
        WriteError: the disk does not allow it.
    """
    if sounds < 0:
        raise UsageError(f"`sounds` is {sounds}, expected 0 or more")
    zipped = target.suffix.lower() == ".zip"
    if target.exists() and (zipped or not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already; name a folder that is new or empty, or a new .zip")
    read_scores(run)  # of a run that is damaged nothing is made, not even a folder
    if not zipped:
        make_folder(target)
        return replace(_filled(run, target, sounds, seed), path=target)
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem[:50]}.") as temporary:
        folder = Path(temporary) / target.stem
        folder.mkdir()
        bundle = _filled(run, folder, sounds, seed)
        with atomic_path(target) as part:
            archive = shutil.make_archive(str(Path(temporary) / "archive"), "zip", temporary, target.stem)
            shutil.move(archive, part)
    return replace(bundle, path=target)


def choose(scores: Sequence[MixtureScore], count: int, seed: int) -> dict[str, str]:
    """Mixture id → why it is heard: `count` of the worst, of the best, and of the others at random.

    Args:
        scores: from the worst to the best, as `worst_first` sorts them.
        count: of each kind; together they are no more than there are.
        seed: of the choice at random.
    """
    ranked = [score.mixture_id for score in scores if score.status == "scored" and score.capi_sdri is not None]
    others = [score.mixture_id for score in scores if score.status != "failed"]
    chosen = dict.fromkeys(ranked[:count], "worst")
    chosen |= {id_: "best" for id_ in reversed(ranked[-count:] if count else []) if id_ not in chosen}
    rest = [id_ for id_ in others if id_ not in chosen]
    picked = np.random.default_rng(seed).permutation(len(rest))[:count]
    return chosen | {rest[k]: "random" for k in sorted(picked)}


def _filled(run: Path, folder: Path, count: int, seed: int) -> Bundle:
    record = read_run_record(run)
    lines = read_lines(run, record)
    scores = sorted((line.score for line in lines.values()), key=worst_first)
    chosen = choose(scores, count, seed)
    everything = find_sounds(record)  # for the small pictures, whose audio is known by its digest
    heard = find_sounds(record, only=[*chosen], check=True)
    pictures = small_pictures(record, everything.scenes, draw=True)
    problems = [heard.problem] if heard.problem else []
    for name in ("audio", "pictures", "mixtures"):
        (folder / name).mkdir(exist_ok=True)
    signals = {}
    for k, id_ in enumerate(chosen, start=1):
        signals[id_], found = _signals(run, folder, f"{k:04d}", lines[id_], heard.scenes.get(id_))
        problems += found
    places = {id_: f"mixtures/{k:04d}.html" for k, id_ in enumerate(chosen, start=1)}
    rows = [
        replace(
            mixture_row(
                run, score, scene=None, picture=pictures.get(score.mixture_id),
                sounds={s.key: s.audio for s in signals.get(score.mixture_id, ()) if s.audio is not None},
            ),
            more=places.get(score.mixture_id),
            chosen=chosen.get(score.mixture_id, ""),
        )
        for score in scores
    ]  # fmt: skip
    names = ["index.html", *(f"index_{k}.html" for k in range(2, -(-max(1, len(rows)) // PER_PAGE) + 1))]
    pages = render_pages(run, scores, rows, Sounds(), record=record, names=names)
    for name, html in zip(names, pages, strict=True):
        write_atomically(folder / name, html)
    page_of = {row.anchor: names[k // PER_PAGE] for k, row in enumerate(rows)}
    order = [row for row in rows if row.more]
    for k, row in enumerate(order):
        id_ = row.anchor.removeprefix("mixture=")
        beside = (order[k - 1].more if k else None, order[k + 1].more if k + 1 < len(order) else None)
        html = mixture_page(run, row, signals[id_], index=page_of[row.anchor], beside=beside)
        write_atomically(folder / str(row.more), html)
    return Bundle(folder, chosen, tuple(dict.fromkeys(problems)))


def _signals(
    run: Path, folder: Path, number_: str, line: Line, scene: Scene | None
) -> tuple[list[SoundFiles], list[str]]:
    """The sounds of a mixture, written, in the order they are shown; and what could not be had."""
    sounds = sounds_of(run, line, scene)
    problems = {f"{s.key.partition('-')[0]}s: {s.problem}" for s in sounds if s.problem}
    gain = common_gain(sounds)
    return [_written(folder, number_, sound, gain) for sound in sounds], sorted(problems)


def _written(folder: Path, number_: str, sound: Sound, gain: np.float32) -> SoundFiles:
    """The sound with the addresses of its files, as seen from the folder itself."""
    signal = SoundFiles(sound.key, sound.title, sound.note, sound.problem)
    if sound.audio is None:
        return signal
    stem = f"{number_}_{sound.key}"
    target = folder / "audio" / f"{stem}.flac"
    try:
        soundfile.write(target, (sound.audio * gain).T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        one = sound.audio if sound.audio.ndim == 1 else sound.audio.mean(axis=0)
        image = picture(one, width=PICTURE[0], height=PICTURE[1], colours=64)
        (folder / "pictures" / f"{stem}.png").write_bytes(image)
    except (OSError, soundfile.LibsndfileError) as error:
        raise WriteError(target, error if isinstance(error, OSError) else OSError(5, str(error))) from error
    return replace(signal, audio=f"audio/{stem}.flac", picture=f"pictures/{stem}.png", gain=float(gain))
