"""A campaign of faults: power loss, flipped bits, full and failing disks, at every kind of file, from many seeds.

Never a wrong number without a word, never a half file under a final name, never a traceback on the screen; and in the
end `--resume` or `check --repair` makes what an undisturbed run makes. `make test-slow` runs hundreds of seeds.
"""

import errno
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import failing, recording
from sealed_files import flip_bit
from whole_run import Whole, assert_clear, assert_no_half_file, numbers

from s5eval.data_manifests.common.cache import cache_folder
from s5eval.data_manifests.common.files import atomic_path
from s5eval.data_manifests.common.unfinished import sweep
from s5eval.harness.record.run_folder import RunFolder

Call = Callable[..., Any]


def seeds(few: int, many: int) -> list[Any]:
    """The first ones are fast enough for every run of the suite."""
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(few, many))]


@pytest.mark.parametrize("seed", seeds(6, 100))
def test_a_power_loss_at_any_moment_costs_no_more_than_time(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    run, crashed = tmp_path / "run", tmp_path / "crashed"
    moment = rng.randrange(1, 8)  # after so many mixtures; beyond the last: after the end
    monkeypatch.setattr("s5eval.harness.record.run_folder.SYNC_SECONDS", rng.choice([0.0, 5.0]))
    append = RunFolder.append
    with recording(run, monkeypatch) as recorder:
        count = 0

        def counted(folder: RunFolder, *arguments: Any) -> None:
            nonlocal count
            append(folder, *arguments)
            count += 1
            if count == moment:
                recorder.crash(crashed, rng)

        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "append", counted)
            assert whole.call("run", *whole.options, "--out", run).code == 0
        if not crashed.exists():
            recorder.crash(crashed, rng)
            # what has ended with exit 0 is on the disk
            whole.assert_equal(crashed)
    whole.assert_never_wrong(crashed)
    resumed = whole.call("run", *whole.options, "--resume", crashed)
    assert resumed.code == 0, resumed.err
    whole.assert_equal(crashed)


