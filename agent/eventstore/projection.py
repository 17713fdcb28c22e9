"""The read model as a fold over the log.

Sealed events are counted and never opened; a kind this version does not know is counted too. A
clear event that cannot be folded goes into `dead_letter` and stops nothing, whatever was wrong
with it or with its fold.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from agent.errors import MalformedInputError
from agent.events import KINDS, SignalsSampled, decode
from agent.eventstore.folds import FOLDS
from agent.eventstore.kindbits import kind_bits
from agent.eventstore.log import Recorded
from agent.eventstore.modelschema import STRETCH
from agent.privacy import LEVELS, Level, sealed

CLEAR_NAMES: Final = frozenset(name for name, level in LEVELS.items() if not sealed(level))
REASON_CHARACTERS: Final = 200
"""Of a dead letter's reason, at most."""

_KIND: Final = """INSERT INTO kind_count VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET events = events + excluded.events,
    unread = unread + excluded.unread, last_seq = excluded.last_seq"""
_STRETCH: Final = """INSERT INTO stretch VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq,
    earliest_ns = min(earliest_ns, excluded.earliest_ns),
    latest_ns = max(latest_ns, excluded.latest_ns), kinds = kinds | excluded.kinds"""
_TRIP: Final = """INSERT INTO trip VALUES (?, ?, ?, ?, ?, NULL)
    ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq, stop_ns = excluded.stop_ns"""
_UNSEEN: Final = "INSERT INTO unseen VALUES (?, ?)"
_LATEST: Final = "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)"
_DEAD: Final = "INSERT INTO dead_letter VALUES (?, ?, ?)"

_INT64: Final = range(-(2**63), 2**63)
_FOLDED: Final = frozenset({*FOLDS, SignalsSampled.kind})

_Sample = tuple[float, int, str, int]


class Projection:
    """Folds events into the tables of one connection, batch by batch.

    seq: of the last event that is folded in
    """

    def __init__(self, connection: sqlite3.Connection, seq: int) -> None:
        self.seq = seq
        self._connection = connection
        self._latest: dict[str, _Sample] = {}
        self._dead: list[tuple[int, str, str]] = []

    def fold(self, batch: Sequence[Recorded]) -> None:
        """One batch, of at least one event; the transaction is the caller's.

        Raises sqlite3.Error for a database that does not do its part.
        """
        self._latest, self._dead = {}, []
        write = self._connection.executemany
        write(_UNSEEN, _gaps(self.seq, batch))
        write(_STRETCH, _stretches(batch))
        write(_TRIP, _trips(batch))
        for recorded in batch:
            if recorded.kind in _FOLDED and not sealed(recorded.level):
                self._take(recorded)
        write(_LATEST, [(name, *sample) for name, sample in self._latest.items()])
        write(_DEAD, self._dead)
        write(_KIND, _kinds(batch, {seq for seq, _, _ in self._dead}))
        self.seq = batch[-1].seq

    def miss(self, last: int) -> None:
        """The log does not have the events up to `last` any more."""
        self._connection.execute(_UNSEEN, (self.seq + 1, last))
        self.seq = last

    def _take(self, recorded: Recorded) -> None:
        try:
            event = decode(recorded.kind, recorded.payload)
            if isinstance(event, SignalsSampled):
                self._latest.update(_last_samples(event, recorded.seq))
            else:
                self._connection.execute(*FOLDS[recorded.kind](event, recorded))
        except sqlite3.IntegrityError as error:
            self._bury(recorded, str(error))
        except sqlite3.Error:
            raise  # of the database, not of the event
        except MalformedInputError as error:
            self._bury(recorded, str(error))
        except Exception as error:  # noqa: BLE001 - one event that a fold has a fault with stops no other
            self._bury(recorded, type(error).__name__)

    def _bury(self, recorded: Recorded, reason: str) -> None:
        self._dead.append((recorded.seq, recorded.kind, reason[:REASON_CHARACTERS]))


def _last_samples(event: SignalsSampled, seq: int) -> dict[str, _Sample]:
    """Of each series; the last in order of arrival. Raises MalformedInputError."""
    if not event.series.keys() <= CLEAR_NAMES:
        raise MalformedInputError("a signal that is more personal than its event")
    found = {}
    for name, (offsets, values) in event.series.items():
        if len(offsets) != len(values):
            raise MalformedInputError(f"{name}: {len(offsets)} times, {len(values)} values")
        if not values:
            continue
        t_ns = event.t0_ns + offsets[-1]
        if t_ns not in _INT64:
            raise MalformedInputError(f"{name}: a time of {t_ns} ns")
        found[name] = (values[-1], t_ns, event.origin, seq)
    return found


def _gaps(seq: int, batch: Sequence[Recorded]) -> Iterator[tuple[int, int]]:
    """The ranges between `seq` and the end of the batch that the log did not have any more."""
    for recorded in batch:
        if recorded.seq != seq + 1:
            yield seq + 1, recorded.seq - 1
        seq = recorded.seq


def _stretches(batch: Sequence[Recorded]) -> Iterator[tuple[int, int, int, int, int]]:
    for number, group in groupby(batch, lambda recorded: (recorded.seq - 1) // STRETCH):
        events = list(group)
        times = [recorded.t_ns for recorded in events]
        kinds = kind_bits({recorded.kind for recorded in events})
        yield number * STRETCH + 1, events[-1].seq, min(times), max(times), kinds


def _trips(batch: Sequence[Recorded]) -> Iterator[tuple[int, int, int, int, int]]:
    for boot, events in groupby(batch, attrgetter("boot")):
        trip = list(events)
        yield boot, trip[0].seq, trip[-1].seq, trip[0].t_ns, trip[-1].t_ns


def _kinds(
    batch: Sequence[Recorded], dead: set[int]
) -> Iterator[tuple[str, int, int, int, int, int]]:
    """dead: sequence numbers of the dead letters among them"""
    places = defaultdict[tuple[str, Level], list[int]](list)
    for recorded in batch:
        places[recorded.kind, recorded.level].append(recorded.seq)
    for (kind, level), seqs in places.items():
        known = kind in KINDS or sealed(level)
        unread = len(dead.intersection(seqs)) if known else len(seqs)
        yield kind, level, len(seqs), unread, seqs[0], seqs[-1]
