"""The static page: every number and mixture in it, small enough, in parts where there are many, and text throughout."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_run import write_run

from s5eval.data_manifests.records import Mixture, Reference, Scene
from s5eval.harness.record.lines import Line
from s5eval.harness.record.reading import read_run_record, read_scores
from s5eval.harness.record.tables import Outcome, PairTable
from s5eval.harness.report import page as pages
from s5eval.harness.report.charted import pairs_of
from s5eval.harness.report.listening import sounds_of
from s5eval.harness.report.page import page_is_whole, write_page
from s5eval.harness.report.rows import mixture_row, relative_address
from s5eval.harness.report.sounds import Sounds, decode_stereo, find_sounds

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e" + "x" * 10_000


class Tree(HTMLParser):
    """The elements of a page: name and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_harmless(html: str) -> None:
    """One script, the page's own, and nothing that is fetched from elsewhere."""
    tree = Tree(html)
    assert len(tree.of("script")) == 1
    policy = next(m["content"] for m in tree.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)
    for tag, attributes in tree.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], (tag, attributes)
        for key in ("src", "href", "action"):
            address = attributes.get(key) or ""
            assert not re.match(r"(?i)\s*(https?:|//|javascript:)", address), (tag, address)
    shown = re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.S)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "alert(1)</script>" not in shown


@pytest.fixture
def run(tmp_path: Path, make_tables: Tables) -> Path:
    write_run(tmp_path / "run", make_tables(60, 2))
    return tmp_path / "run"


def test_every_mixture_has_its_line_and_every_chart_stands(run: Path) -> None:
    html = write_page(run).read_text()
    rows = [attributes for attributes in Tree(html).of("tr") if (attributes.get("id") or "").startswith("mixture=")]
    scores = read_scores(run)
    assert sorted(str(row["id"]).removeprefix("mixture=") for row in rows) == sorted(scores)
    for row in rows:
        score = scores[str(row["id"]).removeprefix("mixture=")]
        assert (None if "data-v" not in row else float(str(row["data-v"]))) == pytest.approx(score.capi_sdri)
        assert len((row.get("data-n") or "").split()) == len(pairs_of(score))
    assert len([a for a in Tree(html).of("svg") if a.get("role") in ("img", "group")]) == 6
    assert_harmless(html)
    assert page_is_whole(run)


def test_numbers_below_zero_have_true_minus_signs_on_every_page(run: Path) -> None:
    for page in run.glob("report*.html"):
        text = re.sub(r"<(script|style)>.*?</\1>|<[^>]*>", " ", page.read_text(), flags=re.S)
        assert "−100 to −20 dB of a sine" in text and re.findall(r"(?<![\w-])-\d", text) == [], page.name


def test_links_of_charts_find_as_many_mixtures_as_the_charts_say(run: Path) -> None:
    html = write_page(run).read_text()
    tree = Tree(html)
    rows = [row for row in tree.of("tr") if (row.get("id") or "").startswith("mixture=")]
    cells = [(row.get("data-w") or "").split("|") for row in rows]
    found = re.findall(r'href="#reference=([^"&]+)&amp;estimate=([^"]+)"[^>]*><title>[^<]*: (\d+)', html)
    assert len(found) > 10
    for reference, estimate, count in found:
        pair = f"{reference}>{estimate}".replace("%20", " ")
        holding = sum(pair in of_row for of_row in cells)
        assert holding <= max(int(count), holding)
        assert holding >= 1, pair
    for low, high, count in re.findall(r'href="#low=([^&]+)&amp;high=([^"]+)"[^>]*><title>(\d+) from', html):
        values = [float(str(row["data-v"])) for row in rows if row.get("data-v")]
        assert sum(float(low) <= v < float(high) for v in values) == int(count)


def test_many_mixtures_go_on_in_further_pages(run: Path) -> None:
    (run / "report_9.html").write_text("of before")
    (run / "report_notes.html").write_text("somebody's")
    write_page(run, per_page=25)
    names = sorted(path.name for path in run.glob("*.html"))
    assert names == ["report.html", "report_2.html", "report_3.html", "report_notes.html"]
    ids = [re.findall(r'<tr id="mixture=([^"]+)"', (run / name).read_text()) for name in names[:3]]
    assert [len(part) for part in ids] == [25, 25, 10]
    assert len({id_ for part in ids for id_ in part}) == 60
    first = (run / "report.html").read_text()
    assert '<b>1 to 25</b><a href="report_2.html">26 to 50</a><a href="report_3.html">51 to 60</a>' in first
    assert "60 mixtures on 3 pages" in first
    assert 'href="report.html"' in (run / "report_2.html").read_text()
    assert page_is_whole(run)
    (run / "report_2.html").write_text((run / "report_2.html").read_text().replace("m_0", "m_1", 1))
    assert not page_is_whole(run)


