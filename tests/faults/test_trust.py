"""What is received runs no code, leads nowhere else on the disk, and carries nothing of the disk away."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sealed_files import edit_lines, edit_record
from tiny_dev_set import write_sofa

from s5eval.data_manifests.common.errors import DataError
from s5eval.data_manifests.synthesis.metadata import synthesize
from s5eval.harness.record.codec import from_json
from s5eval.harness.record.config import RunConfig
from s5eval.harness.runs.submission_facts import gather_facts

Call = Callable[..., Any]


@pytest.fixture
def received(small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder whose record says that it was not finished; `tmp_path` is the working folder."""
    out = tmp_path / "received"
    assert s5eval("score", small_set / "estimate", "--data", small_set, "--out", out).code == 0
    change(out, status="running")
    monkeypatch.chdir(tmp_path)
    return out


def change(run: Path, **values: Any) -> None:
    """As somebody would who knows how records are sealed."""

    def apply(record: dict[str, Any]) -> None:
        for key, value in values.items():
            record[key] = {**record[key], **value} if isinstance(value, dict) else value

    edit_record(run / "run.json", apply)


def plant(folder: Path, name: str) -> Path:
    """A module that leaves a file where it is imported."""
    proof = folder / "was-run"
    (folder / f"{name}.py").write_text(f"open({str(proof)!r}, 'w').close()\ndef build(config, device): ...\n")
    return proof


class Exploit:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


def test_a_received_run_does_not_name_the_code_that_resumes_it(received: Path, tmp_path: Path, s5eval: Call) -> None:
    proof = plant(tmp_path, "evil_system")
    change(received, config={"system": "evil_system:build"})
    for command in (
        ["run", "--resume", received],
        ["rescore", received],
        ["report", received],
        ["compare", received, received],
        ["tune", received],
        ["submit", "build", received, "--dev-run", received, "--author", "A", "--affiliation", "B", "--out", tmp_path],
    ):
        s5eval(*command)
        assert not proof.exists(), command
    change(received, status="running")  # rescoring has completed it
    refused = s5eval("run", "--resume", received)
    assert (refused.code, "--system evil_system:build" in refused.err) == (2, True)
    s5eval("run", "--resume", received, "--system", "evil_system:build")
    assert proof.exists(), "named on the command line, it is imported"