@pytest.mark.parametrize("command", ["merge", "rescore"])
def test_what_was_made_of_other_runs_is_on_the_disk(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    sources, out = [whole.path], tmp_path / "out"
    if command == "merge":
        sources = [tmp_path / "R.1", tmp_path / "R.2"]
        for k, shard in enumerate(sources, start=1):
            assert whole.call("run", *whole.options, "--shard", f"{k}/2", "--out", shard).code == 0
    with recording(out, monkeypatch) as recorder:
        assert whole.call(command, *sources, "--out", out).code == 0
        for seed in range(3):
            checked = whole.call("check", recorder.crash(tmp_path / f"crashed_{seed}", random.Random(seed)), "--json")
            assert (checked.code, checked.json["damage"], checked.json["whole"]) == (0, [], 6), checked.out


FILES = ("run.json", "mixtures.jsonl", "summary.json", "report.html", "pairs/*.npz", "audio/*.wav")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", seeds(2, 22))
def test_a_flipped_bit_is_noticed_and_repaired(whole: Whole, tmp_path: Path, name: str, seed: int) -> None:
    rng = random.Random(f"{seed} {name}")
    run = whole.copy(tmp_path / "run")
    victim = rng.choice(sorted(run.glob(name)))
    flip_bit(victim, rng)
    checked = whole.call("check", run)
    assert_clear(checked)
    assert checked.code == 3, f"not noticed in {victim.name}: {checked.out}"
    assert victim.name in checked.out + checked.err
    whole.assert_never_wrong(run)
    if name.startswith("pairs"):
        rescored = whole.call("rescore", run, "--out", tmp_path / "again")
        assert (rescored.code, victim.name in rescored.err) == (3, True)
    if name == "run.json":  # what was asked for is told nowhere else
        return
    repaired = whole.call("check", run, "--repair", *whole.options[:2])
    assert repaired.code == 0, repaired.err + repaired.out
    whole.assert_equal(run)


@pytest.mark.parametrize("name", ["mixtures.jsonl", "summary.json", "report.html", "pairs/*.npz", "audio/*.wav"])
@pytest.mark.parametrize("command", ["resume", "check"])
def test_a_file_that_is_gone_is_made_again(whole: Whole, tmp_path: Path, name: str, command: str) -> None:
    run = whole.copy(tmp_path / "run")
    sorted(run.glob(name))[0].unlink()
    assert whole.call("check", run).code == 3
    whole.assert_never_wrong(run)
    words = ("run", "--resume", run) if command == "resume" else ("check", run, "--repair")
    again = whole.call(*words, *whole.options[:2])
    assert again.code == 0, again.err
    whole.assert_equal(run)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("at", seeds(8, 48))
def test_a_full_or_failing_disk_leaves_nothing_half(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, at: int
) -> None:
    run = tmp_path / "run"
    at = 3 * at if at < 8 else at
    with failing(at, code, monkeypatch) as count:
        result = whole.call("run", *whole.options, "--out", run)
    assert_clear(result)
    if count[0] <= at:
        assert result.code == 0
    else:
        assert result.code == 1, result.out
        assert "disk" in result.err or "cannot" in result.err
    if run.exists():
        assert_no_half_file(run)
        if (run / "run.json").is_file():
            whole.assert_never_wrong(run)
    again = whole.call("run", *whole.options, "--resume", run)
    assert again.code == 0, again.err
    whole.assert_equal(run)
    assert not [path for path in run.rglob(".*") if path.name != ".lock"], "temporary files are swept"


@pytest.mark.parametrize("part", [0.03, 0.1, 0.4, 0.97])
def test_files_that_may_not_grow_are_said_and_not_left_half(whole: Whole, tmp_path: Path, part: float) -> None:
    """A real error of the system in the middle of a write: EFBIG."""
    import resource

    run = tmp_path / "run"
    limit = int(part * max(path.stat().st_size for path in whole.path.rglob("*") if path.is_file()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        result = whole.call("run", *whole.options, "--out", run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_clear(result)
    assert result.code == 1
    if run.exists():
        assert_no_half_file(run)
    again = whole.call("run", *whole.options, "--resume", run)
    assert again.code == 0, again.err
    whole.assert_equal(run)


@pytest.fixture
def staged(systems_on_path: None, whole: Whole, tmp_path: Path, s5eval: Call) -> tuple[object, ...]:
    """A run of a system in stages, whose results stand in the stage store."""
    data = whole.options[3]
    options = ("run", "--system", "staged:build", "--data", data, "--out")
    assert s5eval(*options, tmp_path / "staged").code == 0
    return options


@pytest.mark.parametrize("kind", ["stages/*/*/*.npz", "digests/*.json"])
@pytest.mark.parametrize("seed", seeds(3, 33))
def test_a_flipped_bit_in_the_cache_changes_no_number(
    staged: tuple[object, ...], tmp_path: Path, s5eval: Call, kind: str, seed: int
) -> None:
    rng = random.Random(f"{seed} {kind}")
    flip_bit(rng.choice(sorted(cache_folder().glob(kind))), rng)
    assert s5eval(*staged, tmp_path / "again").code == 0
    first, second = (numbers(tmp_path / name) for name in ("staged", "again"))
    assert first == second
    assert s5eval("compare", tmp_path / "staged", tmp_path / "again", "--json").json["changes"] == []


def test_what_killed_processes_leave_is_swept_by_the_next_one(
    staged: tuple[object, ...], whole: Whole, tmp_path: Path, s5eval: Call
) -> None:
    dead = subprocess.run([sys.executable, "-c", LEAVE, *map(str, (whole.path, whole.path / "pairs"))], check=False)
    assert dead.returncode == -9
    entry = max(cache_folder().glob("stages/*/*/*.npz"), key=lambda path: path.stat().st_mtime)  # of this very run
    entry.unlink()
    subprocess.run([sys.executable, "-c", LEAVE, str(entry.parent)], check=False)
    assert len([*whole.path.rglob(".*.npz"), *entry.parent.glob(".*.npz")]) == 3
    assert whole.call("run", "--resume", whole.path, *whole.options[:2]).code == 0
    assert s5eval(*staged, tmp_path / "again").code == 0
    assert not [*whole.path.rglob(".*.npz"), *entry.parent.glob(".*.npz")]


def test_what_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.npz") as temporary:
        temporary.write_bytes(b"half")
        assert sweep(tmp_path) == 0
        assert temporary.exists()
    assert sweep(tmp_path, locked=True) == 0


LEAVE = """
import os, sys
from pathlib import Path
from s5eval.data_manifests.common.files import atomic_path
writes = [atomic_path(Path(folder) / "half.npz") for folder in sys.argv[1:]]
for write in writes:
    write.__enter__().write_bytes(b"half")
os.kill(os.getpid(), 9)
"""
