import math
import shutil
import sqlite3
from pathlib import Path

import pytest

from agent.clock import ClockQuality
from agent.errors import StoreError
from agent.events import (
    AgentStarted,
    AgentStopped,
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DtcCleared,
    DtcSet,
    FundsShort,
    InputLost,
    ParcelRegistered,
    PollsUsed,
    SignalsSampled,
    TxEnded,
    TxRepeated,
    TxSigned,
    VinRead,
    encode,
)
from agent.eventstore.folds import FOLDS
from agent.eventstore.kindbits import kind_bits
from agent.eventstore.log import Draft, Recorded
from agent.eventstore.modelschema import STRETCH
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.sqlite import SqliteLog
from agent.privacy import Level
from tests.data import make_golden_log
from tests.eventstore.modelled import folded, rows, sampled, stored, values

START = AgentStarted("1", "boot", "3.54")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readmodel.db"


def test_events_are_counted_by_kind_and_level(log: SqliteLog, path: Path) -> None:
    loss = stored(InputLost("frames", 2, "full"))
    with folded(log, path, loss, loss, sampled(0), stored(VinRead("x", "obd"))) as model:
        assert values(model, "kind_count", "kind", "level", "events", "unread") == [
            ("input-lost/1", 3, 2, 0),
            ("signals-sampled/1", 3, 1, 0),
            ("vin-read/1", 1, 1, 0),
        ]


def test_each_kind_is_found_by_its_first_and_last_event(log: SqliteLog, path: Path) -> None:
    with folded(log, path, sampled(0), stored(START), sampled(1)) as model:
        log.append([sampled(2), stored(VinRead("x", "obd"))])
        model.catch_up(log)
        assert values(model, "kind_count", "kind", "first_seq", "last_seq") == [
            ("agent-started/1", 2, 2),
            ("signals-sampled/1", 1, 4),
            ("vin-read/1", 5, 5),
        ]


def test_latest_value_is_the_one_that_arrived_last(log: SqliteLog, path: Path) -> None:
    with folded(
        log,
        path,
        sampled(5_000, speed_vehicle=([1, 2], [10.0, 11.0]), gear=([], [])),
        sampled(1_000, speed_vehicle=([7], [3.5])),  # the wall clock stepped back
    ) as model:
        assert rows(model, "latest") == [
            {"name": "speed.vehicle", "value": 3.5, "t_ns": 1_007, "origin": "can0", "seq": 2}
        ]


def test_sealed_event_is_counted_and_never_opened(log: SqliteLog, path: Path) -> None:
    position = SignalsSampled("gnss", 0, {"position.latitude": ([0], [48.1])})
    with folded(log, path, stored(position, 0, Level.LV2)) as model:
        assert (rows(model, "latest"), rows(model, "dead_letter")) == ([], [])
        assert rows(model, "kind_count")[0]["unread"] == 0
    assert b"position.latitude" not in path.read_bytes()


def test_signal_that_should_have_been_sealed_does_not_enter_the_read_model(
    log: SqliteLog, path: Path
) -> None:
    leak = sampled(0, position_latitude=([0], [48.1]), gear=([0], [2.0]))
    with folded(log, path, leak, sampled(0, gear=([0], [3.0]))) as model:
        assert values(model, "latest", "name", "value") == [("gear", 3.0)]
        assert values(model, "dead_letter", "seq", "reason") == [
            (1, "a signal that is more personal than its event")
        ]
    assert b"position.latitude" not in path.read_bytes()


def test_every_change_of_a_fault_code_is_kept(log: SqliteLog, path: Path) -> None:
    on, off, other = DtcSet("P0301", "7E8"), DtcCleared("P0301", "7E8"), DtcSet("P0420", "7E9")
    with folded(log, path, stored(on, 1), stored(other, 2), stored(off, 3)) as model:
        assert values(model, "dtc_open", "code", "ecu", "t_ns") == [("P0420", "7E9", 2)]
        log.append([stored(on, 1)])  # by a clock that stepped back
        model.catch_up(log)
        assert values(model, "dtc", "seq", "code", "change", "t_ns") == [
            (1, "P0301", "set", 1),
            (2, "P0420", "set", 2),
            (3, "P0301", "cleared", 3),
            (4, "P0301", "set", 1),
        ]
        assert values(model, "dtc_open", "code", "seq") == [("P0420", 2), ("P0301", 4)]


