"""What is found out about a Ray cluster before Ray is started: no token, no cluster, no Ray are one clear line each."""

import os
import pwd
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.harness.dispatch.cluster import find_cluster

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that what a test finds out is taken back, where the variable was not set
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_cluster_on_this_machine_needs_no_token(port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_cluster(f"127.0.0.1:{port}") == f"127.0.0.1:{port}"
    monkeypatch.setenv("RAY_ADDRESS", f"localhost:{port}")
    assert find_cluster("auto") == f"localhost:{port}"
    monkeypatch.delenv("RAY_ADDRESS")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    assert find_cluster(None) == f"127.0.0.1:{port}"


def test_who_has_no_home_folder_has_no_token_there(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's bare user number is in no list of users."""

    def nobody(*_: object) -> Any:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert find_cluster(f"127.0.0.1:{port}") == f"127.0.0.1:{port}"


def test_a_cluster_over_a_network_needs_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Connected:
        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(socket, "create_connection", lambda *where, **options: Connected())
    with pytest.raises(UsageError, match="there is no token") as refused:
        find_cluster("10.0.0.1:6379")
    switch = str(refused.value).splitlines()[1:]
    assert [line.strip().split("#")[0].strip() for line in switch] == [
        "ray get-auth-token --generate",
        "export RAY_AUTH_MODE=token",
    ]
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("a-secret")
    assert find_cluster("10.0.0.1:6379") == "10.0.0.1:6379"
    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_mode_without_its_token_is_said(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(UsageError, match="RAY_AUTH_MODE is token, and there is no token"):
        find_cluster(f"127.0.0.1:{port}")


def test_a_dead_address_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DataError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        find_cluster(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["nowhere", "host:", ":6379", "host:port", "host:0", "host:70000"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(UsageError, match=r"expected HOST:PORT, such as 10\.0\.0\.1:6379, or auto"):
        find_cluster(address)


def test_no_cluster_on_this_machine_is_said() -> None:
    with pytest.raises(DataError, match="no Ray cluster was started on this machine: `ray start --head` starts one"):
        find_cluster("auto")


def test_without_ray_the_command_that_installs_it_is_said(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "s5eval.harness.dispatch.ray_crew", raising=False)
    options = ("--data", small_set, "--engine", "ray", "--workers", 2, "--out", tmp_path / "run")
    result = s5eval("run", "--system", "silence", *options)
    assert (result.code, "python -m pip install 's5eval[ray]'" in result.err) == (2, True), result.err


def test_only_one_file_imports_ray() -> None:
    root = Path(__file__).parents[3]
    folders = ("data_manifests", "systems", "metrics", "submissions", "harness")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    lines = {path.name for path in files for line in path.read_text().splitlines() if line.strip().startswith(_IMPORTS)}
    assert lines == {"ray_crew.py"}


_IMPORTS = ("import ray", "from ray")
