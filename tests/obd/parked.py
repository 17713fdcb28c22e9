"""A parked car on a virtual bus that falls asleep when it is left alone, and somebody who asks it.

The frames are those of the simulated car, the answers those of its ECU; the clock is moved by hand.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import uuid4

import can
import msgspec

from agent.clock import SECOND, ManualClock
from agent.events import AskingChanged
from agent.obd.diagnosis import Diagnosis
from agent.obd.frame import CanFrame
from agent.obd.guard import Guard, Limits
from agent.obd.pids import PIDS, signal
from agent.obd.route import CarState, Route
from agent.obd.sentry import Sentry
from agent.obd.simcar import SimCar
from agent.signals import Signal

VIN = "KMHTEST0000000017"
PARKED = msgspec.structs.replace(Route().at(0.0), speed_mps=0.0, motor_rps=0.0, supply_v=12.6)
ALL_PIDS = (0x0C, 0x0D, 0x42)
EVERY_S = 3


class ParkedCar:
    """
    sleep_s: so long after the last question, or after it was woken, its bus falls silent
    pids:    those that its ECU answers
    shows:   whether its own frames reach the bus on which it is asked; not so behind a gateway
    supply:  its voltage, by whether it is awake
    meter:   whether we measure that ourselves, too, as an adapter does
    """

    def __init__(
        self,
        sleep_s: float,
        limits: Limits | None = None,
        *,
        pids: tuple[int, ...] = ALL_PIDS,
        shows: bool = True,
        supply: Callable[[bool], float] = lambda _: 12.6,
        meter: bool = False,
    ) -> None:
        channel = uuid4().hex
        self.clock = ManualClock()
        self.guard = Guard("can0", limits or Limits(), 0)
        self.sentry = Sentry(self.guard, self.clock)
        self.changes: list[AskingChanged] = []
        self.asked_s = self.awake_s = 0
        self.running = False
        self._pids, self._shows, self._supply, self._meter = pids, shows, supply, meter
        self._sleep_s = sleep_s
        self._awake_until_s = sleep_s
        self._car = SimCar(channel, self.clock, vin=VIN)
        self._ecu = Diagnosis(self._state, VIN)
        self._tester = can.Bus(channel, "virtual", ignore_config=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tester.shutdown()
        self._car.close()

    @property
    def awake(self) -> bool:
        return self.running or self._now_s() < self._awake_until_s

    def states(self) -> list[str]:
        return [change.state for change in self.changes]

    def wake(self) -> None:
        """A door is opened, or a controller has something to do."""
        self._awake_until_s = self._now_s() + self._sleep_s

    def live(self, seconds: int) -> None:
        """In steps of one second, each with its frames and, if the guard allows, its questions."""
        for _ in range(seconds):
            self.clock.advance(SECOND)
            self.awake_s += self.awake
            if self.awake and self._shows and self._now_s() % EVERY_S == 0:
                self._car.send_slot(int(self._now_s()))
            self._listen()
            if self._meter:
                self.sentry.signals([Signal("supply.voltage", self._state().supply_v, 0, "obd")])
            asking, change = self.sentry.look()
            self.changes += [change] if change is not None else []
            if asking:
                self.asked_s += 1
                self.wake()
                self._ask()

    def _ask(self) -> None:
        for pid in self._pids:
            answer = self._ecu.answer(bytes([1, pid]), functional=True)
            assert answer is not None
            data = bytes([len(answer)]) + answer
            self._car.bus.send(can.Message(arbitration_id=0x7E8, data=data, is_extended_id=False))

    def _listen(self) -> None:
        while (message := self._tester.recv(0)) is not None:
            data = bytes(message.data)
            self.sentry.frames([CanFrame(message.arbitration_id, data, 0, "can0")])
            if message.arbitration_id == 0x7E8 and data[2] in PIDS:
                self.sentry.signals([signal(data[2], data[3:], 0)])

    def _state(self) -> CarState:
        if self.running:
            return msgspec.structs.replace(PARKED, motor_rps=15.0, supply_v=14.1)
        return msgspec.structs.replace(PARKED, supply_v=self._supply(self.awake))

    def _now_s(self) -> float:
        return self.clock.mono_ns() / SECOND
