"""Size: an hour of audio in one mixture, and the resumption of a run of 10,000 mixtures; time and peak memory.

Before blocks, an hour took 2,744 MB (`silence`), 5,669 MB (`oracle-gain`, two references) and 2,520 MB (`score`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from sealed_files import edit_record  # noqa: E402

RATE = 32_000
LABELS = ("Speech", "Cough")
MOST_MB = 200.0
MOST_SECONDS = 8.0
"""CPU that the resumption of 10,000 mixtures may take."""


def write_hour(root: Path, minutes: int) -> None:
    """One scene with two references and two estimates, written minute by minute."""
    rng = np.random.default_rng(0)
    for folder in ("soundscape", "oracle_target", "estimate"):
        (root / folder).mkdir(parents=True)
    files = {"soundscape/m_1.wav": 4}
    files |= {f"{folder}/m_1_{i}_{x}.wav": 1 for folder in ("oracle_target", "estimate") for i, x in enumerate(LABELS)}
    opened = {name: soundfile.SoundFile(root / name, "w", RATE, channels) for name, channels in files.items()}
    for _ in range(minutes):
        noise, *sources = 0.05 * rng.standard_normal((3, 60 * RATE), np.float32)
        opened["soundscape/m_1.wav"].write(np.stack([noise + sources[0] + sources[1]] * 4, axis=1))
        for i, label in enumerate(LABELS):
            opened[f"oracle_target/m_1_{i}_{label}.wav"].write(sources[i])
            opened[f"estimate/m_1_{i}_{label}.wav"].write(0.9 * sources[i] + 0.1 * noise)
    for file in opened.values():
        file.close()


def write_many(root: Path, count: int) -> None:
    """So many scenes of a hundredth of a second with no, one or two references."""
    rng = np.random.default_rng(0)
    for folder in ("soundscape", "oracle_target"):
        (root / folder).mkdir(parents=True)
    for k in range(count):
        samples = (1500 * rng.standard_normal((3, RATE // 100))).astype(np.int16)
        soundfile.write(root / "soundscape" / f"m_{k:05d}.wav", np.stack([samples.sum(0, np.int16)] * 4, 1), RATE)
        for i in range(k % 3):
            soundfile.write(root / "oracle_target" / f"m_{k:05d}_{i}_{LABELS[i]}.wav", samples[i], RATE)


def cost(*arguments: object) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command."""
    command = [sys.executable, "-m", "s5eval.harness.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale


def interrupt(run: Path) -> None:
    """Make of a complete run one that was killed before its last mixtures."""
    edit_record(run / "run.json", status="running", lines=None)
    lines = (run / "mixtures.jsonl").read_text().splitlines(keepends=True)
    (run / "mixtures.jsonl").write_text("".join(lines[:-10]))


def main() -> None:
    """Measure, print one JSON object, and end with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--mixtures", type=int, default=10_000)
    options = parser.parse_args()
    figures: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if options.minutes:
            write_hour(root / "hour", options.minutes)
            for system in ("silence", "oracle-gain"):
                figures[system] = cost("run", "--system", system, "--data", root / "hour", "--out", root / system)
            figures["score"] = cost("score", root / "hour/estimate", "--data", root / "hour", "--out", root / "scored")
            saved = ("--out", root / "saved", "--save-audio")
            figures["save_audio"] = cost("run", "--system", "oracle-gain", "--data", root / "hour", *saved)
        if options.mixtures:
            write_many(root / "many", options.mixtures)
            run = root / "run"
            figures["run_of_many"] = cost("run", "--system", "silence", "--data", root / "many", "--out", run)
            figures["resume_complete"] = cost("run", "--resume", run)
            interrupt(run)
            figures["resume_interrupted"] = cost("run", "--resume", run)
    peak = max((memory for name, (_, memory) in figures.items()), default=0.0)
    slowest = max((seconds for name, (seconds, _) in figures.items() if name.startswith("resume")), default=0.0)
    shown = {name: {"cpu_s": round(seconds, 1), "mb": round(memory)} for name, (seconds, memory) in figures.items()}
    print(json.dumps({"bench": "size", **vars(options), **shown}))
    if peak > MOST_MB or slowest > MOST_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
