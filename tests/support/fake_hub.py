"""A hub of models on loopback: as much of its HTTP interface as pushing and pulling a repository needs."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"


class FakeHub:
    """What was pushed.

    Attributes:
        files: content by repository and name.
        private: whether a repository is its owner's alone.
        requests: method and path of all requests, in order.
        address: where it listens.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.address = ""

    def sha(self, repository: str) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(self.files[repository].items()):
            digest.update(name.encode() + b"\0" + content)
        return digest.hexdigest()


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that listens while the block runs."""
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        body = self._body()
        path = self._path()
        hub = self.state
        if not path.endswith("/validate-yaml") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid username or password."})
        parts = path.strip("/").split("/")
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            if name in hub.files:
                return self._answer(
                    409, {"error": "You already created this model repo", "url": f"{hub.address}/{name}"}
                )
            hub.files[name] = {}
            hub.private[name] = asked.get("visibility") == "private" or bool(asked.get("private"))
            return self._answer(200, {"url": f"{hub.address}/{name}", "name": name, "id": name})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                {**told, "actions": {"upload": {"href": f"{hub.address}/objects/{told['oid']}"}}}
                for told in json.loads(body)["objects"]
            ]
            return self._answer(200, {"transfer": "basic", "objects": objects})
        name, what = "/".join(parts[2:4]), parts[4]
        if name not in hub.files:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if what == "preupload":
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular"}
                for f in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": [{**mode, "shouldIgnore": False, "oid": None} for mode in modes]})
        for line in body.splitlines():
            told = json.loads(line)
            value = told["value"]
            if told["key"] == "file":
                hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif told["key"] == "lfsFile":
                hub.files[name][value["path"]] = hub.objects[value["oid"]]
            elif told["key"] == "deletedFile":
                del hub.files[name][value["path"]]
        oid = hub.sha(name)
        self._answer(200, {"commitUrl": f"{hub.address}/{name}/commit/{oid}", "commitOid": oid, "hookOutput": ""})

    def do_PUT(self) -> None:
        content = self._body()
        oid = self._path().rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.state.objects[oid] = content
        self._answer(200, {})

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_GET(self) -> None:
        parts = self._path().strip("/").split("/")
        name = "/".join(parts[2:4])
        if parts[:2] != ["api", "models"]:
            return self._file(send=True)
        if name not in self.state.files:
            return self._answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": file, "size": len(data)} for file, data in self.state.files[name].items()]
        self._answer(200, {"id": name, "modelId": name, "sha": self.state.sha(name), "private": False,
                           "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _file(self, *, send: bool) -> None:
        parts = self._path(count=send).strip("/").split("/")
        name, file = "/".join(parts[:2]), "/".join(parts[4:])
        content = self.state.files.get(name, {}).get(file)
        if content is None:
            return self._answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        self.send_response(200)
        for key, value in {
            "Content-Length": str(len(content)),
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": self.state.sha(name),
            "Accept-Ranges": "bytes",
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if send:
            self.wfile.write(content)

    def _path(self, *, count: bool = True) -> str:
        path = unquote(urlsplit(self.path).path)
        if count:
            self.state.requests.append(f"{self.command} {path}")
        return path

    def _answer(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
