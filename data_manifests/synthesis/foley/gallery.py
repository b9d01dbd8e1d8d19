"""A page to look at and listen to: what the procedural sounds of every class are like."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.files import make_folder, write_atomically
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.records import SAMPLE_RATE, Audio
from s5eval.data_manifests.synthesis.foley import INTERFERENCE_KINDS, draw_event
from s5eval.data_manifests.wav_writing import wav_bytes

_HOP = 256
_WINDOW = 1024
_BANDS = 128
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff }
section { margin: 2rem 0; max-width: calc(var(--draws) * 27.5rem) } img { width: 100% } h2 { margin: 0 0 .3rem }
.players { display: flex; gap: 1rem } .players audio { flex: 1; min-width: 0 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } img { filter: brightness(.9) } }
"""


def write_preview(
    folder: Path, *, kinds: Sequence[str] = (*CLASSES, *INTERFERENCE_KINDS), draws: int = 3, seed: int = 0
) -> Path:
    """Write `index.html`, a spectrogram per kind (`<Kind>.png`) and its sounds (`<Kind>_<i>.wav`).

    Args:
        folder: gets the files; is created.
        kinds: which kinds to show.
        draws: sounds per kind.
        seed: another seed shows other draws.

    Returns:
        The page.

    Raises:
        UsageError: a file stands at `folder`.
    """
    make_folder(folder)
    sections, several = [], "" if draws == 1 else "s"
    for kind in kinds:
        sounds = []
        for i in range(draws):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, i, *kind.encode()])))
            sounds.append(draw_event(kind, rng))
            wav = wav_bytes(sounds[-1] * np.float32(0.7), sample_rate=SAMPLE_RATE, subtype="PCM_16")
            write_atomically(folder / f"{kind}_{i}.wav", wav)
        _plot(sounds, kind, folder / f"{kind}.png")
        players = "".join(f'<audio controls preload="none" src="{escape(kind)}_{i}.wav"></audio>' for i in range(draws))
        sections.append(
            f'<section><h2>{escape(kind)}</h2><img src="{escape(kind)}.png" '
            f'alt="Spectrogram{several} of {draws} sound{several} of the class {escape(kind)}">'
            f'<div class="players">{players}</div></section>'
        )
    page = folder / "index.html"
    write_atomically(
        page,
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Procedural sound events</title><style>{_STYLE}</style>"
        f'<body style="--draws: {draws}"><h1>Procedural sound events</h1>'
        f"<p>{draws} draw{several} per class with seed {seed}; mel spectrograms, 70 dB range, frequency in Hz, time in "
        "seconds.</p>"
        f"{''.join(sections)}</body></html>",
    )
    return page


def log_mel(audio: Audio, bands: int = _BANDS) -> npt.NDArray[np.float64]:
    """Log mel power spectrogram of a sound (S,): (bands, frames), dB; 32-ms Hann windows every 8 ms."""
    padded = np.pad(audio, (_WINDOW // 2, _WINDOW))
    starts = np.arange(0, len(audio), _HOP)
    frames = padded[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    decibels: npt.NDArray[np.float64] = 10 * np.log10(_mel_bank(bands) @ power.T + 1e-10)
    return decibels


def _mel_bank(bands: int) -> npt.NDArray[np.float64]:
    """Triangles (bands, bins), equally wide on the mel scale from 40 Hz to 16 kHz, each summing to 1."""
    lowest, highest = (float(np.log10(1 + frequency / 700)) for frequency in (40, 16_000))
    edges = 700 * (10 ** np.linspace(lowest, highest, bands + 2) - 1)
    bins = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.clip(np.minimum(rise, fall), 0, None)
    # The lowest bands are narrower than a bin: they take the nearest one.
    empty = triangles.sum(axis=1) == 0
    triangles[empty, np.abs(bins - edges[1:-1, None]).argmin(axis=1)[empty]] = 1
    bank: npt.NDArray[np.float64] = triangles / triangles.sum(axis=1, keepdims=True)
    return bank


def _plot(sounds: Sequence[Audio], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(sounds), 2.6), layout="constrained")
    for i, (axes, sound) in enumerate(zip(figure.subplots(1, len(sounds), squeeze=False)[0], sounds, strict=True)):
        decibels = log_mel(sound)
        top = decibels.max()
        seconds = len(sound) / SAMPLE_RATE
        axes.imshow(
            decibels,
            origin="lower",
            aspect="auto",
            vmin=top - 70,
            vmax=top,
            cmap="magma",
            extent=(0, seconds, 0, _BANDS),
        )
        ticks = np.array([100, 500, 1000, 2000, 4000, 8000, 16_000])
        scale = np.log10(1 + ticks / 700) - np.log10(1 + 40 / 700)
        axes.set_yticks(scale / (np.log10(1 + 16_000 / 700) - np.log10(1 + 40 / 700)) * _BANDS)
        axes.set_yticklabels(["100", "500", "1k", "2k", "4k", "8k", "16k"] if i == 0 else [])
        axes.tick_params(labelsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110)
