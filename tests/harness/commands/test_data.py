"""`s5eval data`, `report` and `cache` as a user and a script meet them."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s5eval.data_manifests.sets import mini
from s5eval.data_manifests.sets.mini import MiniSplit

Call = Callable[..., Any]


@pytest.fixture
def short_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The embedded set with one room and half-second scenes, in a cache of its own."""
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path / "cache"))
    splits = {"train": MiniSplit(1, 1, None), "valid": MiniSplit(2, 1, 192), "test": MiniSplit(3, 1, 96)}
    monkeypatch.setattr(mini, "SPLITS", splits)
    monkeypatch.setattr(mini, "RECIPE", mini.Recipe(duration=0.5, target_counts=(0, 1), interference_counts=(1,)))
    monkeypatch.setattr(mini, "default_workers", lambda: 1)
    mini.mini_material.cache_clear()
    yield tmp_path / "cache"
    mini.mini_material.cache_clear()


def rules(result: Any) -> set[str]:
    return {finding["rule"] for finding in result.json["findings"]}


def test_list_tells_of_the_folder_that_was_named(small_set: Path, make_set: Call, tmp_path: Path, s5eval: Call) -> None:
    said = s5eval("data", "list", "--data", small_set)
    assert said.out.endswith("\nthis folder: 5 mixtures, with references\n")
    last = s5eval("data", "list", "--data", small_set, "--json").json[-1]
    assert (last["dataset"], last["mixtures"], last["references"], last["available"]) == ("folder", 5, True, True)
    bare = make_set(tmp_path / "bare", {"m_1": []})
    (bare / "oracle_target").rmdir()
    assert "this folder: 1 mixture, without references" in s5eval("data", "list", "--data", bare).out
    empty = s5eval("data", "list", "--data", tmp_path).out
    assert empty.endswith("\nthis folder: no split of these, and no soundscape/ of its own\n")
    assert "this folder" not in s5eval("data", "list").out
    assert ["mini", "train", "endless"] in [line.split()[:3] for line in empty.splitlines()]
    nowhere = s5eval("data", "list", "--data", tmp_path / "nowhere")
    assert (nowhere.code, f"no data folder at {tmp_path / 'nowhere'}" in nowhere.err) == (3, True)


def test_verify_of_one_mixture_speaks_of_one(make_set: Call, tmp_path: Path, s5eval: Call) -> None:
    one = make_set(tmp_path / "one", {"m_1": ["Speech"]})
    assert s5eval("data", "verify", "--data", one).out.endswith("\n1 mixture, 1 finding\n")  # half a second long


def test_verify_exits_3_on_what_a_run_warns_of(small_set: Path, s5eval: Call) -> None:
    (small_set / "soundscape" / "x.WAV").write_bytes(b"")
    result = s5eval("data", "verify", "--data", small_set, "--json")
    assert (result.code, result.json["ok"]) == (3, False)
    assert "suffix" in rules(result)


def test_verify_answers_in_json_where_nothing_can_be_opened(tmp_path: Path, s5eval: Call) -> None:
    result = s5eval("data", "verify", "--data", tmp_path / "nowhere", "--json")
    assert (result.code, result.json["ok"], rules(result)) == (3, False, {"set"})
    assert "no data folder at" in result.json["findings"][0]["message"]
    assert s5eval("data", "verify", "--data", tmp_path / "nowhere").code == 3


def test_verify_makes_and_repairs_nothing(short_mini: Path, s5eval: Call) -> None:
    result = s5eval("data", "verify", "--dataset", "mini")
    assert (result.code, "data make mini --split test" in result.err) == (3, True)
    assert not short_mini.exists()
    made = Path(s5eval("data", "make", "mini", "--count", 2, "--json").json["folder"])
    victim = made / "soundscape" / "mini_test_0001.flac"
    victim.unlink()
    result = s5eval("data", "verify", "--dataset", "mini", "--limit", 3, "--json")
    assert result.code == 3 and not victim.exists()
    missing = {Path(found["file"]).stem for found in result.json["findings"] if found["rule"] == "missing"}
    assert missing == {"mini_test_0001", "mini_test_0002"}


def test_verify_of_a_set_that_a_run_made_a_part_of_says_what_to_do(short_mini: Path, s5eval: Call) -> None:
    s5eval("data", "make", "mini", "--count", 2)
    found = s5eval("data", "verify", "--dataset", "mini", "--json").json["findings"]
    (missing,) = [finding for finding in found if finding["rule"] in ("missing", "mixture-count")]
    assert "94 of 96 mixtures of the split 'test' have not been made, mini_test_0002 to" in missing["message"]
    assert "`s5eval data make mini --split test` makes them, and `limit=2` checks" in missing["message"]
    assert "and --limit 2 checks" in s5eval("data", "verify", "--dataset", "mini").out


