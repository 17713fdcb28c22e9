"""What the read model knows, as a fold over the log.

Sealed events are counted and never opened; a kind this version does not know, or a payload
that does not fit its kind, is counted too and stops nothing. Every number here can be had
again from events.db, so nothing here is evidence.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from agent.errors import MalformedInputError
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
    decode,
)
from agent.eventstore.log import Recorded
from agent.privacy import sealed

TABLES: Final = """
CREATE TABLE cursor(id INTEGER PRIMARY KEY CHECK(id = 1), seq INTEGER NOT NULL,
    log_id BLOB NOT NULL) STRICT;
CREATE TABLE kind_count(kind TEXT, level INTEGER, events INTEGER NOT NULL,
    unread INTEGER NOT NULL, PRIMARY KEY(kind, level)) STRICT, WITHOUT ROWID;
CREATE TABLE latest(name TEXT PRIMARY KEY, value REAL, t_ns INTEGER NOT NULL,
    origin TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE dtc(code TEXT, ecu TEXT, set_ns INTEGER, cleared_ns INTEGER,
    PRIMARY KEY(code, ecu)) STRICT, WITHOUT ROWID;
CREATE TABLE parcel(parcel_id TEXT PRIMARY KEY, level INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    tx_hash TEXT NOT NULL, height INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE consent(parcel_id TEXT, buyer TEXT, state TEXT NOT NULL, t_ns INTEGER NOT NULL,
    tx_hash TEXT, PRIMARY KEY(parcel_id, buyer)) STRICT, WITHOUT ROWID;
CREATE TABLE loss(what TEXT, reason TEXT, count INTEGER NOT NULL,
    PRIMARY KEY(what, reason)) STRICT, WITHOUT ROWID;
CREATE TABLE trip(first_seq INTEGER PRIMARY KEY, start_ns INTEGER NOT NULL, stop_ns INTEGER,
    reason TEXT) STRICT;
"""
"""seq: of a parcel's receipt. unread: of the clear events of a kind, those not understood. A trip
without stop_ns was cut off, or is still going on; `reason` is why it stopped."""

_COUNT: Final = """INSERT INTO kind_count VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET events = events + excluded.events,
    unread = unread + excluded.unread"""
_LATEST: Final = "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?)"
_CONSENT: Final = "INSERT OR REPLACE INTO consent VALUES (?, ?, ?, ?, ?)"

_INT64: Final = range(-(2**63), 2**63)

_Statement = tuple[str, tuple[str | int | bytes | None, ...]]


def _dtc_set(event: DtcSet, at: Recorded) -> _Statement:
    sql = "INSERT OR REPLACE INTO dtc VALUES (?, ?, ?, NULL)"
    return sql, (event.code, event.ecu, at.t_ns)


def _dtc_cleared(event: DtcCleared, at: Recorded) -> _Statement:
    sql = """INSERT INTO dtc VALUES (?, ?, NULL, ?)
        ON CONFLICT DO UPDATE SET cleared_ns = excluded.cleared_ns"""
    return sql, (event.code, event.ecu, at.t_ns)


def _parcel(event: ParcelRegistered, at: Recorded) -> _Statement:
    row = (event.parcel_id, event.parcel_level, event.first_seq, event.last_seq)
    rest = (event.size_bytes, event.tx_hash, event.height, at.seq)
    return "INSERT OR REPLACE INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row + rest


def _requested(event: ConsentRequested, at: Recorded) -> _Statement:
    return _CONSENT, (event.parcel_id, event.buyer, "requested", at.t_ns, None)


def _granted(event: ConsentGranted, at: Recorded) -> _Statement:
    return _CONSENT, (event.parcel_id, event.buyer, "granted", at.t_ns, event.tx_hash)


def _refused(event: ConsentRefused, at: Recorded) -> _Statement:
    return _CONSENT, (event.parcel_id, event.buyer, "refused", at.t_ns, None)


def _revoked(event: ConsentRevoked, at: Recorded) -> _Statement:
    return _CONSENT, (event.parcel_id, event.buyer, "revoked", at.t_ns, event.tx_hash)


def _lost(event: InputLost, _: Recorded) -> _Statement:
    sql = """INSERT INTO loss VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET count = count + excluded.count"""
    return sql, (event.what, event.reason, event.count)


def _started(_: AgentStarted, at: Recorded) -> _Statement:
    return "INSERT INTO trip VALUES (?, ?, NULL, NULL)", (at.seq, at.t_ns)


def _stopped(event: AgentStopped, at: Recorded) -> _Statement:
    sql = """UPDATE trip SET stop_ns = ?, reason = ?
        WHERE first_seq = (SELECT max(first_seq) FROM trip) AND stop_ns IS NULL"""
    return sql, (at.t_ns, event.reason)


_FOLDS: Final[dict[str, Callable[[Any, Recorded], _Statement]]] = {
    DtcSet.kind: _dtc_set,
    DtcCleared.kind: _dtc_cleared,
    ParcelRegistered.kind: _parcel,
    ConsentRequested.kind: _requested,
    ConsentGranted.kind: _granted,
    ConsentRefused.kind: _refused,
    ConsentRevoked.kind: _revoked,
    InputLost.kind: _lost,
    AgentStarted.kind: _started,
    AgentStopped.kind: _stopped,
}
"""Kinds that occur now and then: one event, one statement."""


class Projection:
    """Folds events into the tables; counts and samples, which are many, go in by `flush`.

    Everything between two commits of the connection is one batch; `flush` ends it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._latest: dict[str, tuple[float, int, str]] = {}

    def take(self, recorded: Recorded) -> None:
        count = self._counts.setdefault((recorded.kind, int(recorded.level)), [0, 0])
        count[0] += 1
        if sealed(recorded.level):
            return
        try:
            self._fold(decode(recorded.kind, recorded.payload), recorded)
        except (MalformedInputError, OverflowError, sqlite3.IntegrityError):
            count[1] += 1

    def flush(self) -> None:
        counts = [(*key, *count) for key, count in self._counts.items()]
        latest = [(name, *sample) for name, sample in self._latest.items()]
        self._counts, self._latest = {}, {}
        self._connection.executemany(_COUNT, counts)
        self._connection.executemany(_LATEST, latest)

    def _fold(self, event: Event, recorded: Recorded) -> None:
        if isinstance(event, SignalsSampled):
            self._latest.update(_last_samples(event))
        elif recorded.kind in _FOLDS:
            self._connection.execute(*_FOLDS[recorded.kind](event, recorded))


def _last_samples(event: SignalsSampled) -> dict[str, tuple[float, int, str]]:
    """Of each series; the last in order of arrival. Raises MalformedInputError."""
    found = {}
    for name, (offsets, values) in event.series.items():
        if len(offsets) != len(values):
            raise MalformedInputError(f"{name}: {len(offsets)} times, {len(values)} values")
        if not values:
            continue
        t_ns = event.t0_ns + offsets[-1]
        if t_ns not in _INT64:
            raise MalformedInputError(f"{name}: a time of {t_ns} ns")
        found[name] = (values[-1], t_ns, event.origin)
    return found
