import sqlite3
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from agent.clock import SECOND, ManualClock, SystemClock
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.view import view
from tests.eventstore.modelled import folded, sampled

ENDLESS = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
    SELECT count(*) FROM n"""


@pytest.fixture
def path(log: SqliteLog, tmp_path: Path) -> Path:
    folded(log, tmp_path / "readmodel.db", sampled(0, gear=([0], [4.0]))).close()
    return tmp_path / "readmodel.db"


class RunningClock(ManualClock):
    """Each look at it is 1 ms later than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = count()

    def mono_ns(self) -> int:
        return next(self._looks) * SECOND // 1_000


def test_other_process_may_look_and_not_touch(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from agent.clock import SystemClock\n"
        "from agent.eventstore.view import view\n"
        "db = view(Path(sys.argv[1]), SystemClock()); print(next(db['latest'].rows)['value'])\n"
        "db.execute('DELETE FROM latest')"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "4.0\n"
    assert "readonly" in done.stderr


def test_rt_83_statement_that_writes_is_refused_though_the_file_could_be_written(
    path: Path,
) -> None:
    db = view(path, SystemClock())
    for statement in ("DELETE FROM latest", "PRAGMA user_version = 9", "CREATE TABLE t(x)"):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute(statement)
    db.close()


def test_rt_84_question_without_end_is_cut_off(path: Path) -> None:
    db = view(path, RunningClock(), limit_ns=SECOND)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        db.execute(ENDLESS).fetchall()
    db.close()


def test_time_of_one_question_is_not_taken_from_the_next(path: Path) -> None:
    clock = ManualClock()
    db = view(path, clock, limit_ns=SECOND)
    long = f"{ENDLESS.replace('FROM n)', 'FROM n WHERE i < 50000)')}"
    for _ in range(3):
        clock.advance(SECOND - 1)
        assert db.execute(long).fetchone() == (50_000,)
    db.close()
