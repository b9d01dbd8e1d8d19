"""A system asked about an array answers as it does about the same recording in a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import s5eval
from s5eval.data_manifests.records import MixtureInMemory

pytestmark = pytest.mark.usefixtures("systems_on_path")


def test_an_array_and_its_file_give_the_same_estimates(small_set: Path) -> None:
    scene = next(iter(s5eval.open_data(small_set)))
    foa = scene.mixture.audio()
    system = s5eval.load_system("plugins:build", label="Cough", device="cpu")
    (candidates,) = system.system.propose([scene.mixture])
    (estimate,) = system.separate(foa)
    assert (estimate.index, estimate.label) == (0, "Cough")
    assert np.array_equal(estimate.audio, candidates.audio[0])
    assert np.array_equal(system.separate(torch.tensor(foa))[0].audio, estimate.audio)
    assert system.decision == s5eval.Decision()
    assert s5eval.score_mixture(estimates=system.separate(foa), references={"Cough": foa[0]}, mixture=foa).exact


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_on": "mixture"}, "the system returned 635 samples, the mixture has 640"),
        ({"nan_on": "mixture"}, "NaN or infinite samples"),
        ({"p_silence": 7.0}, "expected 0 to 1"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_before_and_after_the_decision(
    settings: dict[str, Any], message: str
) -> None:
    system, foa = s5eval.load_system("plugins:build", **settings), np.zeros((4, 640), np.float32)
    for ask in (system.separate, system.propose):
        with pytest.raises(s5eval.DataError, match=message):
            ask(foa)


def test_an_answer_at_another_rate_and_one_of_torch_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    system, half = s5eval.load_system("plugins:build"), np.zeros((1, 320), np.float32)
    candidates = s5eval.Candidates(half, np.full((1, 18), 1 / 18), np.zeros(1))
    monkeypatch.setattr(type(system.system), "propose", lambda self, mixtures: [candidates])
    with pytest.raises(s5eval.DataError, match="has 640: as many as at 16000 Hz, expected 32000 Hz"):
        system.separate(np.zeros((4, 640), np.float32))
    for audio in (torch.zeros(1, 320, requires_grad=True), torch.zeros(1, 320, dtype=torch.bfloat16)):
        with pytest.raises(
            ValueError, match=r"a Tensor, expected .*; tensor\.detach\(\)\.float\(\)\.cpu\(\)\.numpy\(\)"
        ):
            s5eval.Candidates(audio, np.full((1, 18), 1 / 18), np.zeros(1))  # type: ignore[arg-type]


def test_labels_alone_are_an_answer_and_no_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    system, foa = s5eval.load_system("plugins:build"), np.ones((4, 640), np.float32)
    candidates = s5eval.Candidates(foa[:1], np.zeros((1, 18)), np.zeros(1), ("Pour",))
    monkeypatch.setattr(type(system.system), "propose", lambda self, mixtures: [candidates])
    (estimate,) = system.separate(foa)
    assert (estimate.label, estimate.confidence) == ("Pour", 0.0)
    with pytest.raises(s5eval.DataError, match=r"^mixture: an expected score and prior factors take class scores"):
        system.separate(foa, decision={"expected_score": {"temperature": 1.0}})


def test_scores_that_name_no_class_are_an_error_of_an_estimate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that nobody hears may be filled with zeros; the first class in the alphabet is no answer."""
    system, foa = s5eval.load_system("plugins:build"), np.ones((4, 640), np.float32)
    scores, silence = np.zeros((2, 18)), np.array([0.1, 1.0])
    scores[0, 4] = 1.0
    monkeypatch.setattr(
        type(system.system), "propose", lambda self, mixtures: [s5eval.Candidates(foa[:2], scores, silence)]
    )
    assert [estimate.index for estimate in system.separate(foa)] == [0]
    silence[1] = 0.2
    with pytest.raises(s5eval.DataError, match="the class scores of candidate 1 are 0 throughout"):
        system.separate(foa, decision={"duplicate_correlation": None})


def test_an_estimate_is_heard_as_its_own_candidate_where_others_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    system, foa = s5eval.load_system("plugins:build"), np.random.default_rng(0).normal(size=(4, 640)).astype(np.float32)
    scores, silence = np.zeros((4, 18)), np.array([0.9, 0.1, 0.9, 0.2])
    scores[[0, 1, 2, 3], [3, 4, 5, 6]] = 1.0
    candidates = s5eval.Candidates(foa, scores, silence)
    monkeypatch.setattr(type(system.system), "propose", lambda self, mixtures: [candidates])
    estimates = system.separate(foa)
    assert [(e.index, e.label, e.confidence) for e in estimates] == [
        (1, s5eval.CLASSES[4], 0.9),
        (3, s5eval.CLASSES[6], 0.8),
    ]
    for estimate in estimates:
        assert np.array_equal(estimate.audio, foa[estimate.index])


