"""What runs, comparisons and mixtures show of themselves in a notebook."""

import base64
import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import soundfile
from made_up_run import write_run
from PIL import Image

import s5eval as face
from s5eval.harness.record.reading import read_run_record
from s5eval.harness.record.run_folder import RunFolder
from s5eval.harness.record.tables import AsWritten, PairTable
from s5eval.harness.report.notebook import html_table
from s5eval.harness.report.page import write_page
from s5eval.harness.report.table import lines_beside, summary_table
from s5eval.harness.scoring.summary import summarize

Tables = Callable[..., list[PairTable]]
Call = Callable[..., Any]

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m"


class Balanced(HTMLParser):
    """Refuses what is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        assert not [key for key, _ in attrs if key.startswith("on")]
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [key for key, _ in attrs if key.startswith("on")]


def test_a_run_shows_its_headline_its_marks_and_its_table(tmp_path: Path, make_tables: Tables) -> None:
    write_run(tmp_path / "run", make_tables(30, 0), about={"n_split": 500, "name": HOSTILE})
    run = face.read_run(tmp_path / "run")
    html = run._repr_html_()
    Balanced(html)
    assert "PARTIAL" in html
    assert "30 of 500 mixtures" in html
    assert "decision: threshold 0.5" in html
    assert f"{run.summary.metrics['capi_sdri'].value:.2f} [" in html
    assert "oracle-gain: true labels" in html
    assert "<svg" in html
    assert ".s5eval {" in html


def test_what_ranks_the_data_of_2025_the_written_files_and_secondary_metrics_stand_beside_the_table_everywhere(
    tmp_path: Path, make_tables: Tables
) -> None:
    scores = write_run(tmp_path / "run", make_tables(8, 0), about={"dataset": "dcase2025"})
    casa = {"casa_sdr": -1.25, "casa_sdri": 2.5, "bss_sdr": None, "bss_sir": None, "bss_sar": None}
    whole = [replace(score, as_written=AsWritten(-0.5, 7), secondary=casa) for score in scores]
    record = read_run_record(tmp_path / "run")
    with RunFolder.open_existing(tmp_path / "run") as folder:
        folder.write_summary(summarize(whole, n_expected=8, finished=True, about=record.about))
    run = face.read_run(tmp_path / "run")
    assert run.summary.metrics["ca_sdri"].value is not None and run.summary.as_written is not None
    lines = lines_beside(run.summary)
    assert len(lines) == 3 and all(line in summary_table(run.summary) for line in lines)
    for shown in (run._repr_html_(), write_page(tmp_path / "run", draw=False).read_text()):
        assert "CA-SDRi, the ranking metric of 2025: " in shown
        assert "as written to 16-bit wavs: CAPI-SDRi −0.500 dB, 56 samples clipped" in shown
        assert "CASA-SDR" in shown and "−1.25" in shown


def test_a_name_stands_as_it_is_and_numbers_have_a_minus_sign() -> None:
    table = html_table(("", "dB"), [("trial -2 (beta)", "-1.25 [-2.00, +0.10]")])
    assert "<td>trial -2 (beta)</td><td>−1.25 [−2.00, +0.10]</td>" in table


def test_a_comparison_shows_both_runs_and_the_differences(tmp_path: Path, make_tables: Tables) -> None:
    for name, threshold in (("a", 0.5), ("b", 0.8)):
        write_run(tmp_path / name, make_tables(60, 0), threshold=threshold, about={"name": HOSTILE})
    comparison = face.compare(tmp_path / "a", tmp_path / "b")
    html = comparison._repr_html_()
    Balanced(html)
    delta = comparison.differences["metrics", "capi_sdri"].delta
    assert delta is not None
    assert f"{delta:+.3f} [" in html
    assert "60 mixtures" in html


def test_a_mixture_shows_a_player_and_a_spectrogram_of_each_sound(small_set: Path, tmp_path: Path) -> None:
    run = face.run("oracle-gain", small_set, tmp_path / "run", save_audio=True)
    mixture = run.mixture("m_2")
    assert repr(mixture).startswith("<RunMixture m_2 of ")
    html = mixture._repr_html_()
    Balanced(html)
    assert html.count("<audio controls") == html.count("<img") == 2 + 2 + 2
    for content in re.findall(r"data:audio/flac;base64,([^\"]+)", html):
        info = soundfile.info(io.BytesIO(base64.b64decode(content)))
        assert (info.samplerate, info.frames) == (32_000, 16_000)
    for content in re.findall(r"data:image/png;base64,([^\"]+)", html):
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == (400, 64)
    for path in (small_set / "soundscape").iterdir():
        path.unlink()
    assert "not where the run was made on it" in run.mixture("m_2")._repr_html_()


def test_a_mixture_that_is_not_there_is_named(tmp_path: Path, make_tables: Tables) -> None:
    write_run(tmp_path / "run", make_tables(5, 0))
    with pytest.raises(face.UsageError, match="did you mean 'm_0003'"):
        face.read_run(tmp_path / "run").mixture("m_003")


def test_files_that_belong_to_no_mixture_are_named(small_set: Path, tmp_path: Path) -> None:
    wavs = shutil.copytree(small_set / "oracle_target", tmp_path / "wavs")
    shutil.copy(next(wavs.iterdir()), wavs / "nobody_0_Speech.wav")
    html = face.run("folder", small_set, tmp_path / "run", settings={"path": str(wavs)})._repr_html_()
    Balanced(html)
    assert "1 orphan" in html
    assert "nobody_0_Speech.wav" in html


@pytest.mark.usefixtures("systems_on_path")
def test_failed_mixtures_and_missing_references_are_told_of(small_set: Path, tmp_path: Path) -> None:
    shutil.copytree(small_set / "soundscape", tmp_path / "noref" / "soundscape")
    bare = face.run("plugins:build", tmp_path / "noref", tmp_path / "bare")
    html = bare._repr_html_()
    Balanced(html)
    assert "CAPI-SDRi is undefined: " in html
    assert ", 5 of 5 mixtures answered, complete" in repr(bare)
    html = bare.mixture("m_1")._repr_html_()
    assert "not scored: there are no references" in html and "assigned to no reference" not in html
    failed = face.run("staged:build", small_set, tmp_path / "failed", settings={"fail": "m_2"})
    html = failed._repr_html_()
    Balanced(html)
    assert "failed, and in no number above: 1 mixture" in html and "m_2: " in html
    assert repr(failed.mixture("m_2")).endswith(": failed>")
    assert repr(bare.mixture("m_1")).endswith(": not scored: there are no references>")
