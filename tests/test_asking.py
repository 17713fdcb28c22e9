"""A car is asked as the configuration says, and the log has what it answered."""

import asyncio
from pathlib import Path
from uuid import uuid4

import can
import pytest

from agent.archive import Archive, archive
from agent.clock import SECOND, SystemClock
from agent.compose import configured
from agent.config import BusConfig, Config
from agent.events import DtcSet, Event, SignalsSampled, decode
from agent.obd.ecu import Ecu
from agent.obd.route import Route
from agent.privacy import sealed

CLOCK = SystemClock()
LATE = Route().at(19.0)
KONA_0101 = bytes.fromhex(
    "FFF7E7FF74000000000300240E4E201E1E1E1E20000020BA32BA1A00009200"
    "0138A4000136830000735500006F8A00D325510D016B000000000AC6"
)
"""Of a real car (OBDb contributors, Hyundai Kona Electric): 366.2 V, 3.6 A, 30 degrees Celsius."""


def clear(parts: Archive) -> list[Event]:
    parts.writer.flush()
    found = (one for one in parts.log.read() if not sealed(one.level))
    return [decode(one.kind, one.payload) for one in found]


def series(events: list[Event]) -> dict[str, float]:
    """The last value of each signal."""
    return {
        name: values[-1]
        for event in events
        if isinstance(event, SignalsSampled)
        for name, (_, values) in event.series.items()
    }


async def test_codes_and_signals_of_a_set_are_in_the_log(tmp_path: Path) -> None:
    name = uuid4().hex
    bus = BusConfig(uri=f"virtual:{name}", queries=True, signals=("hyundai-kona-electric",))
    stop, deadline_ns = asyncio.Event(), CLOCK.mono_ns() + 10 * SECOND
    with (
        archive(tmp_path / "state", CLOCK, wait=False) as parts,
        can.Bus(name, "virtual", ignore_config=True) as wire,
        Ecu(wire, lambda: LATE, vin="KMHTEST0000000017", number=4, data={0x0101: KONA_0101}),
    ):
        running = asyncio.create_task(configured(Config(bus=(bus,)), parts, None).run(stop))
        found: dict[str, float] = {}
        codes: set[Event] = set()
        while CLOCK.mono_ns() < deadline_ns and not (codes and "battery.voltage" in found):
            await asyncio.sleep(0.1)
            events = clear(parts)
            found, codes = series(events), {one for one in events if isinstance(one, DtcSet)}
        stop.set()
        await running
    assert DtcSet("P0A80", "7EC", "stored") in codes
    assert found["battery.voltage"] == pytest.approx(366.2)
