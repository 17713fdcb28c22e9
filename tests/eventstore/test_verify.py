"""Every byte that is stored is bound: each is changed once, and each change is found."""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import zstandard

from agent.clock import ClockQuality
from agent.errors import LogCorruptError, UsageError
from agent.eventstore import chain
from agent.eventstore.log import Recorded
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import Verdict, verify
from agent.privacy import Level
from tests.eventstore.conftest import body_of, draft, fill, put_body, rows, tampering

SIZES = (3, 1, 3)
EVENTS = sum(SIZES)


def offsets(body: bytes) -> Iterator[tuple[int, range]]:
    """Index of each event in a body, and where its length, check and bytes stand."""
    at = 0
    for index, (_, event) in enumerate(chain.unpack(body)):
        yield index, range(at, at + 8 + len(event))
        at += 8 + len(event)


def flipped(raw: bytes, at: int, mask: int = 0x01) -> bytes:
    return raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]


def test_untouched_log_is_intact_with_its_own_head(copy: Path) -> None:
    verdict = verify(copy)
    assert (verdict.verdict, verdict.first_bad_seq) == ("intact", None)
    assert (verdict.events, verdict.blocks) == (EVENTS, 3)
    with tampering(copy) as connection:
        head = connection.execute("SELECT head_after FROM block WHERE no = 3").get
    assert verdict.head == head.hex()


