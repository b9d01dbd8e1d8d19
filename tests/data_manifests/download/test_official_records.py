"""The four official records, on loopback: the names and numbers of parts of the real ones, with little sound in them.

Source of the names: the lists of addresses in nttcslab/dcase2025_task4_baseline and nttcslab/dcase2026_task4_baseline
(`dev_set_zenodo.txt`, `eval_set_zenodo.txt`). The folder around the data has the archive's name, as the instructions
there say.
"""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from split_archives import split

from s5eval.data_manifests.manifest import open_manifest

Call = Callable[..., Any]

RECORDS = {  # name: number, archive, parts, other files, folder of the split, split, whether files have numbers
    "dev-2025": ("15117227", "DCASE2025Task4Dataset", 17, ["LISENCEv2.2.pdf"], "dev_set/test", "test", False),
    "eval-2025": ("15553984", "DCASE2025Task4EvaluationDataset", 9, ["LISENCEv2.2.pdf"], "eval_set", "eval", False),
    "dev": ("19328046", "DCASE2026Task4Dataset", 11, ["LISENCE.pdf"], "dev_set/synthesized/test", "dev-test", True),
    "eval": ("20425860", "DCASE2026Task4EvaluationDataset", 5, [], "eval_set/synthesized/eval", "eval", True),
}


class Handler(BaseHTTPRequestHandler):
    """Zenodo's interface, as far as downloads use it."""

    files: dict[str, dict[str, bytes]]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")  # api/records/<number>[/files/<name>/content]
        files = self.files.get(parts[2], {})
        if len(parts) == 3:
            host = f"http://127.0.0.1:{self.server.server_address[1]}"
            listed = [
                {
                    "id": hashlib.md5(name.encode()).hexdigest(),
                    "key": name,
                    "size": len(data),
                    "checksum": f"md5:{hashlib.md5(data).hexdigest()}",
                    "links": {"self": f"{host}/api/records/{parts[2]}/files/{name}/content"},
                }
                for name, data in files.items()
            ]
            body = json.dumps({"id": int(parts[2]), "metadata": {"title": "…"}, "files": listed}).encode()
        else:
            body = files[parts[4]]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:])


def wav(samples: Any) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 32_000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def archive_of(name: str) -> dict[str, bytes]:
    """The files of a record: its archive in as many parts as the real one has, and what lies beside it."""
    _, stem, parts, others, folder, _, numbered = RECORDS[name]
    rng = np.random.default_rng(parts)
    kind = "eval" if "eval" in name else "test"
    members = {}
    for number, labels in enumerate((["Buzzer"], ["Cough", "Pour"], [])):
        labels = labels or ([] if numbered else ["Dishes"])  # in 2025 every scene had a target
        id_ = f"{kind}_{number:04d}"
        members[f"{folder}/soundscape/{id_}.wav"] = wav(0.1 * rng.normal(size=(3200, 4)))
        for index, label in enumerate(labels if name != "eval" else []):
            file = f"{id_}_{index}_{label}" if numbered else f"{id_}_{label}"
            members[f"{folder}/oracle_target/{file}.wav"] = wav(0.1 * rng.normal(size=3200))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(f"{stem}/{member}", data)
    whole = buffer.getvalue()
    size = next(size for size in range(len(whole) // parts, len(whole)) if len(split(whole, size, wide=False)) == parts)
    pieces = split(whole, size, wide=False)
    files = {f"{stem}.z{k:02d}": piece for k, piece in enumerate(pieces[:-1], start=1)}
    return {**files, f"{stem}.zip": pieces[-1], **{other: b"%PDF-1.4" for other in others}}


@pytest.fixture
def zenodo(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    Handler.files = {told[0]: archive_of(name) for name, told in RECORDS.items()}
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_the_real_structure_becomes_a_set_that_is_recognised(
    s5eval: Call, zenodo: str, tmp_path: Path, name: str
) -> None:
    number, stem, parts, others, folder, split_name, numbered = RECORDS[name]
    assert len([file for file in Handler.files[number] if file.startswith(stem)]) == parts
    done = s5eval("data", "fetch", name, "--out", tmp_path / "root", "--base-url", zenodo, "--json")
    assert done.code == 0, done.err
    assert len(done.json["files"]) == parts + len(others)
    assert (tmp_path / "root" / folder / "soundscape").is_dir(), "the folder of the archive's name is left out"
    manifest = open_manifest(tmp_path / "root")
    assert (manifest.dataset, manifest.split.name) == ("dcase2026" if numbered else "dcase2025", split_name)
    assert {finding.rule for finding in manifest.findings} <= {"mixture-count"}, "there are but three"
    assert len(manifest.scenes) == 3 and manifest.has_references == (name != "eval")
    if name != "eval":
        labels = [[reference.label for reference in scene.references or ()] for scene in manifest.scenes]
        assert labels[:2] == [["Buzzer"], ["Cough", "Pour"]]


def test_a_part_that_is_lost_is_fetched_again_and_the_rest_is_not(s5eval: Call, zenodo: str, tmp_path: Path) -> None:
    arguments = ("data", "fetch", "dev-2025", "--out", tmp_path / "root", "--base-url", zenodo)
    assert s5eval(*arguments).code == 0
    lost, kept = (tmp_path / "root" / f"DCASE2025Task4Dataset.{suffix}" for suffix in ("z07", "z08"))
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert s5eval(*arguments).code == 0
    assert lost.is_file() and kept.stat().st_mtime_ns == before
