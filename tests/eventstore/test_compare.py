import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.events import DtcSet, InputLost
from agent.eventstore.compare import differences
from agent.eventstore.sqlite import SqliteLog
from tests.eventstore.modelled import folded, sampled, stored
from tests.eventstore.test_readmodel import NODES


@pytest.fixture
def path(log: SqliteLog, tmp_path: Path) -> Path:
    log.append([stored(DtcSet("P0301", "7E8"), 1)])
    path = tmp_path / "readmodel.db"
    folded(log, path, sampled(0, gear=([0], [4.0])), stored(InputLost("frames", 2, "x"))).close()
    return path


def forge(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_model_as_its_log_makes_it_has_no_differences(log: SqliteLog, path: Path) -> None:
    assert differences(path, log) == []
    log.append([sampled(1)])  # which the model has not folded in yet
    assert differences(path, log) == []


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("DELETE FROM dtc", "dtc"),
        ("UPDATE dtc SET code = 'P0999'", "dtc"),
        ("INSERT INTO dtc VALUES (2, 'P0302', '7E8', 'set', 0, 'stored')", "dtc"),
        ("UPDATE loss SET count = 1", "loss"),
        ("UPDATE latest SET value = 5", "latest"),
        ("UPDATE kind_count SET events = 9 WHERE kind = 'dtc-set/1'", "kind_count"),
        ("UPDATE trip SET reason = 'finished'", "trip"),
        ("UPDATE stretch SET latest_ns = 9", "stretch"),
        ("INSERT INTO unseen VALUES (1, 2)", "unseen"),
        ("INSERT INTO dead_letter VALUES (2, 'dtc-set/1', 'x')", "dead_letter"),
    ],
)
def test_rt_23_row_that_was_forged_is_found(
    log: SqliteLog, path: Path, statement: str, table: str
) -> None:
    forge(path, statement)
    [difference] = differences(path, log)
    assert difference.startswith(f"{table}: 1 rows")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON dtc BEGIN DELETE FROM dtc; END",
        "DROP VIEW dtc_open",
        "CREATE TABLE more(x)",
    ],
)
def test_rt_23_schema_that_was_changed_is_found(log: SqliteLog, path: Path, statement: str) -> None:
    forge(path, statement)
    assert differences(path, log) == ["its tables are not those of a read model"]


def test_model_of_another_log_says_so(log: SqliteLog, path: Path, tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "other", create=True) as other:
        [difference] = differences(path, other)
    assert difference == f"it follows log {log.log_id.hex()}, not {other.log_id.hex()}"


def test_model_that_is_ahead_of_its_log_says_so(log: SqliteLog, path: Path) -> None:
    forge(path, "UPDATE cursor SET seq = 9")
    assert differences(path, log) == ["it follows its log to event 9; the log ends at 3"]


def test_model_whose_pages_are_broken_says_so(log: SqliteLog, path: Path) -> None:
    with closing(sqlite3.connect(path)) as model:
        roots = model.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage").fetchall()
    raw = bytearray(path.read_bytes())
    for (number,) in roots:
        raw[(number - 1) * 4096 : number * 4096] = b"\xff" * 4096
    path.write_bytes(raw)
    [difference] = differences(path, log)
    assert difference.startswith("it cannot be read")


def test_file_that_is_no_model_is_refused(log: SqliteLog, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no read model"):
        differences(tmp_path / "missing.db", log)


def test_rows_of_pruned_events_are_passed_over_and_no_others(log: SqliteLog, path: Path) -> None:
    log.prune({1: NODES})
    assert differences(path, log) == []
    forge(path, "UPDATE dtc SET code = 'P0999'")  # nobody can tell any more
    forge(path, "UPDATE latest SET value = 5")
    assert [line.split(":")[0] for line in differences(path, log)] == ["latest"]


def test_model_whose_last_event_is_pruned_is_compared_with_what_is_left(
    log: SqliteLog, path: Path
) -> None:
    log.append([sampled(1)])
    log.prune({2: NODES})
    assert differences(path, log) == []
    forge(path, "UPDATE dtc SET code = 'P0999'")
    assert len(differences(path, log)) == 1
