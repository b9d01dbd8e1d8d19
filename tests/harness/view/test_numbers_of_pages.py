"""The numbers on the viewer's pages, each against the records and waveforms that it is of."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from viewing import Made, key, rows, text_of

from s5eval.metrics.sdr import pairwise_sdr

Browse = Callable[..., Any]


def looked_at(run: Any, id_: str) -> tuple[Any, Any, Any]:
    """The run, the sounds of a mixture, and what its page says."""
    from s5eval.harness.view.audio_files import DataFolders
    from s5eval.harness.view.mixture_page import view_of
    from s5eval.harness.view.runs import ViewedRun
    from s5eval.harness.view.sound import SoundBank

    snapshot = ViewedRun(key(run), run).snapshot()
    sound = SoundBank(DataFolders()).of(snapshot, id_)
    return snapshot, sound, view_of(snapshot, sound)


@pytest.mark.parametrize("id_", ["m_1", "m_2", "m_3", "m_4"])
def test_slots_are_followed_by_their_gain_over_the_mixture_against_the_reference_that_they_answer(
    made: Made, id_: str
) -> None:
    _, sound, view = looked_at(made.staged, id_)
    labels = sound.line.score.reference_labels
    references = np.stack([sound.waveform(f"reference-{r}") for r in range(len(labels))])
    mixture = sound.waveform("mixture")

    def gains(name: str) -> Any:
        found = pairwise_sdr(estimate=sound.waveform(name)[None], reference=references, mixture=mixture)
        return found.sdr[0] - found.sdr_mixture

    assigned = {pair.estimate: pair.reference for pair in sound.line.score.capi.pairs}
    assert len(view.slots) == 3
    for slot in view.slots:
        assert [step.stage for step in slot.steps] == ["stage1", "stage2", "stage3"]
        target = assigned.get(slot.index, int(gains(slot.steps[-1].source).argmax()))
        assert slot.target == f"{labels[target]} ({target})"
        expected = [gains(step.source)[target] for step in slot.steps]
        assert [step.sdri for step in slot.steps] == pytest.approx(expected)
        assert slot.steps[0].change is None
        assert [step.change for step in slot.steps[1:]] == pytest.approx(np.diff(expected).tolist())


def test_a_reference_has_its_snr_whether_it_is_answered_or_missed(made: Made) -> None:
    snapshot, _, view = looked_at(made.scored, "m_2")
    known = snapshot.table("m_2").pair_scores
    assert [row["estimate"] for row in view.references] == [0, None], "Pour was taken for Speech"
    assert [row["snr"] for row in view.references] == pytest.approx(known.sdr_mixture.tolist())
    assert view.references[0]["sdr"] == pytest.approx(known.sdr[0, 0])
    assert view.references[0]["sdri"] == pytest.approx(known.sdr[0, 0] - known.sdr_mixture[0])


def test_an_estimate_that_answers_nothing_is_said_to_be_near_the_reference_that_it_is_nearest_to(made: Made) -> None:
    snapshot, _, view = looked_at(made.scored, "m_2")
    known = snapshot.table("m_2").pair_scores
    gains = known.sdr[1] - known.sdr_mixture
    near = int(gains.argmax())
    (track,) = [track for track in view.tracks if track.note.startswith("answers no reference")]
    value = f"{gains[near]:+.1f}".replace("-", "−")
    assert track.label == "Speech" and gains[0] != pytest.approx(gains[1])
    assert track.note == f"answers no reference; nearest to {['Cough', 'Pour'][near]} ({near}), {value} dB"


def test_candidates_have_their_likeliest_classes_and_their_gains(made: Made) -> None:
    snapshot, _, view = looked_at(made.staged, "m_2")
    table = snapshot.table("m_2")
    assert len(view.candidates) == 3
    for candidate in view.candidates:
        scores = [score for _, score in candidate.likeliest]
        assert scores == sorted(table.class_scores[candidate.index], reverse=True)[:3]
        gains = table.pair_scores.sdr[candidate.index] - table.pair_scores.sdr_mixture
        assert candidate.sdri == pytest.approx(gains.tolist())
        assert candidate.p_silence == table.p_silence[candidate.index]


def test_a_duplicate_is_told_with_its_likeness_to_the_one_that_took_its_place() -> None:
    from s5eval.harness.view.judged_candidates import why_dropped
    from s5eval.systems.decision import Decision, Verdict

    decision = Decision(duplicate_correlation=0.8)
    said = why_dropped(Verdict("Speech", "duplicate", other=2), 0.1, [0.3, 1.0, 0.95], decision)
    assert said == "duplicate of 2: correlation 0.950, above 0.8"


def test_rows_of_the_table_say_what_the_journal_says(made: Made) -> None:
    from s5eval.harness.view.filters import Filter
    from s5eval.harness.view.run_pages import mixtures_page
    from s5eval.harness.view.runs import ViewedRun

    journal = map(json.loads, (made.scored / "mixtures.jsonl").read_text().splitlines())
    lines = {line["mixture_id"]: line for line in journal}
    page = mixtures_page(ViewedRun("x", made.scored).snapshot(), Filter(), 1)
    values = [line["capi"]["value"] for line in lines.values() if line["capi"]["value"] is not None]
    assert len(values) < len(lines) and page["mean"] == pytest.approx(np.mean(values)), "of those that have one"
    for row in page["rows"]:
        line = lines[row["score"].mixture_id]
        capi, pairs = line["capi"], line["capi"]["pairs"]
        if capi["value"] is None:
            assert row["above"] is None
        else:
            assert row["above"] == pytest.approx(capi["value"] - capi["zero_floor"])
        assert row["snr"] == (min(pair["sdr_mixture"] for pair in pairs) if pairs else None)
    assert any(len(line["capi"]["pairs"]) > 1 for line in lines.values()), "else the lowest is any"
    (m_2,) = [row for row in page["rows"] if row["score"].mixture_id == "m_2"]
    right = [[(entry["label"], entry["right"]) for entry in m_2[side]] for side in ("references", "estimates")]
    assert right == [[("Cough", True), ("Pour", False)], [("Cough", True), ("Speech", False)]]


def test_of_a_class_that_stands_twice_on_one_side_one_has_a_partner() -> None:
    from s5eval.harness.view.run_pages import _matched

    found = _matched(["Typing", "Pour", "Typing"], ["Typing", "Cough"])
    assert [entry["right"] for entry in found] == [True, False, False]


def test_pages_of_a_table_show_every_mixture_once(made: Made, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s5eval.harness.view.run_pages.PAGE_ROWS", 2)
    client = browse(made.runs)
    asked = {"run": key(made.scored), "sort": "id"}
    pages = [rows(client.get("/mixtures", params={**asked, "page": page}).text) for page in ("1", "2", "3", "4", "0")]
    assert [len(page) for page in pages] == [2, 2, 1, 1, 2]
    assert sorted([*pages[0], *pages[1], *pages[2]]) == ["m_1", "m_10", "m_2", "m_3", "m_4"]
    assert pages[3] == pages[2] and pages[4] == pages[0], "beyond the ends stand the ends"


def test_the_lowest_snr_is_said_to_be_of_what_was_answered(made: Made, browse: Browse) -> None:
    """The one target of m_3 was missed: the quietest of all may be no part of the number."""
    client = browse(made.runs)
    assert "lowest SNR answered" in text_of(client.get("/mixtures", params={"run": key(made.scored)}).text)


def test_a_slot_is_followed_to_what_it_answers_else_to_what_it_is_nearest_to_at_the_end() -> None:
    from s5eval.harness.view.mixture_page import _slots
    from s5eval.systems.interface import Candidates

    rng = np.random.default_rng(0)
    cough, pour = rng.normal(size=(2, 640)).astype(np.float32)
    scores, silence = np.full((2, 18), 1 / 18), np.zeros(2)
    stages = {
        "first": Candidates(np.stack([cough, cough]) + 0.1 * pour, scores, silence),
        "last": Candidates(np.stack([cough, pour]) + 0.01 * cough, scores, silence),
    }
    waveforms = {"reference-0": cough, "reference-1": pour, "mixture": cough + pour}

    def targets(*pairs: tuple[int, int]) -> list[str]:
        capi = SimpleNamespace(pairs=[SimpleNamespace(estimate=k, reference=r) for k, r in pairs])
        line = SimpleNamespace(score=SimpleNamespace(reference_labels=("Cough", "Pour"), capi=capi))
        sound: Any = SimpleNamespace(
            stages=SimpleNamespace(candidates=stages), line=line, waveform=waveforms.__getitem__
        )
        return [slot.target for slot in _slots(sound)]

    assert targets() == ["Cough (0)", "Pour (1)"], "by the last stage"
    assert targets((0, 1)) == ["Pour (1)", "Pour (1)"], "the one that it was assigned to, though another is nearer"
