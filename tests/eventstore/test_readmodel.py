import math
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import ClockQuality
from agent.errors import StoreError, UsageError
from agent.events import (
    AgentStarted,
    AgentStopped,
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DtcCleared,
    DtcSet,
    Event,
    InputLost,
    ParcelRegistered,
    SignalsSampled,
    VinRead,
    encode,
)
from agent.eventstore.log import Draft
from agent.eventstore.projection import Projection
from agent.eventstore.readmodel import ReadModel, view
from agent.eventstore.sqlite import SqliteLog
from agent.privacy import Level

TABLES = ("kind_count", "latest", "dtc", "parcel", "consent", "loss", "trip", "cursor")


def stored(event: Event, t_ns: int, level: Level | None = None) -> Draft:
    level = event.level if level is None else level
    return Draft(event.kind, level, t_ns, 0, ClockQuality.NTP, encode(event))


def sampled(t_ns: int, **series: tuple[list[int], list[float]]) -> Draft:
    named = {name.replace("_", "."): values for name, values in series.items()}
    return stored(SignalsSampled("can0", t_ns, named), t_ns, Level.LV3)


def rows(model: ReadModel, table: str) -> list[dict[str, object]]:
    return list(model.db[table].rows)


def contents(model: ReadModel) -> dict[str, list[dict[str, object]]]:
    return {table: rows(model, table) for table in TABLES}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readmodel.db"


def folded(log: SqliteLog, path: Path, *drafts: Draft) -> ReadModel:
    log.append(drafts)
    model = ReadModel.open(path)
    model.catch_up(log)
    return model


def test_events_are_counted_by_kind_and_level(log: SqliteLog, path: Path) -> None:
    loss = stored(InputLost("frames", 2, "full"), 0)
    with folded(log, path, loss, loss, sampled(0), stored(VinRead("x", "obd"), 0)) as model:
        assert rows(model, "kind_count") == [
            {"kind": "input-lost/1", "level": 3, "events": 2, "unread": 0},
            {"kind": "signals-sampled/1", "level": 3, "events": 1, "unread": 0},
            {"kind": "vin-read/1", "level": 1, "events": 1, "unread": 0},
        ]
        assert rows(model, "loss") == [{"what": "frames", "reason": "full", "count": 4}]


def test_latest_value_is_the_one_that_arrived_last(log: SqliteLog, path: Path) -> None:
    with folded(
        log,
        path,
        sampled(5_000, speed_vehicle=([1, 2], [10.0, 11.0]), gear=([], [])),
        sampled(1_000, speed_vehicle=([7], [3.5])),  # the wall clock stepped back
    ) as model:
        assert rows(model, "latest") == [
            {"name": "speed.vehicle", "value": 3.5, "t_ns": 1_007, "origin": "can0"}
        ]


def test_sealed_event_is_counted_and_never_opened(log: SqliteLog, path: Path) -> None:
    position = SignalsSampled("gnss", 0, {"position.latitude": ([0], [48.1])})
    with folded(log, path, stored(position, 0, Level.LV2)) as model:
        assert rows(model, "latest") == []
        assert rows(model, "kind_count")[0]["unread"] == 0
    assert b"position.latitude" not in path.read_bytes()


def test_fault_code_is_set_cleared_and_set_again(log: SqliteLog, path: Path) -> None:
    code, other = DtcSet("P0301", "7E8"), DtcCleared("P0420", "7E8")
    with folded(log, path, stored(code, 1), stored(DtcCleared("P0301", "7E8"), 2)) as model:
        assert rows(model, "dtc")[0] == {
            "code": "P0301",
            "ecu": "7E8",
            "set_ns": 1,
            "cleared_ns": 2,
        }
        log.append([stored(code, 3), stored(other, 4)])
        model.catch_up(log)
        found = [(row["set_ns"], row["cleared_ns"]) for row in rows(model, "dtc")]
        assert found == [(3, None), (None, 4)]


