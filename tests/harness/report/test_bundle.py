"""A bundle: worst, best and random mixtures to be heard, everything relative, as a folder or an archive."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from made_up_run import write_run

from s5eval import read_run
from s5eval.harness.record.lines import source_file
from s5eval.harness.record.reading import read_scores
from s5eval.harness.record.tables import PairTable
from s5eval.harness.report.bundle import choose
from s5eval.harness.report.page import worst_first

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]


@pytest.fixture
def run(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    assert s5eval(
        "run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "saved", "--save-audio"
    ).code == 0  # fmt: skip
    return tmp_path / "saved"


def assert_closed(folder: Path) -> None:
    """Every address of every page leads to a file of the folder."""
    for page in folder.rglob("*.html"):
        html = page.read_text()
        for address in re.findall(r'(?:href|src)="([^"]*)"', html):
            if address.startswith(("data:", "#")):
                continue
            assert not re.match(r"[a-z]+:|/", address), address
            target = (page.parent / address.partition("#")[0]).resolve()
            assert target.is_relative_to(folder.resolve()), address
            assert target.is_file(), address


def test_a_bundle_holds_its_sounds_and_leads_nowhere_else(run: Path, tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("report", run, "--bundle", tmp_path / "bundle", "--sounds", "1", "--json")
    assert result.json == {"bundle": str(tmp_path / "bundle"), "problems": []}
    folder = tmp_path / "bundle"
    assert_closed(folder)
    assert len(list((folder / "mixtures").iterdir())) == 3
    stereo = soundfile.info(folder / "audio" / "0001_mixture.flac")
    assert (stereo.channels, stereo.samplerate, stereo.subtype) == (2, 32_000, "PCM_16")
    assert soundfile.info(folder / "audio" / "0001_mixture-w.flac").channels == 1
    index = (folder / "index.html").read_text()
    assert index.count(">listen</a>") == 3
    assert not list(folder.rglob(".*"))
    page = (folder / "mixtures" / "0001.html").read_text()
    assert page.count("<audio controls") == page.count("<img") >= 3
    assert "SDRi" in page


def test_sounds_of_a_bundle_are_those_of_the_run(run: Path, small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    s5eval("report", run, "--bundle", tmp_path / "bundle", "--sounds", "5")
    folder = tmp_path / "bundle"
    for page in sorted((folder / "mixtures").iterdir()):
        id_ = re.search(r"<h1>([^<]+)</h1>", page.read_text())
        assert id_ is not None
        audio, _ = soundfile.read(folder / "audio" / f"{page.stem}_mixture-w.flac")
        source, _ = soundfile.read(small_set / "soundscape" / f"{id_[1]}.wav")
        gain = float(audio @ source[:, 0] / (source[:, 0] @ source[:, 0]))
        assert np.abs(audio - gain * source[:, 0]).max() < 1e-4
        assert gain == pytest.approx(1.0, abs=1e-3) or (gain < 1 and "times the original" in page.read_text())


def test_an_estimate_that_is_another_file_by_now_is_not_heard(run: Path, tmp_path: Path, s5eval: Call) -> None:
    """Beside the number of what was scored, something else was to be heard; the viewer refused it already."""
    scores = read_scores(run)
    id_, name = next((id_, source_file(id_, s.estimates[0])) for id_, s in scores.items() if s.estimates)
    samples, rate = soundfile.read(run / "audio" / name)
    soundfile.write(run / "audio" / name, samples[::-1], rate, subtype="PCM_16")
    result = s5eval("report", run, "--bundle", tmp_path / "bundle", "--json")
    problem = f"{name} is not what was written: its digest is another one"
    assert result.json["problems"] == [f"estimates: {problem}"]
    assert problem in read_run(run).mixture(id_)._repr_html_()


def test_a_zip_holds_what_the_folder_would(run: Path, tmp_path: Path, s5eval: Call) -> None:
    assert s5eval("report", run, "--bundle", tmp_path / "b.zip", "--sounds", "1").code == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    assert_closed(tmp_path / "out" / "b")
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".b")} == set()


def test_what_is_there_already_is_not_written_over(run: Path, tmp_path: Path, s5eval: Call) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years")
    result = s5eval("report", run, "--bundle", tmp_path / "full")
    assert (result.code, "is there already" in result.err) == (2, True)
    assert s5eval("report", run, "--sounds", "3").code == 2


def test_what_cannot_be_heard_is_said(tmp_path: Path, make_tables: Tables, s5eval: Call) -> None:
    write_run(tmp_path / "run", make_tables(12, 0))
    result = s5eval("report", tmp_path / "run", "--bundle", tmp_path / "b", "--sounds", "2")
    assert result.code == 0
    assert "not in the bundle: estimates: not saved: run with --save-audio" in result.out
    assert "cannot be heard here" in result.out
    assert_closed(tmp_path / "b")
    assert (
        "not saved"
        in (tmp_path / "b" / "mixtures" / "0001.html").read_text()
        + (tmp_path / "b" / "mixtures" / "0004.html").read_text()
    )


def test_worst_best_and_random_are_what_they_say(tmp_path: Path, make_tables: Tables) -> None:
    write_run(tmp_path / "run", make_tables(40, 0))
    scores = sorted(read_scores(tmp_path / "run").values(), key=worst_first)
    values = {score.mixture_id: score.capi_sdri for score in scores}
    chosen = choose(scores, 5, seed=1)
    defined = sorted(v for v in values.values() if v is not None)
    of_kind = {kind: [values[i] for i, k in chosen.items() if k == kind] for kind in ("worst", "best", "random")}
    assert sorted(v for v in of_kind["worst"] if v is not None) == defined[:5]
    assert sorted(v for v in of_kind["best"] if v is not None) == defined[-5:]
    assert len(of_kind["random"]) == 5
    assert chosen == choose(scores, 5, seed=1) != choose(scores, 5, seed=2)
    assert len(choose(scores, 100, seed=0)) == 40
    assert choose(scores, 0, seed=0) == {}
