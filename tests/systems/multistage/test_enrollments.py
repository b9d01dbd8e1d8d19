"""Enrollments that go through the spatial filter: at inference, in training, and by the word of the card."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.records import Mixture
from s5eval.systems import spatial_filter
from s5eval.systems.multistage.configuration import load_preset, read_settings, recorded
from s5eval.systems.multistage.description import describe
from s5eval.systems.multistage.system import PARTS, build, new_part
from s5eval.systems.multistage.training.extraction import EarlierStages, ExtractionTask, Slots
from s5eval.systems.multistage.training.separation import separation_terms
from s5eval.systems.spatial_filter import (
    SpatialFilterSettings,
    SpatialFilterStage,
    filtered_by_scene,
    spatially_filtered,
)
from s5eval.systems.training.batches import Batch
from s5eval.systems.training.blend import blend
from s5eval.systems.training.training_plan import read_plan
from s5eval.systems.weight_files import file_digest

Noise = Callable[..., Mixture]

FILTER: dict[str, Any] = {"share": 0.0, "enrollment": 0.7, "window": 512, "noise": 0.5, "loading": 0.1}
SETTINGS = SpatialFilterSettings(**FILTER)


def test_every_estimate_is_filtered_by_the_channels_of_its_own_mixture() -> None:
    mixtures, estimates = torch.randn(2, 4, 3000), torch.randn(4, 3000)
    scene = torch.tensor([1, 0, 1, 1])
    settings = replace(SETTINGS, share=0.7)
    found = filtered_by_scene(mixtures[scene], scene, estimates, settings)
    for row, number in enumerate(scene.tolist()):
        alone = spatially_filtered(mixtures[number], estimates[row : row + 1], settings)[0]
        torch.testing.assert_close(found[row], alone)
    with torch.autocast("cpu", torch.bfloat16):
        half = filtered_by_scene(mixtures[scene], scene, estimates.bfloat16(), settings)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, found, atol=0.1, rtol=0.1)


def test_an_extractor_is_told_what_the_filter_makes_of_the_stage_before(tiny: dict[str, Any], noise: Noise) -> None:
    """The slow way round: the filter as a stage of its own, and its result as the extractor's input."""
    mixtures = [noise(9000, seed=1), noise(12_000, seed=2)]
    filters = (FILTER, {**FILTER, "enrollment": 0.0})
    told, plain = (build({**tiny, "stages": 2, "spatial_filter": chosen}, "cpu") for chosen in filters)
    first, second = plain.stages
    separated = first.run(mixtures, None)
    between = SpatialFilterStage("between", replace(SETTINGS, share=0.7), "cpu", tau_skip=0.97)
    slowly = second.run(mixtures, between.run(mixtures, separated))
    for found, expected, unfiltered in zip(
        told.stages[1].run(mixtures, separated), slowly, second.run(mixtures, separated), strict=True
    ):
        np.testing.assert_allclose(found.audio, expected.audio, atol=1e-5)
        np.testing.assert_allclose(found.class_scores, expected.class_scores, atol=1e-4)
        assert not np.allclose(found.audio, unfiltered.audio, atol=1e-4)


def test_training_tells_an_extractor_the_same() -> None:
    scene = torch.arange(6) // 3
    nothing = torch.zeros(6, dtype=torch.long)
    slots = Slots(
        mixture=torch.randn(2, 4, 2000)[scene],
        audio=torch.randn(6, 2000),
        target=torch.zeros(6, 2000),
        labels=nothing,
        predicted=nothing,
        dead=nothing.bool(),
        place=torch.arange(6),
        scene=scene,
        classes=18,
    )
    filter_ = SETTINGS.of_enrollments()
    earlier = EarlierStages(None, None, (), None, None, "estimate", 0.97, 18, filter_)  # type: ignore[arg-type]
    picked = slots.pick(torch.tensor([5, 0, 4]))
    assert filter_ is not None
    expected = [spatially_filtered(picked.mixture[k], picked.audio[k : k + 1], filter_)[0] for k in range(3)]
    torch.testing.assert_close(earlier.enroll(picked.audio, picked), torch.stack(expected))
    assert replace(earlier, enrollments=None).enroll(picked.audio, picked) is picked.audio


def test_what_depends_on_it_says_so_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    on, off = (load_preset("mini", {"spatial_filter": {**FILTER, "enrollment": e}}) for e in (0.7, 0.0))
    kept = {key: value for key, value in FILTER.items() if key != "enrollment"}
    told = {"revision": 1, **kept, "share": 0.7}
    assert recorded(on, extracts=True) == {**recorded(off, extracts=True), "enrollment": told}
    monkeypatch.setattr(spatial_filter, "REVISION", 2)
    assert recorded(on, extracts=True)["enrollment"]["revision"] == 2, "the code counts"
    assert recorded(on, extracts=False) == recorded(off, extracts=False), "stage 1 hears no enrollment"
    for enrollment, words in ((0.7, "(waveform, spatially filtered, class"), (0.0, "(waveform, class")):
        settings = read_settings({"spatial_filter": {**FILTER, "enrollment": enrollment}})
        assert words in describe(settings, with_encoder=True)["machine_learning_method"]


@pytest.fixture
def exported(tiny: dict[str, Any], tmp_path: Path) -> Path:
    """A weights folder whose card says that `tse2` was trained on filtered enrollments."""
    settings = read_settings({**tiny, "seed": 7})
    for name in ("m2d", *PARTS[1], *PARTS[2]):
        state = new_part(name, settings.configuration).state_dict()
        tensors = {key.removeprefix("backbone."): value.contiguous() for key, value in state.items()}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    entry = {
        "recipe": "mini/tse2",
        "enrollment": replace(SETTINGS, share=0.7).recorded(),
        "files": {"tse2": file_digest(tmp_path / "tse2.safetensors")},
    }
    (tmp_path / "card.json").write_text(json.dumps({"history": [entry]}))
    return tmp_path


