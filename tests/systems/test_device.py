"""Which device networks run on."""

import pytest

from s5eval.data_manifests.common.errors import UsageError
from s5eval.systems.device import resolve_device


@pytest.mark.parametrize("device", ["gpu", "cuda:one", ""])
def test_what_is_no_device_is_told_what_is(device: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_device(device)
    assert str(caught.value) == f"`device` is {device!r}, expected auto, cpu, cuda, cuda:N (or what torch knows)"


def test_a_device_that_is_not_here_is_another_matter() -> None:
    with pytest.raises(UsageError, match=r"`device=cuda:99`: not at hand \(.*\); auto takes what is there"):
        resolve_device("cuda:99")
    assert resolve_device("cpu") == "cpu"
