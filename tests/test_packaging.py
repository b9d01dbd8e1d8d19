"""What is in the checkout is in the package: a subpackage that is not listed would silently miss from the wheel."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data_manifests", "systems", "metrics", "submissions", "harness")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_on_disk() -> set[str]:
    return {
        "s5eval." + ".".join(path.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }


def test_every_package_is_listed_and_mapped() -> None:
    listed = PROJECT["tool"]["setuptools"]
    assert set(listed["packages"]) == packages_on_disk()
    assert {f"s5eval.{folder}": folder for folder in FOLDERS} == listed["package-dir"]
    modules = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in modules)


def test_every_mapped_package_is_typed() -> None:
    assert all((ROOT / folder / "py.typed").is_file() for folder in FOLDERS)


def test_every_entry_point_loads() -> None:
    for point in entry_points(group="s5eval.systems"):
        assert callable(point.load()), point


def test_bare_imports_from_the_root_are_banned() -> None:
    source = "import metrics\nfrom harness.run import run\n"
    command = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    found = subprocess.run(
        [*command, "--stdin-filename", "x.py", "-"], input=source, capture_output=True, text=True, check=False
    )
    assert found.stdout.count("TID251") == 2


def test_a_package_imports_only_those_to_its_left() -> None:
    order = ("data_manifests", "systems", "submissions", "harness")
    for folder in FOLDERS:
        allowed = {folder} if folder == "metrics" else {*order[: order.index(folder) + 1]}
        allowed |= {"metrics"} if folder == "harness" else set()
        for path in (ROOT / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                words = line.split()
                if words[:1] in (["from"], ["import"]) and len(words) > 1 and words[1].startswith("s5eval."):
                    assert words[1].split(".")[1] in allowed, f"{path.relative_to(ROOT)}: {line.strip()}"


def test_constraints_pin_what_the_project_needs() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    )
    lowered = {name.lower().replace("_", "-") for name in pins}
    wanted = {*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]}
    names = {requirement.partition(">")[0].lower().replace("_", "-") for requirement in wanted}
    assert names <= lowered
    assert pins["torch"] == "2.13.0"
    assert version("torch").startswith("2.13.0")


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    import zipfile

    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True)
    missing = [name for name in tracked.stdout.split() if f"s5eval/{name}" not in names]
    assert missing == []