def test_a_loss_behind_the_filter_is_told_of_the_extractors_that_are_there(tmp_path: Path) -> None:
    """And of what they were begun from; not of those that another took the place of, nor where no extractor is."""
    for part in ("tse2", "tse3"):
        (tmp_path / f"{part}.safetensors").write_text(part)
    own, third = (file_digest(tmp_path / f"{part}.safetensors") for part in ("tse2", "tse3"))

    def entry(file: str, part: str = "tse2", **rest: Any) -> dict[str, Any]:
        return {"recipe": "", "data": "", "hours": 1.0, "scenes": 1, "files": {part: file}, **rest}

    def told(*history: dict[str, Any], stages: int = 2) -> bool:
        (tmp_path / "card.json").write_text(json.dumps({"history": [*history, {"recipe": "of before", "hours": 0.0}]}))
        settings = read_settings({"weights": str(tmp_path), "stages": stages})
        return "of what the spatial filter makes" in describe(settings, with_encoder=True)["loss_function"]

    behind, blended = {"loss_filtered": 0.5}, {"tse2 (old)": "sha256:1", "tse2 (new)": "sha256:2"}
    assert told(entry(own, **behind)) and told(entry(own, **behind), stages=3)
    assert not told(entry(own, **behind), stages=1), "it has no extractor"
    assert not told(entry("sha256:1", **behind), entry(own)), "another took its place"
    assert told(entry("sha256:1", **behind), entry(own, started_from={"tse2": "sha256:1"}))
    assert told(entry("sha256:2", **behind), entry(own, started_from=blended))
    assert told(entry(third, "tse3", **behind), stages=3) and not told(entry(third, "tse3", **behind))
    assert not told(entry(own, started_from={"tse2": own})), "an entry that was begun from itself ends as well"
    (tmp_path / "tse3.safetensors").unlink()
    assert not told(entry(third, "tse3", **behind), stages=3), "it is gone"


def test_an_extractor_that_is_told_another_kind_than_it_was_trained_on_is_a_mark(
    tiny: dict[str, Any], exported: Path, tmp_path: Path
) -> None:
    def missing(**changes: Any) -> object:
        own = {"af_whisper": False, "weights": str(exported), "stages": 2, "spatial_filter": {**FILTER, **changes}}
        return build({**tiny, **own}, "cpu").fingerprint().get("missing_parts")

    assert missing() is None
    assert missing(share=0.5) is None, "behind the last stage is another matter"
    assert missing(enrollment=0.0) == ["an extractor trained on enrollments as they are"]
    assert missing(window=1024) == ["an extractor trained on enrollments filtered like these"]
    other = tmp_path / "other"
    shutil.copytree(exported, other)
    (other / "card.json").unlink()
    for pair in ((exported, other), (other, exported)):
        with pytest.raises(UsageError, match=r"tse2: by its card it was trained on .*the usual clues"):
            blend(*pair, other, ["dpc2", "tse2"], 0.5)
    blend(exported, other, other, ["dpc2"], 0.5)
    assert "enrollment" not in json.loads((other / "card.json").read_text())["history"][-1], "classifiers are told none"
    blend(exported, exported, exported, ["tse2"], 0.5)
    assert missing() is None, "a blend hears what its parts heard"
    (exported / "card.json").unlink()
    assert missing() == ["an extractor trained on enrollments filtered like these"]
    assert missing(enrollment=0.0) is None


def test_an_extractor_learns_from_what_is_heard_of_it_behind_the_filter() -> None:
    plan = read_plan("mini/tse2", {"system": {"spatial_filter": FILTER}, "loss": {"segmentation": 0.0}})
    targets, estimates = torch.randn(2, 3, 2000), torch.randn(6, 2000, requires_grad=True)
    batch = Batch(
        mixture=torch.randn(2, 4, 2000),
        targets=targets,
        labels=torch.zeros(2, 3, dtype=torch.long),
        interference=torch.zeros(2, 2, 2000),
        noise=torch.zeros(2, 1, 2000),
    )
    slots = Slots.of(batch, estimates, 18)
    earlier = EarlierStages(None, None, (), None, None, "estimate", 0.97, 18, SETTINGS.of_enrollments())  # type: ignore[arg-type]

    def terms(share: float) -> dict[str, torch.Tensor]:
        loss = replace(plan.recipe.loss, filtered=share)
        task = ExtractionTask(torch.nn.Identity(), None, earlier, loss, plan.recipe.clues, train_tse=True)  # type: ignore[arg-type]
        return task._separation(estimates, slots, batch)

    def of(audio: torch.Tensor) -> dict[str, torch.Tensor]:
        return separation_terms(audio.view_as(targets), targets, batch.active, batch.omni, plan.recipe.loss)

    before, behind = of(estimates), of(earlier.enroll(estimates, slots))
    for share in (0.0, 0.25, 1.0):
        for name, value in terms(share).items():
            torch.testing.assert_close(value, (1 - share) * before[name] + share * behind[name])
    terms(1.0)["separation"].backward()
    assert estimates.grad is not None and estimates.grad.isfinite().all() and estimates.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": {"filtered": 1.5}}, r"loss\.filtered is 1\.5, expected a share"),
        ({"loss": {"filtered": 0.5}, "system": {"spatial_filter": {"enrollment": 0.0}}}, r"set loss\.filtered=0"),
    ],
)
def test_a_loss_behind_no_filter_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_plan("mini/tse2", changes)
