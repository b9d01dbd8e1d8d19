"""Building: official structure, the same bytes twice, whole or not at all."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from submitting import LABEL

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import CLASSES
from s5eval.submissions import build
from s5eval.submissions.build import Built, build_submission
from s5eval.submissions.errors import SubmissionError
from s5eval.submissions.expected import Expected
from s5eval.submissions.rules import make_name
from s5eval.submissions.submission import MixtureOutputs, Submission
from s5eval.submissions.validate import check_submission

NAME = make_name("Choi", "KAIST", 1)
OF_ANOTHER_SET = ("dev-count", "eval-count")
"""Warnings of a submission that answers no official mixture."""


def official_checks(archive: Path, mixtures: set[str]) -> None:
    """What the submission tool of the official baseline verifies, restated from its description."""
    with zipfile.ZipFile(archive) as opened:
        results = json.loads(opened.read(f"{LABEL}/eval_results.json"))
        prefix = f"{LABEL}/eval_out/"
        wavs = [name.removeprefix(prefix) for name in opened.namelist() if name.startswith(prefix)]
    # 1: the soundscapes of the JSON are those of the set, each once
    listed = [row["soundscape"] for row in results["probabilities"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == mixtures
    # 2: every output's name starts with exactly one soundscape's name, then index and one of the labels
    for wav in wavs:
        (mixture,) = [name for name in listed if wav.startswith(name)]
        index, label = wav.removeprefix(f"{mixture}_").removesuffix(".wav").split("_")
        assert index.isdigit()
        assert label in CLASSES
    # 3: the JSON's file names are unique and equal the wavs
    files = [estimate["filename"] for row in results["probabilities"] for estimate in row["estimate"]]
    assert len(files) == len(set(files))
    assert set(files) == set(wavs)


def test_official_structure(submission: Submission, expected: Expected, tmp_path: Path) -> None:
    built = build_submission(submission, NAME, tmp_path / "out")
    assert built.archive == tmp_path / "out" / f"{LABEL}.zip"
    official_checks(built.archive, set(expected.ids or ()))
    assert check_submission(built.archive, expected=expected).findings == ()
    assert built.folder is not None
    assert check_submission(built.folder, expected=expected).findings == ()
    with zipfile.ZipFile(built.archive) as archive:
        for info in archive.infolist():
            assert (built.folder.parent / info.filename).read_bytes() == archive.read(info)
        results = json.loads(archive.read(f"{LABEL}/eval_results.json"))
        dev = json.loads(archive.read(f"{LABEL}/dev_set_test_results.json"))
    assert results["probabilities"][0] == {
        "soundscape": "m_0",
        "estimate": [
            {"filename": "m_0_0_Speech.wav", "label": "Speech", "probability": 0.5},
            {"filename": "m_0_1_Cough.wav", "label": "Cough", "probability": 0.6},
        ],
    }
    assert results["probabilities"][1] == {"soundscape": "m_1", "estimate": []}
    assert dev["details"][1] == {
        "soundscape": "d_1",
        "ref_labels": ["Pour", "silence", "silence"],
        "est_labels": ["silence"] * 3,
        "probabilities": [0.0] * 3,
        "metrics": [
            {"metric": "CAPI-SDRi", "value": 0.0},
            {"metric": "label_metrics", "value": {"acc": False, "tp": 0, "fp": 0, "fn": 1}},
        ],
    }
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [LABEL, f"{LABEL}.zip"]


def test_the_same_bytes_twice(submission: Submission, tmp_path: Path) -> None:
    first = build_submission(submission, NAME, tmp_path / "a")
    again = build_submission(submission, NAME, tmp_path / "a", folder=False)
    time.sleep(1.1)
    for answer in submission.outputs:
        for output in answer.outputs:
            os.utime(output.path, (1, 1))
            output.path.chmod(0o600)
    shuffled = replace(submission, outputs=submission.outputs[::-1])
    other = build_submission(shuffled, NAME, tmp_path / "b", out_suffix=True)
    assert other.archive.name == f"{LABEL}_out.zip"
    assert first.sha256 == again.sha256 == other.sha256
    assert first.sha256 == hashlib.sha256(first.archive.read_bytes()).hexdigest()
    with zipfile.ZipFile(other.archive) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr for info in archive.infolist()} == {0o100644 << 16}
        assert archive.namelist() == sorted(archive.namelist())


def test_the_folder_shares_nothing_with_the_run(submission: Submission, tmp_path: Path) -> None:
    built = build_submission(submission, NAME, tmp_path / "out")
    assert built.folder is not None
    copy, source = built.folder / "eval_out" / "m_3_0_Doorbell.wav", submission.outputs[3].outputs[0].path
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_ino != source.stat().st_ino


def test_compressed(submission: Submission, tmp_path: Path, expected: Expected) -> None:
    built = build_submission(submission, NAME, tmp_path / "out", compress=True)
    plain = build_submission(submission, NAME, tmp_path / "plain")
    assert built.archive.stat().st_size < plain.archive.stat().st_size
    assert check_submission(built.archive, expected=expected).findings == ()


def test_what_is_not_of_the_challenge_is_built_with_a_warning(submission: Submission, tmp_path: Path) -> None:
    built = build_submission(submission, NAME, tmp_path / "out")
    assert built.report.ok
    assert [(found.rule, found.message) for found in built.report.findings] == [
        (
            "dev-count",
            "2 mixtures in 'details', the development test set has 1,512: the official checks refuse others, and any "
            "that lack one",
        ),
        ("eval-count", "5 mixtures, none of the official evaluation set's 2,567"),
    ]


def test_no_outputs_at_all_is_a_warning(submission: Submission, tmp_path: Path) -> None:
    silent = replace(submission, outputs=[MixtureOutputs(answer.mixture_id, ()) for answer in submission.outputs])
    built: Built = build_submission(silent, NAME, tmp_path / "out")
    assert {found.rule for found in built.report.findings} == {"empty-eval-out", *OF_ANOTHER_SET}


def test_nothing_stands_when_a_check_fails(submission: Submission, tmp_path: Path) -> None:
    broken = submission.outputs[0].outputs[0].path
    broken.write_bytes(broken.read_bytes()[:-10])
    with pytest.raises(SubmissionError, match=r"m_0_0_Speech\.wav.*audio-truncated") as caught:
        build_submission(submission, NAME, tmp_path / "out")
    assert caught.value.exit_code == 5
    assert [found.rule for found in caught.value.findings] == ["audio-truncated", *OF_ANOTHER_SET]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_wav_is_missing(submission: Submission, tmp_path: Path) -> None:
    submission.outputs[0].outputs[0].path.unlink()
    with pytest.raises(DataError, match=r"m_0_0_Speech\.wav: the wav of 'm_0' is missing"):
        build_submission(submission, NAME, tmp_path / "out")


def test_a_folder_of_somebody_elses_is_left_alone(submission: Submission, tmp_path: Path) -> None:
    (tmp_path / "out" / LABEL).mkdir(parents=True)
    (tmp_path / "out" / LABEL / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is not a submission's folder"):
        build_submission(submission, NAME, tmp_path / "out")
    assert (tmp_path / "out" / LABEL / "thesis.tex").read_text() == "years of work"
    build_submission(submission, NAME, tmp_path / "out", folder=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used as a folder"):
        build_submission(submission, NAME, tmp_path / "file")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def of_another(submission: Submission) -> Submission:
    """The same outputs for another mixture fewer, by another system."""
    return replace(submission, outputs=submission.outputs[:-1], config={"system": "other"})


def test_another_submission_of_the_name_stays_unless_it_is_to_be_replaced(
    submission: Submission, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", of_another(submission)
    build_submission(submission, NAME, out)
    before = contents(out)
    for options in ({}, {"folder": False}, {"out_suffix": True, "folder": False}, {"compress": True}):
        with pytest.raises(UsageError, match="holds another submission, of the system 'test', 7 outputs") as refused:
            build_submission(other, NAME, out, **options)
        assert "(other: system)" in str(refused.value) and "give `replace`" in str(refused.value)
    assert contents(out) == before
    build_submission(other, make_name("Choi", "KAIST", 2), out)
    build_submission(submission, NAME, out, compress=True)  # the same content in other bytes
    built = build_submission(other, NAME, out, out_suffix=True, folder=False, replace=True)
    left = {entry.name for entry in out.iterdir()} - {"Choi_KAIST_task4_2", "Choi_KAIST_task4_2.zip"}
    assert left == {built.archive.name} == {f"{LABEL}_out.zip"}, "nothing of the other one stays beside it"


def test_what_takes_the_place_of_another_submission_under_its_names_is_there(
    submission: Submission, tmp_path: Path
) -> None:
    build_submission(submission, NAME, tmp_path / "out")
    built = build_submission(of_another(submission), NAME, tmp_path / "out", replace=True)
    assert file_sha256(built.archive) == built.sha256
    with zipfile.ZipFile(built.archive) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert built.folder is not None
    assert contents(built.folder) == files
    assert "eval_out/m_4_0_Buzzer.wav" not in files


def test_what_is_no_archive_is_not_replaced_in_silence(submission: Submission, tmp_path: Path) -> None:
    (tmp_path / f"{LABEL}.zip").write_text("years of work")
    with pytest.raises(UsageError, match="no submission that could be read"):
        build_submission(submission, NAME, tmp_path)
    assert (tmp_path / f"{LABEL}.zip").read_text() == "years of work"


def test_a_part_of_the_same_submission_is_replaced(submission: Submission, tmp_path: Path) -> None:
    """Of a run that has been resumed since; the other way round something is lost."""
    part = replace(submission, outputs=submission.outputs[:-1])
    build_submission(part, NAME, tmp_path / "out")
    build_submission(submission, NAME, tmp_path / "out")
    with pytest.raises(UsageError, match="other: the answers, the wavs"):
        build_submission(part, NAME, tmp_path / "out")


def test_nothing_is_lost_when_replacing_fails(
    submission: Submission, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    build_submission(submission, NAME, out)
    before = contents(out)
    other = of_another(submission)
    with monkeypatch.context() as patch:
        patch.setattr(build, "sync_folder", lambda folder: (_ for _ in ()).throw(OSError(5, "the disk is gone")))
        with pytest.raises(DataError, match="the disk is gone"):
            build_submission(other, NAME, out, replace=True)
    assert {name: content for name, content in contents(out).items() if name[0] != "."} == before
    broken = other.outputs[0].outputs[0].path
    broken.write_bytes(broken.read_bytes()[:-10])
    with pytest.raises(SubmissionError):
        build_submission(other, NAME, out, replace=True)
    assert contents(out) == before


def test_a_folder_that_a_killed_call_took_out_of_the_way_comes_back(submission: Submission, tmp_path: Path) -> None:
    built = build_submission(submission, NAME, tmp_path)
    assert built.folder is not None
    before = contents(built.folder)
    built.archive.unlink()
    built.folder.rename(tmp_path / f".{LABEL}.aside")
    with pytest.raises(UsageError, match="holds another submission"):
        build_submission(of_another(submission), NAME, tmp_path)
    assert contents(built.folder) == before and [entry.name for entry in tmp_path.glob(".*")] == []


KILLED = """
import signal, os, sys
from pathlib import Path
from s5eval.submissions.build import build_submission
from s5eval.submissions.rules import make_name
from s5eval.submissions.submission import *
audio, out, when = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
outputs = [MixtureOutputs(f"m_{k:02d}", (Output(0, "Pour", 0.5, audio),)) for k in range(40)]
dev = DevResults(1.0, 0.0, 0.0, [])
def progress(items, total, what):
    for number, item in enumerate(items):
        if what.split()[0] == when and number == total // 2:
            print("half", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        yield item
build_submission(Submission(outputs, dev, 1, {}, {}, None), make_name("Choi", "KAIST", 1), out, progress=progress)
"""


@pytest.mark.parametrize("when", ["packing", "checking"])
def test_killed_in_the_middle_and_run_again(submission: Submission, tmp_path: Path, when: str) -> None:
    audio, out = submission.outputs[0].outputs[0].path, tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(audio), str(out)]
    killed = subprocess.run([*command, when], capture_output=True, text=True, timeout=60)
    assert (killed.returncode, killed.stdout.strip()) == (-signal.SIGKILL, "half")
    left = [entry.name for entry in out.iterdir()]
    assert left and all(name.startswith(".") for name in left), "nothing stands under the final name"
    subprocess.run([*command, "never"], check=True, timeout=60)
    assert sorted(entry.name for entry in out.iterdir()) == [LABEL, f"{LABEL}.zip"]
    assert check_submission(out / f"{LABEL}.zip", expected=Expected("", None, None)).ok
