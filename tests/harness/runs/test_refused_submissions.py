"""What `s5eval submit` refuses or needs a word for, and what it says then."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealed_files import edit_lines, edit_record
from submitting import NAMED, copied, refresh

Call = Callable[..., Any]


def test_oracles_are_refused_always(s5eval: Call, data: Path, build: Call, tmp_path: Path) -> None:
    out = tmp_path / "oracle"
    s5eval("run", "--system", "oracle-mixture", "--data", data, "--out", out, "--save-audio")
    for options in ({"run_": out}, {"dev": out}):
        refused = build("--allow-partial", "--allow-untrained", **options)
        assert (refused.code, "sees the references" in refused.err) == (2, True)


def test_partial_and_untrained_need_a_word(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path, plugin: str
) -> None:
    names = ("limited", "chosen", "shard", "failed", "untrained")
    limited, chosen, shard, failed, untrained = (tmp_path / name for name in names)
    common = ("run", "--system", plugin, "--data", data, "--save-audio", "--out")
    s5eval(*common, limited, "--limit", 2)
    s5eval(*common, chosen, "--only", "m_1", "--only", "m_2")
    s5eval(*common, shard, "--shard", "1/2")
    s5eval(*common, failed, "--set", "system.raise_on=m_1")
    shutil.copytree(run, untrained)
    edit_record(untrained / "run.json", lambda record: record["about"].update(weights="untrained"))
    for path, option, reason in (
        (limited, "--allow-partial", "made with --limit"),
        (chosen, "--allow-partial", "made with --only"),
        (shard, "--allow-partial", "2 mixtures of the 3 that the data have"),
        (failed, "--allow-partial", "1 failed"),
        (untrained, "--allow-untrained", "weights are untrained"),
    ):
        refused = build(run_=path, dev=copied(path))
        assert (refused.code, reason in refused.err, option in refused.err) == (2, True, True), refused.err
        allowed = build(option, "--replace", run_=path, dev=copied(path))
        assert (allowed.code, "warning" in allowed.out) == (0, True), allowed.err


def test_what_runs_cannot_be_built_from(s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    s5eval("run", "--system", "silence", "--data", data, "--out", silent)
    assert "without --save-audio" in build(run_=silent).err
    shutil.copytree(run, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "audio")
    assert "has no audio/" in build(run_=tmp_path / "bare").err
    blind = tmp_path / "blind"
    shutil.copytree(data / "soundscape", tmp_path / "blind_set" / "soundscape")
    s5eval("run", "--system", "silence", "--data", tmp_path / "blind_set", "--out", blind)
    assert "has no scores" in build(dev=blind).err
    assert "not a run folder" in build(run_=data).err
    named = s5eval("submit", "build", run, "--author", "Ch oi", *NAMED[2:], "--dev-run", run, "--out", tmp_path)
    assert (named.code, "--author is 'Ch oi'" in named.err) == (2, True)
    (wav, *_) = (run / "audio").glob("*.wav")
    wav.write_bytes(wav.read_bytes()[:-8])
    cut = build()
    assert (cut.code, "its digest is another one" in cut.err, "check" in cut.err) == (3, True, True)
    edit_lines(run, lambda line: refresh(run, line))
    broken = build("--json")
    assert (broken.code, broken.json["findings"][0]["rule"]) == (5, "audio-truncated")
    wav.unlink()
    assert build().code == 3


def test_one_run_is_not_both_and_everything_that_is_wrong_is_said_at_once(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path
) -> None:
    same = build(dev=run)
    assert (same.code, "are both" in same.err, "make one of each" in same.err) == (2, True, True)
    oracle = tmp_path / "oracle"
    s5eval("run", "--system", "oracle-mixture", "--data", data, "--out", oracle, "--limit", 2)
    refused = build(run_=oracle, dev=oracle)
    assert refused.code == 2
    for reason in ("are both", "sees the references", "made with --limit", "made without --save-audio"):
        assert reason in refused.err


def test_audio_that_a_run_lacks_is_added_as_the_error_says(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path, plugin: str
) -> None:
    bare = tmp_path / "bare"
    s5eval("run", "--system", plugin, "--data", data, "--out", bare)
    refused = build(run_=bare)
    assert f"`s5eval run --system {plugin} --resume {bare} --save-audio` adds them" in refused.err
    assert s5eval("run", "--system", "plugins:build", "--resume", bare, "--save-audio").code == 0
    assert build(run_=bare).code == 0


def test_a_run_is_no_submission_yet(s5eval: Call, run: Path) -> None:
    refused = s5eval("submit", "validate", run)
    assert refused.code == 2 and "is a run, and no submission; `s5eval submit build`" in refused.err


def test_a_folder_of_submissions_is_none_itself(s5eval: Call, build: Call, data: Path, tmp_path: Path) -> None:
    for options in ((), ("--no-folder", "--number", 2)):
        build(*options)
    refused = s5eval("submit", "validate", tmp_path / "out", "--data", data)
    assert refused.code == 2
    assert "holds Choi_KAIST_task4_1.zip, Choi_KAIST_task4_2.zip, Choi_KAIST_task4_1/; name one" in refused.err
    for archive in (tmp_path / "out").glob("*.zip"):
        archive.unlink()
    assert s5eval("submit", "validate", tmp_path / "out", "--data", data).code == 0  # an unpacked archive


def test_another_submission_of_the_name_is_refused_in_the_words_of_the_command_line(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path
) -> None:
    assert build().code == 0
    archive, silent = tmp_path / "out" / "Choi_KAIST_task4_1.zip", tmp_path / "silent"
    facts = archive.with_suffix(".facts.json")
    before = archive.read_bytes(), facts.read_bytes()
    s5eval("run", "--system", "silence", "--data", data, "--out", silent, "--save-audio")
    refused = build(run_=silent, dev=copied(silent))
    assert refused.code == 2
    assert f"{archive} holds another submission, of the system 'plugins:build', 3 outputs (other: system" in refused.err
    assert "choose another --number or --out, or give --replace" in refused.err
    assert (archive.read_bytes(), facts.read_bytes()) == before
    assert build("--number", 2, run_=silent, dev=copied(silent)).code == 0
    assert archive.read_bytes() == before[0]
    assert build("--replace", run_=silent, dev=copied(silent)).code == 0
    assert archive.read_bytes() != before[0]


def test_a_dev_run_of_another_system_needs_a_word(
    s5eval: Call, data: Path, build: Call, run: Path, tmp_path: Path
) -> None:
    s5eval("run", "--system", "silence", "--data", data, "--out", tmp_path / "silent")
    weights = shutil.copytree(run, tmp_path / "weights")
    edit_record(weights / "run.json", lambda record: record["fingerprint"].update(weights="sha256:of-another"))
    for dev, differing in (
        (tmp_path / "silent", 'name of the system is "silence", not "plugins:build"'),
        (weights, 'weights is "sha256:of-another", not'),
    ):
        refused = build(dev=dev)
        assert (refused.code, (tmp_path / "out").exists()) == (2, False)
        assert f"--dev-run {dev} is a run of another system than {run} ({differing}" in refused.err
        assert "--allow-other-system packs them nevertheless" in refused.err
        allowed = build("--allow-other-system", "--out", tmp_path / dev.name, dev=dev)
        assert (allowed.code, "[system-differs]" in allowed.out) == (0, True)


def test_validate_says_what_is_wrong(s5eval: Call, build: Call, data: Path, tmp_path: Path) -> None:
    build()
    archive = tmp_path / "out" / "Choi_KAIST_task4_1.zip"
    unknown = s5eval("submit", "validate", archive)
    assert "give --data or --mixtures" in unknown.out
    assert (unknown.code, "audio-length" in unknown.out) == (0, False)  # half a second, and nothing is known of it
    assert "valid: 0 errors, 2 warnings" in unknown.out
    assert "3 mixtures, none of the official evaluation set's 2,567" in unknown.out
    assert "[eval-count]" not in s5eval("submit", "validate", archive, "--data", data).out
    (tmp_path / "ids.txt").write_text("m_0\nm_1\nm_2\n" + "".join(f"n_{k}\n" for k in range(30)))
    many = s5eval("submit", "validate", archive, "--mixtures", tmp_path / "ids.txt", "--no-audio")
    shown = [line for line in many.out.splitlines() if "[soundscape-missing]" in line]
    assert (len(shown), shown[-1]) == (11, "… and 20 more [soundscape-missing]; --json lists all")
    listed = s5eval("submit", "validate", archive, "--mixtures", tmp_path / "ids.txt", "--no-audio", "--json").json
    assert sum(entry["rule"] == "soundscape-missing" for entry in listed["findings"]) == 30
    assert s5eval("submit", "validate", tmp_path / "nowhere.zip").code == 2
    assert s5eval("submit", "validate", archive, "--split", "eval").code == 2
    both = s5eval("submit", "validate", archive, "--data", data, "--mixtures", tmp_path / "ids.txt")
    assert (both.code, "give one of them" in both.err) == (2, True)
