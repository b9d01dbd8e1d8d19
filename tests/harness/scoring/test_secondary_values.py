"""Secondary metrics of one mixture are those of the candidates that were kept, each under its own name."""

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.harness.record.tables import MixtureScore, PairTable
from s5eval.harness.scoring.mixture import score_candidates
from s5eval.harness.scoring.secondary_metrics import BSS, casa_values, with_secondary, without_bss
from s5eval.metrics.bss import bss_eval
from s5eval.metrics.sdr import pairwise_sdr
from s5eval.systems.decision import Decision

RNG = np.random.default_rng(4)
REFERENCES = RNG.normal(size=(2, 4000)).astype(np.float32)
CANDIDATES = np.stack(
    [
        RNG.normal(size=4000),  # dropped: what is kept does not stand at its own index
        REFERENCES[0] + 0.5 * REFERENCES[1] + 0.1 * RNG.normal(size=4000),
        REFERENCES[1] + 0.1 * REFERENCES[0] + 0.4 * RNG.normal(size=4000),
    ]
).astype(np.float32)


def scored() -> tuple[MixtureScore, PairTable]:
    scores = np.eye(len(CLASSES))[[CLASSES.index(label) for label in ("Pour", "Cough", "Speech")]]
    pairs = pairwise_sdr(estimate=CANDIDATES, reference=REFERENCES, mixture=REFERENCES[0] + 0.5 * REFERENCES[1])
    table = PairTable(pairs, scores, np.array([0.9, 0.1, 0.1]), None, ("Cough", "Speech"))
    return score_candidates("m", table, Decision({"default": 0.5})), table


def test_each_value_has_its_name_and_is_of_the_candidates_that_were_kept() -> None:
    score, table = scored()
    assert [e.index for e in score.estimates] == [1, 2]
    found = with_secondary(score, table, CANDIDATES, REFERENCES).secondary
    assert found is not None
    bss = bss_eval(estimate=CANDIDATES, reference=REFERENCES, pairs=[(1, 0), (2, 1)])
    for name, values in zip(("bss_sdr", "bss_sir", "bss_sar"), (bss.sdr, bss.sir, bss.sar), strict=True):
        assert {str(key): value for key, value in found.items()}[name] == pytest.approx(float(np.mean(values)))
    assert len({round(value or 0.0, 3) for value in found.values()}) == 5, "no two of them are the same"
    sdr = np.array([table.pair_scores.sdr[1, 0], table.pair_scores.sdr[2, 1]])
    assert found["casa_sdr"] == pytest.approx(float(sdr.mean()))
    assert found["casa_sdri"] == pytest.approx(float((sdr - table.pair_scores.sdr_mixture).mean()))


def test_a_value_that_no_pair_defines_is_none_and_not_zero() -> None:
    """Beside a single reference nothing could interfere."""
    pairs = pairwise_sdr(estimate=CANDIDATES[1:2], reference=REFERENCES[:1], mixture=REFERENCES[0])
    scores = np.eye(len(CLASSES))[[CLASSES.index("Cough")]]
    table = PairTable(pairs, scores, np.array([0.1]), None, ("Cough",))
    score = score_candidates("m", table, Decision({"default": 0.5}))
    found = with_secondary(score, table, CANDIDATES[1:2], REFERENCES[:1]).secondary
    assert found is not None
    assert found["bss_sir"] is None and found["bss_sdr"] is not None


def test_what_needs_audio_is_taken_back_and_the_rest_stays() -> None:
    score, table = scored()
    full = with_secondary(score, table, CANDIDATES, REFERENCES)
    assert without_bss(full).secondary == {**dict.fromkeys(BSS), **casa_values(table, score.estimates)}
    assert without_bss(score) is score
