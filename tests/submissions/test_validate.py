"""Every rule finds what it is there for, by rule and file, and a flawless submission has no finding."""

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from submitting import DEV, EVAL, LABEL, OUT, Edit, Files, Pack, found

from s5eval.submissions.expected import OFFICIAL, Expected, expected_from_list, guess_expected
from s5eval.submissions.rules import EVAL_IDS, RULES
from s5eval.submissions.validate import check_submission

Wav = Callable[..., bytes]


def test_a_flawless_submission_has_no_finding(content: Files, pack: Pack, expected: Expected, tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        report = check_submission(pack(content, compression=compression), expected=expected)
        assert (report.findings, report.ok, report.files, report.mixtures) == ((), True, 7, 5)
    assert check_submission(pack(content, name=f"{LABEL}_out.zip"), expected=expected).findings == ()
    for name, data in content.items():
        (tmp_path / "unpacked" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "unpacked" / name).write_bytes(data)
    assert check_submission(tmp_path / "unpacked" / LABEL, expected=expected).findings == ()
    assert check_submission(tmp_path / "unpacked", expected=expected).findings == ()


def test_many_defects_in_one_pass(content: Files, pack: Pack, edit_json: Edit, wav: Wav, expected: Expected) -> None:
    """Forty-odd defects in one archive; each is found by its rule and file, in one call."""
    rng = np.random.default_rng(0)
    good = rng.uniform(-0.5, 0.5, 800)

    def another(index: int) -> Any:
        return np.random.default_rng(100 + index).uniform(-0.5, 0.5, 800)

    wanted: set[tuple[str, str]] = set()

    def plant(rule: str, file: str, data: bytes | None = None) -> None:
        wanted.add((rule, file))
        if data is not None:
            content[file] = data

    def audio(rule: str, id_: str, index: int, data: bytes) -> None:
        plant(rule, f"{OUT}/{id_}_{index}_Pour.wav", data)

    # audio
    audio("audio-empty", "a_0", 0, b"")
    audio("audio-unreadable", "a_0", 1, b"RIFF\x04\0\0\0WAVE" + b"\0" * 20)
    audio("audio-format", "a_0", 2, wav(good, format_="FLAC"))
    audio("audio-rate", "a_1", 0, wav(another(1), rate=16000))
    audio("audio-channels", "a_1", 1, wav(np.stack([another(2)] * 2, axis=1)))
    audio("audio-subtype", "a_1", 2, wav(another(3), subtype="FLOAT"))
    audio("audio-length", "a_2", 0, wav(another(4)[:-1]))
    audio("audio-truncated", "a_2", 1, wav(another(5))[:-100])
    audio("audio-not-finite", "a_2", 2, wav(np.where(np.arange(800) == 7, np.nan, good), subtype="FLOAT"))
    audio("audio-clipped", "a_3", 0, wav(np.clip(4 * another(6), -1, 1)))
    audio("audio-silent", "a_3", 1, wav(np.zeros(800)))
    audio("audio-length", "a_3", 2, wav(np.zeros(0)))
    same = wav(another(7))
    content[f"{OUT}/a_4_0_Pour.wav"] = same
    audio("audio-repeated", "a_4", 1, same)
    # names and places
    plant("file-name", f"{OUT}/nonsense.wav", wav(another(8)))
    plant("unknown-label", f"{OUT}/a_4_2_Barking.wav", wav(another(9)))
    plant("unknown-label", f"{OUT}/a_5_0_silence.wav", wav(another(10)))
    plant("unknown-mixture", f"{OUT}/nobody_0_Pour.wav", wav(another(11)))
    plant("duplicate-index", f"{OUT}/m_3_0_Pour.wav", wav(another(12)))
    plant("ambiguous-mixture", f"{OUT}/m_10_0_Pour.wav", wav(another(13)))
    plant("index-format", f"{OUT}/a_5_01_Pour.wav", wav(another(14)))
    plant("suffix", f"{OUT}/a_5_2_Pour.WAV", wav(another(15)))
    plant("too-many-outputs", f"{OUT}/m_2_7_Speech.wav", wav(another(16)))
    plant("nested-folder", f"{OUT}/deeper/a_5_2_Pour.wav", wav(another(17)))
    plant("foreign-file", f"{OUT}/notes.txt", b"hello")
    plant("foreign-file", f"{LABEL}/model.pt", b"weights")
    plant("top-folder", "elsewhere/readme.md", b"hello")
    plant("top-folder", "readme.md", b"hello")
    plant("junk-file", f"{LABEL}/.DS_Store", b"")
    plant("junk-file", f"__MACOSX/{LABEL}/._x", b"")
    plant("junk-file", f"__MACOSX/{LABEL}/eval_out/._m_3_0_Doorbell.wav", b"")
    plant("hidden-output", f"{OUT}/._m_3_0_Doorbell.wav", b"")
    plant("case-collision", f"{OUT}/M_3_0_doorbell.wav", wav(another(18)))
    plant("non-ascii-name", f"{OUT}/m_3_1_Spéech.wav", wav(another(19)))
    plant("backslash", f"{LABEL}\\eval_out\\m_3_1_Pour.wav", wav(another(20)))
    plant("path-traversal", f"{LABEL}/../../etc/passwd", b"x")
    plant("absolute-path", "/etc/passwd", b"x")
    plant("absolute-path", "C:/windows/system.ini", b"x")
    plant("control-character", f"{LABEL}/eval_out/a\\x1b[2J_0_Pour.wav")
    content[f"{LABEL}/eval_out/a\x1b[2J_0_Pour.wav"] = b"x"

    def spoil(value: Any) -> None:
        rows = {row["soundscape"]: row for row in value["probabilities"]}
        rows["m_0"]["estimate"][0]["probability"] = 1.5
        rows["m_0"]["estimate"][1]["label"] = "Speech"
        rows["m_2"]["estimate"][0]["filename"] = "m_2_9_Typing.wav"
        rows["m_2"]["estimate"][1]["probability"] = "high"
        rows["m_2"]["estimate"][2]["filename"] = "m_2_1_Typing.wav"
        rows["m_3"]["estimate"].append({"filename": "m_0_0_Speech.wav", "label": "Speech", "probability": 0.1})
        rows["m_3"]["estimate"][0]["label"] = "Barking"
        value["probabilities"].remove(rows["m_4"])
        value["probabilities"] += [rows["m_1"], {"soundscape": "unheard", "estimate": []}, {"soundscape": "a_0"}]
        value["nparams"] = "many"
        value["remark"] = ""
        del value["config"]

    edit_json("eval_results.json", spoil)
    rules = "probability label-differs filename-missing filename-duplicate filename-mixture unknown-label"
    rules += " soundscape-missing soundscape-duplicate soundscape-unknown json-schema nparams json-extra-key"
    wanted |= {(rule, EVAL) for rule in rules.split()}
    wanted.add(("filename-unlisted", f"{OUT}/m_2_0_Typing.wav"))

    def spoil_dev(value: Any) -> None:
        value["CAPI-SDRi"]["mean"] = "good"
        value["label_metrics"]["accuracy_mix"] = 60.0
        value["details"][0]["est_labels"][0] = "Barking"
        value["details"][1]["metrics"][1]["value"]["tp"] = 5
        value["details"].append(value["details"][1])

    edit_json("dev_set_test_results.json", spoil_dev)
    wanted |= {(rule, DEV) for rule in ("dev-value", "unknown-label", "dev-inconsistent", "soundscape-duplicate")}
    link = zipfile.ZipInfo(f"{OUT}/m_0_5_Pour.wav")
    link.external_attr = 0o120777 << 16
    fifo = zipfile.ZipInfo(f"{OUT}/m_0_6_Pour.wav")
    fifo.external_attr = 0o010644 << 16
    odd = zipfile.ZipInfo(f"{OUT}/m_0_7_Pour.wav")
    odd.compress_type = zipfile.ZIP_BZIP2
    again = zipfile.ZipInfo(f"{OUT}/m_0_0_Speech.wav")
    wanted |= {("link", link.filename), ("special-file", fifo.filename), ("compression", odd.filename)}
    wanted.add(("duplicate-entry", again.filename))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile dislikes the duplicate
        path = pack(
            content, name="Choi_task4.zip", extra=[(link, b"/etc/passwd"), (fifo, b""), (odd, b"x"), (again, b"y")]
        )
    wanted |= {("archive-name", "Choi_task4.zip"), ("top-folder", LABEL)}

    ids = frozenset({*(expected.ids or ()), "m_10", *(f"a_{k}" for k in range(6))})
    report = check_submission(path, expected=Expected("the test", ids, 800))
    assert wanted - found(report) == set()
    assert len({rule for rule, _ in wanted}) >= 45
    assert not report.ok
    kept = [entry for entry in report.findings if (entry.rule, entry.file) not in wanted]
    besides = {"filename-unlisted", "unknown-mixture", "unknown-label", "file-name", "audio-length", "audio-subtype"}
    assert {entry.rule for entry in kept} <= besides  # what the planted files are wrong in as well


def test_every_rule_is_tested_somewhere() -> None:
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path.name != "test_rules.py"]  # a list of them
    text = "".join(path.read_text() for path in files)
    assert [rule for rule in RULES if rule not in text] == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "json-invalid"),
        (b"{", "json-invalid"),
        (b"\xff\xfe{}", "json-invalid"),
        (b"\xef\xbb\xbf{}", "json-invalid"),
        (b"[" * 100_000, "json-invalid"),
        (b"9" * 5000, "json-invalid"),
        (b'{"nparams": 1, "nparams": 1, "probabilities": [], "config": {}}', "json-duplicate-key"),
        (b'{"nparams": NaN, "probabilities": [], "config": {}}', "json-number"),
        (b'{"nparams": 1e999, "probabilities": [], "config": {}}', "json-number"),
        (b'{"nparams": true, "probabilities": [], "config": {}}', "nparams"),
        (b'{"nparams": -1, "probabilities": [], "config": {}}', "nparams"),
        (b"[]", "json-schema"),
        (b'{"nparams": 1, "probabilities": {}, "config": {}}', "json-schema"),
        (b'{"nparams": 1, "probabilities": [3], "config": {}}', "json-schema"),
        (b'{"nparams": 1, "probabilities": [{"soundscape": 3, "estimate": 4}], "config": {}}', "json-schema"),
    ],
)
def test_json_of_every_kind_of_wrong(content: Files, pack: Pack, expected: Expected, text: bytes, rule: str) -> None:
    content[EVAL] = text
    assert (rule, EVAL) in found(check_submission(pack(content), expected=expected))


