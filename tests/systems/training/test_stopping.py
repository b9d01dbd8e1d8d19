"""Which signals a training takes note of, and what becomes of what was there before."""

import signal
import threading
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


def test_another_thread_than_the_first_takes_no_signal(number: signal.Signals) -> None:
    before, found = signal.getsignal(number), []

    def block() -> None:
        with stopping() as stop:
            found.append((stop.asked, signal.getsignal(number)))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [(False, before)]


def test_once_the_end_is_asked_for_a_loader_s_death_breaks_no_step(number: signal.Signals) -> None:
    """By SIGCHLD torch raises an error wherever the program is; afterwards its handler is there again."""

    def died(*_: object) -> None:
        raise RuntimeError("a loader has died")

    signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        signal.signal(signal.SIGCHLD, died)
        with stopping():
            with pytest.raises(RuntimeError, match="a loader has died"):
                signal.raise_signal(signal.SIGCHLD)
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGCHLD)
        assert signal.getsignal(signal.SIGCHLD) is died
    finally:
        signal.signal(signal.SIGCHLD, before)
