from pathlib import Path

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.registry import check_keys, installed_systems, load_factory


def test_the_shipped_systems_are_installed() -> None:
    shipped = {"folder", "multistage", "silence", "oracle", "oracle-mixture", "oracle-gain", "oracle-zeros"}
    assert shipped <= installed_systems().keys()


def test_an_unknown_name_gets_the_closest_known_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'multistage'"):
        load_factory("multi-stage")


def test_a_module_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_separator.py").write_text("def build(config, device):\n    return (config, device)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    assert load_factory("my_separator:build")({"a": 1}, "cpu") == ({"a": 1}, "cpu")  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("my_separator", "my_separator:build"),
        ("my_separator.py", "my_separator:build"),
        ("my_separator.py:make", "my_separator:make"),
        ("./my_separator.py:make", "my_separator:make"),
        ("parts/other.py:make", "parts.other:make"),
    ],
)
def test_a_file_is_told_how_it_is_written(
    name: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_separator.py").write_text("def build(config, device):\n    return (config, device)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        load_factory(name)
    assert str(refused.value).endswith(f"a file is named as a module; write {written}")


def test_where_no_name_is_close_a_sentence_ends_all_the_same() -> None:
    with pytest.raises(UsageError, match=r"^unknown system 'qqqq'\. Known: "):
        load_factory("qqqq")
    with pytest.raises(UsageError, match=r"no key system\.qqqq\. Known keys: system\.stages"):
        check_keys({"qqqq": 1}, ("stages",), system="x")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_x:build", r"No module named 'no_such_module_x'; it is neither installed nor in /\S+: go to"),
        ("no_such_package_x.part:build", "neither installed nor in"),
        ("json:build", "cannot be imported"),
        ("json:__name__", "names a str, expected a factory"),
    ],
)
def test_what_cannot_be_imported_is_said(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_factory(name)


def test_a_module_that_is_there_says_which_one_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking_x.py").write_text("import no_such_module_y\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"No module named 'no_such_module_y'; lacking_x needs it: install it$"):
        load_factory("lacking_x:build")


def test_unknown_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"no key system\.stage; did you mean 'stages'\? Known keys: system\.stages"):
        check_keys({"stage": 1}, ("stages",), system="x")
