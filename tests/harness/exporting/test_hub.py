"""Weights through a hub on loopback, by the real client: what comes back is what went, or is refused."""

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fake_hub import TOKEN, FakeHub, fake_hub
from safetensors.torch import save_file

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.files import WriteError
from s5eval.harness.exporting.hub import Repository, _refused, parse_address
from s5eval.harness.exporting.model_card import model_card
from s5eval.systems.card import record_file, write_card

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of the client are its own


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def call(
    s5eval: Callable[..., Any], hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """`s5eval weights …`, as if the hub were the real one."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    for name, value in {"HF_ENDPOINT": hub.address, "NO_PROXY": "*", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}.items():
        monkeypatch.setenv(name, value)

    def weights(*words: object, token: str = TOKEN) -> Any:
        monkeypatch.setenv("HF_TOKEN", token)
        return s5eval("weights", *words)

    return weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of weights with two parts, thresholds, and files that are nobody's business."""
    weights = tmp_path / "weights"
    (weights / "encoder").mkdir(parents=True)
    write_card(weights, {"history": [{"recipe": "mini/uss", "plan": "p", "steps": 10, "scenes": 20, "hours": 0.5,
                                      "data": "procedural (mini/train)", "device": "cpu, 2 cores"}],
                "scores": {"mini/test": {"capi_sdri": [5.9, 5.1, 6.8], "mixture_accuracy": 51.0}}})  # fmt: skip
    save_file({"w": torch.arange(6.0)}, weights / "uss.safetensors")
    save_file({"v": torch.ones(3)}, weights / "encoder" / "model.safetensors")
    (weights / "thresholds.yaml").write_text("silence_thresholds: {default: 0.5}\n")
    for name in ("uss.safetensors", "encoder/model.safetensors", "thresholds.yaml"):
        record_file(weights, name)
    (weights / "old.ckpt").write_bytes(b"pickle")
    (weights / ".secret.json").write_text("{}")
    return weights


def test_what_is_pushed_comes_back_verified(
    call: Callable[..., Any], hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    pushed = call("push", folder, "hf://kaist/s5-mini", "--licence", "cc-by-4.0", "--private")
    assert pushed.code == 0, pushed.err
    assert f"{hub.address}/kaist/s5-mini/commit/" in pushed.out
    sent = hub.files["kaist/s5-mini"]
    wanted = {"card.json", "uss.safetensors", "encoder/model.safetensors", "thresholds.yaml"}
    assert set(sent) == {*wanted, "README.md"}, "no pickles, no hidden files"
    assert hub.private["kaist/s5-mini"]
    assert {name: sent[name] for name in wanted} == {name: (folder / name).read_bytes() for name in wanted}
    front = yaml.safe_load(sent["README.md"].decode().split("---")[1])
    assert (front["license"], front["library_name"]) == ("cc-by-4.0", "s5eval")
    assert "5.9 [5.1, 6.8]" in sent["README.md"].decode()
    again = call("push", folder, "hf://kaist/s5-mini")
    assert again.code == 0, again.err
    pulled = call("pull", "hf://kaist/s5-mini", tmp_path / "back")
    assert pulled.code == 0, pulled.err
    back = {path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*") if path.is_file()}
    assert back == {*wanted, "README.md"}
    assert all((tmp_path / "back" / name).read_bytes() == sent[name] for name in back)
    taken = call("pull", "hf://kaist/s5-mini", tmp_path / "back")
    assert (taken.code, "is there already" in taken.err) == (2, True)


def test_what_is_not_what_the_card_says_is_refused(
    call: Callable[..., Any], hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    assert call("push", folder, "hf://kaist/s5-mini").code == 0
    files = hub.files["kaist/s5-mini"]
    files["run_me.py"] = b"import os"
    files["../evil.json"] = b"{}"
    whole = dict(files)
    for change, message in (
        (lambda: files.update({"uss.safetensors": whole["uss.safetensors"][:-1] + b"x"}), "not what was written"),
        (lambda: files.pop("thresholds.yaml"), "is not there"),
        (lambda: files.pop("card.json"), "has no card.json"),
    ):
        files.clear()
        files.update(whole)
        change()
        refused = call("pull", "hf://kaist/s5-mini", tmp_path / "back")
        assert (refused.code, message in refused.err) == (3, True), refused.err
        assert not (tmp_path / "back").exists() and not list(tmp_path.glob(".back*"))
    files.clear()
    files.update(whole)
    assert call("pull", "hf://kaist/s5-mini", tmp_path / "back").code == 0
    assert not list(tmp_path.rglob("run_me.py")) and not list(tmp_path.rglob("evil.json"))


def test_what_the_hub_refuses_is_said_in_a_line(
    call: Callable[..., Any], hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    for done, words in (
        (call("pull", "hf://kaist/none", tmp_path / "back"), "hf://kaist/none"),
        (call("push", folder, "hf://kaist/s5-mini", token="hf_wrong"), "hf://kaist/s5-mini"),
    ):
        assert done.code == 3 and words in done.err and "Traceback" not in done.err, done.err
    (folder / "card.json").unlink()
    bare = call("push", folder, "hf://kaist/s5-mini")
    assert (bare.code, "has no card.json" in bare.err) == (2, True)


def test_a_hub_that_is_out_of_reach_says_so_once() -> None:
    error = ConnectionError("[Errno 111] Connection refused")
    error.__cause__ = OSError("[Errno 111] Connection refused")
    assert str(_refused(Repository("a/b", None), error)).count("refused") == 1
    error.__cause__ = OSError("no route")
    assert str(_refused(Repository("a/b", None), error)).endswith("refuses: [Errno 111] Connection refused no route")


def test_a_damaged_folder_is_not_pushed(call: Callable[..., Any], hub: FakeHub, folder: Path) -> None:
    save_file({"w": torch.zeros(6)}, folder / "uss.safetensors")
    refused = call("push", folder, "hf://kaist/s5-mini")
    assert (refused.code, "not what was written" in refused.err) == (3, True)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"history": [{"hours": "five"}]}, "could not convert string to float: 'five'"),
        ({"scores": [1]}, "AttributeError"),
    ],
)
def test_a_card_that_no_page_can_be_made_of_is_not_pushed(
    call: Callable[..., Any], hub: FakeHub, folder: Path, change: dict[str, Any], said: str
) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **change}))
    refused = call("push", folder, "hf://kaist/s5-mini")
    assert (refused.code, said in refused.err, "Traceback" in refused.err) == (3, True, False), refused.err
    assert hub.requests == []


