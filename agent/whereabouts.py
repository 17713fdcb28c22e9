"""How the payload of a sealed event, once opened, tells where it was: for the index of places."""

from collections.abc import Mapping
from typing import Final

from agent import installed
from agent.events import BsmHeard, BsmMade, PositionFixed, decode
from agent.eventstore.places import Locate


def _of_fix(payload: bytes) -> tuple[float, float] | None:
    event = decode(PositionFixed.kind, payload)
    assert isinstance(event, PositionFixed)
    return event.latitude_deg, event.longitude_deg


def _of_own(payload: bytes) -> tuple[float, float] | None:
    event = decode(BsmMade.kind, payload)
    assert isinstance(event, BsmMade)
    return _of_message(event.message)


def _of_heard(payload: bytes) -> tuple[float, float] | None:
    event = decode(BsmHeard.kind, payload)
    assert isinstance(event, BsmHeard)
    return _of_message(event.message)


def _of_message(octets: bytes) -> tuple[float, float] | None:
    message = installed.codec().decode_frame(octets)
    if message.latitude_deg is None or message.longitude_deg is None:
        return None
    return message.latitude_deg, message.longitude_deg


LOCATE: Final[Mapping[str, Locate]] = {
    PositionFixed.kind: _of_fix,
    BsmMade.kind: _of_own,
    BsmHeard.kind: _of_heard,
}
"""Own and heard messages, and positions. All raise MalformedInputError."""
