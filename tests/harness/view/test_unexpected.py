"""A page that nobody expected: it is guarded as every other, and its text is a text."""

import logging
from typing import Any

import pytest
from viewing import PORT, TOKEN, Made, text_of

ADDRESS = {"host": f"127.0.0.1:{PORT}"}


@pytest.fixture
def failing(made: Made, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a viewer whose first page has a fault; the fault is answered, as uvicorn would."""
    from starlette.testclient import TestClient

    from s5eval.harness.view.app import Viewer, make_app

    def fall_over(*_: object) -> None:
        raise RuntimeError("<script>alert(1)</script>")

    monkeypatch.setattr("s5eval.harness.view.app.runs_page", fall_over)
    return TestClient(
        make_app(Viewer([made.runs]), token=TOKEN, port=PORT),
        base_url=f"http://127.0.0.1:{PORT}",
        raise_server_exceptions=False,
    )


def test_the_page_of_an_unexpected_error_carries_the_headers_of_every_answer(
    failing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from s5eval.harness.view.access import HEADERS

    assert failing.get("/", headers=ADDRESS).status_code == 403, "without the token nothing is made at all"
    failing.cookies.set(f"s5eval_{PORT}", TOKEN)
    with caplog.at_level(logging.ERROR, "s5eval.view"):
        answer = failing.get("/", headers=ADDRESS)
    assert answer.status_code == 500
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "<script>alert" not in answer.text and "RuntimeError: <script>" in text_of(answer.text)
    assert [record.name for record in caplog.records] == ["s5eval.view"]
