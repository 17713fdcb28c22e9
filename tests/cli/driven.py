"""A state directory with two starts of the agent: what the tests of looking into it share."""

from pathlib import Path

from agent import installed
from agent.archive import Archive, archive
from agent.bsm.message import BasicSafetyMessage
from agent.clock import SECOND, ManualClock
from agent.events import (
    BsmHeard,
    BsmMade,
    ConsentRequested,
    DtcCleared,
    DtcSet,
    InputLost,
    ParcelRegistered,
    PositionFixed,
    SignalsSampled,
)
from agent.privacy import Level

START_NS = 1_795_000_000 * SECOND
"""2026-11-18T11:06:40Z."""
NORTH_DEG, EAST_DEG = 48.1234567, 11.7654321


def message(number: int) -> bytes:
    """Of a car that moves north by a thousandth of a degree with each."""
    return installed.codec().encode_frame(
        BasicSafetyMessage(
            msg_count=number,
            temporary_id=b"\xca\xfe\xba\xbe",
            latitude_deg=NORTH_DEG + number / 1_000,
            longitude_deg=EAST_DEG,
        )
    )


def drive(state: Path) -> ManualClock:
    """10 s, a pause of 90 s, and 10 s more; one of each kind that matters a second."""
    clock = ManualClock(START_NS)
    for _ in range(2):
        with archive(state, clock, wait=True) as parts:
            for second in range(10):
                _second(parts, second)
                clock.advance(SECOND)
        clock.advance(90 * SECOND)
    return clock


def _second(parts: Archive, second: int) -> None:
    write, now_ns = parts.journal.write, parts.clock.now_ns()
    speed = {"speed.vehicle": ([0, 5], [second - 0.5, float(second)])}
    write(SignalsSampled("can0", now_ns, speed), level=Level.LV3)
    north_deg = NORTH_DEG + second / 1_000
    write(PositionFixed(now_ns, north_deg, EAST_DEG, *[None] * 6), t_ns=now_ns)
    write(BsmMade(message(second), on_air=True))
    write(BsmHeard(message(100), "ok") if second else BsmHeard(b"noise", "not a BSM"))
    if second == 3:
        write(DtcSet("P0301", "7E8"))
        write(ConsentRequested("AB", "B1", "100"))
    if second == 6:
        write(DtcCleared("P0301", "7E8"))
        write(InputLost("frames", 7, "queue full"))
        write(ParcelRegistered("AB", 3, 1, 9, 4_000, "TX", 7, b"custody", b"root"))
