"""The outer package: templates filled from submissions, every missing field named, the report, the URLs."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from s5eval.data_manifests.common.errors import UsageError
from s5eval.submissions.build import build_submission
from s5eval.submissions.expected import Expected
from s5eval.submissions.meta_file import check_meta, fill_template, load_template
from s5eval.submissions.package import Packaged, init_package, package
from s5eval.submissions.pdf import check_report
from s5eval.submissions.rules import SubmissionName, make_name
from s5eval.submissions.submission import Submission

TEAM = "Choi_KAIST_task4"
ONE, TWO = (make_name("Choi", "KAIST", number) for number in (1, 2))
FILLED = {
    "name": "Multi-stage",
    "abbreviation": "multi",
    "institute": "KAIST",
    "location": "Daejeon, Korea",
    "lastname": "Choi",
    "firstname": "Y.",
    "email": "choi@kaist.example",
}


@pytest.fixture
def archives(submission: Submission, tmp_path: Path) -> dict[SubmissionName, Path]:
    return {
        name: build_submission(submission, name, tmp_path / "built", folder=False).archive for name in (ONE, TWO)
    }  # fmt: skip


@pytest.fixture
def meta(archives: dict[SubmissionName, Path], tmp_path: Path) -> Path:
    """Files as `init` writes them, filled in."""
    folder = tmp_path / "meta"
    init_package(list(archives), archives, folder)
    for path in folder.glob("*.yaml"):
        fill(path)
    (folder / f"{TEAM}.audio_url.txt").write_text(
        "# where\n" + "".join(f"{name.label} https://zenodo.example/{name.label}.zip\n" for name in archives)
    )
    return folder


def fill(path: Path) -> None:
    lines = []
    for line in path.read_text().splitlines():
        key, colon, value = line.partition(": ")
        if colon and "TODO" in value and not line.lstrip().startswith("#"):
            known = FILLED.get(key.strip(" -"), "[]" if key.strip() == "external_resources" else "something")
            line = f"{key}: {known}"
        lines.append(line)
    path.write_text("\n".join(lines))


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A one-page PDF, as small as one can be, whose text is behind no filter."""
    return write_pdf(tmp_path / "report.pdf", b"BT /F1 12 Tf 72 720 Td (A title, authors and an abstract) Tj ET")


def write_pdf(path: Path, stream: bytes, extra: bytes = b"") -> Path:
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        b"4 0 obj << /Length " + str(len(stream)).encode() + b" >> stream\n" + stream + b"\nendstream endobj\n"
        b"trailer << /Root 1 0 R " + extra + b" >>\n%%EOF\n"
    )
    return path


Pack = Callable[..., Packaged]


@pytest.fixture
def pack(archives: dict[SubmissionName, Path], meta: Path, report: Path, tmp_path: Path, expected: Expected) -> Pack:
    def call(**changes: object) -> Packaged:
        options = {"submissions": list(archives.values()), "meta_folder": meta, "report": report, **changes}
        return package(**options, out=tmp_path / "package", expected=expected)  # type: ignore[arg-type]

    return call


def test_a_whole_package(pack: Pack, meta: Path, report: Path) -> None:
    packaged = pack()
    assert (packaged.findings, packaged.team, packaged.ok) == ((), TEAM, True)
    assert packaged.archive is not None
    with zipfile.ZipFile(packaged.archive) as archive:
        assert archive.namelist() == sorted(
            [f"{TEAM}/{TEAM}.audio_url.txt", f"{TEAM}/{TEAM}.technical_report.pdf"]
            + [f"{TEAM}/{name.label}/{name.label}.meta.yaml" for name in (ONE, TWO)]
            + [f"{TEAM}/{n.label}/{f}_results.json" for n in (ONE, TWO) for f in ("eval", "dev_set_test")]
        )
        assert archive.read(f"{TEAM}/{TEAM}.technical_report.pdf") == report.read_bytes()
    again = packaged.archive.read_bytes()
    assert pack().archive is not None
    assert packaged.archive.read_bytes() == again


def test_another_package_of_the_team_is_replaced_when_told_to(pack: Pack, meta: Path) -> None:
    """Another form of the URLs makes another package."""
    packaged = pack()
    assert packaged.archive is not None
    before = packaged.archive.read_bytes()
    urls = meta / f"{TEAM}.audio_url.txt"
    urls.write_text(urls.read_text().replace("zenodo.example", "elsewhere.example"))
    with pytest.raises(UsageError, match=r"stands there already, and is something else: .*`replace` to lose it"):
        pack()
    assert [path.read_bytes() for path in packaged.archive.parent.iterdir()] == [before]
    assert pack(replace=True).ok
    assert packaged.archive.read_bytes() != before


