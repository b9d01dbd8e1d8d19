"""The examples are run as a reader runs them, and what they print for is looked at."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from s5eval import Pipeline, load_system, read_run

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOK = EXAMPLES / "tour.ipynb"
OURS = {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import an example with its folder on the path, as `python examples/NAME.py` does."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in OURS:
        sys.modules.pop(name, None)


def test_wavs_are_scored_and_every_mistake_is_named(example: Any, tmp_path: Path) -> None:
    run, score = example("score_wavs").main(tmp_path)
    mixtures = run.mixtures
    assert mixtures.loc["m_1", "exact"]
    assert mixtures.loc["m_1", "capi_sdri"] > mixtures.loc["m_1", "zero_floor"] + 10
    assert (mixtures.loc["m_2", "fp"], mixtures.loc["m_2", "fn"]) == (1, 1)
    assert mixtures.loc["m_4", "capi_sdri"] == 0.0
    assert run.losses.loc["Pour", "confusion"] > 1
    assert run.losses.loc["Cough", "false_alarm"] > 0
    assert (score.labels.tp, score.labels.fn) == (1, 1)
    assert score.capi_sdri == pytest.approx(0.0, abs=1e-6)


def test_a_system_of_ones_own_separates_and_runs(example: Any, tmp_path: Path) -> None:
    run = example("own_system").main(tmp_path)
    assert run.summary.status == "complete"
    assert run.mixtures["exact"].all()
    defined = run.mixtures.dropna(subset=["capi_sdri"])
    assert len(defined) == 3
    assert (defined["capi_sdri"] > defined["gain_floor"] + 5).all()


def test_a_stage_of_ones_own_stands_behind_those_that_ship(example: Any, tmp_path: Path) -> None:
    comparison = example("own_stage").main(tmp_path)
    assert comparison.differences["metrics", "capi_sdri"].better > 3
    run = read_run(tmp_path / "own")
    assert run.record.reused == 8, "the shipped stage was not run again"
    assert run.summary.weights == read_run(tmp_path / "shipped").summary.weights
    shipped = load_system("multistage", stages=1).system
    assert isinstance(shipped, Pipeline)
    assert shipped.trained_on
    assert example("own_stage").build({"stages": 1}, "cpu").trained_on == shipped.trained_on, "runs on these are marked"


def test_tuned_thresholds_win_on_a_split_that_they_have_not_seen(example: Any, tmp_path: Path) -> None:
    tuned, difference = example("thresholds").main(tmp_path)
    assert tuned.decision.threshold("Cough") > 0.5
    assert tuned.gain["ci_low"] > 0
    assert difference.ci_low > 0


@pytest.mark.slow
def test_recordings_of_ones_own_become_weights_that_run(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("lightning.fabric")
    run = example("train_own_recordings").main(tmp_path)
    assert run.summary.status == "complete"
    assert run.summary.weights.startswith("sha256:")
    (tagger, separator) = json.loads((tmp_path / "weights" / "card.json").read_text())["history"]
    assert (tagger["recipe"], separator["recipe"]) == ("baseline/tagger", "baseline/separator")


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(EXAMPLES)}}
    done = nbclient.NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources).execute()
    printed = "".join(
        output.get("text", "") for cell in done.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert "['" in printed or "('" in printed
    shown = [
        output.data.get("text/html", "")
        for cell in done.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    ours = [html for html in shown if html.startswith('<div class="s5eval">')]
    assert len(ours) == 3, "a run, a mixture, a comparison"
    assert "<audio controls" in ours[1]
    assert "B − A [95 %]" in ours[2]


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None]


def test_every_example_is_named_on_the_first_page() -> None:
    page = (EXAMPLES.parent / "docs" / "index.md").read_text()
    named = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb") and path.stem != "made_up"}
    assert named == {name for name in named if f"| `{name}` |" in page}
    assert len(named) == 6