def test_what_was_made_says_where_it_is_and_how_much_it_holds(short_mini: Path, tmp_path: Path, s5eval: Call) -> None:
    made = tmp_path / "made"
    assert s5eval("data", "make", "mini", "--count", 1, "--out", made).out == f"set: {made} (1 scene)\n"
    assert s5eval("data", "make", "mini", "--count", 3, "--out", made).out == f"set: {made} (3 scenes)\n"
    assert s5eval("data", "make", "mini", "--count", 3, "--json").json["scenes"] == 3
    in_the_cache = s5eval("data", "make", "mini", "--count", 1, "--json").json
    assert in_the_cache["scenes"] == 3, "those of earlier orders stay"


def test_a_list_of_scenes_is_no_scene(tmp_path: Path, s5eval: Call) -> None:
    (tmp_path / "valid.json").write_text(json.dumps([{"metadata_path": "valid/0.json"}] * 3))
    words = ("data", "synthesize", tmp_path / "valid.json", "--root", tmp_path, "--out", tmp_path / "out")
    result = s5eval(*words)
    assert (result.code, "a list of 3 scenes, expected the metadata of one" in result.err) == (2, True)
    assert "valid/*.json" in result.err and "--split valid" in result.err


def test_a_mapping_that_was_edited_is_replaced_only_when_that_is_asked_for(tmp_path: Path, s5eval: Call) -> None:
    for name in ("a.wav", "a_sources/foreground0_Speech.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    words = ("data", "map", tmp_path, "--layout", "fuss", "--out", tmp_path / "MAP.csv")
    assert (s5eval(*words).code, s5eval(*words).code) == (0, 0), "the same again is no loss"
    (tmp_path / "MAP.csv").write_text("id,role,file,label\n")
    refused = s5eval(*words)
    assert (refused.code, "or one that was edited; name another, or --replace" in refused.err) == (2, True)
    assert s5eval(*words, "--replace").code == 0
    assert (tmp_path / "MAP.csv").read_text().splitlines()[1:] == [
        "a,mixture,a.wav,", "a,target,a_sources/foreground0_Speech.wav,Speech",
    ]  # fmt: skip


def test_a_bar_of_scenes_is_drawn_only_where_some_are_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from s5eval.harness.command_line.progress_bar import show_making

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with show_making():
        pass
    with show_making() as show:
        show(5, 5)
    assert capsys.readouterr().err == ""
    with show_making() as show:
        show(0, 5)
        show(5, 5)
    assert "making scenes" in capsys.readouterr().err


def test_a_typed_folder_beside_the_embedded_set_is_refused(
    short_mini: Path, small_set: Path, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "--system", "silence", "--dataset", "mini", "--limit", 1)
    for words in (run, ("data", "verify", "--dataset", "mini")):
        result = s5eval(*words, "--data", small_set)
        assert (result.code, "takes no --data" in result.err) == (2, True)
    monkeypatch.setenv("S5EVAL_DATA", str(small_set))
    assert s5eval(*run, "--out", tmp_path / "run", "--json").json["dataset"] == "mini"


def test_a_folder_made_of_the_embedded_set_is_known_again(short_mini: Path, tmp_path: Path, s5eval: Call) -> None:
    made = s5eval("data", "make", "mini", "--split", "test", "--count", 2, "--out", tmp_path / "m2", "--json").json
    options = ("--system", "silence", "--data", made["folder"], "--split", "test", "--json")
    summary = s5eval("run", *options, "--out", tmp_path / "run").json
    assert (summary["dataset"], summary["split"], summary["n_expected"]) == ("mini", "test", 2)
    result = s5eval("tune", tmp_path / "run", "--out", tmp_path / "tuned")
    assert (result.code, "forbids tuning" in result.err) == (2, True)


def test_the_endless_split_asks_for_a_limit(short_mini: Path, tmp_path: Path, s5eval: Call) -> None:
    run = ("run", "--system", "silence", "--dataset", "mini", "--split", "train")
    result = s5eval(*run)
    assert (result.code, "--limit" in result.err) == (2, True)
    assert s5eval(*run, "--limit", 2, "--out", tmp_path / "run", "--json").json["n_expected"] == 2
    rows = {(row["dataset"], row["split"]): row for row in s5eval("data", "list", "--json").json}
    assert (rows["mini", "train"]["mixtures"], rows["mini", "train"]["tune"]) == (None, "allowed")


def test_one_mixture_makes_one_scene(short_mini: Path, tmp_path: Path, s5eval: Call) -> None:
    options = ("--system", "silence", "--dataset", "mini", "--split", "valid", "--only", "mini_valid_0005")
    assert s5eval("run", *options, "--out", tmp_path / "run", "--json").json["n_expected"] == 1
    (made,) = short_mini.glob("mini-v*/valid/soundscape")
    assert [path.stem for path in made.iterdir()] == ["mini_valid_0005"]
    result = s5eval("run", *options, "--only", "mini_valid_0192")
    assert (result.code, "no mixture 'mini_valid_0192'" in result.err) == (2, True)


@pytest.mark.parametrize(
    "words", [["data", "preview", "--draws", "1"], ["data", "fetch", "12", "--base-url", "http://127.0.0.1:9"]]
)
def test_a_file_in_the_way_is_a_usage_error(tmp_path: Path, s5eval: Call, words: list[str]) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        result = s5eval(*words, "--out", out)
        assert (result.code, "a file is in the way" in result.err) == (2, True)


@pytest.fixture
def mirror() -> Iterator[str]:
    data = b"audio"
    held = SimpleNamespace(url="")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            checksum = f"md5:{hashlib.md5(data).hexdigest()}"
            entry = {"key": "a.txt", "size": 5, "checksum": checksum, "links": {"self": f"{held.url}/a.txt"}}
            body = data if self.path == "/a.txt" else json.dumps({"files": [entry]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        held.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield held.url
        server.shutdown()
        thread.join()


def test_fetch_from_a_mirror(mirror: str, tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    result = s5eval("data", "fetch", "12", "--out", tmp_path / "d", "--base-url", f"{mirror}/", "--json")
    assert result.json == {"folder": str(tmp_path / "d"), "files": [str(tmp_path / "d" / "a.txt")]}
    result = s5eval("data", "fetch", "12", "--out", tmp_path / "d", "--base-url", "zenodo")
    assert (result.code, "no address of a web server" in result.err) == (2, True)


def test_every_command_answers_in_json(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    s5eval("run", "--system", "silence", "--data", small_set, "--out", tmp_path / "run")
    assert s5eval("report", tmp_path / "run", "--json").json == {"page": str(tmp_path / "run" / "report.html")}
    assert s5eval("report", tmp_path / "run").out == f"page: {tmp_path / 'run' / 'report.html'}\n"
    pruned = s5eval("cache", "prune", "--yes", "--json").json
    assert set(pruned) == {"folder", "removed", "bytes"}


def test_preview_answers_in_json(tmp_path: Path, s5eval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import s5eval.data_manifests.synthesis.foley.gallery as preview

    monkeypatch.setattr(preview, "write_preview", lambda folder, **_: folder / "index.html")
    result = s5eval("data", "preview", "--out", tmp_path, "--json")
    assert result.json == {"folder": str(tmp_path), "page": str(tmp_path / "index.html")}


def test_synthesize_answers_in_json_and_names_a_bad_value(tmp_path: Path, s5eval: Call) -> None:
    scene: dict[str, Any] = {"config": {"sr": "x"}, "fg_events": [], "bg_events": [], "room": {}}
    (tmp_path / "bad.json").write_text(json.dumps(scene))
    words = ("data", "synthesize", tmp_path / "bad.json", "--root", tmp_path, "--out", tmp_path / "out", "--json")
    result = s5eval(*words)
    assert result.code == 3
    assert result.err.count("bad.json") == 1 and "config.sr" in result.err
    (tmp_path / "bad.json").unlink()
    result = s5eval(*words)
    assert (result.code, result.err.count("bad.json")) == (3, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mini", "--recordings", "D", "--out", "O", "--count", "1"], "no name of a set"),
        (["--recordings", "D", "--count", "1"], "--out DIR"),
        (["mini", "--seed", "7"], "--seed goes with --recordings"),
        ([], "say what to make"),
    ],
)
def test_words_that_do_not_go_together_are_named(words: list[str], said: str, s5eval: Call) -> None:
    result = s5eval("data", "make", *words)
    assert (result.code, said in result.err) == (2, True)


@pytest.mark.parametrize(("command", "option"), [("data preview", "--out"), ("report RUN", "--bundle")])
def test_a_seed_below_0_is_an_option_that_is_wrong_and_no_damage(
    command: str, option: str, tmp_path: Path, s5eval: Call
) -> None:
    refused = s5eval(*command.split(), option, tmp_path / "out", "--seed", -1)
    assert (refused.code, "Invalid value for '--seed': -1 is not in the range x>=0" in refused.err) == (2, True)
    assert not (tmp_path / "out").exists()
