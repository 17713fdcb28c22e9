"""RT-42: a disk without room ends nothing, and what it cost is told."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.clock import SECOND, ClockQuality, ManualClock
from agent.errors import DiskFullError
from agent.events import InputLost, decode
from agent.eventstore import writer as writer_module
from agent.eventstore.ladder import Step
from agent.eventstore.log import Draft
from agent.eventstore.losses import TELL_NS
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.writer import LogWriter
from agent.privacy import Level
from tests.eventstore.test_faults import small_disk


def draft(number: int, kind: str = "test/1", level: Level = Level.LV3) -> Draft:
    return Draft(kind, level, 0, 0, ClockQuality.FREE, b"%d" % number)


class Tight:
    """A log on a disk that is full until `room` is set. lands: what fails is there all the same."""

    def __init__(self, log: SqliteLog, *, lands: bool = False) -> None:
        self.log_id, self.boot = log.log_id, log.boot
        self.head, self.recover, self.read = log.head, log.recover, log.read
        self.room = threading.Event()
        self.tries = 0
        self._log = log
        self._lands = lands

    def append(self, drafts: Sequence[Draft]) -> int:
        self.tries += 1
        if self.room.is_set():
            return self._log.append(drafts)
        if self._lands:
            self._log.append(drafts)
        raise DiskFullError("no room")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with SqliteLog.open(tmp_path / "state", create=True) as opened:
        yield opened


def until(happened: Callable[[], object]) -> None:
    for _ in range(1000):
        if happened():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen in 5 s")


def payloads(log: SqliteLog, kind: str = "test/1") -> list[int]:
    return [int(event.payload) for event in log.read() if event.kind == kind]


def losses(log: SqliteLog) -> list[InputLost]:
    found = [decode(e.kind, e.payload) for e in log.read() if e.kind == InputLost.kind]
    return [event for event in found if isinstance(event, InputLost)]


def test_rt_42_full_disk_ends_no_cars_writer_and_what_was_put_is_written_later(
    log: SqliteLog,
) -> None:
    tight = Tight(log)
    writer = LogWriter(tight, ManualClock(), wait=False)
    for number in range(150):
        writer.put(draft(number))
    with pytest.raises(DiskFullError):
        writer.flush()
    assert payloads(log) == []

    tight.room.set()
    writer.flush()
    writer.put(draft(150))
    writer.close()

    assert payloads(log) == list(range(151))
    assert writer.lost == 0


def test_rt_39_block_that_is_there_after_all_is_not_written_twice(log: SqliteLog) -> None:
    tight = Tight(log, lands=True)
    writer = LogWriter(tight, ManualClock(), wait=False)
    writer.put(draft(0), urgent=True)
    until(lambda: tight.tries)
    tight.room.set()
    writer.put(draft(1), urgent=True)
    writer.close()
    assert payloads(log) == [0, 1]


def test_full_disk_takes_urgent_events_only_and_counts_the_others(log: SqliteLog) -> None:
    tight = Tight(log)
    writer = LogWriter(tight, ManualClock(), wait=False)
    writer.put(draft(0), urgent=True)
    until(lambda: tight.tries)
    for number in range(1, 8):
        writer.put(draft(number), urgent=number % 2 == 0)
    tight.room.set()
    writer.close()

    assert payloads(log) == [0, 2, 4, 6]
    assert [(loss.count, "only urgent" in loss.reason) for loss in losses(log)] == [(4, True)]
    assert writer.lost == 4


def test_event_that_could_not_be_sealed_for_lack_of_room_is_counted_but_ends_a_recording(
    log: SqliteLog,
) -> None:
    car = LogWriter(log, ManualClock(), wait=False)
    car.lose(DiskFullError("no room"))
    car.close()
    assert car.lost == 1
    assert [(loss.count, "no key" in loss.reason) for loss in losses(log)] == [(1, True)]

    recording = LogWriter(log, ManualClock(), wait=True)
    with pytest.raises(DiskFullError):
        recording.lose(DiskFullError("no room"))
    recording.close()
    assert recording.lost == 0


def test_full_disk_is_tried_less_and_less_often_but_at_once_for_who_waits(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FIRST_PAUSE_S", 0.01)
    tight = Tight(log)
    writer = LogWriter(tight, ManualClock(), wait=False)
    writer.put(draft(0), urgent=True)
    until(lambda: tight.tries)
    time.sleep(0.2)
    assert 2 < tight.tries < 8, "20 in even steps, thousands without a pause"
    before = tight.tries
    with pytest.raises(DiskFullError):
        writer.flush()
    time.sleep(0.05)
    assert before < tight.tries < before + 4
    tight.room.set()
    writer.close()


def test_queue_stays_bounded_while_the_disk_is_full(log: SqliteLog) -> None:
    tight = Tight(log)
    writer = LogWriter(tight, ManualClock(), wait=False, capacity=5)
    writer.put(draft(0), urgent=True)
    until(lambda: tight.tries)
    for number in range(1, 50):
        writer.put(draft(number), urgent=True)
    with pytest.raises(DiskFullError):
        writer.flush()
    tight.room.set()
    until(lambda: len(payloads(log)) >= 6)
    writer.close()

    assert writer.lost == 44
    assert sum(loss.count for loss in losses(log)) == 44


def test_what_was_set_aside_is_given_up_before_anybody_waits(log: SqliteLog) -> None:
    tight = Tight(log)

    def relief() -> bool:
        tight.room.set()
        return True

    writer = LogWriter(tight, ManualClock(), wait=False, relief=relief)
    writer.put(draft(0), urgent=True)
    writer.close()
    assert payloads(log) == [0]
    assert tight.tries == 2


def test_closing_on_a_full_disk_has_an_end_and_says_so(log: SqliteLog) -> None:
    writer = LogWriter(Tight(log), ManualClock(), wait=False)
    writer.put(draft(0))
    begun = time.monotonic()
    with pytest.raises(DiskFullError, match="no room"):
        writer.close()
    assert time.monotonic() - begun < 2


def test_writer_that_waits_for_room_is_healthy(log: SqliteLog) -> None:
    clock, tight = ManualClock(), Tight(log)
    writer = LogWriter(tight, clock, wait=False)
    writer.put(draft(0), urgent=True)
    until(lambda: tight.tries)
    clock.advance(60 * SECOND)
    until(lambda: writer.alive_ns == 60 * SECOND)
    tight.room.set()
    writer.close()


def test_recording_ends_on_a_full_disk(log: SqliteLog) -> None:
    writer = LogWriter(Tight(log), ManualClock(), wait=True)
    writer.put(draft(0))
    with pytest.raises(DiskFullError):
        writer.flush()
    with pytest.raises(DiskFullError):
        writer.put(draft(1))
    with pytest.raises(DiskFullError):
        writer.lose(DiskFullError("no key"))


def test_step_of_the_ladder_decides_what_is_taken(log: SqliteLog) -> None:
    writer = LogWriter(log, ManualClock(), wait=False)
    for step in (Step.ALL, Step.NO_BULK, Step.NO_SAMPLES, Step.URGENT):
        writer.step = step
        writer.put(draft(int(step) * 10, "raw/1", Level.LV4))
        writer.put(draft(int(step) * 10 + 1, "signals-sampled/1"))
        writer.put(draft(int(step) * 10 + 2))
    writer.close()

    assert payloads(log, "raw/1") == [0]
    assert payloads(log, "signals-sampled/1") == [1, 21]
    assert payloads(log) == [2, 22, 32]
    assert {(loss.count, loss.reason.split(": ")[1]) for loss in losses(log)} == {
        (2, "no Lv4 is kept"),
        (1, "no Lv3 samples are kept"),
        (3, "only urgent events are kept"),
    }


def test_losses_are_told_within_a_minute_where_nothing_else_is_written(log: SqliteLog) -> None:
    clock = ManualClock()
    writer = LogWriter(log, clock, wait=False)
    writer.step = Step.URGENT
    writer.put(draft(0))
    clock.advance(TELL_NS)
    until(lambda: losses(log))
    writer.close()


A_DRIVE = """
import asyncio, os
from pathlib import Path
from agent.archive import archive
from agent.cli.show import log_to_stderr
from agent.clock import SystemClock
from agent.errors import StoreError
from agent.events import AgentStopped, DtcSet, InputLost, InputOpened, PositionFixed, VinRead
from agent.events import DiskNarrowed, decode
from agent.eventstore.verify import verify
from agent.eventstore.reader import LogReader
from agent.files import used_percent
from agent.compose import narrowing
log_to_stderr()
state, ballast = Path("disk/state"), Path("disk/ballast")
FIX = PositionFixed(1, 37.4, 127.1, None, None, None, None, None, None)
with archive(state, SystemClock(), wait=False) as parts:
    narrow = narrowing(parts)
    asyncio.run(narrow.once())
    print("reserve", (state / "reserve").stat().st_size, int(parts.writer.step))
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    taken = 0
    while parts.writer.lost < 500:
        parts.journal.write(DtcSet("P0301", "x" * 5000))
        parts.journal.write(InputOpened("x" * 5000))
        taken += 1
        if taken % 100 == 0:
            try:
                parts.journal.flush()
            except StoreError as error:
                print(type(error).__name__)
                parts.journal.write(FIX)
                parts.journal.write(VinRead("KMHAMXAG0NU004711", "obd"))
                assert taken < 100_000
    asyncio.run(narrow.once())
    print("full", int(parts.writer.step), (state / "reserve").exists(), parts.healthy())
    os.truncate(ballast, 1_000_000)
    parts.journal.flush()
    asyncio.run(narrow.once())
    print("room", int(parts.writer.step), (state / "reserve").exists())
    parts.journal.write(DtcSet("P0A80", "7E8"))
    lost = parts.writer.lost
print(verify(state / "events.db").verdict)
with LogReader.open(state / "events.db") as reader:
    found = [decode(e.kind, e.payload) for e in reader.read() if e.level == 3]
print("told", sum(e.count for e in found if isinstance(e, InputLost)) == lost)
print("codes", [e.code for e in found if isinstance(e, DtcSet)][-1])
print("steps", [e.step for e in found if isinstance(e, DiskNarrowed)])
print([type(e).__name__ for e in found if isinstance(e, AgentStopped)])
"""


def test_rt_42_drive_on_a_disk_that_others_fill_up_goes_on_and_ends_well(tmp_path: Path) -> None:
    said = small_disk(tmp_path, "mount -t tmpfs -o size=24m none disk", A_DRIVE).splitlines()
    assert said[0] == f"reserve {4 * 1024 * 1024} 0"
    assert "DiskFullError" in said
    assert "full 4 False True" in said
    end = said[said.index("full 4 False True") + 1 :]
    assert end == [
        "room 0 True", "intact", "told True", "codes P0A80", "steps [4, 0]", "['AgentStopped']",
    ]  # fmt: skip
