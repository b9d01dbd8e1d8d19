"""Listens on this machine alone, says under which address, and ends when it is told to."""

import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from s5eval.data_manifests.common.errors import UsageError
from s5eval.harness.view.app import Viewer, make_app

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"


def serve(
    folders: Sequence[Path],
    *,
    data: Sequence[Path] = (),
    port: int = 0,
    open_browser: bool = False,
    say: Callable[[str], object] = print,
    warn: Callable[[str], object] = print,
) -> None:
    """Serve the runs until interrupted.

    Args:
        folders: runs, or folders of them.
        data: where the audio of the data is looked for in place of the recorded folders.
        port: of 127.0.0.1; 0: any that is free.
        open_browser: ask the system to open the address.
        say: is told the address, which holds the token.
        warn: is told that no browser was found; the address is served all the same.

    Raises:
        UsageError: the port is in use.
    """
    import uvicorn

    listening = _listen(port)
    port = int(listening.getsockname()[1])
    token = secrets.token_urlsafe(24)
    address = f"http://{HOST}:{port}/?token={token}"
    app = make_app(Viewer(folders, data), token=token, port=port)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none", http="h11"
    )
    server = uvicorn.Server(config)
    # Ctrl-C is how one ends it, also in the moment before the server has begun and listens to signals itself.
    with suppress(KeyboardInterrupt):
        say(address)
        if open_browser and not _opened(address):
            warn("no browser could be opened here; open the address yourself")
        with _ended_by_signals(server):
            server.run(sockets=[listening])


@contextmanager
def _ended_by_signals(server: "uvicorn.Server") -> Iterator[None]:
    """Within the block an interruption ends the server, and breaks into nothing: not into the making of its loop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # from now on another viewer is told that the port is taken
    except (OSError, OverflowError) as error:
        listening.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"`port` {port}: {reason}; leave it out, and any that is free is taken") from error
    return listening
