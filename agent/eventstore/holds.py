"""Ranges of the log that must be kept, as a fold over its events. No I/O.

Who erases or prunes asks `held` first. A hold is known from its event alone, so the block in
which that event lies is kept as long as the hold lasts.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from agent.events import RangeHeld, RangeReleased, decode
from agent.eventstore.log import Recorded

REASONS: Final = ("crash", "claim", "order")
"""After an accident; for a claim of or against somebody; by order of a court or an authority."""


class Hold(msgspec.Struct, frozen=True):
    """no: of the hold, which is the sequence number of its event. The range includes both ends."""

    no: int
    first_seq: int
    last_seq: int
    reason: str

    def __str__(self) -> str:
        return f"hold {self.no} ({self.reason}, events {self.first_seq} to {self.last_seq})"


def take(holds: dict[int, Hold], recorded: Recorded) -> None:
    """Fold one event into the holds by number. Raises MalformedInputError."""
    if recorded.kind not in {RangeHeld.kind, RangeReleased.kind}:
        return
    event = decode(recorded.kind, recorded.payload)
    if isinstance(event, RangeHeld):
        hold = Hold(recorded.seq, event.first_seq, event.last_seq, event.reason)
        holds[hold.no] = hold
    elif isinstance(event, RangeReleased):
        holds.pop(event.hold, None)


def held(holds: Iterable[Hold], first: int, last: int) -> Hold | None:
    """A hold that has any of the events first..last."""
    found = (hold for hold in holds if hold.first_seq <= last and first <= hold.last_seq)
    return next(found, None)
