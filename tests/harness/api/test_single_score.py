"""One mixture from arrays: the same number as from files, and every wrong argument named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import s5eval
from s5eval.metrics.label_counts import LabelCounts

LENGTH = 3200


@pytest.fixture
def signals() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    speech, cough, noise = 0.1 * rng.normal(size=(3, LENGTH)).astype(np.float32)
    foa = np.stack([speech + cough + 0.3 * noise, noise, speech, cough])
    return {"speech": speech, "cough": cough, "noise": noise, "foa": foa}


def test_arrays_score_as_files_do(small_set: Path, tmp_path: Path, s5eval: Callable[..., Any]) -> None:
    from s5eval import read_run, score_mixture

    s5eval("score", small_set / "estimate", "--data", small_set, "--out", tmp_path / "run", "--metrics", "all")

    def sources(folder: str, id_: str) -> list[tuple[str, Any]]:
        files = sorted((small_set / folder).glob(f"{id_}_[0-9]_*.wav"))
        return [(path.stem.rpartition("_")[2], soundfile.read(path, dtype="float32")[0]) for path in files]

    recorded = read_run(tmp_path / "run").scores
    assert len(recorded) == 5
    for line in recorded:
        found = score_mixture(
            estimates=sources("estimate", line.mixture_id),
            references=sources("oracle_target", line.mixture_id),
            mixture=soundfile.read(small_set / "soundscape" / f"{line.mixture_id}.wav", dtype="float32")[0].T,
            mixture_id=line.mixture_id,
            secondary=True,
        )
        assert replace(found, outcome=line.outcome) == line
        assert found.status == "scored"


def test_a_scene_is_scored_as_its_arrays_are(small_set: Path) -> None:
    """Its references as they are: a dictionary of them by label would lose one of two of a class."""
    scenes = list(s5eval.open_data(small_set).scenes)
    assert any(len(set(scene.labels)) < len(scene.labels) for scene in scenes), "one has a class twice"
    for scene in scenes:
        references = [(reference.label, reference.audio()) for reference in scene.references or ()]
        foa = scene.mixture.audio()
        of_arrays = s5eval.score_mixture(estimates=references[:1], references=references, mixture=foa)
        of_scene = s5eval.score_mixture(
            estimates=(scene.references or ())[:1], references=scene.references or (), mixture=scene.mixture
        )
        assert of_scene == of_arrays
        system = s5eval.load_system("silence")
        assert system.separate(scene.mixture) == system.separate(foa) == ()
    with pytest.raises(s5eval.DataError, match=r"gone\.wav"):
        s5eval.score_mixture(estimates={}, references=(), mixture=replace(scene.mixture, path=small_set / "gone.wav"))


def test_torch_numpy_channel_0_and_labelled_pairs_are_all_the_same(signals: dict[str, Any]) -> None:
    estimate, foa = signals["speech"] + 0.1 * signals["noise"], signals["foa"]
    by_label = s5eval.score_mixture(
        estimates={"Speech": estimate}, references={"Speech": signals["speech"]}, mixture=foa
    )
    ways: list[Any] = [
        ([("Speech", estimate)], [("Speech", signals["speech"])], foa[0]),
        ({"Speech": torch.tensor(estimate)}, {"Speech": torch.tensor(signals["speech"])}, torch.tensor(foa)),
        ([s5eval.Estimate(0, "Speech", estimate, 1.0)], (("Speech", signals["speech"]),), foa[:1]),
    ]
    for estimates, references, mixture in ways:
        assert s5eval.score_mixture(estimates=estimates, references=references, mixture=mixture) == by_label


def test_labels_may_repeat_and_a_scene_may_be_silent(signals: dict[str, Any]) -> None:
    pairs = [("Speech", signals["speech"]), ("Speech", signals["cough"])]
    score = s5eval.score_mixture(estimates=pairs[::-1], references=pairs, mixture=signals["foa"])
    assert score.labels == LabelCounts(tp=2, fp=0, fn=0)
    silent = s5eval.score_mixture(estimates={}, references=[], mixture=signals["foa"])
    assert (silent.capi_sdri, silent.exact) == (None, True)
    alarm = s5eval.score_mixture(estimates=pairs[:1], references={}, mixture=signals["foa"])
    assert (alarm.capi_sdri, alarm.labels) == (0.0, LabelCounts(tp=0, fp=1, fn=0))


def test_pcm_samples_are_read_at_full_scale(signals: dict[str, Any]) -> None:
    def pcm(x: Any) -> Any:
        return np.rint(x * 32768).astype(np.int16)

    def score(change: Callable[[Any], Any]) -> Any:
        return s5eval.score_mixture(
            estimates={"Cough": change(signals["foa"][0])},
            references={"Cough": change(signals["cough"])},
            mixture=change(signals["foa"]),
        )

    assert score(pcm) == score(lambda x: pcm(x) / np.float32(32768))


def wrong(signals: dict[str, Any]) -> list[tuple[type[s5eval.S5Error], str, dict[str, Any]]]:
    speech, foa = signals["speech"], signals["foa"]
    nan = speech.copy()
    nan[17] = np.nan
    return [
        (
            s5eval.DataError,
            "estimates: unknown label 'Speach'; did you mean 'Speech'",
            {"estimates": {"Speach": speech}},
        ),
        (s5eval.DataError, "references: unknown label 'speech'; did you mean", {"references": {"speech": speech}}),
        (s5eval.DataError, "'silence' is not a class", {"estimates": {"silence": 0 * speech}}),
        (s5eval.DataError, r"estimates\['Speech'\]: NaN .* first at sample 17", {"estimates": {"Speech": nan}}),
        (s5eval.DataError, "has 3199 samples, the mixture has 3200", {"references": {"Speech": speech[:-1]}}),
        (s5eval.DataError, r"sources are mono", {"estimates": {"Speech": speech[None]}}),
        (s5eval.DataError, "sample rate is 16000 Hz, expected 32000", {"sample_rate": 16000}),
        (s5eval.DataError, r"its transpose \.T", {"mixture": foa.T}),
        (s5eval.DataError, r"mixture has shape \(2, 3200\)", {"mixture": foa[:2]}),
        (s5eval.DataError, r"mixture has shape \(0,\)", {"mixture": foa[0, :0]}),
        (s5eval.UsageError, r"requires a gradient.*\.detach\(\)", {"mixture": torch.tensor(foa, requires_grad=True)}),
        (s5eval.UsageError, r"estimates\['Speech'\] is a list", {"estimates": {"Speech": [0.0] * LENGTH}}),
        (s5eval.UsageError, r"estimates is a ndarray, expected", {"estimates": speech}),
        (s5eval.UsageError, r"estimates\[0\] is a ndarray", {"estimates": [speech]}),
        (s5eval.UsageError, "the label is a int", {"estimates": [(3, speech)]}),
        (s5eval.UsageError, "holds complex64", {"estimates": {"Speech": speech.astype(np.complex64)}}),
        (s5eval.DataError, "mixture peaks at .* integers written as float", {"mixture": foa * 32768}),
        (s5eval.DataError, r"references\['Speech'\] peaks at", {"references": {"Speech": speech * 32768}}),
        (s5eval.UsageError, "holds int64", {"estimates": {"Speech": speech.astype(np.int64)}}),
    ]


@pytest.mark.parametrize("case", range(19))
def test_what_is_wrong_is_named(signals: dict[str, Any], case: int) -> None:
    kind, message, change = wrong(signals)[case]
    right = {"estimates": {}, "references": {"Speech": signals["speech"]}, "mixture": signals["foa"]}
    with pytest.raises(kind, match=f"(?s){message}"):
        s5eval.score_mixture(**{**right, **change})


def test_the_table_of_wrong_arguments_is_whole(signals: dict[str, Any]) -> None:
    assert len(wrong(signals)) == 19


def test_a_gradient_is_refused_where_it_is_and_taken_after_detach(signals: dict[str, Any]) -> None:
    estimate = torch.tensor(signals["speech"], requires_grad=True)
    arguments: dict[str, Any] = {"references": {"Speech": signals["speech"]}, "mixture": signals["foa"]}
    with pytest.raises(s5eval.UsageError, match=r"estimates\['Speech'\] requires a gradient"):
        s5eval.score_mixture(estimates={"Speech": estimate}, **arguments)
    assert s5eval.score_mixture(estimates={"Speech": estimate.detach()}, **arguments).exact


def test_numbers_of_the_other_byte_order_and_lazily_negated_tensors_are_the_same(signals: dict[str, Any]) -> None:
    speech, foa = signals["speech"], signals["foa"]
    estimate = speech + 0.1 * signals["noise"]
    expected = s5eval.score_mixture(estimates={"Speech": estimate}, references={"Speech": speech}, mixture=foa)
    lazily = torch.complex(torch.zeros(LENGTH), torch.tensor(-estimate)).conj().imag
    assert lazily.is_neg()
    for same in (estimate.astype(">f4"), estimate.astype(">f8"), np.ma.masked_array(estimate), lazily):
        found = s5eval.score_mixture(estimates={"Speech": same}, references={"Speech": speech}, mixture=foa)
        assert found == expected


def test_samples_that_cannot_be_read_are_named(signals: dict[str, Any]) -> None:
    speech, foa = signals["speech"], signals["foa"]
    wrong: list[tuple[Any, type[Exception], str]] = [
        (np.ma.masked_array(speech, mask=np.arange(LENGTH) < 9), s5eval.UsageError, "has masked samples"),
        (torch.tensor(speech).to_sparse(), s5eval.UsageError, "a tensor that numpy cannot read"),
        (torch.empty(LENGTH, device="meta"), s5eval.UsageError, "a tensor that numpy cannot read"),
        (np.array(np.nan), s5eval.DataError, "NaN or infinite samples"),
        (speech.astype(float) * 1e300, s5eval.DataError, "samples beyond what 32 bits hold, the first at sample 0"),
    ]
    for samples, kind, message in wrong:
        with pytest.raises(kind, match=message) as refused:
            s5eval.score_mixture(estimates={"Speech": samples}, references={"Speech": speech}, mixture=foa)
        assert "estimates['Speech']" in str(refused.value)