def test_messages_name_the_place(content: Files, pack: Pack, edit_json: Edit, expected: Expected) -> None:
    def spoil(value: Any) -> None:
        del value["probabilities"][2]["estimate"][1]["label"]

    edit_json("eval_results.json", spoil)
    (entry,) = check_submission(pack(content), expected=expected).findings
    assert entry.message == "probabilities[2].estimate[1]: the key 'label' is missing"


def test_nparams_of_the_two_files_differ(content: Files, pack: Pack, edit_json: Edit, expected: Expected) -> None:
    edit_json("dev_set_test_results.json", lambda value: value.update(nparams=7))
    report = check_submission(pack(content), expected=expected)
    assert (found(report), report.ok) == ({("nparams-differ", DEV)}, True)


def test_parameters_that_nobody_states_are_a_warning(
    content: Files, pack: Pack, edit_json: Edit, expected: Expected
) -> None:
    edit_json("eval_results.json", lambda value: value.update(nparams=None))
    report = check_submission(pack(content), expected=expected)
    assert (found(report), report.ok, report.nparams) == ({("nparams-unknown", EVAL)}, True, None)


def test_dev_values(content: Files, pack: Pack, edit_json: Edit, expected: Expected) -> None:
    edit_json("dev_set_test_results.json", lambda value: value["label_metrics"].update(accuracy_src=101))
    assert found(check_submission(pack(content), expected=expected)) == {("dev-value", DEV)}
    edit_json("dev_set_test_results.json", lambda value: value["label_metrics"].update(accuracy_src=40))
    assert found(check_submission(pack(content), expected=expected)) == {("dev-inconsistent", DEV)}