def test_memories_of_an_ecu_are_kept_apart(log: SqliteLog, path: Path) -> None:
    pending = DtcSet("P0301", "7E8", "pending")
    gone = DtcCleared("P0301", "7E8", "pending")
    on = DtcSet("P0301", "7E8")
    with folded(log, path, stored(pending, 1), stored(on, 2), stored(gone, 3)) as model:
        assert values(model, "dtc_open", "code", "memory") == [("P0301", "stored")]


def test_of_each_signer_the_last_polls_are_kept(log: SqliteLog, path: Path) -> None:
    used = [PollsUsed(7, b"a", "A"), PollsUsed(8, b"b", "A"), PollsUsed(1, b"c", "B")]
    with folded(log, path, *(stored(event, 1) for event in used)) as model:
        assert values(model, "polls", "signer", "serial", "digest", "seq") == [
            ("A", 8, "62", 2),
            ("B", 1, "63", 3),
        ]


def test_consents_keep_their_history_and_the_last_word(log: SqliteLog, path: Path) -> None:
    with folded(
        log,
        path,
        stored(ConsentRequested("AA", "B1", "100"), 1),
        stored(ConsentRequested("AA", "B2", "100"), 2),
        stored(ConsentGranted("AA", "B1", "owner", "T1"), 3),
        stored(ConsentRefused("AA", "B2", "rule 1"), 4),
        stored(ConsentRevoked("AA", "B1", "T2"), 5),
    ) as model:
        names = ("buyer", "state", "t_ns", "by", "tx_hash", "payment_mote")
        assert values(model, "consent", *names) == [
            ("B1", "requested", 1, None, None, "100"),
            ("B2", "requested", 2, None, None, "100"),
            ("B1", "granted", 3, "owner", "T1", None),
            ("B2", "refused", 4, "rule 1", None, None),
            ("B1", "revoked", 5, None, "T2", None),
        ]
        assert values(model, "consent_now", "buyer", "state") == [
            ("B2", "refused"),
            ("B1", "revoked"),
        ]


def test_a_transaction_is_under_way_until_its_end_is_known_and_may_be_corrected(
    log: SqliteLog, path: Path
) -> None:
    with folded(
        log,
        path,
        stored(TxSigned("H1", "transfer", b"raw", 5, "transfer:1", "7"), 1),
        stored(TxSigned("H2", "grant", b"raw", 6, "grant:A:B", "0", "a rule"), 2),
        stored(TxEnded("H1", 0, 2, "one"), 3),
        stored(TxEnded("H1", 9, 0, "one"), 4),
        stored(TxRepeated("H3", "H1", 10), 5),
        stored(TxRepeated("H3", "H1", 10), 6),
        stored(FundsShort("5", "0", "grant:A:B", "owner"), 7),
        stored(FundsShort("6", "1", "grant:A:B", "owner"), 8),
    ) as model:
        names = ("hash", "once", "cost_mote", "by", "seq", "height", "code", "proof")
        assert values(model, "outgoing", *names) == [
            ("H1", "transfer:1", "7", "owner", 1, 9, 0, "one"),
            ("H2", "grant:A:B", "0", "a rule", 2, None, None, None),
        ]
        assert values(model, "repeated", "hash", "of_hash", "height", "seq") == [
            ("H3", "H1", 10, 5)
        ]
        assert values(model, "short", "once", "needed_mote", "seq") == [("grant:A:B", "6", 8)]