def test_init_reads_facts_and_overwrites_nothing(archives: dict[SubmissionName, Path], tmp_path: Path) -> None:
    written, kept = init_package(list(archives), archives, tmp_path / "m")
    assert (len(written), kept) == (3, [])
    value = yaml.safe_load((tmp_path / "m" / f"{ONE.label}.meta.yaml").read_text())
    assert value["submission"]["label"] == ONE.label
    assert value["system"]["complexity"]["total_parameters"] == 1000
    assert value["results"]["development_dataset"] == {
        "capi_sdri": 2.5,
        "mixture_accuracy": 50.0,
        "source_accuracy": 50.0,
    }
    (tmp_path / "m" / f"{ONE.label}.meta.yaml").write_text("mine")
    assert init_package(list(archives), archives, tmp_path / "m")[0] == []
    assert (tmp_path / "m" / f"{ONE.label}.meta.yaml").read_text() == "mine"


def test_external_resources_come_from_the_run(submission: Submission, tmp_path: Path) -> None:
    resources = [{"name": "M2D", "url": "https://github.com/nttcslab/m2d"}]
    config = {"fingerprint": {"external_resources": resources}}
    built = build_submission(replace(submission, config=config), ONE, tmp_path / "b", folder=False)
    init_package([ONE], {ONE: built.archive}, tmp_path / "m")
    value = yaml.safe_load((tmp_path / "m" / f"{ONE.label}.meta.yaml").read_text())
    assert value["system"]["external_resources"] == resources


def test_every_field_left_open_is_named(pack: Pack, archives: dict[SubmissionName, Path], tmp_path: Path) -> None:
    init_package(list(archives), archives, tmp_path / "open")
    packaged = pack(meta_folder=tmp_path / "open")
    assert not packaged.ok
    assert not (tmp_path / "package").exists()
    fields = {f.message.partition(":")[0] for f in packaged.findings if f.rule == "meta-field"}
    assert {"submission.name", "submission.authors[0].email", "system.description.loss_function"} <= fields
    assert "system.external_resources" in fields
    assert [f.rule for f in packaged.findings if f.file.endswith(".txt")] == ["audio-url"] * 2


@pytest.mark.parametrize(
    ("old", "new", "rule", "message"),
    [
        ("  name: Multi-stage", "", "meta-field", "submission.name: the field is missing"),
        ("  name: Multi-stage", "  name: ''", "meta-field", "submission.name: must not be empty"),
        ("abbreviation: multi", "abbreviation: far-too-long-a-name", "meta-value", "longer than 10"),
        (f"label: \"{ONE.label}\"", "label: Choi_KAIST_task4_3", "meta-value", "submission.label"),
        ("choi@kaist.example", "choi at kaist", "meta-value", "no e-mail address"),
        ("corresponding: true", "corresponding: false", "meta-value", "0 corresponding authors"),
        ("corresponding: true", "corresponding: 'no'", "meta-value", "expected true or false, found 'no'"),
        ("lastname: Choi", "lastname: No", "meta-value", "lastname: YAML reads this word as the truth"),
        ("abbreviation: multi", "abbreviation: on", "meta-value", "YAML reads this word as the truth value true"),
        ("abbreviation: multi", "abbreviation: 1e3", "meta-value", "YAML reads this word as the number 1000.0"),
        ("  name: Multi-stage", "  name: 2026-06-01", "meta-value", "YAML reads this word as the date 2026-06-01"),
        ("  name: Multi-stage", "  name: 12:30", "meta-value", "YAML reads this word as the number 750"),
        ("total_parameters: 1000", "total_parameters: 999", "meta-differs", "the submission says 1000"),
        ("total_parameters: 1000", "total_parameters: a few", "meta-value", "expected a number"),
        ("mixture_accuracy: 50.0", "mixture_accuracy: 500", "meta-value", "percent from 0 to 100"),
        ("submission:", "submission: [", "meta-invalid", "not YAML"),
        ("submission:", "- submission:", "meta-invalid", "not YAML"),
        ("macs: null", "macs: &a [*a]", "meta-invalid", "aliases"),
    ],
)  # fmt: skip
def test_wrong_meta(meta: Path, old: str, new: str, rule: str, message: str) -> None:
    path = meta / f"{ONE.label}.meta.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    facts = {"nparams": 1000, "capi_sdri": 5.0, "mixture_accuracy": 50.0, "source_accuracy": 50.0}
    found = check_meta(path, ONE, load_template(None), facts)
    assert [entry.message for entry in found if entry.rule == rule and message in entry.message] != []