def test_copied_file_alone_is_enough_and_nothing_is_left_beside_it(
    copy: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "stick"
    alone.mkdir()
    shutil.copy(copy, alone / "evidence.db")
    before = (alone / "evidence.db").read_bytes()
    assert verify(alone / "evidence.db").verdict == "intact"
    assert [entry.name for entry in alone.iterdir()] == ["evidence.db"]
    assert (alone / "evidence.db").read_bytes() == before


def test_every_byte_of_every_event_names_that_event(copy: Path) -> None:
    checked = total = 0
    with tampering(copy) as connection:
        blocks = rows(connection, "SELECT no, first_seq FROM block")
        for no, first_seq in blocks:
            body = body_of(connection, no)
            for index, places in offsets(body):
                for at in places:
                    put_body(connection, no, flipped(body, at, 1 << at % 8))
                    verdict = verify(copy)
                    assert verdict.verdict == "tampered"
                    assert verdict.first_bad_seq == first_seq + index, (no, at, verdict.reason)
                    assert verdict.events == first_seq + index - 1
                    checked += 1
            put_body(connection, no, body)
            total += len(body)
    assert checked == total
    assert verify(copy).verdict == "intact"


@pytest.mark.parametrize("column", ["head_before", "head_after"])
def test_every_byte_of_a_head_names_an_event_of_its_block(copy: Path, column: str) -> None:
    edge = "first_seq" if column == "head_before" else "first_seq + n - 1"
    with tampering(copy) as connection:
        query = f"SELECT no, {edge}, {column} FROM block"
        for no, seq, head in rows(connection, query):
            put = f"UPDATE block SET {column} = ? WHERE no = ?"
            for at in range(64):
                connection.execute(put, (flipped(head, at), no))
                verdict = verify(copy)
                assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", seq)
            connection.execute(put, (head, no))


@pytest.mark.parametrize("column", ["no", "first_seq", "n"])
def test_every_bit_of_a_number_is_bound(copy: Path, column: str) -> None:
    with tampering(copy) as connection:
        blocks = rows(connection, f"SELECT rowid, {column}, first_seq FROM block")
        taken = {value for _, value, _ in blocks}
        for no, value, first_seq in blocks:
            for bit in range(63):
                changed = value ^ (1 << bit)
                if column == "no" and changed in taken:
                    continue  # two rows cannot have one number; swaps have their own test
                connection.execute(f"UPDATE block SET {column} = ? WHERE no = ?", (changed, no))
                verdict = verify(copy)
                assert verdict.verdict == "tampered"
                assert verdict.first_bad_seq is not None
                first_wrong = 1 if column == "no" and changed < no else first_seq
                assert verdict.first_bad_seq >= first_wrong
                key = changed if column == "no" else no
                connection.execute(f"UPDATE block SET {column} = ? WHERE no = ?", (value, key))
    assert verify(copy).verdict == "intact"


@pytest.mark.parametrize("column", ["log_id", "note"])
def test_every_byte_of_the_logs_name_is_bound(copy: Path, column: str) -> None:
    with tampering(copy) as connection:
        name = connection.execute(f"SELECT {column} FROM log").get
        for at in range(len(name)):
            connection.execute(f"UPDATE log SET {column} = ?", (flipped(name, at),))
            verdict = verify(copy)
            assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", 1)


COPY = """INSERT INTO block
    SELECT {0}, first_seq, n, head_before, head_after FROM block WHERE no = {1};
    INSERT INTO body SELECT {0}, data FROM body WHERE no = {1}"""
SWAP = """UPDATE {0} SET no = no - 5 WHERE no > 1;
    UPDATE {0} SET no = CASE no WHEN -3 THEN 3 ELSE 2 END WHERE no < 0"""
LONGER = "UPDATE body SET data = CAST(data || {} AS BLOB) WHERE no = 2"
SHORTER = "UPDATE block SET {0} = substr({0}, 1, length({0}) - 1) WHERE no = 2"


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("DELETE FROM block WHERE no = 1", 1),
        ("DELETE FROM block WHERE no = 2", 4),
        (COPY.format(4, 3), 8),
        (COPY.format(0, 1), 1),
        (SWAP.format("block"), 4),
        (SWAP.format("body"), 4),
        (SWAP.format("block") + ";" + SWAP.format("body"), 4),
        ("DELETE FROM body WHERE no = 2", 4),
        ("UPDATE body SET data = (SELECT data FROM body WHERE no = 3) WHERE no = 2", 4),
        (LONGER.format("x'00'"), 4),
        (LONGER.format("data"), 4),
        ("UPDATE body SET data = x'' WHERE no = 2", 4),
        ("UPDATE body SET data = substr(data, 1, length(data) - 1) WHERE no = 2", 4),
        (SHORTER.format("head_before"), 4),
        (SHORTER.format("head_after"), 4),
        ("UPDATE block SET n = 2 WHERE no = 3", 7),
        ("UPDATE block SET n = -1 WHERE no = 3", 5),
        ("UPDATE block SET n = 9 WHERE no = 2", 5),
        ("DELETE FROM log", 1),
        ("DROP TRIGGER block_no_update", 1),
        ("CREATE VIEW v AS SELECT 1", 1),
    ],
)
def test_change_of_blocks_is_found_at_its_place(copy: Path, sql: str, seq: int) -> None:
    with tampering(copy) as connection:
        connection.execute(sql)
    verdict = verify(copy)
    assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", seq), verdict.reason
    assert "\n" not in verdict.reason


@pytest.mark.parametrize(("longer", "seq"), [(b"\0", 5), (None, 5)])
def test_body_that_goes_on_is_found_behind_its_events(
    copy: Path, longer: bytes | None, seq: int
) -> None:
    with tampering(copy) as connection:
        body = body_of(connection, 2)
        put_body(connection, 2, body + (body if longer is None else longer))
    verdict = verify(copy)
    assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", seq), verdict.reason


def test_rt_03_body_that_was_compressed_again_holds(copy: Path) -> None:
    with tampering(copy) as connection:
        data = zstandard.ZstdCompressor(level=19).compress(body_of(connection, 2))
        connection.execute("UPDATE body SET data = ? WHERE no = 2", (data,))
    assert verify(copy).verdict == "intact"