def test_upload_stands_where_the_receipts_of_a_level_end(log: SqliteLog, path: Path) -> None:
    def receipt(number: str, level: int, first: int, last: int) -> Draft:
        event = ParcelRegistered(number, level, first, last, 4_000, "TX", 7, b"custody", b"root")
        return stored(event)

    with folded(
        log, path, receipt("AB", 3, 1, 90), receipt("AC", 3, 91, 95), receipt("AD", 1, 1, 50)
    ) as model:
        assert [tuple(row.values()) for row in rows(model, "upload")] == [(1, 50, 1), (3, 95, 2)]
        assert values(model, "parcel", "parcel_id", "seq") == [("AB", 1), ("AC", 2), ("AD", 3)]
    assert b"custody" not in path.read_bytes()


def test_losses_are_kept_one_by_one_and_summed_by_reason(log: SqliteLog, path: Path) -> None:
    with folded(
        log,
        path,
        stored(InputLost("frames", 2, "full"), 5),
        stored(InputLost("frames", 3, "full"), 6),
        stored(InputLost("events", 1, "slow disk"), 7),
    ) as model:
        assert values(model, "loss", "count", "t_ns") == [(2, 5), (3, 6), (1, 7)]
        assert values(model, "loss_total", "what", "reason", "count") == [
            ("events", "slow disk", 1),
            ("frames", "full", 5),
        ]


def test_sum_of_losses_that_no_integer_holds_ends_at_the_largest(
    log: SqliteLog, path: Path
) -> None:
    most = stored(InputLost("frames", 2**63 - 1, "storm"))
    with folded(log, path, most, most) as model:
        assert values(model, "loss_total", "count") == [(2**63 - 1,)]


def test_trip_is_a_start_of_the_agent_to_its_stop(state: Path, path: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        log.append([stored(START, 10), sampled(30)])  # and then the power was cut
    with SqliteLog.open(state, create=False) as log:
        folded(log, path, stored(START, 50), sampled(60)).close()
        with folded(log, path, sampled(70), stored(AgentStopped("finished"), 90)) as model:
            assert [tuple(row.values()) for row in rows(model, "trip")] == [
                (1, 1, 2, 10, 30, None),
                (2, 3, 6, 50, 90, "finished"),
            ]


def test_events_of_a_trip_are_a_range_of_the_log(state: Path, path: Path) -> None:
    for _ in range(2):
        with SqliteLog.open(state, create=True) as log:
            log.append([stored(START), sampled(1), stored(AgentStopped("finished"))])
            with folded(log, path, sampled(2)) as model:
                found = values(model, "trip", "first_seq", "last_seq")
            events = list(log.read(found[-1][0] - 1, found[-1][1]))
    assert [event.seq for event in events] == [5, 6, 7, 8]
    assert {event.boot for event in events} == {2}


def test_stretch_knows_the_times_of_its_events_however_they_were_batched(
    log: SqliteLog, path: Path
) -> None:
    with folded(log, path, *[sampled(t) for t in (7, 3, 5)]) as model:
        log.append([sampled(100 + t) for t in range(STRETCH)])
        kinds = kind_bits([SignalsSampled.kind])
        model.catch_up(log)
        assert [tuple(row.values()) for row in rows(model, "stretch")] == [
            (1, STRETCH, 3, 100 + STRETCH - 4, kinds),
            (STRETCH + 1, STRETCH + 3, 100 + STRETCH - 3, 100 + STRETCH - 1, kinds),
        ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "signals-sampled/1: Input data was truncated"),
        (b"\xc1", "signals-sampled/1: MessagePack data is malformed"),
        (encode(SignalsSampled("can0", 2**63, {"gear": ([1], [1.0])})), "gear: a time of"),
        (encode(SignalsSampled("can0", 0, {"gear": ([1, 2], [1.0])})), "gear: 2 times, 1 values"),
    ],
)
def test_payload_that_does_not_fit_its_kind_is_a_dead_letter_and_stops_nothing(
    log: SqliteLog, path: Path, payload: bytes, reason: str
) -> None:
    bad = Draft("signals-sampled/1", Level.LV3, 0, 0, ClockQuality.NTP, payload)
    with folded(log, path, bad, sampled(1, gear=([0], [2.0]))) as model:
        assert values(model, "latest", "value") == [(2.0,)]
        assert values(model, "kind_count", "events", "unread") == [(2, 1)]
        [letter] = rows(model, "dead_letter")
        assert (letter["seq"], letter["kind"]) == (1, "signals-sampled/1")
        assert letter["reason"].startswith(reason)


