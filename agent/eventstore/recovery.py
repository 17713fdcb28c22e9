"""A log that cannot be gone on with is set aside, never deleted; a new one says what it continues.

So recording goes on at once. What still holds of the old log is copied later on (salvage.py).
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from agent.errors import LogCorruptError, MalformedInputError, StoreError
from agent.eventstore import chain, floor
from agent.eventstore.birth import NOTE, birth
from agent.eventstore.ending import sealed_end
from agent.eventstore.floor import Floor
from agent.eventstore.log import Head
from agent.eventstore.reader import LogReader
from agent.eventstore.sealer import resume
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import BROKEN, EVENTS, FLOOR, SIDES, StateLock, lock_state

_FLOOR_ASIDE: Final = f"{FLOOR}.broken-"


class Broken(NamedTuple):
    """What was set aside. name: of the file now; reason: why; continued: what the new log says."""

    name: str
    reason: str
    continued: str


def open_log(state: Path) -> tuple[SqliteLog, Broken | None]:
    """The log of a state directory: made where it is missing, begun anew where it is broken.

    Raises UsageError for what is not ours to use, StoreError for a disk that does not do its part.
    """
    lock = lock_state(state, create=True)
    try:
        _finish_setting_aside(lock)
        if not (lock.path / EVENTS).exists():
            birth(lock, secrets.token_bytes(chain.LOG_ID_BYTES), NOTE)
        try:
            return _opened(lock), None
        except LogCorruptError as error:
            broken = _set_aside(lock, " ".join(str(error).split()))
        note = f"{NOTE.decode()}\ncontinues {broken.continued}"
        birth(lock, secrets.token_bytes(chain.LOG_ID_BYTES), note.encode("ascii"))
        return SqliteLog(lock), broken
    except BaseException:
        lock.close()
        raise


def _opened(lock: StateLock) -> SqliteLog:
    """Its last block and what its last seal is over hold. Raises LogCorruptError."""
    with LogReader.open(lock.path / EVENTS) as reader:
        resume(reader, sealed_end(reader))
    return SqliteLog(lock)


def _set_aside(lock: StateLock, reason: str) -> Broken:
    """The file first: what lies beside it is moved after it, by the next start if need be."""
    continued = _continued(lock.path)
    name = f"{BROKEN}{1 + max(_numbers(lock.path), default=0)}"
    try:
        (lock.path / EVENTS).rename(lock.path / name)
        lock.sync()
    except OSError as error:
        raise StoreError(f"{lock.path / EVENTS} cannot be set aside: {error.strerror}") from error
    _finish_setting_aside(lock)
    return Broken(name, reason, continued)


def _finish_setting_aside(lock: StateLock) -> None:
    """What lay beside a log goes where the log went: side files, or SQLite would take them for the
    new one's, and the floor.
    """
    number = max(_numbers(lock.path), default=0)
    if (lock.path / EVENTS).exists() or not number:
        return
    moves = [(f"{EVENTS}{side}", f"{BROKEN}{number}{side}") for side in SIDES]
    try:
        for old, new in [*moves, (FLOOR, f"{_FLOOR_ASIDE}{number}")]:
            with suppress(FileNotFoundError):
                (lock.path / old).rename(lock.path / new)
        lock.sync()
    except OSError as error:
        raise StoreError(f"{lock.path}: {error.strerror}") from error


def _numbers(path: Path) -> list[int]:
    names = os.listdir(path)  # noqa: PTH208 - names are all that is asked for
    ends = (name.removeprefix(BROKEN) for name in names if name.startswith(BROKEN))
    return [int(end) for end in ends if end.isdigit()]


def _continued(path: Path) -> str:
    """Which log it is and how far it was sealed, as far as the file or else the floor can tell."""
    seen = _by_its_seal(path / EVENTS)
    if seen is None:
        with suppress(MalformedInputError, StoreError):
            seen = floor.read(path / FLOOR)
    if seen is None:
        return "a log that could not be read"
    return f"log {seen.log_id.hex()} seal {seen.seals} event {seen.head.seq} {seen.head.hash.hex()}"


def _by_its_seal(path: Path) -> Floor | None:
    with suppress(StoreError), LogReader.open(path) as reader:
        sealed = sealed_end(reader)
        if sealed is not None:
            return Floor(sealed.log, sealed.no, Head(sealed.size, sealed.head))
    return None
