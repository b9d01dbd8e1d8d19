"""Finished runs to tune on."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_run import write_run
from sealed_files import edit_lines, edit_record

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.harness.record.lines import pairs_path
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.tables import PairTable


@pytest.fixture
def staged_run(systems_on_path: None, staged_set: Path, tmp_path: Path, s5eval: Callable[..., Any]) -> Path:
    """The folder of a run of the staged test system."""
    run = tmp_path / "run"
    assert s5eval("run", "--system", "staged:build", "--data", staged_set, "--out", run).code == 0
    return run


@pytest.fixture
def probable_run(staged_run: Path) -> Path:
    """A run whose class scores are probabilities."""
    out = staged_run
    for id_ in read_run_record(out).mixtures:
        table = PairTable.load(pairs_path(out, id_))
        scores = table.class_scores / table.class_scores.sum(axis=1, keepdims=True)
        replace(table, class_scores=scores).save(pairs_path(out, id_))

    def digest_anew(line: dict[str, Any]) -> None:
        line["files"] = {name: file_sha256(out / name) for name in line["files"]}

    edit_lines(out, digest_anew)
    return out


@pytest.fixture
def made_run(tmp_path: Path, make_tables: Callable[..., list[PairTable]]) -> Callable[..., Path]:
    """`made_run(name, count)`: a run of made-up mixtures that no other has."""

    def make(name: str, count: int, threshold: float = 0.5, **changes: Any) -> Path:
        run = tmp_path / name
        write_run(run, make_tables(count, len(name)), threshold=threshold, with_tables=True)
        changes["mixture_digests"] = [hashlib.sha256(f"{name} {k}".encode()).hexdigest() for k in range(count)]
        edit_record(run / "run.json", lambda record: record["config"].update(dataset=name, split="valid"), **changes)
        return run

    return make