def test_body_that_would_fill_the_memory_is_refused(copy: Path) -> None:
    huge = zstandard.ZstdCompressor(level=1).compress(bytes(chain.MAX_BODY + 1))
    with tampering(copy) as connection:
        connection.execute("UPDATE body SET data = ? WHERE no = 2", (huge,))
    verdict = verify(copy)
    assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", 4)
    assert f"at most {chain.MAX_BODY}" in verdict.reason


def test_block_of_another_log_is_found(copy: Path, tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "other", create=True) as other:
        fill(other, *SIZES)
    with tampering(copy) as connection:
        connection.execute("ATTACH ? AS other", (str(tmp_path / "other" / "events.db"),))
        for table in ("block", "body"):
            connection.execute(f"DELETE FROM {table} WHERE no = 2")
            connection.execute(f"INSERT INTO {table} SELECT * FROM other.{table} WHERE no = 2")
    verdict = verify(copy)
    assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", 4)


def test_tail_that_was_cut_at_a_block_is_not_seen_without_a_floor(copy: Path) -> None:
    with tampering(copy) as connection:
        connection.execute("DELETE FROM block WHERE no = 3; DELETE FROM body WHERE no = 3")
    verdict = verify(copy)
    assert (verdict.verdict, verdict.events) == ("intact", 4)  # stated in docs/formats/log.md


def forge(path: Path, *events: Recorded | bytes) -> Verdict:
    """Somebody who knows the format writes a first block that is right in every hash."""
    raw = [event if isinstance(event, bytes) else chain.encode(event) for event in events]
    with tampering(path) as connection:
        log_id, note = connection.execute("SELECT log_id, note FROM log").get
        before = chain.genesis(log_id, note)
        body, after = chain.pack(raw, before)
        connection.execute("DELETE FROM block; DELETE FROM body")
        connection.execute("INSERT INTO block VALUES (1, 1, ?, ?, ?)", (len(raw), before, after))
        connection.execute("INSERT INTO body VALUES (1, ?)", (chain.compress(body),))
    return verify(path)


def event(seq: int, boot: int = 1) -> Recorded:
    return Recorded(seq, "x/1", Level.LV3, 0, 0, boot, ClockQuality.NTP, b"")


def test_rightly_hashed_events_in_order_are_intact(copy: Path) -> None:
    assert forge(copy, event(1), event(2), event(3, boot=2)).verdict == "intact"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (event(3), "says it is 3"),
        (event(1), "says it is 1"),
        (event(2, boot=0), "boot 0 follows boot 1"),
        (flipped(chain.encode(event(2)), 0, 0x03), "event format 2"),
        (flipped(chain.encode(event(2)), 30, 0x04), "level 7"),
        (flipped(chain.encode(event(2)), 29, 0x40), "clock quality 66"),
        (flipped(chain.encode(event(2)), 32, 0x80), "not ASCII"),
        (flipped(chain.encode(event(2)), 31, 0x80), "with a kind of 131"),
        (b"", "event of 0 bytes"),
    ],
)
def test_rightly_hashed_nonsense_is_found(copy: Path, second: Recorded | bytes, why: str) -> None:
    verdict = forge(copy, event(1), second)
    assert (verdict.verdict, verdict.first_bad_seq) == ("tampered", 2)
    assert why in verdict.reason


def test_no_flipped_byte_of_the_file_goes_unseen_where_it_matters(copy: Path) -> None:
    """A flip is found, or it hit bytes nobody reads and the same events and head come out."""
    raw = copy.read_bytes()
    whole = verify(copy)
    chosen = set(range(110)) | set(random.Random(3).sample(range(len(raw)), 900))
    chosen |= {at for at in range(len(raw)) if raw[at]} - set(range(0, len(raw), 3))
    found = 0
    with copy.open("r+b", buffering=0) as file:
        for at in sorted(chosen):
            os.pwrite(file.fileno(), bytes([raw[at] ^ (1 << at % 8)]), at)
            try:
                verdict = verify(copy)
            except UsageError:
                assert 60 <= at < 72 or at < 16  # user version, application id, magic
                found += 1
            else:
                same = (verdict.events, verdict.head) == (whole.events, whole.head)
                assert verdict.verdict != "intact" or same, at
                found += verdict.verdict != "intact"
            os.pwrite(file.fileno(), raw[at : at + 1], at)
    assert found > 500