def test_kind_that_is_not_invented_yet_is_counted_and_is_no_dead_letter(
    log: SqliteLog, path: Path
) -> None:
    new = Draft("not-yet-invented/9", Level.LV4, 0, 0, ClockQuality.NTP, b"\x90")
    with folded(log, path, new, sampled(0)) as model:
        assert values(model, "kind_count", "kind", "events", "unread") == [
            ("not-yet-invented/9", 1, 1),
            ("signals-sampled/1", 1, 0),
        ]
        assert rows(model, "dead_letter") == []


def test_numbers_too_large_for_the_tables_are_dead_letters(log: SqliteLog, path: Path) -> None:
    loss = stored(InputLost("frames", 2**64 - 1, "storm"))
    with folded(log, path, loss, sampled(0, gear=([0], [math.nan]))) as model:
        assert values(model, "dead_letter", "seq", "reason") == [(1, "OverflowError")]
        assert values(model, "latest", "value") == [(None,)]


def test_rt_52_fold_with_a_fault_of_our_own_stops_no_other(
    log: SqliteLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(event: DtcSet, at: Recorded) -> tuple[str, tuple[str, ...]]:
        raise KeyError(event.code, at)

    monkeypatch.setitem(FOLDS, DtcSet.kind, faulty)
    code = stored(DtcSet("P0301", "7E8"))
    loss = stored(InputLost("frames", 1, "full"))
    with folded(log, path, loss, code, code, loss) as model:
        assert values(model, "dead_letter", "seq", "kind", "reason") == [
            (2, "dtc-set/1", "KeyError"),
            (3, "dtc-set/1", "KeyError"),
        ]
        assert values(model, "kind_count", "kind", "events", "unread") == [
            ("dtc-set/1", 2, 2),
            ("input-lost/1", 2, 0),
        ]
        assert values(model, "loss_total", "count") == [(2,)]
        assert model.through == 4


def test_fault_of_the_database_is_not_laid_on_the_event(
    log: SqliteLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(event: DtcSet, at: Recorded) -> tuple[str, tuple[str, ...]]:
        raise sqlite3.OperationalError("database or disk is full", event, at)

    log.append([stored(DtcSet("P0301", "7E8"))])
    with ReadModel.open(path) as model:
        with monkeypatch.context() as patch:
            patch.setitem(FOLDS, DtcSet.kind, full)
            with pytest.raises(StoreError, match="full"):
                model.catch_up(log)
        assert model.catch_up(log) == 1
        assert values(model, "dtc_open", "code") == [("P0301",)]


def test_rt_83_name_that_looks_like_sql_is_a_value_like_any_other(
    log: SqliteLog, path: Path
) -> None:
    name = "x'); DROP TABLE dtc; --"
    with folded(log, path, stored(DtcSet(name, "'\"; DELETE FROM dtc"))) as model:
        found = list(model.db.query("SELECT seq FROM dtc WHERE code = ?", [name]))
        assert found == [{"seq": 1}]


def test_log_of_the_first_release_folds_as_it_did(tmp_path: Path) -> None:
    copy = Path(shutil.copy(make_golden_log.GOLDEN, tmp_path))
    with LogReader.open(copy) as log, ReadModel.in_memory() as model:
        assert model.catch_up(log) == 8
        assert values(model, "trip", "boot", "first_seq", "last_seq", "reason") == [
            (1, 1, 5, None),
            (2, 6, 8, "x"),
        ]
        assert values(model, "latest", "name", "value", "seq") == [("speed.vehicle", 13.9, 2)]
        assert values(model, "dtc_open", "code", "seq") == [("P0301", 7)]
        assert values(model, "stretch", "earliest_ns", "latest_ns") == [(-(2**63), 2**63 - 1)]
        unread = {kind for kind, count in values(model, "kind_count", "kind", "unread") if count}
        assert (unread, rows(model, "dead_letter")) == ({"bulk/1"}, [])
