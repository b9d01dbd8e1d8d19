"""What tests of workers share: a cluster."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("ray")
    root = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # sockets have short names
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = Cluster(root, port, tmp_path)
    try:
        found.start(
            "--head", "--node-ip-address=127.0.0.1", f"--port={port}", f"--temp-dir={root}", "--include-dashboard=false"
        )
        yield found
    finally:
        found.end()
        shutil.rmtree(root, ignore_errors=True)
