"""Every name in a folder is scored, or named: links to nowhere, folders, hidden files, names that match nothing."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
LABEL = "Choi_KAIST_task4_1"


def score(s5eval: Call, data: Path, estimates: Path, out: Path, *options: object) -> Any:
    return s5eval("score", estimates, "--data", data, "--out", out, *options)


def let_dangle(path: Path) -> None:
    """What git-annex leaves of a file whose content it has not fetched."""
    path.unlink()
    path.symlink_to("../.git/annex/objects/Zk/0M/MD5E-s64044--0a.wav/MD5E-s64044--0a.wav")


def let_point(path: Path) -> None:
    """The same on a file system without links."""
    path.write_text("/annex/objects/MD5E-s64044--0a.wav\n")


@pytest.mark.parametrize("lose", [let_dangle, let_point])
@pytest.mark.parametrize("file", ["oracle_target/m_2_1_Pour.wav", "soundscape/m_2.wav"])
def test_data_without_content_are_an_error_that_says_how_to_fetch_them(
    small_set: Path, tmp_path: Path, s5eval: Call, lose: Call, file: str
) -> None:
    lose(small_set / file)
    found = score(s5eval, small_set, small_set / "estimate", tmp_path / "run")
    assert (found.code, file in found.err) == (3, True)
    assert "git annex get" in found.err and "datalad get" in found.err
    assert not (tmp_path / "run").exists()
    checked = s5eval("data", "verify", "--data", small_set, "--json").json
    assert ("missing", str(small_set / file)) in {(found["rule"], found["file"]) for found in checked["findings"]}
    some = score(s5eval, small_set, small_set / "estimate", tmp_path / "some", "--only", "m_1", "--json")
    assert (some.code, some.json["n_scored"]) == (0, 1), "what is here can be scored"


def test_a_reference_folder_that_was_not_fetched_is_an_error(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    shutil.rmtree(small_set / "oracle_target")
    (small_set / "oracle_target").symlink_to("../.git/annex/objects/nowhere")
    found = score(s5eval, small_set, small_set / "estimate", tmp_path / "run")
    assert (found.code, "the references are missing" in found.err, "git annex get" in found.err) == (3, True, True)


def test_a_pointer_of_git_lfs_names_its_command(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 64044\n"
    (small_set / "soundscape" / "m_1.wav").write_text(pointer)
    found = score(s5eval, small_set, small_set / "estimate", tmp_path / "run")
    assert (found.code, "git lfs pull --include" in found.err) == (3, True)


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (let_dangle, "git annex get"),
        (let_point, "git annex get"),
        (lambda path: (path.unlink(), path.mkdir()), "a folder, expected a file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "neither a file nor a folder"),
    ],
)
def test_an_estimate_that_is_no_file_fails_its_mixture_by_name(
    small_set: Path, tmp_path: Path, s5eval: Call, lines: Call, put: Call, message: str
) -> None:
    put(small_set / "estimate" / "m_2_1_Speech.wav")
    assert score(s5eval, small_set, small_set / "estimate", tmp_path / "run").code == 4
    found = lines(tmp_path / "run")
    assert [id_ for id_, line in found.items() if line["outcome"]["status"] == "failed"] == ["m_2"]
    assert "m_2_1_Speech.wav" in found["m_2"]["outcome"]["error"] and message in found["m_2"]["outcome"]["error"]


def test_hidden_names_and_folders_are_findings_of_strict_and_of_verify(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    (small_set / "soundscape" / "._m_1.wav").write_bytes(b"x")
    (small_set / "soundscape" / "more").mkdir()
    (small_set / "oracle_target" / "m_1").mkdir()
    (small_set / "estimate" / ".DS_Store").write_bytes(b"x")
    (small_set / "estimate" / "empty").mkdir()
    found = score(s5eval, small_set, small_set / "estimate", tmp_path / "run")
    assert (found.code, "3 folder, 2 hidden, 2 no-estimate" in found.out) == (0, True)
    assert score(s5eval, small_set, small_set / "estimate", tmp_path / "strict", "--strict").code == 3
    checked = s5eval("data", "verify", "--data", small_set, "--json").json
    rules = sorted(finding["rule"] for finding in checked["findings"] if finding["rule"] != "length")
    assert rules == ["folder", "folder", "hidden"]


def renamed(folder: Path, out: Path, change: Callable[[str], str]) -> Path:
    for path in folder.iterdir():
        (out / change(path.name)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, out / change(path.name))
    return out


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda name: f"est_{name}", "without 'est_' at the beginning, 5 would match"),
        (lambda name: f"{name[:3]}/{name[4:]}", "a folder for each mixture is not read"),
        (lambda name: name.replace(".wav", ".mp3"), "only .wav and .flac are read"),
        (lambda name: name.replace("_", "-"), "names must be <mixture>_<i>_<Label>.wav"),
    ],
)
def test_where_nothing_matches_nothing_is_scored(
    small_set: Path, tmp_path: Path, s5eval: Call, change: Callable[[str], str], hint: str
) -> None:
    other = renamed(small_set / "estimate", tmp_path / "other", change)
    archive = shutil.make_archive(str(tmp_path / "other"), "zip", other)
    for estimates in (other, archive):
        found = score(s5eval, small_set, Path(estimates), tmp_path / "run")
        assert found.code == 3
        assert "0 of 5 files match a mixture; the first is" in found.err and hint in found.err
        assert not (tmp_path / "run").exists()


def test_an_empty_folder_and_an_archive_in_an_archive_are_refused(
    small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    (tmp_path / "empty").mkdir()
    found = score(s5eval, small_set, tmp_path / "empty", tmp_path / "run")
    assert (found.code, "it is empty" in found.err) == (3, True)
    inner = Path(shutil.make_archive(str(tmp_path / "inner"), "zip", small_set / "estimate"))
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    found = score(s5eval, small_set, tmp_path / "outer.zip", tmp_path / "run")
    assert (found.code, "it holds the archive inner.zip" in found.err) == (3, True)


def test_backslashes_and_linked_folders_are_read(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    plain = score(s5eval, small_set, small_set / "estimate", tmp_path / "plain", "--json").json
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as archive:
        archive.writestr(f"{LABEL}\\eval_out\\", b"")
        for path in (small_set / "estimate").iterdir():
            archive.writestr(f"{LABEL}\\eval_out\\{path.name}", path.read_bytes())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "linked").symlink_to(small_set / "estimate", target_is_directory=True)
    (tmp_path / "folder" / "loop").symlink_to(tmp_path / "folder", target_is_directory=True)
    for name in ("windows.zip", "folder"):
        found = score(s5eval, small_set, tmp_path / name, tmp_path / f"run-{name}", "--json").json
        assert found["metrics"] == plain["metrics"], name


def test_two_submissions_in_one_folder_are_not_mixed(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    for number in (1, 2):
        shutil.copytree(small_set / "estimate", tmp_path / "both" / f"A_B_task4_{number}" / "eval_out")
    found = score(s5eval, small_set, tmp_path / "both", tmp_path / "run")
    assert (found.code, "outputs of 2 submissions: A_B_task4_1/eval_out, A_B_task4_2/eval_out" in found.err) == (
        3,
        True,
    )


def twenty(tmp_path: Path, make_set: Call) -> Path:
    labels: list[Sequence[str]] = [["Speech"], ["Cough", "Pour"], []]
    scenes = {f"m_{k:02d}": labels[k % 3] for k in range(20)}
    return make_set(tmp_path / "set", scenes, estimates=scenes, seconds=0.1)  # type: ignore[no-any-return]


def archive_of(data: Path, path: Path, ids: Sequence[str], listed: Sequence[str] | None) -> Path:
    files = [file for file in sorted((data / "estimate").iterdir()) if file.name[:4] in ids]
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, f"{path.stem}/eval_out/{file.name}")
        if listed is not None:
            entries = [
                {"soundscape": id_, "estimate": [{"filename": f.name} for f in files if f.name[:4] == id_]}
                for id_ in listed
            ]
            archive.writestr(f"{path.stem}/eval_results.json", json.dumps({"probabilities": entries}))
    return path


def test_an_archive_that_answers_a_part_says_so_everywhere_and_gets_no_rank(
    tmp_path: Path, make_set: Call, s5eval: Call
) -> None:
    data = twenty(tmp_path, make_set)
    every = [f"m_{k:02d}" for k in range(20)]
    some = [id_ for id_ in every if int(id_[2:]) % 3 != 2][:6]
    archives = [
        archive_of(data, tmp_path / "Whole_A_task4_1.zip", every, every),
        archive_of(data, tmp_path / "Plain_B_task4_1.zip", every, None),
        archive_of(data, tmp_path / "Cut_C_task4_1.zip", some, None),
        archive_of(data, tmp_path / "Part_D_task4_1.zip", every, every[:18]),
        archive_of(data, tmp_path / "Meant_E_task4_1.zip", some, [*some, *(set(every) - set(some))]),
    ]
    found = s5eval("score", *archives, "--data", data, "--out", tmp_path / "all", "--json").json
    rows = {row["name"].partition("_")[0]: row for row in found["ranking"]}
    assert {name: (row["status"], row["answered"], row["rank"] is not None) for name, row in rows.items()} == {
        "Whole": ("complete", 20, True),
        "Plain": ("complete", 14, True),
        "Cut": ("partial", 6, False),
        "Part": ("complete", 20, True),
        "Meant": ("complete", 20, True),
    }
    table = s5eval("score", *archives, "--data", data, "--resume", tmp_path / "all").out
    assert "Cut_C_task4_1: answers 6 of 20 mixtures: most of those with targets have no file" in table
    assert "Plain_B_task4_1: answers 14 of 20 mixtures" in table
    single = score(s5eval, data, archives[2], tmp_path / "one")
    assert "answers 6 of 20 mixtures" in single.out
    assert "answers 6 of 20 mixtures" in (tmp_path / "one" / "report.html").read_text()
    assert json.loads((tmp_path / "one" / "summary.json").read_text())["answered"] == 6
    assert "answers 6 of 20 mixtures" in s5eval("compare", tmp_path / "one", tmp_path / "all" / "Whole_A_task4_1").out


def test_a_list_that_leaves_mixtures_out_or_names_lost_files_makes_a_part(
    tmp_path: Path, make_set: Call, s5eval: Call
) -> None:
    data = twenty(tmp_path, make_set)
    every = [f"m_{k:02d}" for k in range(20)]
    path = archive_of(data, tmp_path / "Short_A_task4_1.zip", every[:18], every[:15])
    whole = archive_of(data, tmp_path / "Whole_B_task4_1.zip", every, every)
    found = s5eval("score", path, whole, "--data", data, "--out", tmp_path / "o", "--json").json
    short = next(row for row in found["ranking"] if row["name"].startswith("Short"))
    assert (short["rank"], short["status"], short["answered"]) == (None, "partial", 17)
    assert "its own list does not call the others silent" in short["partial"]
    with zipfile.ZipFile(tmp_path / "Lost_C_task4_1.zip", "w") as archive, zipfile.ZipFile(whole) as old:
        for name in old.namelist():
            if "m_03" not in name:
                archive.writestr(name, old.read(name))
    lost = score(s5eval, data, tmp_path / "Lost_C_task4_1.zip", tmp_path / "lost")
    assert "1 listed-missing, 1 no-estimate" in lost.out and "answers 19 of 20 mixtures" in lost.out


def test_a_team_that_matches_nothing_is_not_ranked_last_but_named(tmp_path: Path, make_set: Call, s5eval: Call) -> None:
    data = twenty(tmp_path, make_set)
    good = archive_of(data, tmp_path / "Good_A_task4_1.zip", [f"m_{k:02d}" for k in range(20)], None)
    other = renamed(data / "estimate", tmp_path / "Bad_B_task4_1", lambda name: f"x_{name}")
    found = s5eval("score", good, other, "--data", data, "--out", tmp_path / "o", "--json")
    assert found.code == 3
    assert [row["name"] for row in found.json["ranking"]] == ["Good_A_task4_1"]
    assert "0 of 21 files match" in found.json["unusable"]["Bad_B_task4_1"]
