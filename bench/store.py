"""The chained log against a plain table of the same messages, and against pyeventsourcing.

    python -m bench.store [--rows N] [--growth]

All stores get the same rows, once as the pilot has them and once half as long, in turns of 20,000,
in transactions of 100, each synced to the disk (FULL) unless NORMAL is said. Ours is the whole way:
from the row through its MessagePack payload to events that are hashed, chained, compressed and
durable. A ratio is of one turn, ours to theirs: below 1 is faster or smaller. The table is written
and read by Python's sqlite3, which a program has at hand, and by apsw, which ours uses. Prints
figures and asserts none of them.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha3_512
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Protocol

import apsw
import msgspec

from agent.bsm.wyoming import COLUMNS
from agent.clock import ClockQuality
from agent.eventstore import chain
from agent.eventstore.checked import CheckedReader
from agent.eventstore.log import Draft
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from agent.privacy import Level
from bench.machine import describe
from bench.store_bytes import bytes_written
from bench.store_peers import BATCH, LIBRARIES, PRAGMAS, Store, by_apsw, recorder
from bench.store_rows import START_NS, TRIP, Row, Rows, Value, rows

SEED = 69
LEVEL, CLOCK = Level.LV3, ClockQuality.GNSS
TURN = 20_000
ROUNDS = 5
COUNTED = 100_000
"""Rows of the pass that counts bytes."""
YOUNG, GROWN = 100_000, 10_000_000

encode = msgspec.msgpack.Encoder().encode
WyomingRow = msgspec.defstruct(
    "WyomingRow", [(name, Value) for name in COLUMNS], array_like=True, frozen=True, gc=False
)
"""A row is read as the agent reads its own events; the table's libraries make tuples."""
decode = msgspec.msgpack.Decoder(WyomingRow).decode
Spent = tuple[float, float]
"""Seconds: of the clock, and of this process on a processor."""
Found = dict[str, list[Spent]]
Source = Callable[[], Iterator[tuple[int, Row]]]


class Closing(Protocol):
    def close(self) -> None: ...


def ours(log: SqliteLog, given: Rows) -> None:
    for at in range(0, len(given), BATCH):
        log.append(
            [
                Draft("bsm/1", LEVEL, t_ns, t_ns - START_NS, CLOCK, encode(row))
                for t_ns, row in given[at : at + BATCH]
            ]
        )


def relaxed(log: SqliteLog) -> SqliteLog:
    """The log as its writer never has it: with synchronous=NORMAL."""
    connection = log._connection  # noqa: SLF001 - there is no such switch, on purpose
    assert connection is not None
    authorizer, connection.authorizer = connection.authorizer, None
    connection.pragma("synchronous", 1)
    connection.authorizer = authorizer
    return log


