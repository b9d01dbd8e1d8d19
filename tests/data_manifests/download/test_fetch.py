"""Downloads from a server that misbehaves: every failure is a clear error, nothing unchecked gets a final name."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from record_server import AUDIO, Server

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.download import fetch as module
from s5eval.data_manifests.download.fetch import fetch, list_record


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def load(server: Server, folder: Path, **options: Any) -> list[Path]:
    return fetch("12", folder, base_url=server.url, pause=0.0, timeout=5.0, **options)


def test_a_record_is_downloaded_checked_and_reported(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    paths = load(server, tmp_path / "new", progress=lambda *progress: told.append(progress))
    assert [path.name for path in paths] == ["audio.bin"] and paths[0].read_bytes() == AUDIO
    assert told[-1] == ("audio.bin", len(AUDIO), len(AUDIO))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["audio.bin"]
    load(server, tmp_path / "new")
    assert len(server.asked) == 1, "what is there is not loaded again"


def test_cut_connections_are_resumed(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1_000_000, 500_000]
    assert load(server, tmp_path)[0].read_bytes() == AUDIO
    assert server.asked[0] is None and len(server.asked) == 3
    assert server.asked[2] == "bytes=1500000-"


def test_a_later_call_goes_on_where_the_last_one_stopped(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1_000_000]
    with pytest.raises(DataError, match=r"1000000 of 3000000 bytes|connection"):
        load(server, tmp_path, attempts=1)
    assert [path.name for path in tmp_path.iterdir()] == ["audio.bin.part"]
    assert load(server, tmp_path)[0].read_bytes() == AUDIO
    assert server.asked[-1] == "bytes=1000000-"


def test_two_processes_do_not_load_into_one_folder_at_once(server: Server, tmp_path: Path) -> None:
    """Each would take the partial file from the other."""
    refused: list[str] = []

    def meanwhile(*_: object) -> None:
        if not refused:
            with pytest.raises(DataError) as caught:
                load(server, tmp_path)
            refused.append(str(caught.value))

    assert load(server, tmp_path, progress=meanwhile)[0].read_bytes() == AUDIO
    assert f"{tmp_path}: another process is loading a record into it; wait for or end it" in refused[0]
    assert [path.name for path in tmp_path.iterdir()] == ["audio.bin"]
    assert len(server.asked) == 1


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut_after = False, [1_000_000]
    assert load(server, tmp_path)[0].read_bytes() == AUDIO


def test_connections_that_never_last(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut_after = False, [10] * 9
    with pytest.raises(DataError, match=r"audio\.bin.*3 of 3 tries"):
        load(server, tmp_path, attempts=3)
    assert not (tmp_path / "audio.bin").exists()


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.checksums["audio.bin"] = "md5:" + "0" * 32
    with pytest.raises(DataError, match=r"checksum md5:000.*2 of 2 tries"):
        load(server, tmp_path, attempts=2)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_loaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "audio.bin").write_bytes(AUDIO[:-1] + b"?")
    assert load(server, tmp_path)[0].read_bytes() == AUDIO
    (tmp_path / "audio.bin").unlink()
    (tmp_path / "audio.bin.part").write_bytes(b"x" * (len(AUDIO) + 5))
    assert load(server, tmp_path)[0].read_bytes() == AUDIO


@pytest.mark.parametrize("status", [503, 429])
def test_the_list_is_asked_for_again(server: Server, tmp_path: Path, status: int) -> None:
    server.listing_status = [status, status]
    assert load(server, tmp_path)[0].read_bytes() == AUDIO
    server.listing_status = [status] * 9
    with pytest.raises(DataError, match=rf"{status}.*try again later"):
        load(server, tmp_path)


@pytest.mark.parametrize("what", ["status", "listing_status"])
def test_what_a_busy_server_asks_to_be_waited_is_waited(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    in_a_minute = formatdate(time.time() + 60, usegmt=True)
    for asked, least, most in (("7", 7, 7), (in_a_minute, 50, 61), ("soon", 0, 0)):
        waited.clear()
        setattr(server, what, [429])
        server.retry_after = asked
        assert load(server, tmp_path / asked)[0].read_bytes() == AUDIO
        assert least <= max(waited) <= most
    setattr(server, what, [503])
    server.retry_after = "86400"
    with pytest.raises(DataError, match="asks to be left alone for 86400 s"):
        load(server, tmp_path / "never")


def test_a_trickle_counts_as_a_failed_try(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 1000)
    monkeypatch.setattr(module, "_RATE_WINDOW", 0.0)
    monkeypatch.setattr(module, "_LEAST_RATE", 1e12)
    with pytest.raises(DataError, match=r"the connection failed: only 1000 bytes in .*2 of 2 tries"):
        load(server, tmp_path, attempts=2)


def test_what_file_managers_leave_in_archives_is_not_unpacked(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name in ("dev_set/a.wav", "dev_set/._a.wav", "__MACOSX/dev_set/._a.wav", "dev_set/.DS_Store", ".x/b.wav"):
            opened.writestr(name, b"sound")
    server.files = {"d.zip": buffer.getvalue()}
    load(server, tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".zip"] == ["a.wav"]


@pytest.mark.parametrize("status", [503, 416])
def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path, status: int) -> None:
    server.status = [status]
    assert load(server, tmp_path)[0].read_bytes() == AUDIO


def test_404_of_a_file_is_final(server: Server, tmp_path: Path) -> None:
    server.status = [404] * 5
    with pytest.raises(DataError, match=r"404.*1 of 5 tries"):
        load(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_404_of_the_record(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"404.*right record"):
        fetch("99", tmp_path, base_url=server.url)


def test_nobody_answers(tmp_path: Path, server: Server) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"cannot be reached.*proxy"):
        fetch("12", tmp_path, base_url=url, timeout=2.0)


@pytest.mark.parametrize(
    "listing", [b"<html>", b"[]", b'{"files": [{}]}', b'{"files": ' + b"[" * 100_000, b'{"files": [7]}']
)
def test_an_answer_that_is_no_record(server: Server, tmp_path: Path, listing: bytes) -> None:
    server.listing = listing
    with pytest.raises(DataError, match="not the description of a record"):
        load(server, tmp_path)


def test_a_record_without_files_is_no_download(server: Server, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"holds no file; is 12 the right record\?"):
        load(server, tmp_path)


@pytest.mark.parametrize("name", ["audio.bin", "AUDIO.bin"])
def test_two_files_of_one_name_do_not_take_each_others_place(server: Server, tmp_path: Path, name: str) -> None:
    server.files["other.bin"] = b"other"
    server.names["other.bin"] = name
    with pytest.raises(DataError, match=r"lists 'audio\.bin' twice"):
        load(server, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "name",
    ["../evil.bin", "/etc/evil", "..", "a\\b", ".hidden", "", ".", "a\0b", "a\nb", "a\x1b[2Jb", "x" * 300, "é" * 120],
)
def test_names_that_lead_elsewhere(server: Server, tmp_path: Path, name: str) -> None:
    server.names["audio.bin"] = name
    with pytest.raises(DataError, match="not a plain file name"):
        load(server, tmp_path / "in")
    assert not list(tmp_path.rglob("*evil*"))


def test_addresses_that_are_not_of_the_web(server: Server, tmp_path: Path) -> None:
    entry = {"key": "a", "size": 1, "checksum": "md5:0", "links": {"self": "file:///etc/passwd"}}
    server.listing = json.dumps({"files": [entry]}).encode()
    with pytest.raises(DataError, match="no address of a web server"):
        load(server, tmp_path)


def test_too_little_space_is_said_before(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match="make room"):
        load(server, tmp_path)
    assert server.asked == [] and list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    def opened(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        file = original(self, mode, *rest, **options)
        return Full(file) if self.suffix == ".part" and mode in ("wb", "ab") else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DataError, match="disk is full"):
        load(server, tmp_path)
    assert not (tmp_path / "audio.bin").exists()


def test_only_some_files_and_unknown_ones(server: Server, tmp_path: Path) -> None:
    server.files = {"one.bin": b"1", "two.bin": b"22"}
    assert [path.name for path in load(server, tmp_path, only=["two.bin"])] == ["two.bin"]
    assert not (tmp_path / "one.bin").exists()
    with pytest.raises(UsageError, match=r"did you mean 'two\.bin'"):
        load(server, tmp_path, only=["two.bim"])
    with pytest.raises(UsageError, match="Known: dev, eval"):
        fetch("devel", tmp_path, base_url=server.url)


def test_archives_are_unpacked_and_hostile_ones_are_not(server: Server, tmp_path: Path) -> None:
    def archive(name: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as opened:
            opened.writestr(name, b"sound")
        return buffer.getvalue()

    good = archive("dev_set/noise/a.wav")
    server.files = {"d.zip.001": good[:50], "d.zip.002": good[50:]}
    load(server, tmp_path)
    assert (tmp_path / "dev_set/noise/a.wav").read_bytes() == b"sound"
    server.files = {"evil.zip": archive("../../evil.wav")}
    with pytest.raises(DataError, match="hostile archive"):
        load(server, tmp_path / "deep" / "er")
    assert not list(tmp_path.rglob("evil.wav"))


def test_proxies_of_the_environment_are_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError, match="404"):  # the proxy is asked for the whole address, which it does not know
        list_record("12", base_url="http://repository.invalid")
