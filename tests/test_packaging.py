"""What is in the checkout is in the package: a subpackage that is not listed would silently miss from the wheel."""

import ast
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data_manifests", "systems", "metrics", "submissions", "harness")
FLOORS = ("data_manifests", "submissions", "systems", "harness")
"""A floor imports only those before it; `metrics` stands alone, and `harness` alone uses it."""

ROOMS = {
    "data_manifests": "common containers pcm | conditions download labels wav_writing | naming | listing layouts "
    "| audio mapping | records | importing in_step synthesis | scan sets | chosen_split | manifest training_scenes "
    "| described plain_folder verify | verify_recordings",
    "systems": "batching card device energy estimates expected_score hooks settings | decision resources weight_files "
    "| decision_reading interface networks | parameter_count pipeline profiling registry spatial_filter stage_store "
    "trained_settings "
    "| training weights | baseline bounds folder multistage",
    "submissions": "check_json errors rules submission zip_directory zipping | archive check_audio expected facts "
    "meta_file pdf results | check_layout check_results standing | validate | build package",
    "metrics": "arrays label_counts sdr tolerance version | bootstrap capi | bss capi_torchmetrics casa decompose "
    "literal ranks",
    "harness": "errors process terminal | dispatch | record | scoring | report | runs tuning | comparing "
    "| exporting hosting view | command_line | api commands | cli",
}
"""The rooms (folders and files) of every floor: each imports only rooms before the bar on its left."""