def timed(job: Callable[[], object]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - wall, time.process_time() - processor


def turns(stores: dict[str, Store], source: Iterator[tuple[int, Row]], count: int) -> Found:
    """Of each store, what its turns took."""
    found: Found = {name: [] for name in stores}
    for _ in range(0, count, TURN):
        given = list(islice(source, TURN))
        for name, store in stores.items():
            found[name].append(timed(partial(store, given)))
    return found


def rounds(jobs: dict[str, Callable[[], object]]) -> Found:
    found: Found = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            found[name].append(timed(job))
    return found


def line(what: str, own: Sequence[Spent], other: Sequence[Spent], bar: str = "") -> None:
    ratios = sorted(mine[0] / peer[0] for mine, peer in zip(own, other, strict=True))
    show(what, ratios[0], median(ratios), ratios[-1], bar)


def show(what: str, low: float, middle: float, high: float, bar: str) -> None:
    print(f"  {what:<46} {low:6.2f} {middle:6.2f} {high:6.2f}   {bar}")


def costs(found: Found, count: int) -> None:
    for name, spent in found.items():
        wall, processor = (median(values) / count * 1e6 for values in zip(*spent, strict=True))
        print(f"      {name:<42} {wall:6.2f} us a row, {processor:.2f} of them on the processor")


def against_tables(what: str, own: Sequence[Spent], found: Found, bar: str, kind: str = "") -> None:
    for library in LIBRARIES:
        line(f"{what}, to {library}", own, found[f"table by {library}{kind}"], bar)


def write(folder: Path, count: int, source: Source) -> None:
    """Leaves in the folder what `read` reads."""
    from agent.eventstore.readmodel import ReadModel  # noqa: PLC0415 - see `read`

    _, first = next(source())
    log = SqliteLog.open(folder / "log", create=True)
    normal = relaxed(SqliteLog.open(folder / "normal", create=True))
    model = ReadModel.open(folder / "readmodel.db")
    tables = {
        f"table by {library}, {mode}": connect(folder / f"{library}-{mode}.db").create(first, mode)
        for mode in ("FULL", "NORMAL")
        for library, connect in LIBRARIES.items()
    }
    indexed = by_apsw(folder / "indexed.db").create(first, "FULL", indexed=True)
    closing: tuple[Closing, ...] = (log, normal, model, indexed, *tables.values())
    stores: dict[str, Store] = {
        "ours, FULL": partial(ours, log),
        "ours, read model": lambda _: model.catch_up(log),
        "ours, NORMAL": partial(ours, normal),
        **{name: table.write for name, table in tables.items()},
        "table by apsw, FULL, index on time": indexed.write,
    }
    peer = recorder(folder / "recorder.db", encode)
    if peer is None:
        print("eventsourcing is not installed: without it")
    else:
        stores["pyeventsourcing"] = peer
    found = turns(stores, source(), count)
    for opened in closing:
        opened.close()
    own = found["ours, FULL"]
    both = [
        (mine[0] + model_[0], mine[1] + model_[1])
        for mine, model_ in zip(own, found["ours, read model"], strict=True)
    ]
    against_tables("write", own, found, "at most 0.90, aim 0.80", ", FULL")
    against_tables("write, and our read model", both, found, "", ", FULL")
    line("the same, to apsw with an index on time", both, found[[*stores][7]])
    against_tables("write, NORMAL", found["ours, NORMAL"], found, "at most 0.90", ", NORMAL")
    if peer is not None:
        line("write, pyeventsourcing to ours", found["pyeventsourcing"], own, "at least 1.3")
    costs(found, TURN)


def read(folder: Path, count: int) -> None:
    """The processes that check hashes import this module first: it has to be a light one."""
    log = folder / "log" / "events.db"
    tables = {name: connect(folder / f"{name}-FULL.db") for name, connect in LIBRARIES.items()}
    found = rounds(
        {
            "ours, every hash checked": lambda: read_ours(log, checked=True),
            "ours, no hash checked": lambda: read_ours(log, checked=False),
            **{f"table by {name}": table.read for name, table in tables.items()},
        }
    )
    for table in tables.values():
        table.close()
    against_tables("read all, verified", found["ours, every hash checked"], found, "at most 0.80")
    against_tables("read all, not verified", found["ours, no hash checked"], found, "")
    costs(found, count)


def read_ours(log: Path, *, checked: bool) -> None:
    with (CheckedReader if checked else LogReader).open(log) as reader:
        for event in reader.read():
            decode(event.payload)


def trip(folder: Path, count: int, source: Source) -> None:
    """The messages of one trip in the middle, by their times."""
    from agent.eventstore.readmodel import ReadModel  # noqa: PLC0415 - see `read`
    from agent.eventstore.timeline import between  # noqa: PLC0415

    first = count // TRIP // 2 * TRIP
    wanted = list(islice(source(), first, first + TRIP))
    until_ns, last = wanted[-1]
    since, until = (row[COLUMNS.index("metadata_generatedAt")] for row in (wanted[0][1], last))
    tables = {name: connect(folder / "indexed.db") for name, connect in LIBRARIES.items()}
    with (
        ReadModel.open(folder / "readmodel.db") as model,
        LogReader.open(folder / "log" / "events.db") as log,
    ):

        def ours() -> list[msgspec.Struct]:
            events = between(model.db, log, wanted[0][0], until_ns)
            return [decode(event.payload) for event in events]

        assert list(map(msgspec.structs.astuple, ours())) == [row for _, row in wanted]
        assert tables["apsw"].between(since, until) == [row for _, row in wanted]
        found = rounds(
            {
                "ours, by the read model": ours,
                **{
                    f"table by {name}": partial(table.between, since, until)
                    for name, table in tables.items()
                },
            }
        )
    for table in tables.values():
        table.close()
    against_tables("read a trip", found["ours, by the read model"], found, "at most 1.10")
    costs(found, TRIP)


def verified(folder: Path, count: int) -> None:
    log = folder / "log" / "events.db"
    found: Found = {"SHA3-512 over the same bytes": [], "verify, one process": [], "verify": []}
    jobs = (partial(hash_alone, log), partial(timed, partial(verify, log, alone=True)))
    for _ in range(ROUNDS):
        for name, job in zip(found, (*jobs, partial(timed, partial(verify, log))), strict=True):
            found[name].append(job())
    alone, *ours_ = found.values()
    for name, spent in zip(("one process", "all processors"), ours_, strict=True):
        line(f"verify, speed to that of the hash, {name}", alone, spent, "at least 0.60")
    costs(found, count)


def hash_alone(log: Path) -> Spent:
    """SHA3-512 over the same bytes, which lie in memory, one event after the other."""
    wall = processor = 0.0
    with LogReader.open(log) as reader:
        head = chain.genesis(reader.log_id, reader.note)
        for block in reader.blocks():
            events = [event for _, event in chain.unpack(block.body or b"")]
            begun = time.perf_counter(), time.process_time()
            for event in events:
                head = sha3_512(b"\x00" + head + event).digest()
            wall += time.perf_counter() - begun[0]
            processor += time.process_time() - begun[1]
    return wall, processor


def size(folder: Path, source: Source) -> None:
    given = list(islice(source(), COUNTED))
    own = bytes_written(lambda: fill_log(folder / "counted", given))
    table = bytes_written(lambda: fill_table(folder / "counted.db", given))
    disks = [(folder / name).stat().st_size for name in ("counted/events.db", "counted.db")]
    for what, ratio in (("bytes on disk", disks[0] / disks[1]), ("bytes written", own / table)):
        show(what, ratio, ratio, ratio, "at most 0.50")
    for name, on_disk, flash in (("ours", disks[0], own), ("table", disks[1], table)):
        print(
            f"      {name:<42} {on_disk / COUNTED:6.0f} bytes a row, {flash / COUNTED:.0f} written"
        )


def fill_log(folder: Path, given: Rows) -> None:
    with SqliteLog.open(folder, create=True) as log:
        ours(log, given)


def fill_table(path: Path, given: Rows) -> None:
    table = by_apsw(path).create(given[0][1], "FULL")
    table.write(given)
    table.close()


def growth(folder: Path) -> None:
    """The last 100,000 of a log of 10,000,000 events, in turns with those of a young one."""
    source = rows(SEED)
    pool = list(islice(source, YOUNG))
    with (
        SqliteLog.open(folder / "grown", create=True) as old,
        SqliteLog.open(folder / "young", create=True) as young,
    ):
        while old.head().seq < GROWN - YOUNG:
            ours(old, pool)
        stores: dict[str, Store] = {"old": partial(ours, old), "young": partial(ours, young)}
        found = turns(stores, iter(pool), YOUNG)
    line(
        "write, rate at 10,000,000 to that at 100,000",
        found["young"],
        found["old"],
        "at least 0.95",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--growth", action="store_true", help="10,000,000 events too: minutes")
    given = parser.parse_args()
    count = max(TURN, given.rows // TURN * TURN)
    print(describe())
    print(f"SQLite: {apsw.sqlite_lib_version()} of apsw, {sqlite3.sqlite_version} of sqlite3")
    print(f"PRAGMA {', '.join(PRAGMAS)}, synchronous = FULL unless NORMAL is said")
    for short in (False, True):
        source = partial(rows, SEED, short=short)
        octets = sum(len(encode(row)) for _, row in islice(source(), TRIP)) // TRIP
        print(
            f"{count:,} rows of 69 columns, {octets} bytes of MessagePack, ratios min median max:"
        )
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder, count, source)
            read(folder, count)
            trip(folder, count, source)
            verified(folder, count)
            size(folder, source)
    if given.growth:
        with tempfile.TemporaryDirectory() as name:
            growth(Path(name))


if __name__ == "__main__":
    main()
