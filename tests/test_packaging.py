"""What is in the checkout is in the package: a subpackage that is not listed would silently miss from the wheel."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data_manifests", "systems", "metrics", "submissions", "harness")
FLOORS = ("data_manifests", "submissions", "systems", "harness")
"""A floor imports only those before it; `metrics` stands alone, and `harness` alone uses it."""

ROOMS = {
    "data_manifests": "common | audio download labels | naming records | scan synthesis | sets "
    "| manifest training_scenes | verify",
    "systems": "batching decision device loading networks settings | interface training "
    "| pipeline profiling registry stage_store | baseline bounds folder multistage",
    "submissions": "check_json errors layout records zipping | archive check_audio expected metadata pdf results "
    "| check_results | validate | build package",
    "metrics": "label_counts sdr version | bootstrap bss capi literal | casa decompose",
    "harness": "errors | record | scoring | report | runs tuning | comparing | commands | cli",
}
"""The rooms (folders and files) of every floor: each imports only rooms before the bar on its left."""

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


def imports() -> Iterator[tuple[Path, list[str]]]:
    """Every import of ours in the code: the file, and the dotted path below `s5eval`."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                names += [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    if name.startswith("s5eval."):
                        yield path.relative_to(ROOT), name.split(".")[1:]


def test_a_floor_imports_only_those_below_it() -> None:
    for path, parts in imports():
        floor = path.parts[0]
        allowed = {floor} if floor == "metrics" else {*FLOORS[: FLOORS.index(floor) + 1]}
        allowed |= {"metrics"} if floor == "harness" else set()
        if floor == "systems":
            allowed -= {"submissions"}
        assert parts[0] in allowed, f"{path} imports {'.'.join(parts)}"


def test_a_room_imports_only_those_before_it() -> None:
    heights = {
        (floor, room): height
        for floor, rooms in ROOMS.items()
        for height, names in enumerate(rooms.split("|"))
        for room in names.split()
    }
    for path, parts in imports():
        floor, room = path.parts[0], path.parts[1].removesuffix(".py")
        if parts[0] != floor or len(parts) < 2 or room == "__init__":
            continue
        assert (floor, room) in heights, f"{floor}/{room} has no place in ROOMS: put it where its imports allow"
        if parts[1] != room:
            assert heights[floor, parts[1]] < heights[floor, room], f"{path} imports {'.'.join(parts)}"


def test_no_two_files_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = {}
    for path, parts in imports():
        target = ROOT.joinpath(*parts)
        file = target.with_suffix(".py") if target.with_suffix(".py").is_file() else target / "__init__.py"
        if file.is_file():
            arrows.setdefault(str(path), set()).add(str(file.relative_to(ROOT)))
    state: dict[str, bool] = {}  # True: on the way now

    def visit(file: str, way: tuple[str, ...]) -> None:
        assert not state.get(file, False), f"a circle: {' -> '.join((*way[way.index(file) :], file))}"
        if file in state:
            return
        state[file] = True
        for target in sorted(arrows.get(file, ())):
            visit(target, (*way, file))
        state[file] = False

    for file in sorted(arrows):
        visit(file, ())


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
