"""A seal a minute by the clock it is given, and no failure that nobody hears of."""

import threading

import pytest

from agent.clock import ManualClock
from agent.errors import LogCorruptError, SealError, StoreError
from agent.eventstore.sealthread import EVERY_NS, SealThread


def test_thread_seals_once_a_minute() -> None:
    clock, sealed = ManualClock(), threading.Semaphore(0)
    failures: list[StoreError] = []
    thread = SealThread(sealed.release, clock, failures.append)
    for _ in range(3):
        clock.advance(EVERY_NS - 1)
        assert not sealed.acquire(timeout=0.15)
        clock.advance(1)
        assert sealed.acquire(timeout=5)
    thread.close()
    assert not failures


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LogCorruptError("block 3 is not as it was written"), "block 3 is not as it was written"),
        (SealError("seal.key: No space"), "cannot be sealed: seal.key: No space"),
        (RuntimeError("bug"), "the sealer stopped: RuntimeError"),
    ],
)
def test_what_ends_the_thread_is_told(error: Exception, message: str) -> None:
    def fails() -> None:
        raise error

    clock, ended = ManualClock(), threading.Event()
    failures: list[StoreError] = []

    def fail(failure: StoreError) -> None:
        failures.append(failure)
        ended.set()

    thread = SealThread(fails, clock, fail)
    clock.advance(EVERY_NS)
    assert ended.wait(5)
    thread.close()
    assert message in str(failures[0])
