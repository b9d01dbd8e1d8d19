"""A run that nothing happened to, and what every faulty one has to come to in the end."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from s5eval.data_manifests.common.sealed import unseal
from s5eval.harness.record.tables import PairTable

Call = Callable[..., Any]


def journal(run: Path) -> dict[str, dict[str, Any]]:
    """Every line by mixture, without how long it took, its place, and the digest that covers both."""
    lines = [json.loads(line) for line in (run / "mixtures.jsonl").read_text().splitlines()]
    same = {"number": 0, "sha256": ""}
    found = {line["mixture_id"]: {**line, **same, "outcome": {**line["outcome"], "seconds": 0}} for line in lines}
    assert len(found) == len(lines), "one line a mixture"
    return found


def failures(run: Path) -> dict[str, str]:
    """What failed, and why."""
    outcomes = {id_: line["outcome"] for id_, line in journal(run).items()}
    return {id_: outcome["error"] for id_, outcome in outcomes.items() if outcome["status"] == "failed"}


def numbers(run: Path) -> Any:
    """Everything that a run says of its mixtures, without how long they took and in which order they were written."""
    return journal(run), json.loads((run / "summary.json").read_text())


@dataclass(frozen=True)
class Whole:
    """A run that nothing happened to, and checks against it."""

    path: Path
    call: Call
    options: tuple[object, ...]

    def copy(self, target: Path) -> Path:
        shutil.copytree(self.path, target)
        return target

    def assert_equal(self, run: Path) -> None:
        """`run` is as if nothing had happened to it."""
        assert numbers(run) == numbers(self.path)
        checked = self.call("check", run, "--json")
        assert (checked.code, checked.json["damage"], checked.json["whole"]) == (0, [], 6), checked.out
        for wav in (self.path / "audio").iterdir():
            assert (run / "audio" / wav.name).read_bytes() == wav.read_bytes()

    def assert_never_wrong(self, run: Path) -> None:
        """Whatever reads `run` refuses it, or says the right numbers or that it is partial."""
        compared = self.call("compare", self.path, run, "--json")
        assert_clear(compared)
        if compared.code == 0:
            partial = compared.json["second"]["status"] != "complete"
            assert partial or compared.json["n"] == 6 or compared.json["left_out"], compared.out
            assert compared.json["changes"] == []
        for command in (
            ("tune", run, "--folds", "2", "--allow-test", "--out", run.parent / "tuned.yaml"),
            ("report", run),
        ):
            assert_clear(self.call(*command))


def assert_clear(result: Any) -> None:
    """A word and the right exit code; never a traceback, never 'unexpected'."""
    assert "Traceback" not in result.err + result.out, result.err
    assert "unexpected" not in result.err, result.err
    assert result.code in (0, 1, 2, 3, 4), result.err
    if result.code in (1, 2, 3):
        said = [line for line in result.err.splitlines() if not line.startswith("run: ")]
        assert (said and said[0].startswith("error: ")) or "repair" in result.err or result.out, result.err


def assert_no_half_file(run: Path) -> None:
    """What stands under a final name is whole."""
    for path in (run / "audio").glob("[!.]*.wav"):
        assert soundfile.info(path).frames == 640, path
    for name in ("run.json", "summary.json"):
        if (run / name).is_file():
            assert unseal((run / name).read_bytes()).sealed
    for path in (run / "pairs").glob("[!.]*.npz"):
        PairTable.load(path)
