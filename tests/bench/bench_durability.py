"""What it costs a run that a power loss takes no more than five seconds of it, and that what is read is verified.

A run of made-up pair tables is appended as the engine does it: never synced, synced in groups as it is, and synced
after every mixture; without wavs, and with one of ten seconds a mixture, where the disk's pace decides. Then the
readers: resume's look at every line, table and wav.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from s5eval.data_manifests.common.files import write_atomically
from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.wav_writing import wav_bytes
from s5eval.harness.record import run_folder as journal
from s5eval.harness.record.inspection import inspect_run
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.tables import MixtureScore, Outcome, PairTable
from s5eval.metrics.sdr import PairScores

NEVER = 1e9
MOST_PER_MIXTURE = 0.02  # seconds that grouped syncs may cost: an analysis of 10 s of audio takes a second and more


def made_up_table(rng: np.random.Generator) -> PairTable:
    """Three candidates, two references."""
    pairs = PairScores(rng.normal(size=(3, 2)), np.zeros(2), np.zeros(2), np.eye(3), np.ones(3), np.ones(2))
    return PairTable(pairs, rng.random((3, 18)), rng.random(3), None, (CLASSES[0], CLASSES[1]))


def append_all(path: Path, tables: list[PairTable], wav: bytes | None, seconds: float) -> float:
    """Seconds that the appending and the last sync took."""
    ids = [f"m_{k:05d}" for k in range(len(tables))]
    with mock.patch.object(journal, "SYNC_SECONDS", seconds), RunFolder.open_new(path) as folder:
        record = {
            "schema_version": journal.SCHEMA_VERSION,
            "config": {"save_audio": wav is not None},
            "about": {},
            "mixtures": ids,
        }
        folder.write_run({**record, "status": "running"})
        folder.make_audio()
        start = time.perf_counter()
        for id_, table in zip(ids, tables, strict=True):
            name = f"audio/{id_}_0_{CLASSES[0]}.wav"
            audio = {} if wav is None else {name: write_atomically(path / name, wav, sync=False)}
            estimates = ({"index": 0, "label": CLASSES[0], "confidence": 1.0},)
            folder.append(MixtureScore(id_, Outcome("scored"), estimates=estimates), table, audio)
        if seconds < NEVER:
            folder.sync()
        else:
            folder._pending.clear()
        return time.perf_counter() - start


def main() -> None:
    """Measure, print one JSON object, and end with 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=int, default=400)
    count = parser.parse_args().mixtures
    rng = np.random.default_rng(2026)
    tables = [made_up_table(rng) for _ in range(count)]
    samples = rng.integers(-3000, 3000, 320_000).astype(np.int16)
    wav = wav_bytes(samples, sample_rate=32_000, subtype="PCM_16")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as root:
        for kind, content in (("", None), ("wavs_", wav)):
            for name, seconds in (("never", NEVER), ("grouped", journal.SYNC_SECONDS), ("each", -1.0)):
                figures[f"{kind}{name}_s"] = append_all(Path(root) / f"{kind}{name}", tables, content, seconds)
        run = Path(root) / "wavs_grouped"
        start, cpu = time.perf_counter(), time.process_time()
        found = inspect_run(run, read_run_record(run))
        figures |= {"inspect_s": time.perf_counter() - start, "inspect_cpu_s": time.process_time() - cpu}
    figures["per_mixture_ms"] = 1e3 * (figures["grouped_s"] - figures["never_s"]) / count
    whole = len(found.whole) == count and not found.damage
    rounded = {key: round(value, 3) for key, value in figures.items()}
    print(json.dumps({"bench": "durability", "mixtures": count, "whole": whole, **rounded}))
    if not whole or figures["per_mixture_ms"] > 1e3 * MOST_PER_MIXTURE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