def test_consent_has_the_state_that_was_decided_last(log: SqliteLog, path: Path) -> None:
    with folded(
        log,
        path,
        stored(ConsentRequested("AA", "B1", "100"), 1),
        stored(ConsentRequested("AA", "B2", "100"), 2),
        stored(ConsentGranted("AA", "B1", "owner", "T1"), 3),
        stored(ConsentRefused("AA", "B2", "owner"), 4),
        stored(ConsentRevoked("AA", "B1", "T2"), 5),
    ) as model:
        found = [tuple(row.values()) for row in rows(model, "consent")]
        assert found == [("AA", "B1", "revoked", 5, "T2"), ("AA", "B2", "refused", 4, None)]


def test_parcel_is_known_by_its_receipt(log: SqliteLog, path: Path) -> None:
    receipt = ParcelRegistered("AB", 3, 1, 90, 4_000, "TX", 7, b"custody", b"root")
    with folded(log, path, stored(receipt, 1)) as model:
        assert [tuple(row.values()) for row in rows(model, "parcel")] == [
            ("AB", 3, 1, 90, 4_000, "TX", 7, 1)
        ]


def test_trip_that_was_cut_off_has_no_end(log: SqliteLog, path: Path) -> None:
    start = AgentStarted("1", "boot", "3.54")
    with folded(
        log, path, stored(start, 1), stored(start, 5), stored(AgentStopped("signal"), 9)
    ) as model:
        assert [tuple(row.values()) for row in rows(model, "trip")] == [
            (1, 1, None, None),
            (2, 5, 9, "signal"),
        ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        encode(SignalsSampled("can0", 2**63, {"gear": ([1], [1.0])})),
        encode(SignalsSampled("can0", 0, {"gear": ([1, 2], [1.0])})),
    ],
)
def test_payload_that_does_not_fit_its_kind_is_counted_and_stops_nothing(
    log: SqliteLog, path: Path, payload: bytes
) -> None:
    bad = Draft("signals-sampled/1", Level.LV3, 0, 0, ClockQuality.NTP, payload)
    new = Draft("not-yet-invented/9", Level.LV4, 0, 0, ClockQuality.NTP, b"\x90")
    with folded(log, path, bad, new, sampled(1, gear=([0], [2.0]))) as model:
        assert [
            (row["kind"], row["events"], row["unread"]) for row in rows(model, "kind_count")
        ] == [
            ("not-yet-invented/9", 1, 1),
            ("signals-sampled/1", 2, 1),
        ]
        assert [row["value"] for row in rows(model, "latest")] == [2.0]


def test_numbers_too_large_for_the_tables_are_counted_and_stop_nothing(
    log: SqliteLog, path: Path
) -> None:
    most = stored(InputLost("frames", 2**63 - 1, "storm"), 0)
    more = stored(InputLost("frames", 2**64 - 1, "storm"), 0)
    with folded(log, path, most, more, most, sampled(0, gear=([0], [math.nan]))) as model:
        assert rows(model, "loss")[0]["count"] == 2**63 - 1
        assert rows(model, "kind_count")[0]["unread"] == 2
        assert rows(model, "latest")[0]["value"] is None


def drafts() -> st.SearchStrategy[Draft]:
    word = st.sampled_from(["A", "B"])
    small = st.integers(0, 9)
    samples = st.lists(st.floats(-9, 9, width=32), max_size=2).map(lambda v: ([0] * len(v), v))
    event = st.one_of(
        st.builds(DtcSet, word, word),
        st.builds(DtcCleared, word, word),
        st.builds(ConsentRequested, word, word, st.just("1")),
        st.builds(ConsentGranted, word, word, st.just("owner"), st.just("T")),
        st.builds(ConsentRevoked, word, word, st.just("T")),
        st.builds(InputLost, word, small, word),
        st.builds(AgentStarted, word, word, word),
        st.builds(AgentStopped, word),
        st.builds(SignalsSampled, word, small, st.dictionaries(word, samples)),
    )
    level = st.sampled_from([Level.LV2, Level.LV3])
    known = st.builds(stored, event, small, level)
    return known | st.builds(
        Draft,
        st.sampled_from(["dtc-set/1", "unheard-of/1"]),
        level,
        small,
        small,
        st.just(ClockQuality.FREE),
        st.binary(max_size=3),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(drafts(), min_size=1, max_size=6), min_size=1, max_size=5))
