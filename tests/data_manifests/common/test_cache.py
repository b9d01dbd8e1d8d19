import sys
from pathlib import Path

import pytest

from s5eval.data_manifests.common.cache import cache_folder, file_sha256
from s5eval.data_manifests.common.errors import UsageError


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the rule of the XDG base directories")
def test_otherwise_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("S5EVAL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "s5eval"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/s5eval")


@pytest.mark.parametrize(
    ("platform", "variable", "below"),
    [
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", None, "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ],
)
def test_every_platform_has_its_place_and_its_variable(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str | None, below: str
) -> None:
    monkeypatch.setenv("S5EVAL_CACHE", "")  # set to nothing is not set
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setattr(sys, "platform", platform)
    home, others = Path("/home/somebody"), {"XDG_CACHE_HOME", "LOCALAPPDATA"} - {variable}
    for other in others:
        monkeypatch.setenv(other, "/elsewhere")
    if variable is not None:
        monkeypatch.setenv(variable, "~/kept")
        assert cache_folder() == home / "kept/s5eval"
        for no_place in ("", "kept", "~no-such-user/kept"):  # a cache must not depend on where one stands
            monkeypatch.setenv(variable, no_place)
            assert cache_folder() == home / below / "s5eval"
    else:
        assert cache_folder() == home / below / "s5eval"


def test_a_chosen_folder_is_absolute_and_may_be_in_a_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    for chosen, folder in (("here", tmp_path / "here"), (".", tmp_path), ("~/kept", Path("/home/somebody/kept"))):
        monkeypatch.setenv("S5EVAL_CACHE", chosen)
        assert cache_folder() == folder
    monkeypatch.setenv("S5EVAL_CACHE", "~no-such-user/kept")
    with pytest.raises(UsageError, match="S5EVAL_CACHE is '~no-such-user/kept': there is no such home folder"):
        cache_folder()


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a").startswith("ba7816bf8f01cfea")
    (tmp_path / "b").write_bytes(b"a" * 1_000_000)
    assert file_sha256(tmp_path / "b").startswith("cdc76e5c9914fb92")
