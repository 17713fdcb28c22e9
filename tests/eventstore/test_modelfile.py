import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from agent.errors import StoreError, UsageError
from agent.events import DtcSet
from agent.eventstore.modelfile import to_look
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.sqlite import SqliteLog
from tests.eventstore.modelled import contents, folded, sampled, stored

TABLES = {
    *("cursor", "unseen", "kind_count", "dead_letter", "stretch", "trip", "latest", "dtc"),
    *("consent", "parcel", "loss", "dtc_open", "consent_now", "upload", "loss_total"),
    *("input", "input_total", "source", "bus", "asking", "outgoing", "repeated", "short"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readmodel.db"


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database at all " * 400)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6_000])


def rotten(path: Path) -> None:
    """A schema that is no text any more."""
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE dtc", b"CREATE T\xc1BLE dtc", 1))


def from_another_release(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


@pytest.mark.parametrize("spoil", [Path.unlink, garbage, cut, rotten, from_another_release])
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


def test_look_at_what_is_no_model_is_refused(log: SqliteLog, tmp_path: Path) -> None:
    garbage(tmp_path / "garbage.db")
    sqlite3.connect(tmp_path / "empty.db").close()
    folded(log, tmp_path / "rotten.db", sampled(0)).close()
    rotten(tmp_path / "rotten.db")
    for name in ("missing.db", "garbage.db", "empty.db", "rotten.db"):
        with pytest.raises(UsageError):
            to_look(tmp_path / name)


def test_tables_open_in_any_tool(log: SqliteLog, path: Path) -> None:
    folded(log, path, sampled(0)).close()
    connection = sqlite3.connect(path)
    names: Iterable[tuple[str]] = connection.execute("SELECT name FROM sqlite_schema")
    assert {name for (name,) in names} >= TABLES
    connection.close()