def test_as_many_as_a_whole_test_split_stay_below_four_megabytes(tmp_path: Path, make_tables: Tables) -> None:
    """With a picture of full size and addresses of all sounds in every line, as in a run with --save-audio."""
    run = tmp_path / "run"
    tables = make_tables(300, 0)
    scores = write_run(run, tables)
    data = Path("../../../../home/somebody/.cache/s5eval/mini-v1/test")
    picture = "A" * 1000  # base64 of 750 bytes, more than the mean of the embedded set
    rows = []
    for k in range(1512):
        score = replace(scores[k % 300], mixture_id=f"mini_test_{k:04d}")
        sounds = {"mixture": str(data / "soundscape" / f"{score.mixture_id}.flac")}
        for r, label in enumerate(score.reference_labels or ()):
            sounds[f"reference-{r}"] = str(data / "oracle_target" / f"{score.mixture_id}_{r}_{label}.flac")
        for estimate in score.estimates:
            sounds[f"estimate-{estimate.index}"] = f"audio/{score.mixture_id}_0_{estimate.label}.wav"
        rows.append(mixture_row(run, score, scene=None, picture=picture, sounds=sounds))
    (html,) = pages.render_pages(run, scores, rows, Sounds(), record=read_run_record(run))
    assert len(html.encode()) < 4_000_000


def test_whatever_names_and_errors_hold_is_text(tmp_path: Path, make_tables: Tables) -> None:
    run = tmp_path / "run"
    about = {key: HOSTILE for key in ("system", "name", "weights", "dataset", "split", "decided_by")}
    write_run(run, make_tables(10, 1), about={**about, "missing_parts": (HOSTILE,)})
    html = write_page(run).read_text()
    assert_harmless(html)
    assert html.count("&lt;script&gt;alert(1)") > 5
    score = next(iter(read_scores(run).values()))
    failed = replace(score, outcome=Outcome("failed", HOSTILE), mixture_id="a'b\"<b>&c", estimates=(), capi=None)
    row = mixture_row(run, failed, scene=None, picture=None)
    (html,) = pages.render_pages(run, [failed], [row], Sounds(problem=HOSTILE), record=read_run_record(run))
    assert_harmless(html)
    assert "a&#39;b&#34;&lt;b&gt;&amp;c" in html


def test_sounds_are_linked_where_they_lie(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    run = tmp_path / "run"
    assert s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run, "--save-audio").code == 0
    html = (run / "report.html").read_text()
    links = [str(a["href"]) for a in Tree(html).of("a") if a.get("class") == "s"]
    assert len(links) == 5 + 6 + 6  # mixtures, references, estimates
    for link in links:
        assert (run / link).resolve().is_file(), link
    assert len([image for image in Tree(html).of("img") if str(image["src"]).startswith("data:image/png")]) == 5
    assert "Typing" in html
    # Data that have become others are not passed for those of the run.
    changed = next((small_set / "soundscape").glob("m_1.*"))
    changed.write_bytes(changed.read_bytes()[:-4] + b"\0\0\0\1")
    s5eval("report", run)
    html = (run / "report.html").read_text()
    assert "the files of 1 mixture in" in html
    assert "soundscape/m_1.wav" not in html
    (small_set / "soundscape").rename(small_set / "gone")
    s5eval("report", run)
    assert "cannot be heard here" in (run / "report.html").read_text()


def test_a_rescored_page_reads_no_audio(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "run")
    before = (tmp_path / "run" / "report.html").read_text()
    for path in (small_set / "soundscape").iterdir():
        path.write_bytes(b"not audio any more")
    assert s5eval("rescore", tmp_path / "run").code == 0
    after = (tmp_path / "run" / "report.html").read_text()
    pictures = [re.findall(r'src="(data:image/png;base64,[^"]+)"', html) for html in (before, after)]
    assert pictures[0] == pictures[1], "pictures are kept by the digest of what they show"


def test_the_page_says_what_decided_and_each_class_has_its_threshold(run: Path) -> None:
    html = write_page(run).read_text()
    assert "decision: threshold 0.5 for every class" in html
    assert "threshold 0.500" in html


