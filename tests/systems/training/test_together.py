"""An error in one of several processes ends all of them, with its text."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from s5eval.data_manifests.common.errors import DataError, S5Error, UsageError
from s5eval.data_manifests.common.files import WriteError
from s5eval.systems.training import together

FULL = WriteError(Path("out/slots"), OSError(errno.ENOSPC, "full"))


@pytest.mark.parametrize("failed", [FULL, DataError("a file is damaged"), UsageError("no such key")])
def test_the_others_end_with_the_text_of_the_one_that_failed(failed: S5Error, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def gather(fabric: object, value: object) -> list[object]:
        told.append(value)
        return [None, told[0]]

    def fail() -> None:
        raise failed

    monkeypatch.setattr(together, "_gather", gather)
    with pytest.raises(type(failed)):  # the process itself
        together.everywhere(SimpleNamespace(world_size=2, global_rank=1), fail)
    with pytest.raises(S5Error, match="process 2 of 2: ") as caught:  # another one
        together.everywhere(SimpleNamespace(world_size=2, global_rank=0), lambda: None)
    assert str(failed) in str(caught.value)
    assert caught.value.exit_code == failed.exit_code