def test_missing_meta_and_lists(meta: Path, tmp_path: Path) -> None:
    (found,) = check_meta(tmp_path / "none.yaml", ONE, load_template(None), {})
    assert (found.rule, "submit init" in found.message) == ("meta-missing", True)
    (tmp_path / "list.yaml").write_text("[]")
    assert [f.rule for f in check_meta(tmp_path / "list.yaml", ONE, load_template(None), {})] == ["meta-invalid"]
    (tmp_path / "empty.yaml").write_text("submission: {authors: []}\n")
    messages = [f.message for f in check_meta(tmp_path / "empty.yaml", ONE, load_template(None), {})]
    assert "submission.authors: expected a list with at least one entry" in messages


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text('entry: {{label}}\nparameters: {{ nparams }}\nmotto: "TODO: a motto"\nremark: null\n')
    text = load_template(path)
    filled = fill_template(text, {"label": "L", "nparams": 7})
    assert yaml.safe_load(filled) == {"entry": "L", "parameters": 7, "motto": "TODO: a motto", "remark": None}
    (tmp_path / "meta.yaml").write_text("entry: L\nparameters: 7\nremark: null\n")
    assert [f.message for f in check_meta(tmp_path / "meta.yaml", ONE, text, {})] == ["motto: the field is missing"]
    for wrong, message in (("a: {{typo}}", "unknown placeholder {{typo}}"), ("a: [", "not YAML"), ("[]", "mapping")):
        path.write_text(wrong)
        with pytest.raises(UsageError, match=message):
            load_template(path)


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ("", f"no line for {ONE.label}"),
        (f"{ONE.label} ftp://x.org/a\n{TWO.label} https://x.org/b", "no http or https URL"),
        (f"{ONE.label} https://x.org/a\n{ONE.label} https://x.org/b", "stands here twice"),
        ("Choi_KAIST_task4_4 https://x.org/a", "is none of the systems"),
    ],
)
def test_wrong_urls(pack: Pack, meta: Path, urls: str, message: str) -> None:
    (meta / f"{TEAM}.audio_url.txt").write_text(urls)
    packaged = pack()
    assert any(found.rule == "audio-url" and message in found.message for found in packaged.findings)
    assert not packaged.ok


def test_urls_may_stand_behind_tabs_in_a_file_with_a_mark(pack: Pack, meta: Path) -> None:
    lines = "".join(f"{name.label}\thttps://x.org/{name.label}\n" for name in (ONE, TWO))
    (meta / f"{TEAM}.audio_url.txt").write_text(f"# where\n{lines}", encoding="utf-8-sig")
    assert [found.message for found in pack().findings if found.rule == "audio-url"] == []


def test_wrong_systems(pack: Pack, archives: dict[SubmissionName, Path], tmp_path: Path) -> None:
    one = archives[ONE]
    twice = pack(submissions=[one, one])
    assert ("package-systems", ONE.label) in {(f.rule, f.file) for f in twice.findings}
    five = pack(submissions=[*archives.values()] * 3)
    assert any("at most 4" in found.message for found in five.findings)
    renamed = one.rename(one.with_name("mine.zip"))
    assert any(found.rule == "archive-name" for found in pack(submissions=[renamed, archives[TWO]]).findings)
    other = tmp_path / "Bando_AIST_task4_1.zip"
    other.write_bytes(renamed.read_bytes())
    with pytest.raises(UsageError, match="several teams"):
        pack(submissions=[other, archives[TWO]])
    with pytest.raises(UsageError, match="no submission is named"):
        pack(submissions=[renamed])


def test_a_broken_submission_keeps_the_package_from_being_written(
    pack: Pack, archives: dict[SubmissionName, Path]
) -> None:
    archives[ONE].write_bytes(archives[ONE].read_bytes()[:-40])
    packaged = pack()
    assert not packaged.ok
    assert any(found.rule == "not-an-archive" and found.file.startswith(ONE.label) for found in packaged.findings)


def test_reports(report: Path, tmp_path: Path) -> None:
    import zlib

    text = b"BT /F1 9 Tf [(Ab) -20 (stract)] TJ ET"
    assert check_report(report) == []
    assert check_report(write_pdf(tmp_path / "flate.pdf", zlib.compress(text))) == []
    import base64

    wrapped = base64.a85encode(zlib.compress(text)) + b"~>"
    assert check_report(write_pdf(tmp_path / "ascii85.pdf", wrapped)) == []
    cases = {
        "report-no-text": write_pdf(tmp_path / "scan.pdf", b"q 612 0 0 792 0 0 cm /Im0 Do Q"),
        "report-encrypted": write_pdf(tmp_path / "secret.pdf", b"\x8f\x01", b"/Encrypt 9 0 R"),
        "report-missing": tmp_path / "nowhere.pdf",
    }
    for rule, path in cases.items():
        assert [found.rule for found in check_report(path)] == [rule]
    for content in (b"", b"PK\3\4 a docx", report.read_bytes()[:-8]):
        (tmp_path / "wrong.pdf").write_bytes(content)
        assert [found.rule for found in check_report(tmp_path / "wrong.pdf")] == ["report-not-pdf"]


def test_a_report_of_a_real_program(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure()
    figure.savefig(tmp_path / "empty.pdf")
    assert [found.rule for found in check_report(tmp_path / "empty.pdf")] == ["report-no-text"]
    figure.text(0.1, 0.8, "A technical report")
    figure.savefig(tmp_path / "text.pdf")
    pyplot.close(figure)
    assert check_report(tmp_path / "text.pdf") == []
