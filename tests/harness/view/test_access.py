"""Nothing but what is meant is served, to nobody but whom it is meant for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from viewing import ORIGIN, PORT, TOKEN, Elements, Made, key, pages_of

from s5eval.data_manifests.common.errors import DataError

ADDRESSES = ("/", "/run", "/mixtures", "/mixture", "/thresholds", "/compare", "/state", "/audio", "/wave", "/picture",
             "/static/view.css", "/static/base.css", "/nowhere")  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_the_token_every_address_is_refused(made: Made, browse: Callable[..., Any], address: str) -> None:
    client = browse(made.runs, welcome=False)
    for query in ({}, {"token": "guessed"}, {"token": ""}, {"token": [TOKEN, TOKEN]}):
        answer = client.get(address, params={**query, "run": key(made.staged), "id": "m_1", "of": "mixture"})
        assert answer.status_code == 403
        assert "m_1" not in answer.text
    client.cookies.set(f"s5eval_{PORT}", "guessed")
    assert client.get(address).status_code == 403


def test_the_token_moves_from_the_address_into_a_cookie_that_no_script_reads(
    made: Made, browse: Callable[..., Any]
) -> None:
    client = browse(made.runs, welcome=False)
    answer = client.get("/run", params={"run": key(made.staged), "token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/run?run={key(made.staged)}")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    "others", ['prefs={"theme": "dark"}', "no name at all", "a[b]=1", 'open="never closed', "path=/x", "x=é", "a=b=c;;"]
)
def test_cookies_of_other_servers_of_this_machine_do_not_hide_the_token(
    made: Made, browse: Callable[..., Any], others: str
) -> None:
    """A browser sends them to every port, and many follow no standard."""
    client, ours = browse(made.runs, welcome=False), f"s5eval_{PORT}"
    for cookies, status in (
        (f"{others}; {ours}={TOKEN}", 200),
        (f"{ours}={TOKEN}; {others}", 200),
        (f"{ours}=of-before; {others}; {ours}={TOKEN}", 200),
        (f"{others}; {ours}=guessed", 403),
        (f"{others}; not_{ours}={TOKEN}", 403),
        (f"{others}; x={ours}={TOKEN}", 403),
    ):
        assert client.get("/", headers={"cookie": cookies.encode()}).status_code == status, cookies


def test_a_redirect_after_the_token_stays_on_this_server(made: Made, browse: Callable[..., Any]) -> None:
    client = browse(made.runs, welcome=False)
    answer = client.get(f"//evil.example/x?token={TOKEN}")
    assert not answer.headers.get("location", "/").startswith("//")


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", f"127.0.0.1.evil.example:{PORT}", "127.0.0.1",
             f"127.0.0.1:{PORT + 1}", f"[::1]:{PORT}", f"0.0.0.0:{PORT}", ""],
)  # fmt: skip
def test_another_host_header_is_refused(made: Made, browse: Callable[..., Any], host: str) -> None:
    client = browse(made.runs)
    assert client.get("/", headers={"host": host}).status_code == 421
    assert client.get("/", headers={"host": f"localhost:{PORT}"}).status_code == 200
    both = [("host", f"127.0.0.1:{PORT}"), ("host", host)]
    assert client.get("/", headers=both).status_code == 421, "a second one is no way around"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 403),
        ({"content-type": "application/json", "origin": "http://evil.example"}, 403),
        ({"content-type": "application/json", "origin": "null"}, 403),
        ({"content-type": "application/json", "origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"content-type": "application/json", "origin": f"{ORIGIN}.evil.example"}, 403),
        ({"content-type": "application/json", "origin": "http://127.0.0.1"}, 403),
        ({"content-type": "text/plain", "origin": ORIGIN}, 415),
        ({"content-type": "application/json", "origin": ORIGIN}, 200),
    ],
)
def test_what_changes_something_has_to_come_from_our_own_pages(
    copied: Made, browse: Callable[..., Any], headers: dict[str, str], status: int
) -> None:
    client = browse(copied.runs)
    body = b'{"run": "%s", "thresholds": {}, "name": "x.yaml"}' % key(copied.staged).encode()
    assert client.post("/thresholds/save", content=body, headers=headers).status_code == status
    assert (copied.staged / "x.yaml").exists() == (status == 200)


def test_other_methods_and_endless_bodies_are_refused(made: Made, browse: Callable[..., Any]) -> None:
    client = browse(made.runs)
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        assert client.request(method, "/").status_code == 405
    headers = {"content-type": "application/json", "origin": ORIGIN}
    assert client.post("/thresholds/save", content=b"x" * (2 << 20), headers=headers).status_code == 413
    for body in (b"", b"[]", b"[" * 100_000, b"nul", b'{"thresholds": 3}'):
        assert client.post("/thresholds/evaluate", content=body, headers=headers).status_code == 404


def test_every_answer_forbids_scripts_in_pages_and_anything_from_elsewhere(
    made: Made, browse: Callable[..., Any]
) -> None:
    client = browse(made.runs)
    for address in (*ADDRESSES, f"/audio?run={key(made.staged)}&id=m_1&of=mixture"):
        headers = client.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    pages = pages_of(client)
    assert len(pages) > 20
    for address, html in pages.items():
        page = Elements(html)
        for tag, attributes in page.found:
            assert tag not in ("style", "iframe", "object", "embed", "base"), address
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (address, attributes)
            if tag == "script":
                assert attributes["src"].startswith("/static/"), address
        assert all(link.startswith("/") and not link.startswith("//") for link in page.addresses()), address


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "....//app.py", "app.py", "view.css/../../app.py", "%00",
             "/etc/passwd", "..%5capp.py"],
)  # fmt: skip
def test_no_path_leads_out_of_the_static_files(made: Made, browse: Callable[..., Any], name: str) -> None:
    answer = browse(made.runs).get(f"/static/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize("id_", ["../staged", "/etc/passwd", "m_1/../m_2", "..", "", "m_1\0", "m_1.wav"])
@pytest.mark.parametrize("of", ["mixture", "../../etc/passwd", "estimate-0", "reference-../0", "", "stage-x-0", "\0"])
def test_no_id_and_no_name_leads_to_another_file(made: Made, browse: Callable[..., Any], id_: str, of: str) -> None:
    client = browse(made.runs)
    for address in ("/audio", "/wave", "/picture"):
        asked = {"run": key(made.staged), "id": id_, "of": of, "width": 80, "height": 40}
        assert client.get(address, params=asked).status_code in (404, 422)


def test_a_number_of_thousands_of_digits_is_none(made: Made, browse: Callable[..., Any]) -> None:
    """Python refuses to read it, by an error that would be ours."""
    client, many = browse(made.runs), "9" * 5000
    run = {"run": key(made.staged)}
    whole = client.get("/mixtures", params=run)
    assert client.get("/mixtures", params={**run, "page": many}).text == whole.text
    assert client.get("/mixtures", params={**run, "targets": many}).status_code == 200
    asked = {**run, "id": "m_1", "of": "mixture", "width": many, "height": 40}
    assert "8 to 1600 and 400 pixels" in client.get("/picture", params=asked).text


@pytest.mark.parametrize("run", ["", "..", "/", "staged", "0" * 12])
def test_a_run_is_named_by_its_key_alone(made: Made, browse: Callable[..., Any], run: str) -> None:
    client = browse(made.runs)
    for address in ("/run", "/mixtures", "/thresholds", "/state", f"/compare?a={key(made.staged)}&b="):
        assert client.get(address, params={"run": run}).status_code == 404
    assert client.get("/run", params={"run": str(made.staged)}).status_code == 404


def test_links_out_of_run_and_data_folders_are_not_followed(
    copied: Made, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    secret = tmp_path / "secret.wav"
    estimate = next((copied.staged / "audio").glob("m_1_*.wav"))
    reference = next((copied.data / "oracle_target").glob("m_1_*.wav"))
    for file in (estimate, reference):
        shutil.copy(file, secret)
        file.unlink()
        file.symlink_to(secret)
    name = f"estimate-{estimate.stem.split('_')[2]}"
    client, asked = browse(copied.runs, data=(copied.data,)), {"run": key(copied.staged), "id": "m_1"}
    answer = client.get("/audio", params={**asked, "of": "reference-0"})
    assert (answer.status_code, "link out of" in answer.json()["error"]) == (422, True)
    assert "a link out of" in client.get("/mixture", params=asked).text
    assert client.get("/audio", params={**asked, "of": name}).status_code == 200  # from the stage store
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = browse(copied.runs, data=(empty,)).get("/audio", params={**asked, "of": name})
    assert (answer.status_code, "link out of" in answer.json()["error"]) == (422, True)


def test_a_folder_whose_name_begins_like_another_s_is_not_inside_of_it(tmp_path: Path) -> None:
    from s5eval.harness.view.audio_files import inside

    for name in ("data", "data-of-others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
    root = tmp_path / "data"
    (root / "link.wav").symlink_to(tmp_path / "data-of-others" / "a.wav")
    (root / "same.wav").symlink_to(root / "a.wav")
    assert inside(root, root / "same.wav") == (root / "a.wav").resolve()
    for path in (root / "link.wav", root / ".." / "data-of-others" / "a.wav"):
        with pytest.raises(DataError, match="a link out of"):
            inside(root, path)


def test_runs_outside_the_folders_given_are_not_found(made: Made, browse: Callable[..., Any]) -> None:
    client = browse(made.scored)
    assert client.get("/run", params={"run": key(made.scored)}).status_code == 200
    assert client.get("/run", params={"run": key(made.staged)}).status_code == 404
    assert "staged" not in client.get("/").text


def test_the_server_listens_on_this_machine_alone() -> None:
    from s5eval.harness.view.serve import _listen

    with _listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
