"""The records of a run as rows, made by hand: each number of a table in its row and column."""

from dataclasses import replace

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.run_record import About
from s5eval.harness.record.run_summary import MetricValue
from s5eval.harness.record.tables import AsWritten, MixtureScore, PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.summary import summarize
from s5eval.metrics.sdr import PairScores
from s5eval.record_frames import estimate_frame, mixture_frame, pair_frame, slice_frame, source_frame
from s5eval.systems.decision import Decision

ABOUT = About(system="ours", weights="none", dataset="folder", split="folder", n_split=1, decided_by="a threshold")


def made_table(labels: tuple[str, ...], references: tuple[str, ...], sdr: list[list[float]]) -> PairTable:
    """Candidates with these labels, the first the surest; a third one is silent."""
    scores = np.zeros((len(labels), len(CLASSES)))
    for k, label in enumerate(labels):
        scores[k, CLASSES.index(label)] = 0.9 - 0.1 * k
    silence = np.array([0.1, 0.2, 0.95][: len(labels)])
    mixture, energy = np.array([-1.0, 4.0][: len(references)]), np.array([3.0, 0.5][: len(references)])
    pairs = PairScores(np.array(sdr), mixture, mixture + 1, np.eye(len(labels)), np.ones(len(labels)), energy)
    return PairTable(pairs, scores, silence, None, references)


@pytest.fixture
def crossed() -> tuple[MixtureScore, PairTable]:
    """Three candidates and two references: the first candidate is of the second reference, and the other way round."""
    table = made_table(("Cough", "Speech", "Pour"), ("Speech", "Cough"), [[6, -3], [1, 9], [-2, -4]])
    return score_candidates("m", table, Decision({"default": 0.5})), table


def test_a_source_has_the_levels_of_its_own_reference_and_estimate(crossed: tuple[MixtureScore, PairTable]) -> None:
    wanted = {
        "reference": [0, 1], "label": ["Speech", "Cough"], "estimate": [1, 0], "sdr": [1, -3], "sdr_mixture": [-1, 4],
        "sdri": [2, -7], "energy": [3, 0.5],
    }  # fmt: skip
    assert source_frame([crossed]).drop(columns="mixture_id").to_dict("list") == wanted


def test_an_estimate_has_the_confidence_and_the_levels_of_its_own_pair(
    crossed: tuple[MixtureScore, PairTable],
) -> None:
    frame = estimate_frame([crossed[0]])
    told = {"estimate": [0, 1], "label": ["Cough", "Speech"], "reference": [1, 0], "sdr": [-3, 1], "sdri": [-7, 2]}
    assert frame[list(told)].to_dict("list") == told
    assert frame["confidence"].tolist() == pytest.approx([0.9 * 0.9, 0.8 * 0.8])


def test_a_pair_has_what_the_table_has_in_its_row_and_column(crossed: tuple[MixtureScore, PairTable]) -> None:
    frame = pair_frame([crossed]).drop(columns="mixture_id")
    assert frame.to_dict("list") == {
        "candidate": [0, 0, 1, 1, 2, 2],
        "reference": [0, 1, 0, 1, 0, 1],
        "candidate_label": ["Cough", "Cough", "Speech", "Speech", "Pour", "Pour"],
        "reference_label": ["Speech", "Cough"] * 3,
        "p_silence": [0.1, 0.1, 0.2, 0.2, 0.95, 0.95],
        "sdr": [6, -3, 1, 9, -2, -4],
        "sdr_mixture": [-1, 4] * 3,
        "sdri": [7, -7, 2, 5, -1, -8],
        "kept": [True] * 4 + [False] * 2,
        "assigned": [False, True, True, False, False, False],
    }


def test_a_mixture_has_every_value_under_its_own_name(crossed: tuple[MixtureScore, PairTable]) -> None:
    score, _ = crossed
    assert score.capi is not None and score.decomposition is not None
    names = ("value", "optimal", "ca_sdri", "zero_floor", "gain_floor")
    capi = replace(score.capi, **{name: float(k) for k, name in enumerate(names)})
    oracles = ("oracle_labels", "oracle_count", "oracle_silence")
    parts = replace(score.decomposition, bound=20.0, **{name: 21.0 + k for k, name in enumerate(oracles)})
    bounds = {"oracle-mixture": 30.0, "oracle-zeros": 31.0, "oracle-gain": 32.0, "oracle": 33.0}
    told = replace(score, capi=capi, decomposition=parts, bounds=bounds, as_written=AsWritten(40.0, 41))
    row = mixture_frame([told]).loc["m"]
    assert [row["capi_sdri"], *(row[name] for name in ("capi_sdri_optimal", *names[2:]))] == [0, 1, 2, 3, 4]
    assert [row[f"bound_{name}"] for name in ("labels", *oracles)] == [20, 21, 22, 23]
    assert [row[f"bound_{name.replace('-', '_')}"] for name in bounds] == [30, 31, 32, 33]
    assert (row["capi_sdri_as_written"], row["clipped_samples"]) == (40, 41)


def test_losses_of_one_kind_are_added_up() -> None:
    """Two references, two candidates that are right and dropped: two misses, as many dB as both would have brought."""
    table = made_table(("Speech", "Cough"), ("Speech", "Cough"), [[6, -3], [1, 9]])
    silent = replace(table, p_silence=np.array([0.8, 0.9]))
    row = mixture_frame([score_candidates("m", silent, Decision({"default": 0.5}))]).loc["m"]
    assert (row["capi_sdri"], row["fn"], row["bound_labels"]) == (0, 2, 6)
    assert row["loss_miss"] == pytest.approx((7 + 5) / 2)


def test_a_value_of_a_condition_is_a_row_too_and_has_its_unit(crossed: tuple[MixtureScore, PairTable]) -> None:
    summary = summarize([crossed[0]], n_expected=1, finished=True, about=ABOUT)
    value = MetricValue(50.0, 40.0, 70.0, 9, 8)
    told = {"mixture_accuracy": value, "capi_sdri": replace(value, value=5.0)}
    frame = slice_frame(replace(summary, conditions={"snr": {"below 5": told}}))
    accuracy, level = frame[frame["group"] == "snr"].to_dict("records")
    numbers = {"value": 50, "ci_low": 40, "ci_high": 70, "n": 9, "n_defined": 8}
    assert accuracy == {"group": "snr", "name": "below 5", "metric": "mixture_accuracy", "unit": "%", **numbers}
    assert level == {**accuracy, "metric": "capi_sdri", "unit": "dB", "value": 5}
    percent = set(frame.loc[(frame["group"] == "all") & (frame["unit"] == "%"), "metric"])
    assert percent == {"mixture_accuracy", "source_accuracy"}
