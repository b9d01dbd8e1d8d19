"""A run folder of made-up mixtures: as many as one likes, from pair tables, without any audio."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.manifest import open_manifest
from s5eval.harness.record.config import RunConfig
from s5eval.harness.record.lines import Line, pairs_path
from s5eval.harness.record.provenance import Provenance
from s5eval.harness.record.reading import SCHEMA_VERSION
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.run_record import About, RunRecord
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.summary import summarize
from s5eval.metrics.version import METRIC_VERSION
from s5eval.systems.decision import Decision

Tables = Callable[..., list[PairTable]]


def write_run(
    path: Path,
    tables: Sequence[PairTable],
    *,
    threshold: float = 0.5,
    about: Mapping[str, Any] | None = None,
    data: Path | None = None,
    with_tables: bool = False,
) -> list[MixtureScore]:
    """Write a run of `len(tables)` mixtures `m_0000`, … (of `data`, if it is given); returns their scores."""
    made_up = [f"{k:032x}" for k in range(len(tables))]
    decision = Decision({"default": threshold, **{label: threshold for label in CLASSES}})
    ids = [f"m_{k:04d}" for k in range(len(tables))]
    scores = [score_candidates(i, t, decision) for i, t in zip(ids, tables, strict=True)]
    facts = About(
        system="made-up", weights="none", dataset="made-up", split="valid", n_split=len(ids),
        decided_by=f"threshold {threshold} for every class",
    )  # fmt: skip
    record = RunRecord(
        schema_version=SCHEMA_VERSION,
        metric_version=METRIC_VERSION,
        status="complete",
        config=RunConfig("made-up", data=data or path.parent / "nowhere"),
        decision=decision,
        fingerprint={"weights": "none"},
        about=replace(facts, **(about or {})),
        manifest_sha256="0" * 64,
        manifest_sizes_sha256="0" * 64,
        mixtures=tuple(ids),
        mixture_digests=tuple(made_up if data is None else open_manifest(data).digests),
        n_expected=len(ids),
        provenance=Provenance(
            time="2026-01-01T00:00:00+00:00",
            argv=("s5eval",),
            packages={"s5eval": "0"},
            python="3.11",
            platform="a machine",
            device="cpu",
        ),
    )
    with RunFolder.open_new(path) as folder:
        folder.write_run(record)
        files = [{} for _ in ids]
        if with_tables:
            files = [
                {f"pairs/{i}.npz": table.save(pairs_path(path, i), sync=False)}
                for i, table in zip(ids, tables, strict=True)
            ]
        folder.rewrite(Line(score, names) for score, names in zip(scores, files, strict=True))
        folder.write_summary(summarize(scores, n_expected=len(ids), finished=True, about=record.about))
    return scores