@pytest.mark.parametrize("at", range(16))
def test_log_with_a_damaged_magic_is_still_ours(copy: Path, at: int) -> None:
    copy.write_bytes(flipped(copy.read_bytes(), at))
    assert verify(copy).verdict == "damaged"


LEAVES = "SELECT pageno FROM dbstat WHERE name = 'body' AND pagetype = 'leaf' ORDER BY path"


def test_page_of_garbage_is_damage_after_the_last_event_before_it(tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        noise = random.Random(7)
        for _ in range(10):
            log.append([draft(i, payload=noise.randbytes(40)) for i in range(60)])
    path = tmp_path / "state" / "events.db"
    raw = bytearray(path.read_bytes())
    with apsw.Connection(str(path)) as connection:
        pages = rows(connection, LEAVES)
    connection.close()
    page = pages[len(pages) // 2][0]
    raw[(page - 1) * 4096 : page * 4096] = random.Random(1).randbytes(4096)
    path.write_bytes(raw)
    verdict = verify(path)
    assert verdict.verdict in {"damaged", "tampered"}
    assert 0 < verdict.events < 600
    assert verdict.first_bad_seq == verdict.events + 1
    assert "\n" not in verdict.reason


def test_file_that_was_cut_is_truncated(copy: Path) -> None:
    size = copy.stat().st_size
    for kept in (size - 1, size - 4096, 4096, 600):
        os.truncate(copy, kept)
        verdict = verify(copy)
        assert verdict.verdict == "truncated", verdict
        assert verdict.first_bad_seq is not None


def test_verdict_on_a_growing_log_covers_what_is_in_the_write_ahead_log(
    log: SqliteLog, state: Path
) -> None:
    fill(log, 5)
    assert verify(state / "events.db").events == 5
    fill(log, 5)
    assert verify(state / "events.db").events == 10


def test_progress_counts_blocks_to_their_number(copy: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify(copy, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", ["missing.db", ".", "empty.db", "text.db", "foreign.db", "a\0b"])
def test_what_is_no_log_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("hello " * 1000)
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    with pytest.raises(UsageError):
        verify(tmp_path / name)


def test_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    with pytest.raises(UsageError, match="regular file"):
        verify(tmp_path / "pipe.db")


def test_verdict_does_not_depend_on_the_name_of_the_file(copy: Path) -> None:
    odd = copy.with_name("100% öd?name#1.db")
    copy.rename(odd)
    assert verify(odd).verdict == "intact"


def test_error_of_a_reader_names_no_foreign_error_type(copy: Path) -> None:
    with tampering(copy) as connection:
        connection.execute("DELETE FROM log")
    verdict = verify(copy)
    assert "which one it is" in verdict.reason
    assert not issubclass(LogCorruptError, apsw.Error)


def test_rt_95_a_log_that_is_shared_out_gets_the_verdict_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.eventstore.walks._WORTH", 100)
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, *[2] * 200)
    path = tmp_path / "state" / "events.db"
    seen: list[tuple[int, int]] = []
    assert verify(path, progress=lambda *both: seen.append(both)) == verify(path, alone=True)
    assert seen[-1] == (200, 200)
    for sql in (
        "UPDATE block SET head_before = zeroblob(64) WHERE no = 65",
        "DELETE FROM body WHERE no = 150",
        "DELETE FROM block WHERE no = 129",
    ):
        with tampering(path) as connection:
            connection.execute(sql)
        verdict = verify(path)
        assert verdict == verify(path, alone=True)
        assert verdict.verdict == "tampered"
