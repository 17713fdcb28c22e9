"""What somebody with the file can do to it, and what both verifiers say to it.

Each attack is put to the agent's own verifier and to tools/verify_log.py, which shares no code with
it; `both` fails where they disagree on the verdict or on the first bad sequence number. They use
two SQLite libraries, so nothing else has the file open while they look. What only a MAC can show is
seen by the first verifier with the owner's keys alone.
AMO_FLIPS says how many bytes of each file are changed, 0 means all.
"""

import ctypes
import itertools
import os
import random
import shutil
from bisect import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
import zstandard

from agent.clock import ManualClock
from agent.events import encode
from agent.eventstore import chain, note
from agent.eventstore.sealer import Firmware, Sealer
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR
from agent.wallet.keys import FileKey
from tests.data import make_golden_log
from tests.data.make_golden_log import FixedKeys
from tests.eventstore.conftest import draft, fill, rows, tampering
from tests.eventstore.verifiers import INTACT, UNUSABLE, Found, Known, both, by_agent, by_tool
from tools import verify_log

FLIPS = int(os.environ.get("AMO_FLIPS", "400"))
TABLES = ("log", "block", "body", "pruned", "tile", "seal")
GOLDEN = (make_golden_log.GOLDEN, make_golden_log.SEALED)
KEYS = Known(device=make_golden_log.DEVICE.public, roots={1: make_golden_log.SEAL_ROOT})
DEVICE = KEYS._replace(roots={})
ENDS = (3, 4, 7)
"""The last event of each block of `copy`."""


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Seals over 308, 502 and 602 events; blocks 2 to 4 pruned; 604 events in 10 blocks."""
    return Path(shutil.copy(make_golden_log.SEALED, tmp_path / "sealed.db"))


def tampered(seq: int) -> Found:
    return Found("tampered", seq)


def run(path: Path, *statements: str) -> None:
    with tampering(path) as connection:
        for sql in statements:
            connection.execute(sql)


def put(path: Path, no: int, data: bytes) -> None:
    with tampering(path) as connection:
        connection.execute("UPDATE body SET data = ? WHERE no = ?", (data, no))


def asked(path: Path, query: str) -> list[tuple[Any, ...]]:
    with tampering(path) as connection:
        return rows(connection, query)


def content(path: Path) -> list[list[tuple[Any, ...]]]:
    """Every row of every table but for the MACs, bodies as they are without compression."""
    found = [asked(path, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES[:-1]]
    zstd, place = ctypes.CDLL("libzstd.so.1"), TABLES.index("body")
    found[place] = [(no, verify_log.decompressed(data, zstd)) for no, data in found[place]]
    return [*found, asked(path, "SELECT no, note, signature FROM seal ORDER BY 1")]


def macs(path: Path) -> list[tuple[Any, ...]]:
    """Seen by the first verifier with keys alone."""
    return asked(path, "SELECT mac FROM seal ORDER BY no")


def packed(path: Path, to: Path) -> Path:
    """The same log on pages of 512 bytes, of which little is unused."""
    with tampering(path) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM INTO ?", (str(to),))
    return to


def places(size: int, count: int) -> Sequence[int]:
    return range(size) if not count else sorted(random.Random(95).sample(range(size), count))


def changed(path: Path, count: int) -> Iterator[int]:
    """Changes one bit of the file at a time, and puts it back."""
    raw = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for at in places(len(raw), count):
            os.pwrite(file.fileno(), bytes([raw[at] ^ (1 << at % 8)]), at)
            yield at
            os.pwrite(file.fileno(), raw[at : at + 1], at)


@pytest.mark.parametrize("golden", GOLDEN, ids=["chain", "sealed"])
def test_rt_01_changed_byte_is_found_by_both_or_stands_where_nothing_is(
    golden: Path, tmp_path: Path
) -> None:
    path = packed(Path(shutil.copy(golden, tmp_path / "log.db")), tmp_path / "packed.db")
    whole, tags, found, agreed = content(path), macs(path), 0, 0
    begins = [row[1] for row in whole[1]]
    assert both(path, KEYS) == INTACT
    for at in changed(path, FLIPS):
        one, other = by_agent(path, KEYS), by_tool(path, KEYS)
        if INTACT in (one, other):
            # both, but for a frame that only an older Zstandard reads, with what it always held,
            # and for a MAC
            assert content(path) == whole, at
            assert macs(path) == tags or (one.word, other) == ("tampered", INTACT), at
            continue
        found += 1
        agreed += bisect(begins, one.seq or 0) == bisect(begins, other.seq or 0)
    assert found > FLIPS / 3
    assert agreed > 0.95 * found  # the others broke SQLite's own pages


@pytest.mark.parametrize("column", ["no", "first_seq", "n"])
def test_rt_02_every_bit_of_a_blocks_numbers_is_bound(copy: Path, column: str) -> None:
    values = dict(asked(copy, f"SELECT no, {column} FROM block"))
    for no, bit in itertools.product(values, range(0, 63, 3)):
        other = values[no] ^ (1 << bit)
        if column == "no" and other in values:
            continue  # two rows cannot have one number; swaps have their own test
        run(copy, f"UPDATE block SET {column} = {other} WHERE no = {no}")
        assert both(copy).word == "tampered", (no, bit)
        key = other if column == "no" else no
        run(copy, f"UPDATE block SET {column} = {values[no]} WHERE no = {key}")
    assert both(copy) == INTACT


def test_rt_03_body_may_be_compressed_again_and_nothing_else(copy: Path) -> None:
    frame = asked(copy, "SELECT data FROM body WHERE no = 2")[0][0]
    body = chain.decompress(frame)
    for level in (-5, 3, 19):
        put(copy, 2, zstandard.ZstdCompressor(level=level).compress(body))
        assert both(copy) == INTACT
    dictionary = zstandard.train_dictionary(256, [b"%d payload %d" % (i, i) for i in range(999)])
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    for data in (
        *(b"", body, frame[:-1], frame + b"\0", frame + frame, chain.compress(b"")),
        *(skipped, skipped + frame, frame + skipped),
        zstandard.ZstdCompressor(dict_data=dictionary).compress(body),
        zstandard.ZstdCompressor(write_content_size=False).compress(body),
        zstandard.ZstdCompressor().compress(bytes(chain.MAX_BODY + 1)),
    ):
        put(copy, 2, data)
        assert both(copy) == tampered(4), data[:40]


def test_rt_04_rt_05_writers_connection_replaces_nothing(tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, 3, 1)
        connection = log._connection
        assert connection is not None
        for sql in (
            "UPDATE body SET data = x'00'",
            "UPDATE block SET n = 2",
            "DELETE FROM block",
            "INSERT OR REPLACE INTO body VALUES (1, x'00')",
            "INSERT OR REPLACE INTO block SELECT * FROM block WHERE no = 1",
            "DROP TRIGGER body_no_update",
            "PRAGMA writable_schema = ON",
        ):
            with pytest.raises((apsw.AuthError, apsw.ConstraintError)):
                connection.execute(sql)
    assert both(tmp_path / "state" / "events.db") == INTACT


def test_rt_05_row_replaced_by_another_program_is_found(copy: Path) -> None:
    run(copy, "INSERT OR REPLACE INTO body SELECT 2, data FROM body WHERE no = 1")
    assert both(copy) == tampered(4)


@pytest.mark.parametrize("no", [1, 2, 3])
def test_rt_06_every_deleted_block_is_found_but_the_last(copy: Path, no: int) -> None:
    run(copy, f"DELETE FROM block WHERE no = {no}", f"DELETE FROM body WHERE no = {no}")
    # a shorter log holds: only what lies outside the file can tell (docs/formats/log.md)
    assert both(copy) == (INTACT if no == 3 else tampered((0, *ENDS)[no - 1] + 1))


@pytest.mark.parametrize("table", ["block", "body"])
@pytest.mark.parametrize("no", [1, 2, 3])
def test_rt_06_half_of_a_deleted_block_is_found(copy: Path, no: int, table: str) -> None:
    run(copy, f"DELETE FROM {table} WHERE no = {no}")
    assert both(copy).word == "tampered"


@pytest.mark.parametrize("pair", [(1, 2), (1, 3), (2, 3)])
@pytest.mark.parametrize("tables", [("block", "body"), ("block",), ("body",)])
def test_rt_07_swapped_blocks_are_found(
    copy: Path, pair: tuple[int, int], tables: tuple[str, ...]
) -> None:
    low, high = pair
    for table in tables:
        run(
            copy,
            f"UPDATE {table} SET no = 9 WHERE no = {low}",
            f"UPDATE {table} SET no = {low} WHERE no = {high}",
            f"UPDATE {table} SET no = {high} WHERE no = 9",
        )
    assert both(copy) == tampered((0, *ENDS)[low - 1] + 1)


def test_rt_07_rt_08_events_swapped_doubled_or_left_out_are_found(copy: Path) -> None:
    body = chain.decompress(asked(copy, "SELECT data FROM body WHERE no = 3")[0][0])
    parts = [b"".join(part) for part in _entries(body)]
    for order in (
        *itertools.permutations(range(3)),
        *itertools.product(range(3), repeat=2),
        (0, 1, 2, 2),
    ):
        put(copy, 3, chain.compress(b"".join(parts[i] for i in order)))
        right = next((i for i, part in enumerate(order) if i != part), len(order))
        expected = INTACT if order == (0, 1, 2) else tampered(5 + right)
        assert both(copy) == expected, order


def _entries(body: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    for check, event in chain.unpack(body):
        yield len(event).to_bytes(4, "big"), check, event


@pytest.mark.parametrize(("no", "to", "seq"), [(3, 4, 8), (1, 4, 8), (1, 0, 1), (2, -1, 1)])
def test_rt_08_doubled_block_is_found(copy: Path, no: int, to: int, seq: int) -> None:
    run(
        copy,
        f"INSERT INTO block SELECT {to}, first_seq, n, head_before, head_after FROM block"
        f" WHERE no = {no}",
        f"INSERT INTO body SELECT {to}, data FROM body WHERE no = {no}",
    )
    assert both(copy) == tampered(seq)


def test_rt_18_every_block_of_another_log_is_found(copy: Path, tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "other", create=True) as other:
        fill(other, 3, 1, 3)
    for no in (1, 2, 3):
        spliced = Path(shutil.copy(copy, tmp_path / f"{no}.db"))
        with tampering(spliced) as connection:
            connection.execute("ATTACH ? AS o", (str(tmp_path / "other" / "events.db"),))
            for table in ("block", "body"):
                connection.execute(f"DELETE FROM {table} WHERE no = {no}")
                connection.execute(f"INSERT INTO {table} SELECT * FROM o.{table} WHERE no = {no}")
        assert both(spliced) == tampered((0, *ENDS)[no - 1] + 1)


@pytest.mark.parametrize("column", ["log_id", "note"])
def test_rt_18_log_under_another_name_is_found(copy: Path, column: str) -> None:
    run(copy, f"UPDATE log SET {column} = CAST(substr({column}, 2) || 'x' AS BLOB)")
    assert both(copy) == tampered(1)


def test_rt_09_every_length_of_the_file_but_the_whole_is_found(copy: Path) -> None:
    raw = copy.read_bytes()
    for size in (*range(0, 200, 7), *places(len(raw), 60)):
        copy.write_bytes(raw[:size])
        found = both(copy)
        assert found.word == ("truncated" if size >= 72 else "unusable"), size
    copy.write_bytes(raw)
    assert both(copy) == INTACT


SQL = (
    "DROP TRIGGER block_no_update",
    "CREATE VIEW v AS SELECT load_extension('x')",
    "CREATE TABLE extra(a, b GENERATED ALWAYS AS (a || 'x') STORED)",
    "CREATE INDEX i ON block(first_seq)",
    "CREATE INDEX i ON block(abs(n)) WHERE n > 1",
    "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT RAISE(ABORT, 'run'); END",
    "CREATE VIRTUAL TABLE f USING fts5(a)",
    "ALTER TABLE log RENAME COLUMN note TO notes",
    "ALTER TABLE seal ADD COLUMN more INTEGER",
    "ANALYZE",
)
SCHEMA = (
    "UPDATE sqlite_schema SET sql = sql || ' ' WHERE name = 'tile'",
    "UPDATE sqlite_schema SET sql = replace(sql, '65535', '65536') WHERE name = 'block'",
    "UPDATE sqlite_schema SET sql = CAST(x'435245415445ff' AS TEXT) WHERE name = 'tile'",
    "UPDATE sqlite_schema SET rootpage = 7 WHERE name = 'pruned'",
    "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'body'",
    "UPDATE sqlite_schema SET type = 'view' WHERE name = 'tile'",
    "UPDATE sqlite_schema SET tbl_name = 'log' WHERE name = 'tile_next'",
    "DELETE FROM sqlite_schema WHERE name = 'seal'",
    "INSERT INTO sqlite_schema SELECT type, name || '2', name || '2', 0, sql FROM sqlite_schema",
)


@pytest.mark.parametrize("sql", SQL)
def test_rt_21_anything_more_or_less_in_the_schema_is_found_and_never_run(
    copy: Path, sql: str
) -> None:
    run(copy, sql)
    assert both(copy) == tampered(1)


@pytest.mark.parametrize("sql", SCHEMA)
def test_rt_21_schema_written_by_hand_is_found(copy: Path, sql: str) -> None:
    run(copy, "PRAGMA writable_schema = ON", sql)
    one, other = by_agent(copy), by_tool(copy)
    assert one.word in {"tampered", "damaged"}
    assert other.word in {"tampered", "damaged"}


@pytest.mark.parametrize("value", ["'text'", "1.5", "NULL", "zeroblob(70)"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("block", "head_before"), ("block", "n"), ("body", "data"), ("log", "log_id")],
)
def test_rt_21_column_of_another_type_is_found(
    copy: Path, table: str, column: str, value: str
) -> None:
    """STRICT keeps them out of our own hands; a file made elsewhere may have them."""
    schema = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
    with tampering(copy) as connection:
        sql = connection.execute(f"SELECT sql FROM sqlite_schema WHERE name = '{table}'").get
        connection.execute("PRAGMA writable_schema = ON")
        loose = sql.replace("STRICT", "").replace("NOT NULL", "")
        connection.execute(schema, (loose, table))
    run(copy, f"UPDATE {table} SET {column} = {value}")
    with tampering(copy) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(schema, (sql, table))
    assert both(copy) == tampered(1)


def test_rt_22_what_is_no_log_of_this_format_is_refused_and_left_as_it_was(
    copy: Path, tmp_path: Path
) -> None:
    for pragma in ("user_version = 3", "user_version = 1", "application_id = 1"):
        other = Path(shutil.copy(copy, tmp_path / "other.db"))
        run(other, f"PRAGMA {pragma}")
        raw = other.read_bytes()
        assert both(other) == UNUSABLE
        assert other.read_bytes() == raw
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("hello " * 1000)
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "link.db")
    for name in ("missing.db", ".", "empty.db", "text.db", "pipe.db", "link.db"):
        assert both(tmp_path / name) == UNUSABLE, name


def test_rt_95_random_files_get_one_verdict(tmp_path: Path) -> None:
    """Runs of bytes changed, moved or zeroed, as a fault of a disk or a clumsy hand does."""
    rng = random.Random(22)
    for golden, number in itertools.product(GOLDEN, range(max(60, FLIPS // 10))):
        path = packed(Path(shutil.copy(golden, tmp_path / "log.db")), tmp_path / f"{number}.db")
        raw = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 3)):
            at, size = rng.randrange(100, len(raw)), rng.choice((1, 2, 8, 64, 512))
            source = rng.randrange(len(raw))
            new = rng.choice((rng.randbytes(size), bytes(size), bytes(raw[source : source + size])))
            raw[at : at + size] = new[: len(raw) - at]
        path.write_bytes(raw)
        one, other = by_agent(path, DEVICE), by_tool(path, DEVICE)
        assert (one == INTACT) == (other == INTACT), number
        assert (one == UNUSABLE) == (other == UNUSABLE), number
        path.unlink()


@pytest.fixture
def days(tmp_path: Path) -> list[Path]:
    """Copies of one log after each of five days, the floor of each beside it."""
    made, state, keys = [], tmp_path / "state", FixedKeys()
    for day, sizes in enumerate([(5,), (1, 60), (7,), (230,), (3, 2)]):
        with SqliteLog.open(state, create=True) as log:
            sealer = Sealer(
                log,
                state / EVENTS,
                keys=keys,
                firmware=Firmware("1.0", bytes(32)),
                clock=ManualClock(make_golden_log.T0_NS),
                floor_file=state / FLOOR,
            )
            fill(log, *sizes)
            told = sealer.seal()
            assert told is not None
            log.append([draft(kind=told.kind, payload=encode(told))])
            sealer.lay_floor(log.head())
        made.append(Path(shutil.copy(state / EVENTS, tmp_path / f"day-{day}.db")))
        shutil.copy(state / FLOOR, made[-1].with_suffix(".floor"))
    return made


def test_rt_12_every_earlier_copy_is_below_the_floor_of_a_later_day(days: list[Path]) -> None:
    for (day, copy), later in itertools.product(enumerate(days), range(len(days))):
        known = KEYS._replace(floor=days[later].with_suffix(".floor"))
        end = asked(copy, "SELECT max(first_seq + n) FROM block")[0][0]
        assert both(copy, known) == (INTACT if later <= day else Found("truncated", end)), later
        assert both(copy, KEYS) == INTACT  # the file itself cannot tell


def test_rt_09_rt_10_tail_cut_at_any_block_is_below_the_floor(
    days: list[Path], tmp_path: Path
) -> None:
    log, known = days[-1], KEYS._replace(floor=days[-1].with_suffix(".floor"))
    ends = asked(log, "SELECT no, first_seq + n - 1 FROM block")
    covered = [note.decode(raw).size for (raw,) in asked(log, "SELECT note FROM seal")]
    for no, end in ends[:-1]:
        cut = Path(shutil.copy(log, tmp_path / "cut.db"))
        run(cut, f"DELETE FROM block WHERE no > {no}", f"DELETE FROM body WHERE no > {no}")
        held = sum(size <= end for size in covered)
        # its seals tell of what is gone
        assert both(cut, KEYS) == (INTACT if held == len(covered) else tampered(end + 1))
        run(cut, f"DELETE FROM seal WHERE no > {held}")
        last = covered[held - 1] if held else 0
        run(cut, f"DELETE FROM tile WHERE no >= {last // 256}")
        assert both(cut, KEYS) == INTACT  # without a floor it is a shorter log
        assert both(cut, known) == Found("truncated", end + 1)


def test_rt_18_floor_of_another_log_does_not_fit(days: list[Path], sealed: Path) -> None:
    known = KEYS._replace(floor=days[0].with_suffix(".floor"))
    assert both(sealed, known) == Found("truncated", 605)


@pytest.mark.parametrize("table", ["seal", "tile"])
def test_rt_06_rt_07_rt_08_rt_16_rt_17_every_row_deleted_doubled_or_swapped_is_found(
    days: list[Path], table: str
) -> None:
    log = days[-1]
    numbers = [no for (no,) in asked(log, f"SELECT no FROM {table}")]
    columns = "note, mac, signature" if table == "seal" else "hash"
    last = numbers[-1] + 1
    doubled = f"INSERT INTO {table} SELECT {{}}, {columns} FROM {table} WHERE no = {{}}"
    for no in numbers:
        for sql in (
            f"DELETE FROM {table} WHERE no = {no}",
            doubled.format(last, no),
            doubled.format(-1, no),
            doubled.format(2**62, no),
        ):
            changed_ = Path(shutil.copy(log, log.with_name("changed.db")))
            run(changed_, sql)
            assert both(changed_, KEYS).word == "tampered", sql
    for one, other in itertools.combinations(numbers, 2):
        changed_ = Path(shutil.copy(log, log.with_name("changed.db")))
        run(
            changed_,
            f"UPDATE {table} SET no = {2**62} WHERE no = {one}",
            f"UPDATE {table} SET no = {one} WHERE no = {other}",
            f"UPDATE {table} SET no = {other} WHERE no = {2**62}",
        )
        assert both(changed_, KEYS).word == "tampered", (one, other)


def test_rt_15_rt_31_seal_under_other_keys_is_found_by_who_knows_them(days: list[Path]) -> None:
    other = FileKey(bytes(range(1, 33)), protected=False)
    assert both(days[-1], Known(device=other.public)) == tampered(1)
    assert by_agent(days[-1], Known(roots={1: bytes(32)})) == tampered(1)
    last = asked(days[-1], "SELECT max(no) FROM seal")[0][0]
    run(days[-1], f"UPDATE seal SET mac = zeroblob(64) WHERE no = {last}")
    assert both(days[-1], DEVICE) == INTACT  # who has not the owner's keys cannot tell
    # seen by the first verifier with keys alone
    assert (by_agent(days[-1], KEYS).word, by_tool(days[-1], KEYS)) == ("tampered", INTACT)
