"""What it costs to take bodies away, and what the writer feels of it. Prints, asserts nothing.

An argument is the number of blocks of 100 events; 3,000 are 50 minutes of a drive.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.archive import Archive, archive
from agent.clock import MS, SECOND, ManualClock
from agent.events import BodiesPruned, SignalsSampled, encode
from agent.eventstore.log import Draft
from agent.eventstore.note import decode
from agent.eventstore.outside import Outside
from agent.eventstore.pruner import Pruner
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Facts, Ranges
from agent.eventstore.state import EVENTS
from agent.files import used_percent
from agent.privacy import Level
from bench.machine import describe

START_NS = 1_700_000_000 * SECOND
PAUSE_S = 0.02


def main(blocks: int) -> None:
    print(describe())
    with tempfile.TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as place:
        state = Path(place) / "state"
        print(f"on a disk that is {used_percent(Path(place)):.0f} % full")
        with archive(state, ManualClock(START_NS), wait=True) as parts:
            _fill(parts, blocks)
            _measure(parts)
        print(f"after:  {_size(state):7.1f} MB")


def _fill(parts: Archive, blocks: int) -> None:
    chance = random.Random(7)
    names = ("speed.vehicle", "engine.speed", "yaw.rate", "steering.angle", "brake.pressure")
    for number in range(blocks * 100):
        series = {
            name: ([i * 10 * MS for i in range(10)], [round(chance.gauss(20, 3), 2)] * 10)
            for name in names[: 1 + number % 5]
        }
        event = SignalsSampled("can0", START_NS + number * 10 * MS, series)
        parts.journal.write(event, level=Level.LV3)
    parts.journal.flush()
    assert isinstance(parts.clock, ManualClock)
    parts.clock.advance(60 * SECOND)
    while parts.anchor() is None:
        time.sleep(0.01)
    print(f"before: {_size(parts.state):7.1f} MB, {parts.log.head().seq:,} events, sealed")


def _measure(parts: Archive) -> None:
    begun = time.perf_counter()
    known = Outside()
    with LogReader.open(parts.state / EVENTS) as reader:
        while not known.catch_up(reader):
            pass
        looked = reader.last_block()
    print(f"looked for receipts and holds: {looked / (time.perf_counter() - begun):,.0f} blocks/s")

    with _writer(parts, "while nothing goes"):
        time.sleep(3)
    every = dict.fromkeys(Level, Ranges([(1, parts.log.head().seq)]))
    facts = Facts(_sealed(parts), parts.clock.now_ns(), 0, every, known.held, frozenset())
    pruner = Pruner(parts.log, parts.state / EVENTS, lambda event: _announce(parts, event))
    gone, longest, wal = 0, 0.0, 0.0
    with _writer(parts, "while bodies go"):
        begun = last = time.perf_counter()
        for went in pruner.prune(facts):
            gone += went
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
            wal = max(wal, _size(parts.state, "-wal"))
        took = time.perf_counter() - begun
    print(f"{gone:,} bodies in {took:.1f} s, {gone / took:,.0f} blocks/s;", end=" ")
    print(f"longest step {longest * 1e3:.0f} ms, largest wal {wal:.1f} MB")


def _sealed(parts: Archive) -> int:
    with LogReader.open(parts.state / EVENTS) as reader:
        seal = reader.last_seal()
    assert seal is not None
    return decode(seal.note).size


def _announce(parts: Archive, event: BodiesPruned) -> None:
    parts.journal.write(event)
    parts.journal.flush()


@contextmanager
def _writer(parts: Archive, when: str) -> Iterator[None]:
    """Appends a block of 20 events every 20 ms, and says how long each took."""
    stop, took = threading.Event(), []
    draft = Draft("x/1", Level.LV3, 0, 0, parts.clock.quality, encode(BodiesPruned(1, 2, b"")))

    def append() -> None:
        while not stop.wait(PAUSE_S):
            begun = time.perf_counter()
            parts.log.append([draft] * 20)
            took.append((time.perf_counter() - begun) * 1e3)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0
        print(f"append {when}: median {statistics.median(took):.1f}, 99 % {p99:.1f},", end=" ")
        print(f"longest {max(took):.1f} ms, {len(took)} blocks")


def _size(state: Path, side: str = "") -> float:
    path = state / f"{EVENTS}{side}"
    return path.stat().st_size / 1e6 if path.exists() else 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000)
