"""What tests of the viewer share: where it is, how a run is called there, and what its pages hold."""

import re
import time
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sealed_files import edit_lines, edit_record

PORT = 8123
TOKEN = "a-token-of-tests"
ORIGIN = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Made:
    """Runs and their data, which no test changes."""

    data: Path
    staged: Path
    scored: Path

    @property
    def runs(self) -> Path:
        return self.staged.parent


def key(run: Path) -> str:
    from s5eval.harness.view.runs import key_of

    return key_of(run)


def text_of(html: str) -> str:
    """What a page says, without its markup, blanks as one."""

    class Words(HTMLParser):
        said = ""

        def handle_data(self, data: str) -> None:
            self.said += data

    words = Words()
    words.feed(html)
    return re.sub(r"\s+", " ", words.said)


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def addresses(self) -> list[str]:
        names = ("href", "src", "action", "data-href", "data-audio", "data-wave")
        return [attributes[name] for _, attributes in self.found for name in names if name in attributes]


def rows(html: str) -> list[str]:
    """The ids in a table of mixtures, in its order."""
    found = [a["data-href"] for _, a in Elements(html).found if "data-href" in a]
    return [match[1] for address in found if (match := re.search(r"[?&]id=([^&]*)", address))]


def pages_of(client: Any, start: str = "/", limit: int = 60) -> dict[str, str]:
    """All pages that links lead to, by address."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting and len(found) < limit:
        address = waiting.pop(0)
        if address in found:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        found[address] = answer.text
        elements = Elements(answer.text).found
        links = [a["href"] for tag, a in elements if tag == "a" and a.get("href", "").startswith("/")]
        links += [a["data-href"] for _, a in elements if "data-href" in a]
        waiting += [link for link in links if link not in found]
    return found


def until(page: Any, condition: str, seconds: float = 300) -> None:
    """Wait for what a page is to come to. (`wait_for_function` would need a policy that allows `eval`.)"""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not in {seconds} s: {condition}"
        page.wait_for_timeout(50)


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\x07\u202e&amp;{{7*7}}" + "A" * 10_000


def hostile(run: Path) -> None:
    """Every text of a run that may be anything is something nasty; ids name files, and are as bad as these may be."""

    def nasty(record: dict[str, Any]) -> None:
        record["about"] |= {"system": EVIL, "name": EVIL, "weights": EVIL, "dataset": EVIL, "decided_by": EVIL}
        record["about"] |= {"missing_parts": [EVIL], "set": [EVIL]}
        record["findings"] = [EVIL]

    id_ = "<b onx='1'>\"&\x1b[31m\u202e"
    edit_record(run / "run.json", nasty)
    edit_record(run / "run.json", lambda r: r.update(mixtures=[id_ if i == "m_2" else i for i in r["mixtures"]]))
    edit_record(run / "summary.json", lambda s: s.update(system=EVIL, name=EVIL, failures={id_: EVIL}))

    def line(values: dict[str, Any]) -> None:
        if values["mixture_id"] == "m_2":
            values["mixture_id"] = id_
        if values["mixture_id"] == "m_3":
            values["outcome"] = {"status": "failed", "error": EVIL, "seconds": 0.0}

    edit_lines(run, line)
    (run / "pairs" / "m_2.npz").rename(run / "pairs" / f"{id_}.npz")
