"""The simulated car's ECU on the bus: it hears requests and answers them over ISO-TP."""

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

import can

from agent.errors import UsageError
from agent.obd.diagnosis import Diagnosis
from agent.obd.route import CarState
from agent.obd.transport import Transport

FUNCTIONAL_ID: Final = 0x7DF  # ISO 15765-4, 11-bit identifiers
FIRST_PHYSICAL_ID: Final = 0x7E0
FIRST_ANSWER_ID: Final = 0x7E8
MOST_ECUS: Final = 8
IDLE_S: Final = 0.02
SENDING_S: Final = 0.001
STOP_S: Final = 1.0


class Ecu:
    """A context manager: a thread of its own answers while it is open.

    bus:    its end of the bus, which must outlive it; best the SimCar's own, where the car's
            1,700 frames a second are not heard
    state:  the car at this instant
    number: 0 for the first ECU of the car (7E0, 7E8) to 7 for the eighth
    """

    def __init__(
        self, bus: can.BusABC, state: Callable[[], CarState], *, vin: str, number: int = 0
    ) -> None:
        if not 0 <= number < MOST_ECUS:
            raise UsageError(f"ECU number {number}; 0 to {MOST_ECUS - 1}")
        self._bus = bus
        self._diagnosis = Diagnosis(state, vin)
        self._physical_id = FIRST_PHYSICAL_ID + number
        answer_id = FIRST_ANSWER_ID + number
        self._physical = Transport(self._physical_id, answer_id, self._send)
        self._functional = Transport(FUNCTIONAL_ID, answer_id, self._send)
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = Thread(target=self._serve, name=f"ecu-{self._physical_id:03X}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            message = self._bus.recv(SENDING_S if self._physical.sending else IDLE_S)
            if message is not None and not message.is_extended_id and message.data:
                self._hear(message.arbitration_id, bytes(message.data))
            self._physical.tick()

    def _hear(self, can_id: int, data: bytes) -> None:
        if can_id not in (FUNCTIONAL_ID, self._physical_id):
            return
        functional = can_id == FUNCTIONAL_ID
        request = (self._functional if functional else self._physical).take(data)
        if request is not None:
            answer = self._diagnosis.answer(request, functional=functional)
            if answer is not None:
                self._physical.send(answer)

    def _send(self, can_id: int, data: bytes) -> None:
        self._bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False))
