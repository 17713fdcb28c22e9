"""The thread that appends: nothing handed over is lost silently, and waiting has an end."""

import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from agent.clock import ClockQuality, ManualClock
from agent.errors import StoreError
from agent.events import decode
from agent.eventstore.log import Draft, Head, Recorded
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.writer import LogWriter
from agent.privacy import Level


def draft(payload: bytes = b"x") -> Draft:
    return Draft("test/1", Level.LV3, 0, 0, ClockQuality.FREE, payload)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with SqliteLog.open(tmp_path / "state", create=True) as opened:
        yield opened


class StuckLog:
    """A log whose disk does not answer until it is let go, and may then fail."""

    log_id = bytes(32)
    boot = 1

    def __init__(self, failure: Exception | None = None) -> None:
        self.go = threading.Event()
        self.appended: list[Draft] = []
        self._failure = failure

    def append(self, drafts: Sequence[Draft]) -> int:
        self.go.wait(5)
        if self._failure is not None:
            raise self._failure
        self.appended += drafts
        return len(self.appended) - len(drafts) + 1

    def read(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        raise NotImplementedError(after)

    def head(self) -> Head:
        return Head(len(self.appended), bytes(64))

    def recover(self) -> Head:
        return self.head()


def test_everything_put_before_a_flush_is_on_disk_after_it(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    for number in range(250):
        writer.put(draft(str(number).encode()))

    writer.flush()

    assert [event.payload for event in log.read()] == [str(n).encode() for n in range(250)]
    assert (writer.appended, writer.blocks) == (250, 3)
    writer.close()


def test_an_urgent_event_is_on_disk_without_a_flush(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.put(draft(), urgent=True)

    for _ in range(1000):
        if log.head().seq:
            break
        threading.Event().wait(0.005)

    assert log.head().seq == 1
    writer.close()


def test_closing_writes_the_open_block(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.put(draft())

    writer.close()

    assert log.head().seq == 1


def test_flush_with_nothing_to_write_takes_no_transaction(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.flush()
    writer.close()
    assert (writer.blocks, writer.appended) == (0, 0)


def test_a_writer_that_is_closed_never_says_that_anything_is_durable(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.close()
    writer.put(draft())
    with pytest.raises(StoreError, match="closed"):
        writer.flush()
    assert log.head().seq == 0


def test_a_writer_that_was_stopped_tells_why_to_whoever_puts_or_flushes(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.stop(StoreError("the log cannot be sealed"))
    for use in (partial(writer.put, draft()), writer.flush, writer.close):
        with pytest.raises(StoreError, match="cannot be sealed"):
            use()


def test_rt_54_events_a_live_car_lost_to_a_slow_disk_are_told_in_the_log() -> None:
    log = StuckLog()
    writer = LogWriter(log, ManualClock(), wait=False, capacity=10)
    writer.put(draft(), urgent=True)
    for _ in range(50):
        writer.put(draft())

    log.go.set()
    writer.close()

    told = [decode(d.kind, d.payload) for d in log.appended if d.kind == "input-lost/1"]
    assert writer.lost > 0
    assert [event.count for event in told] == [writer.lost]  # type: ignore[attr-defined]  # the kind says so
    assert writer.appended == 51 - writer.lost + len(told)


def test_rt_54_ten_times_what_a_stuck_disk_takes_stays_within_the_queue() -> None:
    log = StuckLog()
    writer = LogWriter(log, ManualClock(), wait=False, capacity=1_000)
    writer.put(draft(payload=bytes(10_000)), urgent=True)
    tracemalloc.start()

    for _ in range(10_000):
        writer.put(draft(payload=bytes(10_000)))
    held, _ = tracemalloc.get_traced_memory()

    tracemalloc.stop()
    log.go.set()
    writer.close()
    assert held < 1.2 * 1_000 * 10_000
    assert writer.lost >= 8_900
    told = [decode(d.kind, d.payload) for d in log.appended if d.kind == "input-lost/1"]
    assert sum(event.count for event in told) == writer.lost  # type: ignore[attr-defined]  # the kind says so


def test_a_failed_disk_is_told_to_whoever_writes_next() -> None:
    log = StuckLog(StoreError("the disk is gone"))
    log.go.set()
    writer = LogWriter(log, ManualClock(), wait=True, capacity=2)

    writer.put(draft(), urgent=True)

    with pytest.raises(StoreError, match="the disk is gone"):
        writer.flush()
    with pytest.raises(StoreError, match="the disk is gone"):
        writer.put(draft())


def test_a_writer_that_died_of_a_bug_never_says_that_anything_is_durable() -> None:
    log = StuckLog(ValueError("a bug"))
    log.go.set()
    writer = LogWriter(log, ManualClock(), wait=True)
    writer.put(draft(), urgent=True)

    with pytest.raises(StoreError, match="a bug"):
        writer.flush()


def test_nobody_waits_for_ever_for_a_writer_that_failed() -> None:
    log = StuckLog(StoreError("the disk is gone"))
    writer = LogWriter(log, ManualClock(), wait=True, capacity=100)
    writer.put(draft(), urgent=True)
    failures: list[StoreError] = []

    def wait() -> None:
        try:
            writer.flush()
        except StoreError as failure:
            failures.append(failure)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()

    log.go.set()

    waiting.join(2)
    assert len(failures) == 1
