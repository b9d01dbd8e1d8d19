"""Building and checking a submission of official size: 2,567 ten-second mixtures, two outputs each, 3.3 GB.

The wavs are eight different ones under 5,134 names, so that only the packing costs disk space; reading them comes
from the page cache, which leaves the writing at the disk's pace. The pace to compare with is that of a plain
sequential write of as many bytes on the same disk.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

Row = tuple[str, float, str, str]
"""What was measured, the figure, its unit, and the bar it is held against."""

BUILD = """
import resource, sys, time
from pathlib import Path
from s5eval.submissions import build
from s5eval.submissions.rules import EVAL_IDS, make_name
from s5eval.submissions.submission import DevResults, DevScore, MixtureOutputs, Output, Submission
from s5eval.submissions.validate import check_submission
audio, out, count, compress = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "compress"
wavs = sorted(audio.iterdir())
outputs = [
    MixtureOutputs(id_, tuple(Output(i, "Pour", 0.5, wavs[(2 * k + i) % len(wavs)]) for i in range(2)))
    for k, id_ in enumerate(EVAL_IDS[:count])
]
scores = [DevScore(f"d_{k}", ("Pour",), ("Pour",), (0.5,), 1.0, 1, 0, 0) for k in range(1512)]
dev = DevResults(1.0, 100.0, 100.0, scores)
marks = {}
def progress(items, total, what):
    start = time.perf_counter()
    yield from items
    marks[what] = time.perf_counter() - start
build.build_submission(
    Submission(outputs, dev, 1, {}, {}, 320000), make_name("Choi", "KAIST", 1), out,
    folder=False, compress=compress, progress=progress,
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(marks["packing"], marks["checking"], peak, (out / "Choi_KAIST_task4_1.zip").stat().st_size)
"""

WRITE = """
import os, sys, time
block = os.urandom(640044)
start = time.perf_counter()
with open(sys.argv[1], "wb") as file:
    for _ in range(int(sys.argv[2])):
        file.write(block)
    written = time.perf_counter() - start
    os.fsync(file.fileno())
print(written, time.perf_counter() - start)
"""


def main(count: int = 2567) -> list[Row]:
    """Measure packing, checking and memory for `count` mixtures; needs twice their size of disk space."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "audio").mkdir()
        _write_wavs(root / "audio")
        size = f"{count} mixtures × 2"
        plain, synced = _call(WRITE, root / "plain", 2 * count)
        (root / "plain").unlink()
        packing, checking, peak, stored = _call(BUILD, root / "audio", root / "out", count, "store")
        rows += [
            (f"{size}: as many bytes written plainly", plain, "s", "into the page cache"),
            (f"{size}: the same, synced to disk", synced, "s", "the disk's pace"),
            (f"{size}: packed, stored", packing, "s", "within 2 × a synced write"),
            (f"{size}: every file checked again", checking, "s", ""),
            (f"{size}: peak memory", peak, "MB", "< 400 MB"),
            (f"{size}: size, stored", stored / 1e6, "MB", ""),
        ]
        part = max(1, count // 10)
        packing, _, _, deflated = _call(BUILD, root / "audio", root / "small", part, "compress")
        rows += [
            (f"{part} mixtures × 2: packed, deflated", packing, "s", "one core's pace"),
            (f"{part} mixtures × 2: size, deflated", deflated / 1e6, "MB", f"stored {part / count * stored / 1e6:.0f}"),
        ]
    return rows


def _write_wavs(folder: Path) -> None:
    import numpy as np
    import soundfile

    for number in range(8):
        rng = np.random.default_rng(number)
        envelope = np.repeat(rng.uniform(0, 1, 20) ** 3, 16000)
        samples = 0.2 * envelope * np.convolve(rng.normal(size=320_000), np.ones(8) / 8, "same")
        soundfile.write(folder / f"{number}.wav", samples, 32000, subtype="PCM_16")


def _call(script: str, *arguments: object) -> list[float]:
    os.sync()
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    started = time.perf_counter()
    for name, figure, unit, bar in main(*map(int, sys.argv[1:])):
        print(f"{name:55} {figure:10.2f} {unit:4} {bar}")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"({time.perf_counter() - started:.0f} s in all, largest child {children:.0f} MB)")
