import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from itertools import islice
from pathlib import Path

import apsw
import pytest

from agent.errors import LogCorruptError, StoreError, UsageError
from agent.eventstore import chain
from agent.eventstore.birth import NOTE
from agent.eventstore.log import EventLog, EventReader
from agent.eventstore.reader import LogReader
from agent.eventstore.schema import SCHEMA
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft, fill, put_body, tampering


def test_first_event_has_sequence_number_one(log: SqliteLog) -> None:
    assert log.append([draft()]) == 1


def test_sequence_numbers_have_no_gaps_across_appends(log: SqliteLog) -> None:
    assert [log.append([draft()] * n) for n in (2, 1, 3)] == [1, 3, 4]
    assert [recorded.seq for recorded in log.read()] == [1, 2, 3, 4, 5, 6]


def test_event_comes_back_as_it_was_handed_over(log: SqliteLog) -> None:
    given = draft(5, payload=bytes(range(256)))
    log.append([given])
    [found] = log.read()
    assert (found.kind, found.level, found.t_ns, found.mono_ns, found.clock, found.payload) == (
        (given.kind, given.level, given.t_ns, given.mono_ns, given.clock, given.payload)
    )
    assert found.boot == log.boot == 1


@pytest.mark.parametrize("after", range(9))
def test_read_begins_behind_any_event(log: SqliteLog, after: int) -> None:
    fill(log, 3, 1, 3)
    assert [recorded.seq for recorded in log.read(after)] == list(range(after + 1, 8))


@pytest.mark.parametrize("through", range(9))
def test_read_ends_with_any_event(log: SqliteLog, through: int) -> None:
    fill(log, 3, 1, 3)
    found = [recorded.seq for recorded in log.read(1, through)]
    assert found == list(range(2, min(through, 7) + 1))


