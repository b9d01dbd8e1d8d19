"""MLflow: a run for each content in the store of a folder, or on a tracking server.

Figures are metrics, short facts are parameters; all facts are the artifact `facts.json`, and tables the artifacts
`tables/<name>.parquet`. A folder gets the store that MLflow recommends: `mlflow.db`, with artifacts beside it;
`mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db` shows it.
"""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from s5eval.data_manifests.common.errors import DataError
from s5eval.harness.exporting.content import Content
from s5eval.harness.exporting.export import Place, missing

_LONGEST = 500  # characters of a parameter on any backend
_SHOWN = ("name", "system", "weights", "dataset", "split", "status", "n_expected", "n_scored", "n_failed")


def write(content: Content, folder: Path | None, place: Place) -> str:
    """Log a content as a finished run.

    Args:
        content: what is logged.
        folder: where the store is; None: `place.out` is the URI of one.
        place: see there.

    Returns:
        The store's URI, and the run's id in it.

    Raises:
        UsageError: mlflow or pyarrow is not installed.
        DataError: the store or server cannot be reached, or refuses.
    """
    try:
        import pyarrow  # noqa: F401
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise missing("mlflow with pyarrow", error) from error
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # how a store is made is nobody's business here
    uri = place.out if folder is None else f"sqlite:///{folder / 'mlflow.db'}"
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # somebody names it: that is meant
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = _experiment(client, place.project, None if folder is None else folder / "artifacts")
        run = client.create_run(experiment, run_name=content.name, tags={"s5eval.marks": "; ".join(_marks(content))})
        id_ = run.info.run_id
        with _ended(client, id_):
            _log(client, id_, content)
    except MlflowException as error:
        raise DataError(f"{uri}: MLflow refuses {content.name}: {' '.join(str(error).split())[:400]}") from error
    return f"{uri}, experiment {place.project}, run {id_}"


@contextmanager
def _ended(client: Any, id_: str) -> Iterator[None]:
    """A run that is finished after the block, and failed where that came to no end: none is left as still running."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except BaseException:
        with suppress(MlflowException):  # a server that is gone cannot be told; what ended the block is what counts
            client.set_terminated(id_, "FAILED")
        raise
    client.set_terminated(id_)


def _log(client: Any, id_: str, content: Content) -> None:
    for key in (key for key in _SHOWN if key in content.facts):
        client.log_param(id_, key, str(content.facts[key])[:_LONGEST])
    for key, value in content.figures.items():
        client.log_metric(id_, key, value)
    client.log_dict(id_, dict(content.facts), "facts.json")
    with tempfile.TemporaryDirectory() as made:
        for name, frame in content.tables.items():
            frame.to_parquet(Path(made) / f"{name}.parquet", engine="pyarrow", index=False)
        client.log_artifacts(id_, made, "tables")


def _experiment(client: Any, name: str, artifacts: Path | None) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(name, artifact_location=None if artifacts is None else artifacts.as_uri()))


def _marks(content: Content) -> list[str]:
    facts: Mapping[str, Any] = content.facts
    return [str(mark) for mark in facts.get("marks", ())]
