"""A run on recordings that its weights were trained on says so, beside every number and to what is tuned on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.described import digests_of_recordings

Call = Callable[..., Any]
A, B, C, D, FOLDER = "a" * 12, "b" * 12, "c" * 12, "d" * 12, "f" * 12

pytestmark = pytest.mark.usefixtures("systems_on_path")


@pytest.fixture
def told_set(tmp_path: Path, make_set: Callable[..., Path]) -> Path:
    """Four mixtures, as `data make --recordings` leaves them: of A, of A and B, of C, and of nothing."""
    heard = {"m_0": ["x/A.wav"], "m_1": ["x/A.wav", "y/B.wav"], "m_2": ["y/C.wav"], "m_3": []}
    folder = make_set(tmp_path / "told", {id_: ["Speech"] * len(names) for id_, names in heard.items()}, seconds=0.25)
    material = {"scenes": 4, "recordings": [{"digest": f"sha256:{FOLDER}{'0' * 52}"}]}
    material["recordings"][0]["contents"] = {"x/A.wav": A, "y/B.wav": B, "y/C.wav": C}
    (folder / "material.json").write_text(json.dumps(material))
    (folder / "checksums").mkdir()
    for id_, names in heard.items():
        record = {"job": "0" * 64, "files": {}, "recordings": [f"{FOLDER}/{name}" for name in names]}
        (folder / "checksums" / f"{id_}.json").write_text(json.dumps(record))
    return folder


def run(s5eval: Call, data: Path, out: Path, *trained_on: str, more: tuple[object, ...] = ()) -> Any:
    told = ("--set", f"system.trained_on={json.dumps(list(trained_on))}")
    return s5eval("run", "--system", "plugins:build", "--data", data, "--out", out, *told, *more)


def test_recordings_are_known_by_their_content_and_by_the_folder_they_lie_in(told_set: Path) -> None:
    ids = ["m_1", "m_2", "m_3", "m_9"]
    known = {"m_1": {A, B, FOLDER}, "m_2": {C, FOLDER}, "m_3": set(), "m_9": set()}
    assert digests_of_recordings(ids, told_set) == known
    (told_set / "material.json").unlink()
    assert digests_of_recordings(ids, told_set)["m_1"] == {FOLDER}, "sets of before tell no contents"
    assert digests_of_recordings(["mini_test_0000"], None) == {"mini_test_0000": set()}


@pytest.mark.parametrize(
    ("trained_on", "said"),
    [
        ((A, D), "weights trained on recordings of 2 of these mixtures"),
        ((A, C), "weights trained on recordings of 3 of these mixtures"),
        ((FOLDER,), "weights trained on recordings of 3 of these mixtures"),
        ((D,), None),
        ((), None),
    ],
)
def test_every_mixture_with_such_a_target_counts(
    trained_on: tuple[str, ...], said: str | None, told_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    result = run(s5eval, told_set, tmp_path / "run", *trained_on)
    assert result.code == 0, result.err
    (listed,) = s5eval("runs", tmp_path / "run", "--json").json
    if said is None:
        assert "trained on" not in result.out + result.err + " ".join(listed["marks"])
        return
    assert f"note: {said}" in result.err.replace("\n  ", " ")
    assert said in result.out.replace("\n  ", " ") and said in listed["marks"]
    assert said in (tmp_path / "run" / "report.html").read_text()


def test_all_of_them_need_no_count(told_set: Path, tmp_path: Path, s5eval: Call) -> None:
    result = run(s5eval, told_set, tmp_path / "run", A, more=("--limit", 2))
    assert "weights trained on recordings of these mixtures" in result.out.replace("\n  ", " ")


def test_the_mark_goes_with_shards_and_rescoring_and_into_what_is_tuned(
    told_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    parts = [tmp_path / f"R.{k}" for k in (1, 2)]
    for k, part in enumerate(parts, start=1):
        assert run(s5eval, told_set, part, A, more=("--shard", f"{k}/2")).code == 0
    assert s5eval("merge", *parts, "--out", tmp_path / "whole").code == 0
    assert s5eval("rescore", tmp_path / "whole").code == 0
    (listed,) = s5eval("runs", tmp_path / "whole", "--json").json
    assert "weights trained on recordings of 2 of these mixtures" in listed["marks"]
    tuned = s5eval("tune", tmp_path / "whole", "--folds", 2)
    assert (tuned.code, "tuned on a run trained on recordings of 2 mixtures of it" in tuned.out) == (0, True), tuned.err
    decision = ("--decision", tmp_path / "whole" / "thresholds.yaml")
    later = run(s5eval, told_set, tmp_path / "later", D, more=decision)
    assert "on a run trained on recordings of 2 mixtures of it" in later.out.replace("\n  ", " ")


@pytest.mark.parametrize("told", ['"aaaaaaaaaaaa"', "[7]", '["AAAAAAAAAAAA"]', '["aaaa"]', "3"])
def test_what_is_no_collection_of_digests_is_named(told: str, told_set: Path, tmp_path: Path, s5eval: Call) -> None:
    words = ("--data", told_set, "--out", tmp_path / "run", "--set", f"system.trained_on={told}")
    result = s5eval("run", "--system", "plugins:build", *words)
    assert (
        result.code == 2
        and "trained_on is or holds" in result.err
        and "hexadecimal digits of the SHA-256" in result.err
    )


def test_what_is_said_of_a_set_and_cannot_be_read_is_named(told_set: Path, tmp_path: Path, s5eval: Call) -> None:
    (told_set / "material.json").write_text('{"scenes": 4, "recordings": [{"digest": "sha256:0", "contents": [1]}]}')
    result = run(s5eval, told_set, tmp_path / "run", A)
    assert result.code == 3 and "material.json" in result.err and "contents" in result.err
