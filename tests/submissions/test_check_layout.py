"""What stands where in a submission, and what is said first where much follows from one fault."""

from pathlib import Path

import pytest
from submitting import DEV, EVAL, LABEL, OUT, Edit, Files, Pack, found

from s5eval.submissions.expected import Expected
from s5eval.submissions.validate import check_submission


@pytest.mark.parametrize("missing", ["eval_results.json", "dev_set_test_results.json"])
def test_missing_json(content: Files, pack: Pack, expected: Expected, missing: str) -> None:
    del content[f"{LABEL}/{missing}"]
    assert found(check_submission(pack(content), expected=expected)) == {("missing-file", f"{LABEL}/{missing}")}


def test_nothing_inside(pack: Pack, expected: Expected) -> None:
    report = check_submission(pack({}), expected=expected)
    assert found(report) == {("missing-file", EVAL), ("missing-file", DEV), ("empty-eval-out", OUT)}


def test_empty_eval_out_is_a_warning(content: Files, pack: Pack, edit_json: Edit, expected: Expected) -> None:
    for name in [name for name in content if name.endswith(".wav")]:
        del content[name]
    edit_json("eval_results.json", lambda value: [row["estimate"].clear() for row in value["probabilities"]])
    report = check_submission(pack(content), expected=expected)
    assert (found(report), report.ok) == ({("empty-eval-out", OUT)}, True)


def test_an_archive_without_its_folder(content: Files, pack: Pack, expected: Expected) -> None:
    flat = {name.removeprefix(f"{LABEL}/"): data for name, data in content.items()}
    report = check_submission(pack(flat), expected=expected)
    assert (found(report), report.files, report.mixtures) == ({("top-folder", f"{LABEL}.zip")}, 7, 5)
    flat["eval_out/m_3_0_Doorbell.wav"] = b""
    flat["model.pt"] = b""
    del flat["dev_set_test_results.json"]
    assert found(check_submission(pack(flat), expected=expected)) == {
        ("top-folder", f"{LABEL}.zip"),
        ("audio-empty", "eval_out/m_3_0_Doorbell.wav"),
        ("foreign-file", "model.pt"),
        ("missing-file", "dev_set_test_results.json"),
    }


def test_a_missing_or_renamed_folder_of_wavs_is_said_before_what_follows_from_it(
    content: Files, pack: Pack, expected: Expected
) -> None:
    lacking = {name: data for name, data in content.items() if not name.startswith(OUT)}
    renamed = {name.replace("/eval_out/", "/audio/"): data for name, data in content.items()}
    for files, hint in ((lacking, ""), (renamed, f"; wavs stand in {LABEL}/audio")):
        first, *others = check_submission(pack(files), expected=expected).findings
        told = f"the folder is missing or holds no wav, and eval_results.json lists 7 outputs{hint}"
        assert (first.rule, first.severity, first.file, first.message) == ("missing-eval-out", "error", OUT, told)
        assert [other.rule for other in others if other.severity == "error"] == ["filename-missing"] * 7


def test_a_file_of_answers_that_lists_nothing_is_said_before_what_follows_from_it(
    content: Files, pack: Pack, expected: Expected
) -> None:
    none = b'{"nparams": 1, "probabilities": [], "config": {}}'
    for text in (none, b"[]", b"{"):
        first, *others = check_submission(pack({**content, EVAL: text}), expected=expected).findings
        assert first.file == EVAL and first.rule in ("json-schema", "json-invalid")
        rules = [other.rule for other in others]
        assert rules == sorted(rules, key=lambda rule: rule != "json-schema")
    assert not others, "of a file that cannot be read nothing is claimed"


def test_nothing_is_claimed_of_what_cannot_be_read(content: Files, pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / f"{LABEL}.zip"
    path.write_bytes(b"no zip")
    assert check_submission(path).expected.source == "not known: nothing names a mixture that could be read"
    files = {EVAL: content[EVAL][:-20], DEV: content[DEV]}
    assert check_submission(pack(files)).expected.ids is None


def test_a_zip_of_windows_is_checked_to_its_end_in_spite_of_its_backslashes(
    content: Files, pack: Pack, expected: Expected
) -> None:
    report = check_submission(
        pack({name.replace("/", "\\"): data for name, data in content.items()}), expected=expected
    )
    assert {finding.rule for finding in report.findings} == {"backslash"}
    assert (len(report.findings), report.files) == (len(content), len(content) - 2)


def test_a_hidden_wav_is_junk_but_among_the_outputs_where_the_official_checks_would_list_it(
    content: Files, pack: Pack, expected: Expected
) -> None:
    beside = pack({**content, f"__MACOSX/{LABEL}/eval_out/._m_3_0_Doorbell.wav": b"", f"{OUT}/.DS_Store": b""})
    assert check_submission(beside, expected=expected).ok
    among = check_submission(pack({**content, f"{OUT}/._m_3_0_Doorbell.wav": b""}), expected=expected)
    assert (found(among), among.ok) == ({("hidden-output", f"{OUT}/._m_3_0_Doorbell.wav")}, False)


@pytest.mark.parametrize("suffix", [".ZIP", ".tar", ""])
def test_an_archive_is_called_zip_in_lower_case(content: Files, pack: Pack, expected: Expected, suffix: str) -> None:
    report = check_submission(pack(content, name=f"{LABEL}{suffix}"), expected=expected)
    assert [(entry.rule, entry.message) for entry in report.findings] == [
        ("archive-name", f"expected a zip archive called {LABEL}.zip")
    ]