def test_model_that_followed_equals_one_that_was_rebuilt(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[Draft]]
) -> None:
    place = tmp_path_factory.mktemp("models")
    with (
        SqliteLog.open(place / "state", create=True) as log,
        ReadModel.open(place / "followed.db") as followed,
        ReadModel.open(place / "rebuilt.db") as rebuilt,
    ):
        for block in blocks:
            log.append(block)
            assert followed.catch_up(log) == len(block)
        rebuilt.catch_up(log)
        assert contents(followed) == contents(rebuilt)
        assert followed.through == sum(map(len, blocks))


def test_batch_that_failed_is_folded_in_once_when_tried_again(
    log: SqliteLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Projection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    log.append([stored(InputLost("frames", 1, "x"), 0)] * 3)
    with ReadModel.open(path) as model:
        with monkeypatch.context() as patch:
            patch.setattr(Projection, "flush", full)
            with pytest.raises(StoreError, match="full"):
                model.catch_up(log)
        assert (model.through, rows(model, "loss")) == (0, [])
        assert model.catch_up(log) == 3
        assert rows(model, "loss")[0]["count"] == 3


def test_model_goes_on_from_its_cursor(log: SqliteLog, path: Path) -> None:
    folded(log, path, sampled(0)).close()
    log.append([sampled(1), sampled(2)])
    with ReadModel.open(path) as model:
        assert model.catch_up(log) == 2
        assert model.catch_up(log) == 0


def test_model_of_another_log_begins_again(log: SqliteLog, path: Path, tmp_path: Path) -> None:
    folded(log, path, sampled(0), sampled(1)).close()
    with SqliteLog.open(tmp_path / "other", create=True) as other:
        other.append([stored(InputLost("frames", 1, "x"), 0)] * 3)
        with ReadModel.open(path) as model:
            assert model.catch_up(other) == 3
            assert [row["kind"] for row in rows(model, "kind_count")] == ["input-lost/1"]


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 400)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6_000])


def from_the_future(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("spoil", [Path.unlink, garbage, cut, from_the_future])
def test_model_that_cannot_be_used_is_rebuilt(log: SqliteLog, path: Path, spoil: object) -> None:
    with folded(log, path, sampled(0), stored(DtcSet("P0301", "7E8"), 1)) as model:
        before = contents(model)
    spoil(path)  # type: ignore[operator]  # one of the functions above
    with ReadModel.open(path) as model:
        assert model.catch_up(log) == 2
        assert contents(model) == before


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open_umask")
@pytest.mark.parametrize("spoil", [Path.unlink, garbage])
def test_model_is_for_the_eyes_of_its_owner_alone(
    log: SqliteLog, path: Path, spoil: object
) -> None:
    folded(log, path, sampled(0)).close()
    spoil(path)  # type: ignore[operator]  # one of the functions above
    with folded(log, path, sampled(1)):
        files = sorted(path.parent.glob("readmodel.db*"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
    assert modes == dict.fromkeys(["readmodel.db", "readmodel.db-shm", "readmodel.db-wal"], 0o600)


def test_database_of_another_program_is_refused_and_kept(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE contacts(name)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program"):
        ReadModel.open(path)
    assert path.read_bytes() == before


def test_place_that_takes_no_file_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        ReadModel.open(tmp_path)


def test_other_process_may_look_and_not_touch(log: SqliteLog, path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from agent.eventstore.readmodel import view\n"
        "db = view(Path(sys.argv[1])); print(next(db['latest'].rows)['value'])\n"
        "db.execute('DELETE FROM latest')"
    )
    with folded(log, path, sampled(0, gear=([0], [4.0]))):
        command = [sys.executable, "-c", program, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "4.0\n"
    assert "readonly" in done.stderr


def test_look_at_what_is_no_model_is_refused(tmp_path: Path) -> None:
    garbage(tmp_path / "garbage.db")
    sqlite3.connect(tmp_path / "empty.db").close()
    for name in ("missing.db", "garbage.db", "empty.db"):
        with pytest.raises(UsageError):
            view(tmp_path / name)


def test_tables_open_in_any_tool(log: SqliteLog, path: Path) -> None:
    folded(log, path, sampled(0)).close()
    connection = sqlite3.connect(path)
    names: Iterable[tuple[str]] = connection.execute("SELECT name FROM sqlite_schema")
    assert {name for (name,) in names} >= set(TABLES)
    connection.close()
