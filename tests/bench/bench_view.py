"""Time and memory of the viewer on made-up runs: pages, the table of mixtures, and thresholds moved by hand.

    python tests/bench/bench_view.py [--mixtures 1512 20000]

Requests go through the application as a browser's would, without the network; figures are CPU seconds. `first` is what
the first look costs, when files are read; `table` is the slowest of many sorts and filters after that; `slider` the
median of many moves.
Goals: first page under 2 s, table under 200 ms, slider under 100 ms for 1,512 mixtures.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_tune import made_up_table
from starlette.testclient import TestClient

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.provenance import Provenance
from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import About, RunRecord
from s5eval.harness.runs.derived import derive_summary
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.view.app import Viewer, make_app
from s5eval.harness.view.runs import key_of
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision

PORT, TOKEN = 8123, "bench"
FIRST, TABLE, SLIDER = 2.0, 0.2, 0.1
_MIXTURES = 300  # made up; more repeat them


def write_run(path: Path, count: int) -> None:
    """A finished run of so many mixtures."""
    rng, decision = np.random.default_rng(0), Decision()
    tables = [made_up_table(rng, 3) for _ in range(min(count, _MIXTURES))]
    ids = [f"m_{k:05d}" for k in range(count)]
    record = RunRecord(
        schema_version=SCHEMA_VERSION,
        metric_version=METRIC_VERSION,
        status="complete",
        config=RunConfig("made-up", data=Path("/nowhere")),
        decision=decision,
        fingerprint={"weights": "none"},
        about=About(system="made-up", weights="none", dataset="made-up", split="valid", n_split=count),
        mixtures=tuple(ids),
        mixture_digests=("0" * 32,) * count,
        n_expected=count,
        manifest_sha256="0" * 64,
        manifest_sizes_sha256="0" * 64,
        provenance=Provenance(time="", argv=(), packages={}, python="", platform="", device="cpu"),
    )
    with RunFolder.open_new(path) as folder:
        folder.write_run(record)
        scores = {}
        for k, id_ in enumerate(ids):
            table = tables[k % len(tables)]
            scores[id_] = score_candidates(id_, table, decision, seconds=0.1)
            folder.append(scores[id_], table)
        folder.write_summary(derive_summary(record, scores))


def measured(act: Callable[[], Any]) -> float:
    """CPU seconds of one call: what it takes on a machine that has nothing else to do."""
    start = time.process_time()
    act()
    return time.process_time() - start


def measure(count: int) -> dict[str, Any]:
    """All figures for a run of so many mixtures."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run, count)
        before = _megabytes()
        client = TestClient(make_app(Viewer([run]), token=TOKEN, port=PORT), base_url=f"http://127.0.0.1:{PORT}")
        client.get("/", params={"token": TOKEN})
        key = key_of(run)

        def get(address: str, **query: str) -> None:
            assert client.get(address, params={"run": key, **query}).status_code == 200, address

        found: dict[str, Any] = {"mixtures": count, "first_page": measured(lambda: get("/"))}
        found["first_run"] = measured(lambda: get("/run"))
        found["first_table"] = measured(lambda: get("/mixtures"))
        asked = [{"sort": sort, "down": "1", "page": "7"} for sort in ("capi_sdri", "loss", "gain", "snr", "id")]
        asked += [{"label": "Speech"}, {"text": "m_0199"}, {"loss": "confusion"}, {"targets": "2", "sort": "capi_sdri"}]
        asked += [{"reference": "Speech", "estimate": "missed"}, {"low": "1", "high": "3"}, {"snr_low": "-5"}]
        found["table"] = max(measured(lambda query=query: get("/mixtures", **query)) for query in asked * 3)
        found["first_thresholds"] = measured(lambda: get("/thresholds"))
        rng = np.random.default_rng(0)

        def move() -> None:
            thresholds = {"default": 0.5, **{label: float(value) for label, value in zip(CLASSES, rng.random(18))}}  # noqa: B905
            origin = {"origin": f"http://127.0.0.1:{PORT}"}
            sent = {"run": key, "thresholds": thresholds}
            assert client.post("/thresholds/evaluate", json=sent, headers=origin).status_code == 200

        found["slider"] = float(np.median([measured(move) for _ in range(30)]))
        found["megabytes"] = _megabytes() - before
    return {name: round(value, 3) for name, value in found.items()}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, print one JSON object, and end with 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=int, nargs="+", default=[1512, 20_000])
    rows = [measure(count) for count in parser.parse_args().mixtures]
    met = all(row["first_page"] < FIRST and row["table"] < TABLE for row in rows) and rows[0]["slider"] < SLIDER
    print(json.dumps({"rows": rows, "met": met}, indent=1))
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
