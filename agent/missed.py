"""How much did the agent miss? What became of every frame since its last start, by source.

A frame that arrived was decoded, undescribed, undecodable, damaged, filtered, remote, an error
frame or lost.
"""

from typing import Any, Final

import msgspec
import sqlite_utils

READ: Final = ("decoded", "undescribed", "undecodable", "damaged")
"""Fates of frames that were handed to the decoder."""
NO_FRAMES: Final = frozenset({"broken", "dead_band"})
"""Fates in InputCounted that are those of lines and of samples."""

_SOURCES: Final = "SELECT uri, state, reason, t_ns FROM source WHERE seq >= ? ORDER BY uri"
_COUNTS: Final = "SELECT uri, fate, count FROM input WHERE boot = ? ORDER BY uri, count DESC"
_LOSSES: Final = """SELECT what, reason, sum(count) FROM loss WHERE seq >= ?
    GROUP BY what, reason ORDER BY 3 DESC"""


class Source(msgspec.Struct):
    """
    state:  "open" or "closed"; reason: why it was closed; since_ns: UTC
    counts: fate -> frames, "broken" lines; lost: reason -> frames
    """

    uri: str
    state: str = ""
    reason: str | None = None
    since_ns: int | None = None
    counts: dict[str, int] = {}
    lost: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """Frames that were handed to the decoder."""
        return sum(self.counts.get(fate, 0) for fate in READ)


class Loss(msgspec.Struct, frozen=True):
    """What was lost that is no frame of a source: as events.InputLost has it."""

    what: str
    reason: str
    count: int


class Missed(msgspec.Struct, frozen=True):
    """
    arrived:   frames of all sources, those that were lost among them
    lost:      of these; percent: their share
    dead_band: origin -> samples that were not recorded since they said nothing new
    """

    arrived: int
    lost: int
    percent: float
    sources: list[Source]
    others: list[Loss]
    dead_band: dict[str, int]


def missed(model: sqlite_utils.Database, boot: int, first_seq: int) -> Missed:
    """Since the start of the agent with that number, whose first event is `first_seq`."""
    sources = {
        uri: Source(uri, state, reason, t_ns)
        for uri, state, reason, t_ns in model.execute(_SOURCES, [first_seq])
    }
    dead_band: dict[str, int] = {}
    for uri, fate, count in model.execute(_COUNTS, [boot]):
        if fate == "dead_band":
            dead_band[uri] = count
        else:
            sources.setdefault(uri, Source(uri)).counts[fate] = count
    others = [loss for row in model.execute(_LOSSES, [first_seq]) if (loss := _told(row, sources))]
    lost = sum(sum(source.lost.values()) for source in sources.values())
    arrived = lost + sum(
        count
        for source in sources.values()
        for fate, count in source.counts.items()
        if fate not in NO_FRAMES
    )
    percent = 100 * lost / max(1, arrived)
    return Missed(arrived, lost, percent, list(sources.values()), others, dead_band)


def _told(row: tuple[Any, ...], sources: dict[str, Source]) -> Loss | None:
    """A loss that is none of a source's frames; a source's goes to it."""
    what, reason, count = row
    for uri, source in sources.items():
        if what == "frames" and reason.startswith(f"{uri}: "):
            source.lost[reason.removeprefix(f"{uri}: ")] = count
            return None
    return Loss(what, reason, count)