def test_read_of_a_range_does_not_touch_the_blocks_behind_it(state: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        fill(log, 3, 3, 3)
    with tampering(state / "events.db") as connection:
        connection.execute("UPDATE body SET data = x'00' WHERE no = 3")
    with LogReader.open(state / "events.db") as reader:
        assert [recorded.seq for recorded in reader.read(2, 6)] == [3, 4, 5, 6]
        with pytest.raises(LogCorruptError):
            list(reader.read(2, 7))


def test_empty_log_reads_as_nothing_and_stands_at_its_genesis(log: SqliteLog) -> None:
    assert list(log.read()) == []
    assert (log.head().seq, log.head().hash) == (0, chain.genesis(log.log_id, NOTE))


@pytest.mark.parametrize("count", [0, 65_536])
def test_block_of_no_or_too_many_events_is_refused(log: SqliteLog, count: int) -> None:
    with pytest.raises(ValueError, match=f"block of {count} events"):
        log.append([draft()] * count)


def test_draft_without_a_stored_form_leaves_the_log_as_it_was(log: SqliteLog) -> None:
    fill(log, 2)
    before = log.head()
    with pytest.raises(ValueError, match="kind"):
        log.append([draft(), draft(kind="")])
    assert log.head() == before
    assert log.append([draft()]) == 3


def test_block_over_the_limit_of_a_body_is_refused(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_BODY", 1_000)
    with pytest.raises(ValueError, match="at most 1000"):
        log.append([draft(payload=bytes(1_000))])
    assert log.append([draft()]) == 1


def test_log_goes_on_where_it_ended_and_counts_the_start(state: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        fill(log, 2)
        log_id, head = log.log_id, log.head()
    with SqliteLog.open(state, create=False) as log:
        assert (log.boot, log.log_id, log.head()) == (2, log_id, head)
        assert log.append([draft()]) == 3
        assert [recorded.boot for recorded in log.read()] == [1, 1, 2]


def test_two_logs_have_two_names(tmp_path: Path) -> None:
    with (
        SqliteLog.open(tmp_path / "a", create=True) as one,
        SqliteLog.open(tmp_path / "b", create=True) as other,
    ):
        assert one.log_id != other.log_id


def test_closed_log_leaves_one_file_for_its_owner_alone(state: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        fill(log, 2)
    assert [entry.name for entry in state.iterdir()] == ["events.db"]
    assert (state / "events.db").stat().st_mode & 0o777 == 0o600


def test_closed_log_takes_nothing_more(state: Path) -> None:
    log = SqliteLog.open(state, create=True)
    log.close()
    with pytest.raises(StoreError, match="closed"):
        log.append([draft()])


def test_rt_49_log_is_open_once_only(log: SqliteLog, state: Path) -> None:
    del log
    with pytest.raises(UsageError, match="in use"):
        SqliteLog.open(state, create=False)


def test_missing_log_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log"):
        SqliteLog.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_birth_that_was_cut_off_is_begun_again(state: Path) -> None:
    state.mkdir()
    (state / "events.db.new").write_bytes(b"half")
    (state / "events.db.new-journal").write_bytes(b"hot")
    with SqliteLog.open(state, create=True) as log:
        assert log.append([draft()]) == 1
    assert [entry.name for entry in state.iterdir()] == ["events.db"]


def test_settings_of_the_file_are_those_the_log_promises(state: Path) -> None:
    SqliteLog.open(state, create=True).close()
    raw = (state / "events.db").read_bytes()
    assert raw[68:72] == b"AMO1"
    assert raw[16:18] == (4096).to_bytes(2, "big")
    assert raw[18:20] == b"\x02\x02"  # write-ahead log
    assert raw[60:64] == bytes([0, 0, 0, 2])


def test_every_acknowledged_block_is_synced_before_append_returns(log: SqliteLog) -> None:
    assert log._connection is not None
    log._connection.authorizer = None
    assert log._connection.pragma("synchronous") == 2
    assert log._connection.pragma("journal_mode") == "wal"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE block SET n = 1",
        "DELETE FROM block",
        "INSERT OR REPLACE INTO block SELECT * FROM block WHERE no = 1",
        "INSERT OR REPLACE INTO body SELECT max(no), x'00' FROM body",
        "INSERT INTO pruned VALUES (1, zeroblob(64))",
        "DELETE FROM body",
        "INSERT INTO log VALUES (2, x'', x'')",
        "DROP TRIGGER block_no_update",
        "ALTER TABLE block ADD COLUMN more",
        "CREATE TABLE other(a)",
        "ATTACH ':memory:' AS other",
        "PRAGMA synchronous = OFF",
        "PRAGMA writable_schema = ON",
    ],
)
def test_writers_connection_can_do_nothing_but_append(log: SqliteLog, sql: str) -> None:
    fill(log, 2)
    assert log._connection is not None
    with pytest.raises((apsw.AuthError, apsw.ConstraintError)):
        log._connection.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE block SET n = 1",
        "DELETE FROM block WHERE no = 2",
        "UPDATE log SET note = x'00'",
        "DELETE FROM log",
        "INSERT INTO block VALUES (9, 8, 1, zeroblob(64), zeroblob(64))",
        "INSERT INTO block VALUES (4, 8, 1, zeroblob(64), zeroblob(64))",
        "INSERT INTO body VALUES (9, x'00')",
        "UPDATE body SET data = x'00'",
        "DELETE FROM body WHERE no = 1",
        "INSERT INTO pruned VALUES (9, zeroblob(64))",
        "INSERT INTO tile VALUES (1, zeroblob(64))",
        "INSERT INTO seal VALUES (2, x'00', zeroblob(64), zeroblob(64))",
    ],
)
def test_tables_refuse_what_is_not_an_append(copy: Path, sql: str) -> None:
    connection = sqlite3.connect(copy)
    with pytest.raises(
        sqlite3.IntegrityError, match=r"append-only|follows|the last block|to prune"
    ):
        connection.execute(sql)
    connection.close()


def test_block_of_another_writer_stops_the_log(log: SqliteLog, state: Path) -> None:
    fill(log, 2)
    with tampering(state / "events.db") as other:
        other.execute(
            "INSERT INTO block SELECT 2, 3, n, head_after, head_after FROM block WHERE no = 1;"
            "INSERT INTO body SELECT 2, data FROM body WHERE no = 1"
        )
    for _ in range(2):
        with pytest.raises(LogCorruptError, match=r"changed by another|as it was written"):
            log.append([draft()])


