"""The official evaluator's values on 100 mixtures, recorded once; the audio is drawn again from its seed."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PARITY = Path(__file__).parents[2] / "parity"


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("scoring_cases", PARITY / "scoring_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path_factory.mktemp("cases")
    module.write_cases(root, 100)
    return root


def test_every_recorded_mixture_and_the_corpus_values(
    cases: Path, tmp_path: Path, s5eval: Callable[..., Any], lines: Callable[[Path], Any]
) -> None:
    official = json.loads((PARITY / "official_scores.json").read_text())
    result = s5eval("score", cases / "estimate", "--data", cases, "--out", tmp_path / "run", "--json")
    assert result.code == 0
    found = lines(tmp_path / "run")
    assert len(found) == len(official["per_mixture"]) == 100
    for name, scenario, value, tp, fp, fn in official["per_mixture"]:
        line = found[name]
        assert line["labels"] == {"tp": tp, "fp": fp, "fn": fn}, scenario
        assert line["capi"]["value"] == (None if value is None else pytest.approx(value, abs=1e-3)), scenario
    metrics = result.json["metrics"]
    assert metrics["capi_sdri"]["value"] == pytest.approx(official["CAPI-SDRi_mean"], abs=1e-3)
    assert metrics["mixture_accuracy"]["value"] == official["accuracy_mix"] == 54.0
    assert metrics["source_accuracy"]["value"] == pytest.approx(official["accuracy_src"], abs=1e-12)
    assert round(metrics["capi_sdri"]["value"], 3) == 8.794
    assert round(metrics["source_accuracy"]["value"], 3) == 62.162


def test_rescoring_from_the_tables_changes_nothing(
    cases: Path, tmp_path: Path, s5eval: Callable[..., Any], lines: Callable[[Path], Any]
) -> None:
    run = tmp_path / "run"
    s5eval("score", cases / "estimate", "--data", cases, "--out", run, "--limit", 30)
    before, summary = lines(run), (run / "summary.json").read_text()
    (run / "summary.json").unlink()
    assert s5eval("rescore", run).code == 0
    assert lines(run) == before
    assert (run / "summary.json").read_text() == summary


def test_arrays_and_the_torchmetrics_metric_give_the_official_values_too(cases: Path) -> None:
    pytest.importorskip("torchmetrics")
    import soundfile
    import torch

    import s5eval

    official = json.loads((PARITY / "official_scores.json").read_text())
    expected = {name: value for name, _, value, *_ in official["per_mixture"]}
    metric = s5eval.metrics.CapiSDRi(s5eval.CLASSES)
    for scene in s5eval.open_data(cases):
        foa = torch.tensor(scene.mixture.audio())
        references = [(reference.label, torch.tensor(reference.audio())) for reference in scene.references or ()]
        files = sorted((cases / "estimate").glob(f"{scene.mixture.id}_[0-9]*_*.wav"))
        estimates = [
            (path.stem.rpartition("_")[2], torch.tensor(soundfile.read(path, dtype="float32")[0])) for path in files
        ]
        score = s5eval.score_mixture(estimates=estimates, references=references, mixture=foa)
        value = expected[scene.mixture.id]
        assert score.capi_sdri == (None if value is None else pytest.approx(value, abs=1e-3))
        sides = [torch.stack([x for _, x in side]) if side else foa[:0] for side in (estimates, references)]
        metric.update(
            [sides[0]],
            [sides[1]],
            [foa],
            estimate_labels=[[label for label, _ in estimates]],
            reference_labels=[[label for label, _ in references]],
        )
    assert metric.compute().item() == pytest.approx(official["CAPI-SDRi_mean"], abs=1e-3)
    assert int(metric.n_defined) == sum(value is not None for value in expected.values())
