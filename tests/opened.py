"""The events of a log as their owner sees them."""

from collections.abc import Iterator

from agent.archive import Archive
from agent.events import Event, decode
from agent.eventstore.log import Recorded
from agent.privacy import sealed


def opened(parts: Archive) -> list[Event]:
    """Every event so far, sealed ones opened with the owner's key."""
    parts.writer.flush()
    return list(_opened(parts))


def recorded(parts: Archive, kind: type[Event]) -> list[Recorded]:
    """The events of one kind as they are stored."""
    parts.writer.flush()
    return [event for event in parts.log.read() if event.kind == kind.kind]


def _opened(parts: Archive) -> Iterator[Event]:
    for event in parts.log.read():
        payload = event.payload
        if sealed(event.level):
            payload = parts.unsealer.open(event.level, event.kind, payload)
        yield decode(event.kind, payload)
