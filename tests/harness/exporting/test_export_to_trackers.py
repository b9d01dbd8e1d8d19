"""Exports to experiment trackers (TensorBoard, Weights & Biases, MLflow), read back with their own readers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from exported_tables import assert_rows_equal, frames
from pandas.testing import assert_frame_equal

from s5eval import read_run
from s5eval.harness.exporting.export import Place, export

Call = Callable[..., Any]


any_warning = pytest.mark.filterwarnings("ignore")  # those of other people's libraries are theirs


def test_tensorboard_files(s5eval: Call, run: Path, tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    assert s5eval("export", run, "--to", "tensorboard", "--out", tmp_path / "out").code == 0
    events = event_accumulator.EventAccumulator(str(tmp_path / "out" / "first"), size_guidance={"tensors": 0})
    events.Reload()

    def values(tag: str) -> list[tuple[int, Any]]:
        return [(event.step, tensor_util.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)]

    result = read_run(run)
    for name, wanted in frames(result).items():
        table = json.loads(values(f"table/{name}/text_summary")[0][1])
        assert_rows_equal(table["columns"], table["data"], wanted)
    capi = result.summary.metrics["capi_sdri"].value
    assert json.loads(values("figures/text_summary")[0][1])["capi_sdri"] == capi, "64 bits: to the last one"
    assert values("summary/capi_sdri") == [(0, np.float32(capi))]
    series = result.mixtures["capi_sdri"].reset_index(drop=True).dropna()
    assert values("mixtures/capi_sdri") == list(series.astype("float32").items())
    assert json.loads(values("facts/text_summary")[0][1])["system"] == "folder"


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of a W&B transaction log: LevelDB's log format with a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # the rest of a block is empty
            at += 32768 - at % 32768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # full, or last
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


@pytest.mark.slow
@any_warning
def test_wandb_offline(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(wandb.Table, "MAX_ROWS", 4)  # more rows than that are logged in pieces
    from s5eval.harness.exporting.content import run_content

    result = read_run(run)
    (done,) = export([run_content(result)], "wandb", Place(str(tmp_path / "out")))
    folder = Path(done.where)
    assert folder.is_relative_to(tmp_path / "out") and "offline" in folder.name
    records = list(wandb_records(next(folder.glob("*.wandb"))))
    config = {u.key: json.loads(u.value_json) for r in records if r.HasField("run") for u in r.run.config.update}
    assert config["manifest_sha256"] == result.record.manifest_sha256
    summary: dict[str, Any] = {}
    for record in records:
        if record.HasField("summary"):
            summary |= {u.key or u.nested_key[0]: json.loads(u.value_json) for u in record.summary.update}
    assert summary["capi_sdri"] == result.summary.metrics["capi_sdri"].value
    logged: dict[str, str] = {}
    for record in records:
        if record.HasField("history"):
            for item in record.history.item:
                if list(item.nested_key[1:]) == ["path"]:
                    logged[item.nested_key[0]] = json.loads(item.value_json)
    for name, wanted in frames(result).items():
        pieces = [name, *(f"{name}_{k}" for k in range(2, 100) if f"{name}_{k}" in logged)]
        rows: list[list[Any]] = []
        for piece in pieces:
            table = wandb.Table.from_json(json.loads((folder / "files" / logged[piece]).read_text()), None)
            rows += [list(row) for row in table.data]
        assert_rows_equal(list(table.columns), rows, wanted)


def read_back(uri: str, where: str, run: Path, tmp_path: Path) -> None:
    """The run that an export names, as MLflow's client gives it."""
    from mlflow import MlflowClient

    client, result = MlflowClient(tracking_uri=uri), read_run(run)
    logged = client.get_run(where.rpartition("run ")[2])
    assert logged.info.status == "FINISHED" and logged.info.run_name == "first"
    assert logged.data.metrics["capi_sdri"] == result.summary.metrics["capi_sdri"].value
    assert logged.data.params["split"] == result.record.about.split
    (tmp_path / "back").mkdir()
    tables = client.download_artifacts(logged.info.run_id, "tables", str(tmp_path / "back"))
    for name, wanted in frames(result).items():
        assert_frame_equal(pd.read_parquet(Path(tables) / f"{name}.parquet"), wanted, check_exact=True)
    facts = client.download_artifacts(logged.info.run_id, "facts.json", str(tmp_path / "back"))
    assert json.loads(Path(facts).read_text())["fingerprint"] == result.record.fingerprint


@pytest.mark.slow
@any_warning
@pytest.mark.parametrize("kind", ["folder", "file store"])
def test_mlflow_in_a_folder(
    s5eval: Call, run: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow.server")
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    out = tmp_path / "store"
    uri = f"sqlite:///{out}/mlflow.db" if kind == "folder" else out.as_uri()
    done = s5eval("export", run, "--to", "mlflow", "--out", out if kind == "folder" else uri, "--json")
    assert done.code == 0, done.err
    read_back(uri, done.json[0]["where"], run, tmp_path)


@pytest.mark.slow
@any_warning
def test_what_mlflow_refuses_midway_is_a_failed_run(
    s5eval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow.server")
    pytest.importorskip("pyarrow")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refused(*_: object, **__: object) -> None:
        raise MlflowException("the disk of the server is full")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_dict", refused)
        done = s5eval("export", run, "--to", "mlflow", "--out", tmp_path / "store")
    assert (done.code, "the disk of the server is full" in done.err) == (3, True)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/store/mlflow.db")
    experiment = client.get_experiment_by_name("s5eval")
    assert experiment is not None
    assert [logged.info.status for logged in client.search_runs([experiment.experiment_id])] == ["FAILED"]


@contextmanager
def serving(command: list[str], uri: str, ready: str, cwd: Path) -> Iterator[None]:
    """Another's server on loopback, until `uri + ready` answers, and its end."""
    with (cwd / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=cwd, start_new_session=True)
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{uri}{ready}", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                assert process.poll() is None, (cwd / "server.log").read_text()
                time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers too: they take their time to end by themselves
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
@any_warning
def test_tensorboard_shows_the_scalars_as_it_starts_by_itself(s5eval: Call, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard.main")
    assert s5eval("export", run, "--to", "tensorboard", "--out", tmp_path / "out").code == 0
    port = free_port()
    uri, where = f"http://127.0.0.1:{port}", ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "out"), *where]
    asked = "/data/plugin/scalars/scalars?run=first&tag=summary/capi_sdri"
    result, shown = read_run(run), []
    with serving(command, uri, "/data/environment", tmp_path):
        for _ in range(120):  # it reads the files meanwhile
            with suppress(OSError), urllib.request.urlopen(f"{uri}{asked}", timeout=20) as answer:
                shown = json.loads(answer.read())
            if shown:
                break
            time.sleep(0.5)
    assert [row[2] for row in shown] == [np.float32(result.summary.metrics["capi_sdri"].value)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """MLflow's own tracking server, on loopback."""
    pytest.importorskip("mlflow.server")
    pytest.importorskip("pyarrow")
    port = free_port()
    store = f"sqlite:///{tmp_path}/server.db"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(tmp_path / "artifacts")]
    uri = f"http://127.0.0.1:{port}"
    with serving(command, uri, "/health", tmp_path):
        yield uri


@pytest.mark.slow
@any_warning
def test_mlflow_on_a_server(s5eval: Call, run: Path, tmp_path: Path, server: str) -> None:
    done = s5eval("export", run, "--to", "mlflow", "--out", server, "--project", "s5", "--json")
    assert done.code == 0, done.err
    read_back(server, done.json[0]["where"], run, tmp_path)