def test_stereo_is_decoded_to_the_side_a_sound_comes_from() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=100).astype(np.float32)

    def at(degrees: float) -> np.ndarray:
        angle = np.radians(degrees)
        return np.stack([signal, np.sin(angle) * signal, 0 * signal, np.cos(angle) * signal]).astype(np.float32)

    left, right = (np.abs(channel).sum() for channel in decode_stereo(at(90)))
    assert left > 2.5 * right
    front = decode_stereo(at(0))
    assert np.allclose(front[0], signal, atol=1e-5)
    assert np.allclose(front[0], front[1], atol=1e-6)


def test_a_run_whose_data_are_nowhere_has_no_sounds_and_says_so(run: Path) -> None:
    from s5eval.harness.record.reading import read_run_record

    found = find_sounds(read_run_record(run))
    assert not found.scenes
    assert found.problem is not None


def test_an_address_is_relative_and_quoted(tmp_path: Path, run: Path) -> None:
    data = tmp_path / "a folder #1"
    data.mkdir()
    score = next(score for score in read_scores(run).values() if score.reference_labels)
    references = tuple(Reference(label, data / f"r {k}.wav") for k, label in enumerate(score.reference_labels or ()))
    row = mixture_row(run, score, scene=Scene(Mixture("m", data / "m?.wav"), references), picture=None)
    assert row.mixture == "../a%20folder%20%231/m%3F.wav"
    assert row.references is not None
    assert row.references[0].href == "../a%20folder%20%231/r%200.wav"


def test_references_that_are_others_by_now_are_neither_linked_nor_heard(tmp_path: Path, run: Path) -> None:
    score = next(score for score in read_scores(run).values() if len(score.reference_labels or ()) == 2)
    others = tuple(Reference(label, tmp_path / f"{k}.wav") for k, label in enumerate(("Doorbell", "Doorbell")))
    scene = Scene(Mixture("m", tmp_path / "m.wav"), others)
    row = mixture_row(run, score, scene=scene, picture=None)
    assert row.mixture is not None and row.references is not None
    assert [heard.href for heard in row.references] == [None, None]
    told = {sound.key: sound for sound in sounds_of(run, Line(score), scene)}
    assert {told[f"reference-{r}"].problem for r in (0, 1)} == {
        "not where the run was made on it, or other data by now"
    }


def test_an_address_leads_there_from_a_folder_behind_a_link(tmp_path: Path) -> None:
    """A browser goes up from where the page really lies."""
    (tmp_path / "far" / "away" / "run").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "away", target_is_directory=True)
    (tmp_path / "data").mkdir()
    address = relative_address(tmp_path / "data" / "m.wav", tmp_path / "near" / "run")
    assert address == "../../../data/m.wav"


def test_an_address_leads_to_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """A run on such a folder ended in an error of the codec, after its last mixture and before its page."""
    data = tmp_path / os.fsdecode(b"caf\xe9")
    assert relative_address(data / "m.wav", tmp_path / "run") == "../caf%E9/m.wav"


def test_a_mixture_whose_name_is_not_utf_8_is_on_the_page(tmp_path: Path, s5eval: Call, make_set: Call) -> None:
    data = make_set(tmp_path / "data", {"m": ["Speech"], "n": []}, seconds=0.1)
    try:
        (data / "soundscape" / "n.wav").rename(data / "soundscape" / os.fsdecode(b"n_\xe9.wav"))
    except OSError:
        pytest.skip("this file system has no such names")
    done = s5eval("run", "--system", "oracle-gain", "--data", data, "--out", tmp_path / "run")
    assert done.code == 0, ascii(done.err)
    text = (tmp_path / "run" / "report.html").read_text()
    assert page_is_whole(tmp_path / "run")
    assert 'href="../data/soundscape/n_%E9.wav"' in text
    assert "mixture=n_\\udce9" in text


def test_what_is_gone_and_what_has_become_other_data_are_both_told(
    tmp_path: Path, make_tables: Tables, make_set: Call
) -> None:
    scenes = {f"m_{k:04d}": ["Speech"] if k == 0 else [] for k in range(4)}
    data = make_set(tmp_path / "data", scenes, seconds=0.1)
    write_run(tmp_path / "run", make_tables(4, 1), data=data)
    record = read_run_record(tmp_path / "run")
    assert find_sounds(record, check=True).problem is None
    (data / "soundscape" / "m_0003.wav").unlink()
    changed = data / "soundscape" / "m_0001.wav"
    changed.write_bytes(changed.read_bytes()[:-4] + b"\0\0\0\1")
    found = find_sounds(record, check=True)
    assert set(found.scenes) == {"m_0000", "m_0002"}
    told = f"1 mixture not in {data}; the files of 1 mixture in {data} are others than those of the run"
    assert found.problem == told
