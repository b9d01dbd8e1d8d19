"""A run as a folder to send to somebody, or to put on a web server: its pages, with the sounds of some mixtures.

Everything is relative: nothing leads out of the folder. The mixtures to be heard are the worst, the best, and some at
random, so that nobody has to trust whoever chose them.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from s5eval.data_manifests.audio import read_audio
from s5eval.data_manifests.common.errors import S5Error, UsageError
from s5eval.data_manifests.common.files import WriteError, atomic_path, make_folder, write_atomically
from s5eval.data_manifests.records import SAMPLE_RATE, Audio, Scene
from s5eval.harness.record.lines import source_file
from s5eval.harness.record.reading import read_run, read_scores
from s5eval.harness.record.tables import MixtureScore
from s5eval.harness.report.mixture_page import Signal, mixture_page
from s5eval.harness.report.page import PER_PAGE, render_pages, worst_first
from s5eval.harness.report.pictures import small_pictures
from s5eval.harness.report.rows import mixture_row
from s5eval.harness.report.sounds import Sounds, decode_stereo, find_sounds
from s5eval.harness.report.spectrogram import picture
from s5eval.harness.report.text import number

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


def write_bundle(run: Path, target: Path, *, sounds: int = SOUNDS, seed: int = 0, per_page: int = PER_PAGE) -> Bundle:
    """Write the pages of a run, with the sounds of its `sounds` worst, best and random mixtures, as a folder or `.zip`.

    Sounds are FLAC, 16 bit: the mixture as channel W and as stereo, references and estimates, at one level for all of a
    mixture; spectrograms are PNG files.

    Args:
        run: the run folder.
        target: a folder that is not there, or is empty; or an archive, if its name ends in `.zip`.
        sounds: how many mixtures of each kind.
        seed: of those at random.
        per_page: mixtures on one page of the table.

    Raises:
        UsageError: the target holds something already, or `sounds` is negative.
        DataError: the run is damaged.
        WriteError: the disk does not allow it.
    """
    if sounds < 0:
        raise UsageError(f"--sounds is {sounds}, expected 0 or more")
    zipped = target.suffix.lower() == ".zip"
    if target.exists() and (zipped or not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is there already; name a folder that is new or empty, or a new .zip")
    if not zipped:
        make_folder(target)
        return replace(_filled(run, target, sounds, seed, per_page), path=target)
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem[:50]}.") as temporary:
        folder = Path(temporary) / target.stem
        folder.mkdir()
        bundle = _filled(run, folder, sounds, seed, per_page)
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


def _filled(run: Path, folder: Path, count: int, seed: int, per_page: int) -> Bundle:
    record = read_run(run)
    scores = sorted(read_scores(run).values(), key=worst_first)
    chosen = choose(scores, count, seed)
    everything = find_sounds(record)  # for the small pictures, whose audio is known by its digest
    heard = find_sounds(record, only=[*chosen], check=True)
    pictures = small_pictures(record, everything.scenes, draw=True)
    problems = [heard.problem] if heard.problem else []
    for name in ("audio", "pictures", "mixtures"):
        (folder / name).mkdir(exist_ok=True)
    by_id = {score.mixture_id: score for score in scores}
    signals = {}
    for k, id_ in enumerate(chosen, start=1):
        signals[id_], found = _signals(run, folder, f"{k:04d}", by_id[id_], heard.scenes.get(id_))
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
    names = ["index.html", *(f"index_{k}.html" for k in range(2, -(-max(1, len(rows)) // per_page) + 1))]
    pages = render_pages(run, scores, rows, Sounds(), per_page=per_page, names=names)
    for name, html in zip(names, pages, strict=True):
        write_atomically(folder / name, html)
    page_of = {row.anchor: names[k // per_page] for k, row in enumerate(rows)}
    order = [row for row in rows if row.more]
    for k, row in enumerate(order):
        id_ = row.anchor.removeprefix("mixture=")
        beside = (order[k - 1].more if k else None, order[k + 1].more if k + 1 < len(order) else None)
        html = mixture_page(run, row, signals[id_], index=page_of[row.anchor], beside=beside)
        write_atomically(folder / str(row.more), html)
    return Bundle(folder, chosen, tuple(dict.fromkeys(problems)))


def _signals(
    run: Path, folder: Path, number_: str, score: MixtureScore, scene: Scene | None
) -> tuple[list[Signal], list[str]]:
    """The sounds of a mixture, written, in the order they are shown; and what could not be had."""
    found: list[tuple[Signal, Audio | None]] = []
    problems = []
    pairs = {pair["reference"]: pair for pair in score.pairs}
    paired = {pair["estimate"]: pair for pair in score.pairs}
    if scene is None:
        found.append((Signal("mixture", "mixture", problem="the mixture is not where the run was made on it"), None))
    else:
        foa, problem = _read(lambda: scene.mixture.audio())
        problems += [problem] if problem else []
        stereo = None if foa is None else decode_stereo(foa)
        found.append((Signal("mixture", "mixture", "decoded to stereo", problem=problem), stereo))
        found.append((Signal("mixture-w", "mixture", "channel W, which scores refer to", problem=problem), _first(foa)))
    same = scene is not None and scene.labels == score.reference_labels
    for r, label in enumerate(score.reference_labels or ()):
        audio, problem = None, "not where the run was made on it"
        if same and scene is not None:
            audio, problem = _read((scene.references or ())[r].audio)
        note = "" if r not in pairs else f"mixture {number(pairs[r]['sdr_mixture'], 2)} dB"
        found.append((Signal(f"reference-{r}", f"reference {label}", note, problem=problem), audio))
    for estimate in score.estimates:
        k = estimate["index"]
        path = run / "audio" / source_file(score.mixture_id, estimate)
        audio, problem = None, "not saved: run with --save-audio"
        if path.is_file():
            audio, problem = _read(lambda path=path: read_audio(path, channels=1, sample_rate=SAMPLE_RATE)[0])
        problems += [f"estimates were {problem}"] if audio is None and problem.startswith("not saved") else []
        note = f"confidence {number(estimate['confidence'], 2)}"
        if k in paired:
            sdr, before = paired[k]["sdr"], paired[k]["sdr_mixture"]
            note += (
                f", SDR {number(sdr, 2)} dB, SDRi {number(sdr - before, 2)} dB to reference {paired[k]['reference']}"
            )
        else:
            note += ", assigned to no reference"
        found.append((Signal(f"estimate-{k}", f"estimate {estimate['label']}", note, problem=problem), audio))
    peak = max((float(np.abs(audio).max(initial=0)) for _, audio in found if audio is not None), default=0.0)
    gain = np.float32(1.0 if peak <= 1.0 else 1.0 / peak)
    return [_written(folder, number_, signal, audio, gain) for signal, audio in found], problems


def _first(foa: Audio | None) -> Audio | None:
    return None if foa is None else foa[0]


def _read(read: Any) -> tuple[Audio | None, str]:
    try:
        return read(), ""
    except (S5Error, OSError) as error:
        return None, f"cannot be read: {error}"


def _written(folder: Path, number_: str, signal: Signal, audio: Audio | None, gain: np.float32) -> Signal:
    """The signal with the addresses of its files, as seen from the folder itself."""
    if audio is None:
        return signal
    stem = f"{number_}_{signal.key}"
    target = folder / "audio" / f"{stem}.flac"
    try:
        soundfile.write(target, (audio * gain).T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        one = audio if audio.ndim == 1 else audio.mean(axis=0)
        image = picture(one, width=PICTURE[0], height=PICTURE[1], colours=64)
        (folder / "pictures" / f"{stem}.png").write_bytes(image)
    except (OSError, soundfile.LibsndfileError) as error:
        raise WriteError(target, error if isinstance(error, OSError) else OSError(5, str(error))) from error
    return replace(signal, audio=f"audio/{stem}.flac", picture=f"pictures/{stem}.png", gain=float(gain), problem="")
