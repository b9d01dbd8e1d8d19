"""The commit that a run names is that of this code, or none."""

import shutil
import subprocess
from pathlib import Path

import pytest

from s5eval.harness.record.provenance import GitState, git_state

OURS = '[project]\nname = "s5eval"\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    package = tmp_path / "repo" / "harness"
    package.mkdir(parents=True)
    (package / "provenance.py").write_text("")
    (package.parent / "pyproject.toml").write_text(OURS)
    return package.parent


def git(folder: Path, *arguments: str) -> str:
    user = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    return subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def committed(folder: Path, *files: str) -> str:
    git(folder, "init", "-q")
    git(folder, "add", *files)
    git(folder, "commit", "-qm", "one")
    return git(folder, "rev-parse", "HEAD").strip()


def test_a_checkout_of_ours_names_its_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = committed(repository, ".")
    file = repository / "harness" / "provenance.py"
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as inside a hook of another repository
    assert git_state(file) == GitState(commit, dirty=False)
    file.write_text("changed")
    assert git_state(file) == GitState(commit, dirty=True)


def test_an_environment_inside_a_repository_of_somebody_else_names_no_commit(repository: Path) -> None:
    """Not tracked there (an environment in a project's folder), or tracked by a project of another name."""
    committed(repository, "pyproject.toml")
    assert git_state(repository / "harness" / "provenance.py") is None


@pytest.mark.parametrize("content", [OURS.replace("s5eval", "thesis"), "not toml [", None])
def test_a_copy_that_another_project_tracks_names_no_commit(repository: Path, content: str | None) -> None:
    project = repository / "pyproject.toml"
    project.unlink() if content is None else project.write_text(content)
    committed(repository, ".")
    assert git_state(repository / "harness" / "provenance.py") is None


def test_without_a_repository_there_is_none(repository: Path) -> None:
    assert git_state(repository / "harness" / "provenance.py") is None