def test_official_names_call_for_the_official_list(content: Files, pack: Pack, edit_json: Edit) -> None:
    renamed = {name.replace("/m_", "/eval_000"): data for name, data in content.items()}
    renamed[EVAL] = renamed[EVAL].replace(b'"m_', b'"eval_000')
    report = check_submission(pack(renamed))
    missing = [entry for entry in report.findings if entry.rule == "soundscape-missing"]
    assert len(missing) == len(EVAL_IDS) - 5
    assert ("dev-count", DEV) in found(report)
    assert ("eval-count", EVAL) not in found(report)  # every mixture that is missing is named
    assert sum(entry.rule == "audio-length" for entry in report.findings) == 7  # 10 s are expected
    assert guess_expected({"m_0"}).ids is None
    assert guess_expected({"eval_2566"}) is OFFICIAL


def test_an_unknown_set_is_no_fault(content: Files, pack: Pack) -> None:
    report = check_submission(pack(content), audio=False)
    assert (report.ok, report.expected.ids) == (True, None)
    assert found(report) == {("dev-count", DEV), ("eval-count", EVAL)}  # and is no entry to the challenge


def test_list_of_mixtures(content: Files, pack: Pack, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("# all\nm_0.wav\nm_1\nm_2\nm_3\nm_4 # the last\nm_5\n")
    report = check_submission(pack(content), expected=expected_from_list(tmp_path / "ids.txt"), audio=False)
    assert found(report) == {("soundscape-missing", EVAL)}


def test_report_as_json(content: Files, pack: Pack, expected: Expected) -> None:
    content[f"{LABEL}/model.pt"] = b""
    value = json.loads(json.dumps(check_submission(pack(content), expected=expected).as_dict()))
    assert value["ok"] is True
    assert value["findings"] == [
        {
            "rule": "foreign-file",
            "severity": "warning",
            "file": f"{LABEL}/model.pt",
            "message": "not part of a submission",
        }
    ]


def test_outputs_without_a_number_are_read_as_the_official_check_reads_them(
    content: Files, pack: Pack, expected: Expected, edit_json: Any
) -> None:
    content[f"{OUT}/m_3_Doorbell.wav"] = content.pop(f"{OUT}/m_3_0_Doorbell.wav")

    def rename(value: Any) -> None:
        (row,) = (row for row in value["probabilities"] if row["soundscape"] == "m_3")
        row["estimate"][0]["filename"] = "m_3_Doorbell.wav"

    edit_json("eval_results.json", rename)
    report = check_submission(pack(content), expected=expected)
    assert [(found.rule, found.severity) for found in report.findings] == [("index-format", "warning")]
