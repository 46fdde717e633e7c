"""Stop signals: each is counted once, and none that comes at a bad moment is forgotten."""

from __future__ import annotations

import signal

import pytest

from market_platform.embedded.stop_signals import StopRequestedError, StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_is_counted_and_interrupts_only_what_may_be(number: signal.Signals) -> None:
    signals = StopSignals()
    with signals.heeded():
        signal.raise_signal(number)
        assert signals.count == 1
    signals = StopSignals()
    with signals.heeded(), pytest.raises(StopRequestedError), signals.interruptible():
        signal.raise_signal(number)


def test_a_signal_that_came_before_is_heeded_where_the_next_thing_may_be_interrupted() -> None:
    signals = StopSignals()
    begun = False
    with signals.heeded():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopRequestedError), signals.interruptible():
            begun = True
    assert not begun


def test_one_signal_interrupts_once_and_a_second_is_only_counted() -> None:
    signals = StopSignals()
    with signals.heeded():
        with pytest.raises(StopRequestedError), signals.interruptible():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert signals.count == 2


def test_handlers_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    with StopSignals().heeded():
        pass
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
    assert after == before


def test_nohup_stays_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signals = StopSignals()
        with signals.heeded():
            signal.raise_signal(signal.SIGHUP)
        assert signals.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_waiting_ends_with_any_signal() -> None:
    signals = StopSignals()
    with signals.heeded():
        signal.raise_signal(signal.SIGCHLD)
        signals.wait(600)
    assert signals.count == 0


@pytest.mark.parametrize(
    ("numbers", "insisted"),
    [
        ([signal.SIGINT], False),
        ([signal.SIGINT, signal.SIGINT], True),
        ([signal.SIGHUP, signal.SIGHUP, signal.SIGTERM], False),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], True),
    ],
)
def test_only_a_further_ctrl_c_is_insisting(numbers: list[signal.Signals], insisted: bool) -> None:
    signals = StopSignals()
    with signals.heeded():
        for each in numbers:
            signal.raise_signal(each)
    assert signals.insisted is insisted
