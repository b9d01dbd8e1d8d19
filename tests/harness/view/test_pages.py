"""What the pages of the viewer say of runs, mixtures and pairs of runs, hostile texts included."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealed_files import edit_lines, edit_record
from viewing import Elements, Made, hostile, key, pages_of, rows, text_of

Browse = Callable[..., Any]


def test_runs_stand_in_groups_of_the_same_data(copied: Made, browse: Browse) -> None:
    edit_record(copied.scored / "run.json", manifest_sha256="f" * 64)
    html = browse(copied.runs).get("/").text
    assert html.count("<section>") == 2
    assert "ffffffff, other mixtures or files than its namesake" in text_of(html)
    together = browse(copied.staged, copied.staged.parent / "scored").get("/").text
    assert together.count("<table") == 2
    assert "chart" not in together  # one run has nothing to be set beside


def test_a_run_beside_another_on_the_same_data_is_drawn_with_it(made: Made, browse: Browse) -> None:
    html = browse(made.runs).get("/").text
    assert html.count("<section>") == 1
    assert f"/run?run={key(made.staged)}" in Elements(html).addresses()
    assert 'class="chart' in html


def test_namesakes_are_told_apart_in_the_chart_by_their_folders(copied: Made, browse: Browse) -> None:
    runs = copied.runs
    system = json.loads((copied.scored / "run.json").read_text())["config"]["system"]
    for name in ("a/first", "a/second", "b/second"):
        shutil.copytree(copied.scored, runs / name)
    (chart,) = re.findall(r"<svg.*?</svg>", browse(runs / "a", runs / "b").get("/").text, re.DOTALL)
    titles = re.findall(r">([^<>]+)</text>", chart)
    assert {"first", "a/second", "b/second"} <= set(titles) and system not in titles, titles
    (chart,) = re.findall(r"<svg.*?</svg>", browse(runs).get("/").text, re.DOTALL)
    name = json.loads((copied.staged / "run.json").read_text())["config"]["system"]
    assert name in re.findall(r">([^<>]+)</text>", chart), "one that has no namesake goes by its name"


def test_the_page_of_a_run_says_what_its_summary_says(made: Made, browse: Browse) -> None:
    text = text_of(browse(made.runs).get("/run", params={"run": key(made.staged)}).text)
    summary = json.loads((made.staged / "summary.json").read_text())
    for name, digits in (("capi_sdri", 2), ("mixture_accuracy", 1), ("source_accuracy", 1)):
        value = f"{summary['metrics'][name]['value']:.{digits}f}".replace("-", "−")
        assert f"{value} {'dB' if digits == 2 else '%'}" in text
    assert "threshold 0.5 for every class" in text
    assert "oracle-gain" in text
    assert f"as written to 16-bit wavs: CAPI-SDRi {summary['as_written']['capi_sdri']['value']:.3f} dB" in text


def test_every_mark_of_a_chart_leads_to_mixtures_that_are_there(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    links = [a["href"] for tag, a in Elements(client.get("/run", params={"run": key(made.scored)}).text).found
             if tag == "a" and a.get("href", "").startswith(("/mixtures?", "/mixture?"))]  # fmt: skip
    marks = [link for link in links if link.count("=") > 1]
    assert len(marks) > 10
    for link in marks:
        answer = client.get(link)
        assert answer.status_code == 200, link
        assert link.startswith("/mixture?") or rows(answer.text), link


def test_a_mixture_says_which_rule_dropped_a_candidate(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    html = {i: client.get("/mixture", params={"run": key(made.staged), "id": i}).text for i in ("m_1", "m_2", "m_4")}
    text = " ".join(map(text_of, html.values()))
    assert re.search(r"dropped, silent: 0\.\d+ is above the threshold 0\.500 of \w+", text)
    assert "answers reference 0" in text
    assert "Through the stages" in text
    for stage in ("stage1", "stage2", "stage3"):
        assert f"of=stage-{stage}-0" in html["m_1"]


def test_every_picture_and_waveform_of_a_mixture_is_there(made: Made, browse: Browse) -> None:
    client = browse(made.runs)
    html = client.get("/mixture", params={"run": key(made.staged), "id": "m_2"}).text
    addresses = [link for link in Elements(html).addresses() if link.startswith(("/audio", "/wave", "/picture"))]
    assert len(addresses) > 20
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        start = {"/a": b"RIFF", "/w": b"{", "/p": b"\x89PNG"}[address[:2]]
        assert answer.content.startswith(start)


def test_without_audio_the_page_says_why_and_shows_the_numbers(made: Made, tmp_path: Path, browse: Browse) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    asked = {"run": key(made.scored), "id": "m_2"}
    text = text_of(browse(made.runs, data=(nowhere,)).get("/mixture", params=asked).text)
    assert "not to be heard: the run was made without --save-audio" in text
    assert "nowhere" in text
    assert "SNR of the mixture" in text


def test_audio_of_other_files_than_the_run_was_made_on_is_not_played(copied: Made, browse: Browse) -> None:
    wav = copied.data / "soundscape" / "m_2.wav"
    shutil.copy(copied.data / "soundscape" / "m_1.wav", wav)
    client, asked = browse(copied.runs, data=(copied.data,)), {"run": key(copied.staged), "id": "m_2"}
    assert "are others than those that the run was made on" in text_of(client.get("/mixture", params=asked).text)
    assert client.get("/audio", params={**asked, "of": "mixture"}).status_code == 422
    assert client.get("/audio", params={**asked, "id": "m_1", "of": "mixture"}).status_code == 200


def test_files_that_are_changed_and_put_right_while_they_are_looked_at_are_seen(copied: Made, browse: Browse) -> None:
    wav = copied.data / "soundscape" / "m_2.wav"
    own = wav.read_bytes()
    client, asked = browse(copied.runs, data=(copied.data,)), {"run": key(copied.staged), "id": "m_2"}
    said = []
    for content in (own, (copied.data / "soundscape" / "m_1.wav").read_bytes(), own):
        wav.write_bytes(content)
        played = client.get("/audio", params={**asked, "of": "mixture"}).status_code
        said.append((played, "are others than" in text_of(client.get("/mixture", params=asked).text)))
    assert said == [(200, False), (422, True), (200, False)]


def test_flags_are_explained_wherever_they_stand(copied: Made, browse: Browse, s5eval: Browse) -> None:
    """In the words of the printed table, which lead to the mixtures that have one."""
    (copied.staged / "all.yaml").write_text("silence_thresholds: {default: 1.0}\n")
    run = copied.staged.parent / "flagged"
    assert s5eval("rescore", copied.staged, "--decision", copied.staged / "all.yaml", "--out", run).code == 0
    client, asked = browse(copied.runs, data=(copied.data,)), {"run": key(run)}
    line = "estimates without a sound, each with a class: scored as an estimate of 0 dB SNR"
    html = client.get("/run", params=asked).text
    assert re.search(rf"silent-estimate \d+: {line} \(m_1, ", text_of(html))
    assert f"/mixtures?run={key(run)}&amp;flag=silent-estimate" in html
    assert f'title="{line}">silent-estimate:1<' in client.get("/mixtures", params=asked).text
    assert f"silent-estimate:1 {line}" in text_of(client.get("/mixture", params={**asked, "id": "m_1"}).text)


def test_a_run_is_on_the_data_that_tables_name(made: Made, browse: Browse) -> None:
    """A plain folder is its own data set and split, which pages called folder/folder."""
    text = text_of(browse(made.runs).get("/run", params={"run": key(made.staged)}).text)
    about = json.loads((made.staged / "run.json").read_text())["about"]
    assert f"on folder {about['folder']}" in text and "folder/folder" not in text


def test_findings_about_files_stand_on_the_page_of_the_run(copied: Made, browse: Browse) -> None:
    edit_record(copied.scored / "run.json", findings=["warning: stray.wav: no mixture [orphan]"])
    edit_record(copied.scored / "summary.json", findings={"orphan": 1})
    text = text_of(browse(copied.scored).get("/run", params={"run": key(copied.scored)}).text)
    assert "findings about the files: 1 orphan" in text and "stray.wav: no mixture [orphan]" in text


def test_the_marks_of_a_run_stand_on_every_page_with_its_numbers(copied: Made, browse: Browse) -> None:
    for run in (copied.staged, copied.scored):
        about = json.loads((run / "run.json").read_text())["about"]
        edit_record(run / "run.json", about={**about, "weights": "untrained", "n_split": 9})
    client = browse(copied.runs, data=(copied.data,))
    a, b = key(copied.staged), key(copied.scored)
    for address in ("/run", "/mixtures", "/mixture", "/thresholds"):
        text = text_of(client.get(address, params={"run": a, "id": "m_1"}).text)
        assert "RANDOM WEIGHTS" in text and "PARTIAL: 5 of the split's 9 mixtures" in text, address
    text = text_of(client.get("/mixture", params={"run": a, "id": "m_1", "with": b}).text)
    assert text.count("RANDOM WEIGHTS") == 2


def test_hostile_texts_are_shown_as_texts_on_every_page(copied: Made, browse: Browse) -> None:
    hostile(copied.scored)
    pages = pages_of(browse(copied.runs))
    assert len(pages) > 20
    seen = ""
    for address, html in pages.items():
        page = Elements(html)
        scripts = [attributes for tag, attributes in page.found if tag == "script"]
        assert all(set(attributes) == {"type", "src"} for attributes in scripts), address
        assert not [tag for tag, a in page.found if tag == "b" and "onx" in a], address
        assert not [tag for tag, a in page.found if tag == "img" and not a["src"].startswith("/picture?")], address
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", html), address
        assert "A" * 2000 not in html.replace("%41", "A"), address
        seen += text_of(html)
    assert "<script>alert(1)</script>" in seen
    assert r"\x1b[31m" in seen
    assert "{{7*7}}" in seen


def test_two_runs_stand_side_by_side_down_to_the_estimates(made: Made, browse: Browse, s5eval: Browse) -> None:
    client = browse(made.runs)
    html = client.get("/compare", params={"a": key(made.scored), "b": key(made.staged)}).text
    compared = s5eval("compare", made.scored, made.staged, "--json").json
    delta = f"{compared['metrics']['capi_sdri']['delta']:+.2f}".replace("-", "−")
    assert delta in text_of(html)
    assert set(rows(html)) == {"m_1", "m_10", "m_2", "m_3", "m_4"}
    mixture = next(a["data-href"] for _, a in Elements(html).found if "id=m_1&" in a.get("data-href", "") + "&")
    page = client.get(mixture).text
    assert {f"run={key(made.scored)}", f"run={key(made.staged)}"} <= set(re.findall("run=[0-9a-f]{12}", page))
    assert re.search(r"A \d+ Speech", text_of(page))
    assert re.search(r"B \d+ Speech", text_of(page))
    asked = {"a": key(made.scored), "b": key(made.staged), "only": "broken"}
    assert set(rows(client.get("/compare", params=asked).text)) == set(compared["broken"])


def test_conditions_that_metadata_tell_are_compared_by_name(copied: Made, browse: Browse) -> None:
    known = {"snr": 5.0, "overlap": None, "angle": None, "interference": 2, "duration": 0.5}
    for run in (copied.scored, copied.staged):
        edit_lines(run, lambda line: line.update(conditions=known))
    html = browse(copied.runs).get("/compare", params={"a": key(copied.scored), "b": key(copied.staged)}).text
    said = text_of(html)
    for title, part, label in (
        ("level of the softest target over the background", "below 8 dB", "level below 8 dB"),
        ("interfering events", "2", "interference 2"),
        ("duration of the shortest target", "below 1 s", "shortest below 1 s"),
    ):
        assert title in said, "in the chart"
        assert re.search(rf">{part}<", html), "in the chart"
        assert label in said, "in the table"


def test_runs_on_different_data_are_compared_only_when_that_is_asked_for(copied: Made, browse: Browse) -> None:
    edit_record(copied.scored / "run.json", manifest_sha256="f" * 64)
    client, asked = browse(copied.runs), {"a": key(copied.scored), "b": key(copied.staged)}
    refused = client.get("/compare", params=asked).text
    assert "different data" in text_of(refused)
    assert not rows(refused)
    (link,) = [address for address in Elements(refused).addresses() if "different=1" in address]
    allowed = client.get(link).text
    assert "different data" in text_of(allowed)
    assert rows(allowed)


def test_an_empty_folder_says_how_a_run_is_made(tmp_path: Path, browse: Browse) -> None:
    assert "No runs there yet" in text_of(browse(tmp_path).get("/").text)


def test_the_command_says_what_is_missing(tmp_path: Path, s5eval: Browse) -> None:
    result = s5eval("view", tmp_path / "nowhere")
    assert (result.code, "no folder at" in result.err) == (2, True)


def test_a_stage_that_only_names_is_followed_and_nothing_of_it_is_to_be_heard(
    made: Made, browse: Browse, s5eval: Browse, tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "names"
    options = ["--set", "system.names_only=true", "--data", made.data, "--out", out]
    assert s5eval("run", "--system", "staged:build", *options).code == 0
    client = browse(out)
    html = client.get("/mixture", params={"run": key(out), "id": "m_2"}).text
    assert text_of(html).count("names only: nothing was separated here") == 3
    assert "of=stage-stage1" not in html
    assert "of=stage-stage2-0" in html
    asked = [link for link in Elements(html).addresses() if link.startswith(("/audio", "/wave", "/picture"))]
    assert {client.get(link).status_code for link in asked} == {200}
