"""One count of parameters: profile, fingerprint, submission and the files that ship say the same."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open
from torch import nn

from s5eval.submissions.meta_file import fill_template, known_facts, load_template
from s5eval.submissions.rules import make_name
from s5eval.systems.baseline.system import SHIPPED as BASELINE_WEIGHTS
from s5eval.systems.multistage.models.af_whisper import transformers_available
from s5eval.systems.multistage.system import SHIPPED as MULTISTAGE_WEIGHTS
from s5eval.systems.parameter_count import ParameterCount

Call = Callable[..., Any]


def values_in(folder: Path, *, left_out: tuple[str, ...] = ()) -> int:
    """Numbers in all weight files of a folder; buffers and fixed ones, by the end of their name, left out."""
    total = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with safe_open(path, "np") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                size = 1
                for side in tensors.get_slice(name).get_shape():
                    size *= side
                total += 0 if name.endswith(left_out) and left_out else size
    return total


@pytest.mark.parametrize(
    ("system", "settings", "folder", "buffers"),
    [
        ("multistage", (), MULTISTAGE_WEIGHTS, ("running_mean", "running_var", "num_batches_tracked")),
        (
            "baseline-4c",
            ("--set", "system.preset=mini"),
            BASELINE_WEIGHTS,
            ("running_mean", "running_var", "num_batches_tracked", "norm_stats"),
        ),
    ],
)
def test_profile_run_submission_and_files_count_the_same(
    system: str, settings: tuple[str, ...], folder: Path, buffers: tuple[str, ...], small_set: Path, tmp_path: Path,
    s5eval: Call,
) -> None:  # fmt: skip
    if not (folder / "card.json").is_file():
        pytest.skip("the weights do not ship with this installation")
    if system == "multistage" and not transformers_available():
        pytest.skip("needs the extra af-whisper: a network that is not used is not counted")
    profiled = s5eval("profile", "--system", system, *settings, "--seconds", "0.5", "--json").json
    run = tmp_path / "run"
    arguments = ("run", "--system", system, *settings, "--data", small_set, "--limit", "1", "--save-audio")
    assert s5eval(*arguments, "--out", run, "--no-cache").code == 0
    from s5eval.harness.record.reading import read_run_record
    from s5eval.harness.runs.to_submission import gather_submission
    from s5eval.submissions.results import eval_results

    fingerprint = read_run_record(run).fingerprint
    dev = shutil.copytree(run, tmp_path / "dev")
    results = eval_results(gather_submission(run, dev, allow_partial=True).submission)
    facts = known_facts(make_name("Kim", "KAIST", 1), {"eval": results})
    meta = yaml.safe_load(fill_template(load_template(None), facts))
    trainable = values_in(folder, left_out=buffers)
    assert profiled["parameters"] == fingerprint["parameters"] == results["nparams"]
    assert meta["system"]["complexity"]["total_parameters"] == fingerprint["parameters"]
    assert profiled["trainable_parameters"] == fingerprint["trainable_parameters"]
    if system == "multistage":  # every parameter is in a file, those of fixed tables as well
        assert fingerprint["parameters"] == trainable > fingerprint["trainable_parameters"]
    else:  # the files leave out the transforms that follow from the sizes
        assert fingerprint["trainable_parameters"] == trainable < fingerprint["parameters"]


def test_what_is_used_twice_counts_once_and_what_is_fixed_is_told_apart() -> None:
    shared, fixed = nn.Linear(3, 2), nn.Linear(5, 1).requires_grad_(False)
    count = ParameterCount()
    count.add(shared)
    count.add(nn.Sequential(shared, fixed))
    count.add(shared.requires_grad_(False))
    assert count.facts() == {"parameters": 8 + 6, "trainable_parameters": 8}
    count.add(nn.Embedding(4, 1), fixed=("weight",))
    assert count.facts() == {"parameters": 18, "trainable_parameters": 8}
