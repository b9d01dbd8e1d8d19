"""Where a Ray cluster is and whether one may talk to it, found out before Ray is started: Ray alone hangs for minutes.

Whoever reaches a cluster's port without a token can run any code on it, so one on other machines needs a token.
"""

import ipaddress
import os
import socket
import tempfile
from pathlib import Path

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.files import expanded

_SECONDS = 5.0  # for a connection to be taken

SWITCH_ON = (
    "  ray get-auth-token --generate    # once; then copy ~/.ray/auth_token to every machine\n"
    "  export RAY_AUTH_MODE=token"
)
"""The two lines that make a cluster ask for a token."""


def find_cluster(address: str | None) -> str:
    """`HOST:PORT` of the cluster that `address` means, which takes connections and may be talked to.

    Sets `RAY_AUTH_MODE=token` in this process where there is a token.

    Args:
        address: `HOST:PORT`; None or `auto`: `$RAY_ADDRESS`, or the one that was started on this machine.

    Raises:
        UsageError: no address, a wrong one, or a cluster of other machines and no token.
        DataError: nothing answers there.
    """
    named = _resolved(address)
    host, _, port = named.rpartition(":")
    host = host.strip("[]")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"`address` {named}: expected HOST:PORT, such as 10.0.0.1:6379, or auto")
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS):
            pass
    except OSError as error:
        raise DataError(
            f"no Ray cluster answers at {named} ({error.strerror or error}); `ray start --head` starts one"
        ) from error
    if _has_token():
        os.environ["RAY_AUTH_MODE"] = "token"
    elif os.environ.get("RAY_AUTH_MODE") == "token":
        raise UsageError(
            "RAY_AUTH_MODE is token, and there is no token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or have the "
            "cluster's in ~/.ray/auth_token"
        )
    elif not _is_loopback(host):
        raise UsageError(
            f"the cluster at {named} is reached over a network, and there is no token: anybody there could run code "
            f"on it. Before `ray start`, on every machine and here:\n{SWITCH_ON}"
        )
    return named


def _resolved(address: str | None) -> str:
    if address not in (None, "auto"):
        return str(address).removeprefix("ray://")
    if named := os.environ.get("RAY_ADDRESS"):
        return named.removeprefix("ray://")
    try:  # where `ray start` writes it
        return (Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster").read_text()
    except OSError as error:
        raise DataError(
            "no Ray cluster was started on this machine: `ray start --head` starts one, or give `address`"
        ) from error


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    place = expanded(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token")
    return place.is_file() and bool(place.read_text().strip())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