def test_an_answer_that_is_none_is_an_error_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    system = s5eval.load_system("plugins:build")
    monkeypatch.setattr(type(system.system), "propose", lambda self, mixtures: None)
    with pytest.raises(s5eval.DataError, match=r"'plugins:build': the system returned a NoneType, expected a list"):
        system.separate(np.zeros((4, 640), np.float32))


def test_a_system_that_writes_into_what_it_hears_leaves_the_array_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    system = s5eval.load_system("plugins:build")
    inner = type(system.system).propose

    def writing(self: Any, mixtures: Any) -> Any:
        audio = mixtures[0].audio()
        audio *= 0
        return inner(self, mixtures)

    monkeypatch.setattr(type(system.system), "propose", writing)
    foa = np.ones((4, 640), np.float32)
    system.separate(foa)
    assert (foa == 1).all()


def test_what_a_system_lacks_is_told_when_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(s5eval.load_system("plugins:build").system)
    monkeypatch.setattr(kind, "fingerprint", lambda self: {"weights": "none", "missing_parts": ["an ear", "a nose"]})
    with pytest.warns(UserWarning, match="system 'plugins:build' was loaded without an ear, a nose"):
        system = s5eval.load_system("plugins:build")
    assert system.missing_parts == ("an ear", "a nose")


def test_the_decision_may_be_replaced(tmp_path: Path) -> None:
    system = s5eval.load_system("plugins:build", label="Cough", p_silence=0.4)
    foa = np.random.default_rng(0).normal(size=(4, 640)).astype(np.float32)
    assert len(system.separate(foa)) == 1
    assert system.separate(foa, decision=s5eval.Decision({"default": 0.5, "Cough": 0.3})) == ()
    assert system.separate(foa, decision={"silence_thresholds": {"Cough": 0.3}}) == ()
    file = tmp_path / "thresholds.yaml"
    file.write_text("silence_thresholds: {default: 0.3}\n")
    assert system.separate(foa, decision=file) == system.separate(foa, decision=str(file)) == ()


@pytest.mark.parametrize("name", ["oracle", "folder"])
def test_a_system_that_needs_more_than_the_mixture_is_refused(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"path": str(tmp_path)} if name == "folder" else {}
    with pytest.raises(s5eval.UsageError, match=f"{name!r} needs .* cannot separate an array"):
        s5eval.load_system(name, **settings)


def test_wrong_settings_arrays_and_factories_are_refused() -> None:
    with pytest.raises(s5eval.UsageError, match=r"no key system\.stags"):
        s5eval.load_system("silence", stags=2)
    with pytest.raises(s5eval.UsageError, match="returned a NoneType"):
        s5eval.load_system("plugins:nothing")
    system = s5eval.load_system("plugins:build")
    with pytest.raises(s5eval.DataError, match=r"expected \(4, T\)"):
        system.separate(np.zeros(640, np.float32))
    with pytest.raises(s5eval.DataError, match="16000 Hz"):
        system.separate(np.zeros((4, 640), np.float32), sample_rate=16000)
    with pytest.raises(s5eval.DataError, match="samples, the mixture has 640"):
        s5eval.load_system("plugins:build", short_on="mixture").separate(np.zeros((4, 640), np.float32))


def test_a_mixture_in_memory_is_known_by_its_samples() -> None:
    a = MixtureInMemory("a", samples=np.zeros((4, 8), np.float32))
    b = MixtureInMemory("b", samples=np.zeros((4, 8), np.float32))
    c = MixtureInMemory("a", samples=np.ones((4, 8), np.float32))
    assert a.sha256() == b.sha256() != c.sha256()
    assert np.array_equal(a.audio(), a.samples)
    assert not np.shares_memory(a.audio(), a.samples)


@pytest.mark.slow
def test_the_shipped_system_separates_an_array_as_its_file(small_set: Path) -> None:
    scene = list(s5eval.open_data(small_set))[2]
    system = s5eval.load_system("multistage", device="cpu")
    keep = s5eval.Decision({"default": 1.0}, max_sources=None, duplicate_correlation=None)
    (candidates,) = system.system.propose([scene.mixture])
    found = system.separate(scene.mixture.audio(), decision=keep)
    assert [estimate.index for estimate in found] == list(range(len(candidates.audio)))
    for estimate in found:
        assert np.allclose(estimate.audio, candidates.audio[estimate.index], atol=1e-5)
