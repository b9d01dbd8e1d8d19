"""Arrays from outside: what full scale is of each type of number, and which channel a score refers to."""

import numpy as np
import pytest

from s5eval.arrays import as_channel_0, as_foa, as_waveform


@pytest.mark.parametrize(("kind", "full"), [("int16", 1 << 15), ("int32", 1 << 31)])
def test_integers_have_the_full_scale_of_their_width(kind: str, full: int) -> None:
    samples = np.array([-full, full // 2, 0, full // 4], kind)
    assert as_waveform(samples, "x").tolist() == [-1.0, 0.5, 0.0, 0.25]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_floating_samples_stay_what_they_are(kind: str) -> None:
    assert as_waveform(np.array([-1.0, 0.5, 2.0], kind), "x").tolist() == [-1.0, 0.5, 2.0]


def test_channels_keep_their_order_and_scores_refer_to_the_first() -> None:
    foa = np.arange(12.0).reshape(4, 3)
    assert as_foa(foa).tolist() == foa.tolist()
    assert as_channel_0(foa).tolist() == as_channel_0(foa[0]).tolist() == as_channel_0(foa[:1]).tolist() == [0, 1, 2]
