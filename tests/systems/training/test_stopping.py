"""Which signals a training takes note of, and what becomes of what was there before."""

import signal
from collections.abc import Iterator

import pytest

from s5eval.systems.training.stopping import stopping


@pytest.fixture(params=["SIGINT", "SIGTERM", "SIGHUP"])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal whose handler is put back afterwards."""
    found: signal.Signals = getattr(signal, request.param)
    before = signal.getsignal(found)
    yield found
    signal.signal(found, before)


def test_a_signal_that_would_end_the_program_is_noted(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)  # as Python begins, but for SIGINT; the command line has handlers of its own
    with stopping() as stop:
        assert signal.getsignal(number) is not signal.SIG_DFL  # else the next line ends the tests
        signal.raise_signal(number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with stopping() as stop:
        signal.raise_signal(number)
    assert not stop.asked
