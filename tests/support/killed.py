"""A command that is killed at a given place, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from s5eval.harness.record.run_folder import RunFolder


class KilledError(BaseException):
    """As a signal would be: nobody handles it."""


@contextmanager
def killed_before(step: str) -> Iterator[None]:
    """What runs inside ends where it would call this method of `RunFolder`, such as `rewrite`."""

    def killed(*_: object) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(RunFolder, step, killed)
        yield