def test_reader_in_another_process_sees_what_was_appended_meanwhile(
    log: SqliteLog, state: Path
) -> None:
    fill(log, 3)
    program = (
        "import sys; from pathlib import Path; from agent.eventstore.reader import LogReader\n"
        "reader = LogReader.open(Path(sys.argv[1]))\n"
        "for line in sys.stdin: print([r.seq for r in reader.read(int(line))], flush=True)"
    )
    command = [sys.executable, "-c", program, str(state / "events.db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("0\n")
        assert child.stdout.readline() == "[1, 2, 3]\n"
        fill(log, 2)
        child.stdin.write("3\n")
        assert child.stdout.readline() == "[4, 5]\n"
        child.stdin.close()


def test_rt_48_reader_that_stopped_half_way_does_not_hold_the_log_back(
    log: SqliteLog, state: Path
) -> None:
    fill(log, 3, 3)
    slow = log.read()
    next(slow)
    for _ in range(300):
        log.append([draft(payload=bytes(40_000))])
    assert (state / "events.db-wal").stat().st_size < 8 * 1024 * 1024
    assert [recorded.seq for recorded in islice(slow, 6)] == [2, 3, 4, 5, 6, 7]


def test_rt_48_what_a_foreign_reader_held_back_is_given_back_when_it_goes(
    log: SqliteLog, state: Path
) -> None:
    fill(log, 3)
    foreign = apsw.Connection(str(state / "events.db"), flags=apsw.SQLITE_OPEN_READONLY)
    foreign.execute("BEGIN; SELECT count(*) FROM block")
    for _ in range(300):
        log.append([draft(payload=random.randbytes(40_000))])
    wal = state / "events.db-wal"
    assert wal.stat().st_size > 10 * 1024 * 1024
    foreign.close()
    for _ in range(300):
        log.append([draft(payload=random.randbytes(40_000))])
    assert wal.stat().st_size <= 8 * 1024 * 1024
    assert verify(state / "events.db").events == 603


def test_rt_50_sqlite_is_free_of_the_wal_reset_fault_and_one_connection_writes(
    log: SqliteLog, state: Path
) -> None:
    """3.7.0 to 3.51.2 have it where two connections write and fold in at once."""
    assert tuple(map(int, SqliteLog.sqlite_version.split("."))) >= (3, 51, 3)
    fill(log, 2, 2)
    reading = log.read()
    next(reading)
    with LogReader.open(state / "events.db"):
        here = [c for c in apsw.connections() if c.db_filename("main").startswith(str(state))]
        assert len(here) == 3
        assert [c for c in here if not c.readonly("main")] == [log._connection]


def test_reader_knows_the_log_as_its_writer_does(log: SqliteLog, state: Path) -> None:
    for size in (0, 4):
        if size:
            fill(log, size)
        with LogReader.open(state / "events.db") as reader:
            assert (reader.log_id, reader.head()) == (log.log_id, log.head())


def test_gap_is_an_error_to_a_reader_and_not_skipped(copy: Path) -> None:
    with tampering(copy) as other:
        other.execute("DELETE FROM block WHERE no = 2")
    with LogReader.open(copy) as reader, pytest.raises(LogCorruptError, match="block 3"):
        list(reader.read())


def test_gap_at_the_beginning_is_an_error_to_a_reader(copy: Path) -> None:
    with tampering(copy) as other:
        other.execute("DELETE FROM block WHERE no = 1")
    with LogReader.open(copy) as reader, pytest.raises(LogCorruptError, match="event 4 follows 0"):
        list(reader.read())


def test_bytes_that_are_no_event_are_an_error_to_a_reader(copy: Path) -> None:
    with tampering(copy) as other:
        put_body(other, 2, b"\0\0\0\x09\0")
    with LogReader.open(copy) as reader, pytest.raises(LogCorruptError, match="event 4"):
        list(reader.read())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE block SET head_after = zeroblob(64) WHERE no = 3",
        "UPDATE block SET n = 2 WHERE no = 3",
        "UPDATE block SET first_seq = 6 WHERE no = 3",
        "UPDATE body SET data = x'' WHERE no = 3",
        "UPDATE body SET data = (SELECT data FROM body WHERE no = 2) WHERE no = 3",
        "DELETE FROM body WHERE no = 3",
    ],
)
def test_log_whose_end_does_not_hold_is_not_continued(copy: Path, state: Path, sql: str) -> None:
    with tampering(copy) as other:
        other.execute(sql)
    state.mkdir()
    shutil.copy(copy, state / "events.db")
    before = (state / "events.db").read_bytes()
    with pytest.raises(LogCorruptError, match="block 3"):
        SqliteLog.open(state, create=True)
    assert (state / "events.db").read_bytes() == before


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA application_id = 7; CREATE TABLE t(a); VACUUM")
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA application_id = 0x414D4F31; PRAGMA user_version = 3; VACUUM")
    connection.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.touch, "empty"),
        (Path.mkdir, "not a regular file"),
        (lambda path: path.write_bytes(os.urandom(8192)), "not a database"),
        (lambda path: path.write_bytes(b"SQLite"), "not a database"),
        (foreign, "another program's: application id 0x7"),
        (newer, "log format 3; this version reads 2"),
    ],
)
def test_file_that_is_no_log_of_ours_is_refused_and_left_alone(
    state: Path, make: object, why: str
) -> None:
    state.mkdir()
    path = state / "events.db"
    make(path)  # type: ignore[operator]  # one of the makers above
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UsageError, match=why):
        SqliteLog.open(state, create=True)
    assert [entry.name for entry in state.iterdir()] == ["events.db"]
    assert (path.read_bytes() if path.is_file() else None) == before