FACE = "harness/api"
"""What stands here is the package `s5eval` itself."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def package_of(folder: Path) -> str:
    parts = folder.relative_to(ROOT)
    return "s5eval" if parts.as_posix() == FACE else "s5eval." + ".".join(parts.parts)


def packages_on_disk() -> set[str]:
    return {package_of(path.parent) for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")}


def data_folders_on_disk() -> set[str]:
    """Folders of data alone; Python can import them as well, so that setuptools wants them listed."""
    tracked = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True).stdout.split()
    folders = {(ROOT / file).parent for file in tracked}
    return {package_of(folder) for folder in folders if not (folder / "__init__.py").is_file()}


def place_in_wheel(file: str) -> str:
    return f"s5eval/{file.removeprefix(f'{FACE}/')}"


def test_every_package_is_listed_and_mapped() -> None:
    listed = PROJECT["tool"]["setuptools"]
    assert set(listed["packages"]) == packages_on_disk() | data_folders_on_disk()
    assert {"s5eval": FACE, **{f"s5eval.{folder}": folder for folder in FOLDERS}} == listed["package-dir"]
    modules = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in modules)


def test_every_mapped_package_is_typed() -> None:
    assert all((ROOT / folder / "py.typed").is_file() for folder in (FACE, *FOLDERS))


def test_the_face_has_one_name_only() -> None:
    """Imported below `s5eval.harness`, its modules would exist twice, and its classes be unequal to themselves."""
    for path in [*ROOT.glob("tests/**/*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]:
        assert "harness" + ".api" not in path.read_text(), path


def test_the_links_for_type_checkers_hold_every_module_of_the_face(tmp_path: Path) -> None:
    for name in ("Makefile", *FOLDERS):
        (tmp_path / name).symlink_to(ROOT / name)
    subprocess.run(["make", "--silent", ".types/s5eval"], cwd=tmp_path, check=True)
    links = tmp_path / ".types" / "s5eval"
    assert {path.name for path in links.iterdir()} == {
        *FOLDERS,
        *(path.name for path in (ROOT / FACE).iterdir() if path.is_file()),
    }
    assert all(path.exists() for path in links.iterdir())


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
                names = [entry.name for entry in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [_module(f"{node.module}.{entry.name}") or node.module for entry in node.names]
                for name in names:
                    if name.startswith("s5eval."):
                        yield path.relative_to(ROOT), name.split(".")[1:]


def _module(name: str) -> str | None:
    """The name, if it is a module or package of ours, rather than something that one defines."""
    place = ROOT.joinpath(*name.split(".")[1:])
    return name if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file() else None


def test_a_floor_imports_only_those_below_it() -> None:
    for path, parts in imports():
        floor = path.parts[0]
        allowed = {floor} if floor == "metrics" else {*FLOORS[: FLOORS.index(floor) + 1]}
        allowed |= {"metrics"} if floor == "harness" else set()
        if floor == "systems":
            allowed -= {"submissions"}
        if FACE in str(path.parent):  # the face imports all, and is imported by itself alone
            allowed |= {file.stem for file in (ROOT / FACE).glob("*.py")}
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
        if parts[0] != floor or len(parts) < 2 or room in ("__init__", "api"):
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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, which is built from what git tracks and so holds whatever is needed."""
    folder = tmp_path_factory.mktemp("dist")
    copy = folder / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(ROOT / name)
    build = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"
    made = folder / "dist"
    made.mkdir()
    for what, where in (("build_sdist", copy), ("build_wheel", folder / "unpacked")):
        if what == "build_wheel":
            (sdist,) = made.glob("*.tar.gz")
            with tarfile.open(sdist) as archive:
                archive.extractall(folder, filter="data")
            (folder / sdist.name.removesuffix(".tar.gz")).rename(where)
        command = [sys.executable, "-c", build, what, str(made)]
        built = subprocess.run(command, cwd=where, capture_output=True, text=True, check=True)
        assert "absent from the `packages` configuration" not in built.stdout + built.stderr
    return next(made.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file_once(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True)
    missing = [name for name in tracked.stdout.split() if place_in_wheel(name) not in names]
    assert missing == []
    assert not [name for name in names if name.startswith("s5eval/harness/api")]


CLIENT = """
from collections.abc import Sequence
import numpy as np
import torch
import s5eval
from s5eval import Candidates, Decision, Estimate, Mixture, System
from s5eval.metrics import CapiSDRi, pairwise_sdr

class Mine:
    decision = Decision({"default": 0.4})
    def fingerprint(self) -> dict[str, str]:
        return {"weights": "none"}
    def propose(self, mixtures: Sequence[Mixture]) -> list[Candidates]:
        return [Candidates(m.audio()[:1], np.zeros((1, len(s5eval.CLASSES))), np.zeros(1)) for m in mixtures]

mine: System = Mine()
foa = np.zeros((4, 3200), np.float32)
found: tuple[Estimate, ...] = s5eval.load_system("silence").separate(torch.tensor(foa))
score = s5eval.score_mixture(estimates=found, references={"Speech": foa[0]}, mixture=foa)
fn: int | None = None if score.labels is None else score.labels.fn
tables = pairwise_sdr(estimate=foa[:1], reference=foa[:1], mixture=foa[0])
value: float | None = s5eval.metrics.capi_sdri(tables, estimate_labels=["Pour"], reference_labels=["Pour"]).value
metric = CapiSDRi(s5eval.CLASSES)


def told(path: str) -> tuple[int | None, float | None, list[tuple[str, float]], float]:
    run = s5eval.read_run(path)
    limit: int | None = run.record.config.limit
    value: float | None = run.summary.metrics["capi_sdri"].value
    capi = run.scores[0].capi
    pairs = [] if capi is None else [(pair.label, pair.sdri) for pair in capi.pairs]
    parts = run.summary.decomposition
    return limit, value, pairs, 0.0 if parts is None else parts.terms["miss"]

try:
    s5eval.read_run("nowhere").mixtures["capi_sdri"].mean()
except s5eval.S5Error as error:
    print(s5eval.__file__, fn, value, error.exit_code, s5eval.__version__)
"""


@pytest.mark.slow
def test_the_installed_wheel_serves_a_typed_client(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, that sees the packages of this one but not its s5eval."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    # Plain folders: a .pth of theirs, such as an editable s5eval's, is not followed.
    folders = [path for path in sys.path if path.endswith("-packages")]
    (site / "others.pth").write_text("\n".join(folders))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([*install, "--force-reinstall", "--no-warn-script-location"], check=True, cwd=tmp_path)
    client = tmp_path / "client.py"
    client.write_text(CLIENT)

    def call(*command: object) -> str:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    file, fn, value, code, number = call(python, client).split()
    assert Path(file) == site / "s5eval" / "__init__.py"
    assert (fn, code, number) == ("1", "2", version("s5eval"))
    assert float(value) == 0.0
    (tmp_path / "wrong.py").write_text(
        "import s5eval\ns5eval.open_data(3)\ns5eval.nothing\ns5eval.read_run('run').summary.n_scord\n"
    )
    options = ("--strict", "--config-file=", "--no-error-summary", "--python-executable", str(python))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "client.py", "wrong.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in checked.stdout.splitlines() if ": note:" not in line]
    assert [line.split(":")[0] for line in said] == ["wrong.py"] * 3, checked.stdout + checked.stderr
    assert "[arg-type]" in said[0]
    assert all("[attr-defined]" in line for line in said[1:])
    systems = call(environment / "bin" / "s5eval", "systems")
    assert all(name in systems for name in PROJECT["project"]["entry-points"]["s5eval.systems"])
