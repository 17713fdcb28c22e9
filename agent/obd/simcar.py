"""A car on a virtual CAN bus: it drives a route and sends what a car of its kind sends.

Some 1,720 frames a second by dbc/simcar.dbc, and a GNSS fix every 100 ms. Every frame is sent,
late rather than never, so the count follows from the time that has passed.
"""

from collections.abc import AsyncGenerator
from typing import Final

import can
import msgspec
from cantools.database.can import Message

from agent.clock import MS, SECOND, Clock
from agent.obd.identification import checked_vin
from agent.obd.route import CarState, Route
from agent.obd.simframes import CONTENT, SAFE, Values, checksum, load_messages, vin_values
from agent.position import PositionFix

SLOT_MS: Final = 10
"""All periods of the DBC file are multiples of it."""
EPOCH_NS: Final = 100 * MS

SEMI_MAJOR_M: Final = 1.2
SEMI_MINOR_M: Final = 0.8
ORIENTATION_DEG: Final = 15.0


class SimCar:
    """Its drive begins when it is made.

    channel: name of the python-can virtual channel; bus: the car's own end of it, which an
    ECU may share: what is sent there is not heard there
    """

    broken = 0

    def __init__(self, channel: str, clock: Clock, *, vin: str) -> None:
        """Raises MalformedInputError for a text that is no VIN."""
        self._timetable = _timetable(load_messages(), checked_vin(vin))
        self.bus: Final = can.Bus(channel, "virtual", ignore_config=True)
        self.frames_sent = 0
        self._clock = clock
        self._route = Route()
        self._begun, self._begun_utc = clock.mono_ns(), clock.now_ns()

    def state(self) -> CarState:
        """At this instant."""
        return self._route.at((self._clock.mono_ns() - self._begun) / SECOND)

    async def run(self) -> None:
        """Send frames until cancelled."""
        slot = -(-(self._clock.mono_ns() - self._begun) // (SLOT_MS * MS))
        while True:
            await self._clock.sleep_until(self._begun + slot * SLOT_MS * MS)
            self.send_slot(slot)
            slot += 1

    def send_slot(self, slot: int) -> None:
        """Send the frames that are due 10 ms * slot after the start of the drive."""
        state = self._route.at(slot * SLOT_MS / 1000.0)
        for entry in self._timetable:
            if slot % entry.every == entry.phase:
                self.bus.send(entry.frame(state, slot // entry.every))
                self.frames_sent += 1

    async def fixes(self) -> AsyncGenerator[PositionFix, None]:
        """A PositionSource: one fix at every whole 100 ms of UTC, without end."""
        now = self._begun_utc + self._clock.mono_ns() - self._begun  # the wall clock may step
        epoch = -(-now // EPOCH_NS) * EPOCH_NS
        while True:
            await self._clock.sleep_until(self._begun + epoch - self._begun_utc)
            yield self._fix(epoch, self._route.at((epoch - self._begun_utc) / SECOND))
            epoch += EPOCH_NS

    def close(self) -> None:
        self.bus.shutdown()

    def _fix(self, epoch: int, state: CarState) -> PositionFix:
        return PositionFix(
            t_ns=epoch,
            arrived_ns=self._clock.now_ns(),
            latitude_deg=state.latitude_deg,
            longitude_deg=state.longitude_deg,
            elevation_m=state.elevation_m,
            speed_mps=state.speed_mps,
            heading_deg=state.heading_deg,
            semi_major_m=SEMI_MAJOR_M,
            semi_minor_m=SEMI_MINOR_M,
            orientation_deg=ORIENTATION_DEG,
        )


class _Entry(msgspec.Struct, frozen=True):
    """One message of the timetable. every, phase: in slots; fixed: values that never change."""

    message: Message
    every: int
    phase: int
    safe: bool
    fixed: Values | None

    def frame(self, state: CarState, count: int) -> can.Message:
        values = CONTENT[self.message.name](state) if self.fixed is None else self.fixed
        if self.safe:
            values = {**values, "COUNTER": count % 16, "CHECKSUM": 0}
        data = bytearray(self.message.encode(values, strict=False))
        if self.safe:
            data[-1] = checksum(self.message.frame_id, bytes(data))
        return can.Message(arbitration_id=self.message.frame_id, data=data, is_extended_id=False)


def _timetable(messages: list[Message], vin: str) -> list[_Entry]:
    """Slow messages are spread over their period, so that no slot carries all of them."""
    fixed = vin_values(vin)
    entries = []
    for place, message in enumerate(messages):
        every = (message.cycle_time or SLOT_MS) // SLOT_MS
        safe = {signal.name for signal in message.signals} >= SAFE
        entries.append(_Entry(message, every, place % every, safe, fixed.get(message.name)))
    return entries
