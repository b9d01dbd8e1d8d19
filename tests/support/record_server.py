"""A repository of records on loopback, for tests of downloads: it serves one record, and misbehaves as it is told."""

import contextlib
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

AUDIO = np.random.default_rng(1).bytes(3_000_000)


class Server(ThreadingHTTPServer):
    """A repository with one record, 12; what it does wrong is set by the test."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"audio.bin": AUDIO}
        self.checksums: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.cut_after: list[int] = []  # each answer to a file ends after so many bytes
        self.ranges = True
        self.status: list[int] = []  # answers with an error first
        self.asked: list[str | None] = []
        self.listing: bytes | None = None
        self.listing_status: list[int] = []  # answers to the question for the list, first
        self.retry_after: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/api/records/12" and server.listing_status:
            self.answer(server.listing_status.pop(0), b"")
        elif self.path == "/api/records/12":
            files = [
                {
                    "key": server.names.get(name, name),
                    "size": len(data),
                    "checksum": server.checksums.get(name, f"md5:{hashlib.md5(data).hexdigest()}"),
                    "links": {"self": f"{server.url}/content/{name}"},
                }
                for name, data in server.files.items()
            ]
            self.answer(200, json.dumps({"files": files}).encode() if server.listing is None else server.listing)
        elif self.path.startswith("/content/") and (data := server.files.get(self.path[9:])) is not None:
            asked = self.headers.get("Range")
            server.asked.append(asked)
            if server.status:
                self.answer(server.status.pop(0), b"")
            elif asked and server.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                self.answer(206, data[start:], f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.answer(200, data)
        else:
            self.answer(404, b"")

    def answer(self, status: int, body: bytes, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status >= 400 and self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        cut = self.server.cut_after.pop(0) if self.path.startswith("/content/") and self.server.cut_after else None
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True