def test_a_grid_file_does_not_name_the_code_that_is_run(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    proof = plant(tmp_path, "evil_grid")
    grid = tmp_path / "grid.yaml"
    grid.write_text("system: evil_grid:build\nrows: [{name: a}]\n")
    result = s5eval("ablate", grid, "--data", small_set, "--out", tmp_path / "out")
    assert (result.code, "--system evil_grid:build" in result.err, proof.exists()) == (2, True, False)
    grid.write_text("system: baseline-1c\nrows: [{name: a, set: {system.trust_checkpoint: true}}]\n")
    result = s5eval("ablate", grid, "--data", small_set, "--out", tmp_path / "out")
    assert (result.code, "trust is not read from a file" in result.err) == (2, True)


def test_a_frame_encoder_that_a_record_names_is_code_and_is_named_again(
    received: Path, tmp_path: Path, s5eval: Call
) -> None:
    proof = plant(tmp_path, "evil_frames")
    change(received, config={"system": "multistage", "settings": {"system": {"frame_encoder": "evil_frames:build"}}})
    for command in (
        ["check", received, "--repair"],
        ["report", received],
        ["compare", received, received],
        ["tune", received],
        ["submit", "build", received, "--dev-run", received, "--author", "A", "--affiliation", "B", "--out", tmp_path],
        ["run", "--resume", received, "--system", "multistage"],
        ["run", "--resume", received, "--system", "multistage", "--set", "system.frame_encoder=m2d"],
        ["run", "--resume", received],
    ):
        refused = s5eval(*command)
        assert not proof.exists(), command
        change(received, status="running")
    assert (refused.code, "code that would be looked for and run here" in refused.err) == (2, True), refused.err
    again = "--set 'system.frame_encoder=\"evil_frames:build\"' --resume"
    assert again in refused.err
    s5eval("run", "--resume", received, "--set", "system.frame_encoder=evil_frames:build")
    assert proof.exists(), "named on the command line, it is imported"


def test_facts_of_a_submission_run_no_code_of_a_record(received: Path, tmp_path: Path) -> None:
    proof = plant(tmp_path, "evil_profile")
    change(received, config={"system": "multistage", "settings": {"system": {"frame_encoder": "evil_profile:build"}}})
    _, findings = gather_facts(received)
    assert (proof.exists(), len(findings)) == (False, 1)
    assert "code of its own (evil_profile:build), which is not run from a record" in str(findings[0])


def test_a_grid_or_recipe_file_does_not_name_the_frame_encoder_that_is_run(
    small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    proof = plant(tmp_path, "evil_rows")
    grid = tmp_path / "grid.yaml"
    setting = "system.frame_encoder: 'evil_rows:build'"
    for content in (f"base: {{{setting}}}\nrows: [{{name: a}}]\n", f"rows: [{{name: a, set: {{{setting}}}}}]\n"):
        grid.write_text(f"system: multistage\n{content}")
        call = ("ablate", grid, "--data", small_set, "--limit", "1", "--out", tmp_path / "out")
        refused = s5eval(*call)
        assert (refused.code, "--set system.frame_encoder=evil_rows:build" in refused.err) == (2, True), refused.err
        assert not proof.exists()
    s5eval(*call, "--set", "system.frame_encoder=evil_rows:build")
    assert proof.exists(), "named on the command line, it is imported"
    recipe = tmp_path / "mine.yaml"
    shipped = (Path(__file__).parents[2] / "systems/multistage/training/recipes/mini.yaml").read_text("utf-8")
    recipe.write_text(shipped.replace("\nsystem: {}\n", "\nsystem: {frame_encoder: 'evil_rows:build'}\n"), "utf-8")
    told = s5eval("train", f"{recipe}/tse2", "--dry-run")
    assert (told.code, "system.frame_encoder=evil_rows:build" in told.err) == (2, True), told.err
    other = s5eval("train", f"{recipe}/tse2", "--dry-run", "--set", "system.frame_encoder=m2d")
    assert "evil_rows" not in other.err, "what is not run needs no trust"
    aside = s5eval(*call, "--set", "decision.thresholds=evil_rows:build")
    assert "--set system.frame_encoder=evil_rows:build" in aside.err, "another key vouches for nothing"


def test_trust_is_never_read_from_a_run_folder(received: Path, small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    proof = tmp_path / "was-run"
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for name in ("m2dat_1c.ckpt", "resunetk.ckpt"):
        (checkpoints / name).write_bytes(pickle.dumps(Exploit(proof), protocol=2))
    system = {"preset": "mini", "checkpoint_dir": str(checkpoints), "trust_checkpoint": True}
    change(received, config={"system": "baseline-1c", "settings": {"system": system}, "trust_checkpoint": True})
    result = s5eval("run", "--resume", received)
    assert (result.code, "--trust-checkpoint" in result.err, proof.exists()) == (3, True, False)
    s5eval("run", "--resume", received, "--trust-checkpoint")
    assert proof.exists(), "said with the call, it is trust"


def test_trust_is_not_written_into_the_configuration() -> None:
    config = RunConfig(
        "baseline-1c", settings={"system": {"trust_checkpoint": True, "preset": "mini"}}, trust_checkpoint=True
    )
    assert config.as_dict()["settings"] == {"system": {"preset": "mini"}}
    assert "trust_checkpoint" not in config.as_dict()
    read = from_json(RunConfig, {**config.as_dict(), "trust_checkpoint": True})
    assert (read.trust_checkpoint, read.differences(config)) == (False, [])


@pytest.mark.parametrize("id_", ["../../x", "/etc/x", "..", "", "a\0b", "x" * 300])
def test_ids_of_a_record_that_are_paths_are_refused(received: Path, tmp_path: Path, s5eval: Call, id_: str) -> None:
    record = json.loads((received / "run.json").read_text())
    change(received, mixtures=[id_, *record["mixtures"][1:]], status="complete")
    journal = received / "mixtures.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    journal.write_text(
        "".join(json.dumps({**line, "mixture_id": id_} if k == 0 else line) + "\n" for k, line in enumerate(lines))
    )
    before = sorted(tmp_path.rglob("*"))
    for command in (
        ["rescore", received, "--out", tmp_path / "deep" / "out"],
        ["report", received],
        ["tune", received],
    ):
        result = s5eval(*command)
        assert (result.code, "run.json" in result.err) == (3, True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("label", ["../../../x", "Speech/..", "Dog", "Sp\x1beech"])
def test_labels_of_a_journal_that_are_no_classes_are_refused(received: Path, s5eval: Call, label: str) -> None:
    change(received, status="complete")
    edit_lines(received, lambda line: line.update(estimates=[{"index": 0, "label": label, "confidence": 1.0}]))
    result = s5eval("report", received)
    assert (result.code, "mixtures.jsonl" in result.err, "\x1b" in result.err) == (3, True, False)


def test_files_of_a_line_that_lie_elsewhere_are_refused(received: Path, tmp_path: Path, s5eval: Call) -> None:
    """Merging copies what lines list, under the names that they have there."""
    (tmp_path / "theirs.npz").write_bytes(b"theirs")
    digest = hashlib.sha256(b"theirs").hexdigest()
    edit_lines(received, lambda line: line["files"].update({"../theirs.npz": digest}))
    checked = s5eval("check", received)
    assert (checked.code, "../theirs.npz: is no file of a run, but its line lists it" in checked.out) == (3, True)


@pytest.mark.parametrize("name", ["log.txt", "mixtures.jsonl", "pairs", "audio", ".lock", ".started"])
def test_a_received_run_does_not_write_through_links(received: Path, tmp_path: Path, s5eval: Call, name: str) -> None:
    mine = tmp_path / "mine"
    if name in ("pairs", "audio"):
        mine.mkdir()
    else:
        mine.write_text("mine")
    target = received / name
    if target.exists():
        target.rename(tmp_path / "away")
    target.symlink_to(mine)
    result = s5eval("run", "--resume", received)
    assert (result.code, "is a link" in result.err) == (3, True)
    assert mine.is_dir() or mine.read_text() == "mine"


@pytest.mark.parametrize("key", ["sofa_path", "source_file", "foreground_dir"])
@pytest.mark.parametrize("path", ["../../outside", "/etc/passwd", "C:\\secret", "a/../../../b"])
def test_paths_of_metadata_stay_below_the_root(tmp_path: Path, key: str, path: str) -> None:
    event = {
        "source_file": "x.wav", "source_time": 0, "event_duration": 1, "snr": 0, "label": "Speech",
        "role": "foreground", "event_time": 0, "event_position": [[1, 0, 0]],
    }  # fmt: skip
    config = {
        "sr": 32000,
        "duration": 1,
        "ref_db": -50,
        "foreground_dir": "f",
        "background_dir": "b",
        "interference_dir": "i",
    }
    stored = {"sofa_path": "room.sofa", "sr": 32000, "direct_range_ms": [1, 2], "nchan": 4}
    ({"sofa_path": stored, "source_file": event, "foreground_dir": config}[key])[key] = path
    write_sofa(tmp_path / "room.sofa", np.zeros((1, 4, 16)), np.eye(1, 3), spherical=False, rate=32000.0)
    metadata = {
        "config": config,
        "fg_events": [event],
        "bg_events": [],
        "int_events": [],
        "room": {"args": {"metadata": stored}},
    }
    # What official code puts behind a folder's name is below it, and then not there; all else leads out.
    with pytest.raises(DataError, match="leads out of" if key != "source_file" or ".." in path else "no such file"):
        synthesize(metadata, tmp_path)