def test_weights_that_were_there_before_give_way(
    call: Callable[..., Any], hub: FakeHub, folder: Path, tmp_path: Path
) -> None:
    assert call("push", folder, "hf://kaist/s5-mini").code == 0
    hub.files["kaist/s5-mini"] |= {"NOTES.md": b"by hand", "run_me.py": b"import os"}
    plain = tmp_path / "plain"
    plain.mkdir()
    write_card(plain, {"history": []})
    save_file({"w": torch.zeros(6)}, plain / "uss.safetensors")
    record_file(plain, "uss.safetensors")
    assert call("push", plain, "hf://kaist/s5-mini").code == 0
    kept = {"card.json", "uss.safetensors", "README.md", "NOTES.md", "run_me.py"}
    assert set(hub.files["kaist/s5-mini"]) == kept, "thresholds that were tuned for other weights are gone"
    assert call("pull", "hf://kaist/s5-mini", tmp_path / "back").code == 0
    assert not (tmp_path / "back" / "thresholds.yaml").exists()


def test_a_folder_that_lacks_a_file_of_its_card_is_not_pushed(
    call: Callable[..., Any], hub: FakeHub, folder: Path
) -> None:
    (folder / "thresholds.yaml").unlink()
    refused = call("push", folder, "hf://kaist/s5-mini")
    assert (refused.code, "thresholds.yaml: card.json lists it" in refused.err) == (3, True), refused.err
    assert hub.requests == []


def test_an_empty_folder_is_filled_and_a_full_disk_leaves_it(
    call: Callable[..., Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("push", folder, "hf://kaist/s5-mini").code == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    with monkeypatch.context() as patch:

        def full(_: object, **_options: object) -> None:
            raise WriteError(empty, OSError(errno.ENOSPC, "No space left on device"))

        patch.setattr("s5eval.data_manifests.common.files.sync_files", full)
        done = call("pull", "hf://kaist/s5-mini", empty)
        assert (done.code, "free some space, and call again" in done.err) == (1, True)
    assert (list(empty.iterdir()), [path.name for path in tmp_path.glob(".empty.*")]) == ([], [])
    assert call("pull", "hf://kaist/s5-mini", empty).code == 0
    assert (empty / "uss.safetensors").is_file()


@pytest.mark.parametrize("text", ["kaist/s5", "hf://kaist", "hf://../s5", "hf://kaist/s5@", "https://hub/kaist/s5"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="expected hf://OWNER/NAME"):
        parse_address(text)


def test_addresses() -> None:
    assert parse_address("hf://kaist/s5-mini@refs/pr/1") == Repository("kaist/s5-mini", "refs/pr/1")


def test_the_page_tells_energy_and_licences_and_what_is_missing() -> None:
    card = {
        "history": [
            {"recipe": "a/b", "steps": 1, "hours": 1.0, "recordings": ["sha256:x"], "data": "mine <b>|1",
             "energy": {"kwh": 0.125, "seconds": 9, "method": "M", "hardware": "H", "unmeasured_sittings": 1}},
            {"recipe": "a/c", "steps": 1, "hours": 0.5},
        ],
        "recordings": {"sha256:x": {"origins": [
            {"source": "github a/b@12", "licence": "CC-BY, Me", "files": 2},
            {"source": "a drawer", "licence": "CC0", "files": 1},
        ]}},
    }  # fmt: skip
    page = model_card(card, "k/n", licence=None, files=["card.json"])
    assert 'license: "unknown"' in page and "None stand on the card." in page
    assert "0.125 kWh" in page and "less than the whole, since 2 sittings were not measured" in page
    assert "| [a/b (2 files)](https://github.com/a/b) | CC BY |" in page
    assert "| a drawer (1 file) | CC0 |" in page
    assert "mine &lt;b>\\|1" in page
    json.dumps(page)
