"""What is believed of a message that was heard. Nothing here proves that it is true."""

from typing import Final

from agent.bsm.geodesy import distance_m
from agent.bsm.message import BasicSafetyMessage

BELIEVED: Final = "ok"

# Our choices: faster than any car on a road; further than a radio at 5.9 GHz reaches; what two
# positions of one car may differ beyond its way (twice the 12.7 m that the accuracy field ends at).
FASTEST_MPS: Final = 100.0
FURTHEST_M: Final = 3000.0
SLACK_M: Final = 25.0

MINUTE_MS: Final = 60_000


def verdict(
    heard: BasicSafetyMessage,
    *,
    own: BasicSafetyMessage | None = None,
    before: BasicSafetyMessage | None = None,
) -> str:
    """Say "ok", or the first reason against it.

    own:    our last message; before: the last one heard with the same temporary id
    """
    if own is not None and heard.temporary_id == own.temporary_id:
        return "own id"
    if heard.speed_mps is not None and heard.speed_mps > FASTEST_MPS:
        return "speed out of range"
    here = _place(heard)
    if here is None:
        return "no position"
    if own is not None and _apart(own, here) > FURTHEST_M:
        return "position out of range"
    if before is not None and _apart(before, here) > _reach_m(before, heard):
        return "position jump"
    return BELIEVED


def _place(message: BasicSafetyMessage) -> tuple[float, float] | None:
    if message.latitude_deg is None or message.longitude_deg is None:
        return None
    return message.latitude_deg, message.longitude_deg


def _apart(message: BasicSafetyMessage, other: tuple[float, float]) -> float:
    here = _place(message)
    return 0.0 if here is None else distance_m(*here, other)


def _reach_m(before: BasicSafetyMessage, heard: BasicSafetyMessage) -> float:
    """How far a car gets from one message to the next; a minute where the time is not known."""
    if before.sec_mark_ms is None or heard.sec_mark_ms is None:
        return FASTEST_MPS * MINUTE_MS / 1000
    passed_ms = (heard.sec_mark_ms - before.sec_mark_ms) % MINUTE_MS
    return FASTEST_MPS * passed_ms / 1000 + SLACK_M
