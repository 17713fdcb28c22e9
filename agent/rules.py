"""The owner's rules in the log: set, found again, and what they granted so far.

The text is sealed for the owner. Where its key was destroyed there are no rules any more, and the
owner is asked every time.
"""

from collections.abc import Callable, Iterator
from typing import Final

from agent.clock import SECOND, Clock, ClockQuality
from agent.errors import ErasedError, MalformedInputError, SealError
from agent.events import PolicySet, PositionFixed, decode
from agent.eventstore.log import EventReader
from agent.eventstore.readmodel import ReadModel
from agent.owner import Opener
from agent.record import Journal
from agent.wallet.areas import Area, Fit, fit_of
from agent.wallet.consent import History, Used
from agent.wallet.policy import NO_RULES, parse_policy

DAY_NS: Final = 86_400 * SECOND

_LAST: Final = "SELECT max(last_seq) FROM kind_count WHERE kind = ?"
_USED: Final = """SELECT by, count(*) AS total, count(CASE WHEN t_ns > ? THEN 1 END) AS day
    FROM consent WHERE state = 'granted' GROUP BY by"""


def set_policy(text: str, journal: Journal) -> None:
    """These rules hold once this returns. Raises ConfigError, and StoreError."""
    parse_policy(text)
    journal.write(PolicySet(text))
    journal.flush()


def last_policy(log: EventReader, model: ReadModel, opener: Opener) -> str:
    """model: caught up with the log. Raises SealError where the owner's key does not open it."""
    ((seq,),) = model.db.execute(_LAST, [PolicySet.kind])
    for recorded in () if seq is None else log.read(seq - 1, seq):
        try:
            payload = opener.open(recorded.level, recorded.kind, recorded.payload)
        except ErasedError:
            break
        event = decode(recorded.kind, payload)
        assert isinstance(event, PolicySet)
        return event.text
    return NO_RULES


def history(model: ReadModel, clock: Clock) -> History:
    """What rules granted, by the log alone: what is on its way to the chain is its caller's.

    A grant of a later time, of a clock that was set back, counts among those of the last day.
    """
    now_ns = clock.now_ns()
    rows = model.db.query(_USED, [now_ns - DAY_NS])
    used = {row["by"]: Used(row["total"], row["day"]) for row in rows}
    known = clock.quality is not ClockQuality.UNKNOWN
    return History(now_ns if known else None, used)


def places(
    log: EventReader, opener: Opener, first_seq: int, last_seq: int
) -> Callable[[Area], Fit]:
    """How much of events first_seq to last_seq of the log was within an area, by their GNSS fixes.

    Unknown where one cannot be opened any more, and where there is none.
    """

    def fit(area: Area) -> Fit:
        try:
            return fit_of(area, _fixes(log, opener, first_seq, last_seq))
        except (SealError, MalformedInputError):
            return Fit.UNKNOWN

    return fit


def _fixes(
    log: EventReader, opener: Opener, first_seq: int, last_seq: int
) -> Iterator[tuple[float, float]]:
    for recorded in log.read(first_seq - 1, last_seq):
        if recorded.kind == PositionFixed.kind:
            event = decode(
                recorded.kind, opener.open(recorded.level, recorded.kind, recorded.payload)
            )
            assert isinstance(event, PositionFixed)
            yield event.latitude_deg, event.longitude_deg