def test_schema_that_differs_by_one_trigger_is_refused(copy: Path, state: Path) -> None:
    with tampering(copy) as other:
        other.execute("CREATE TRIGGER t AFTER INSERT ON block BEGIN SELECT 1; END")
    state.mkdir()
    shutil.copy(copy, state / "events.db")
    with pytest.raises(LogCorruptError, match="schema"):
        SqliteLog.open(state, create=True)


def test_no_value_of_an_event_is_in_its_repr(log: SqliteLog) -> None:
    log.append([draft(payload=b"1HGCM82633A004352")])
    [recorded] = log.read()
    assert "1HGCM" not in repr(recorded) + repr(draft(payload=b"1HGCM82633A004352"))


def test_log_that_has_just_been_opened_verifies(log: SqliteLog, state: Path) -> None:
    assert verify(state / "events.db").verdict == "intact"
    fill(log, 2)
    assert verify(state / "events.db").head == log.head().hash.hex()


def test_readers_connection_cannot_write(log: SqliteLog, state: Path) -> None:
    fill(log, 1)
    with LogReader.open(state / "events.db") as reader, pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DROP TABLE block")


def test_log_and_reader_fit_their_doors(log: SqliteLog, state: Path) -> None:
    door: EventLog = log
    door.append([draft()])
    with LogReader.open(state / "events.db") as opened:
        reader: EventReader = opened
        assert [event.seq for event in reader.read()] == [1]
        with pytest.raises(ValueError, match="after = -1"):
            list(reader.read(-1))


def test_log_that_vanished_after_a_failure_is_a_store_error(log: SqliteLog, state: Path) -> None:
    fill(log, 1)
    log._disconnect()
    (state / "events.db").unlink()
    with pytest.raises(StoreError, match="gone"):
        log.append([draft()])


def test_format_page_has_the_schema_byte_for_byte() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats" / "log.md").read_text(encoding="utf-8")
    at = [
        page.index(
            re.sub(rf"(TRIGGER |ON ){table}(?=_|\n)", r"\1T", sql) if "_no_" in name else sql
        )
        for _, name, table, sql in SCHEMA
        if name != "body_no_delete"
    ]
    assert at == sorted(at)
