"""The simulated car's ECU on the bus: it hears requests and answers them over ISO-TP."""

from collections.abc import Callable, Mapping
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
EXTENDED_IDS: Final = (0x18DB33F1, 0x18DA10F1, 0x18DAF110)
"""The same three with 29 bits; the ECU's number stands in another place of each."""
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
    extended: whether its identifiers have 29 bits (18DA10F1, 18DAF110)
    data:   what it answers to service 22, by identifier; without it, the VIN
    """

    def __init__(
        self,
        bus: can.BusABC,
        state: Callable[[], CarState],
        *,
        vin: str,
        number: int = 0,
        extended: bool = False,
        data: Mapping[int, bytes] | None = None,
    ) -> None:
        if not 0 <= number < MOST_ECUS:
            raise UsageError(f"ECU number {number}; 0 to {MOST_ECUS - 1}")
        self._bus = bus
        self._diagnosis = Diagnosis(state, vin, data)
        self._extended = extended
        self._functional_id, self._physical_id, answer_id = _ids(number, extended=extended)
        self._physical = Transport(self._physical_id, answer_id, self._send)
        self._functional = Transport(self._functional_id, answer_id, self._send)
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
            if message is not None and message.is_extended_id == self._extended and message.data:
                self._hear(message.arbitration_id, bytes(message.data))
            self._physical.tick()

    def _hear(self, can_id: int, data: bytes) -> None:
        if can_id not in (self._functional_id, self._physical_id):
            return
        functional = can_id == self._functional_id
        request = (self._functional if functional else self._physical).take(data)
        if request is not None:
            answer = self._diagnosis.answer(request, functional=functional)
            if answer is not None:
                self._physical.send(answer)

    def _send(self, can_id: int, data: bytes) -> None:
        message = can.Message(arbitration_id=can_id, data=data, is_extended_id=self._extended)
        self._bus.send(message)


def _ids(number: int, *, extended: bool) -> tuple[int, int, int]:
    """To everybody, to this ECU, and from it."""
    if extended:
        everybody, physical, answer = EXTENDED_IDS
        return everybody, physical + (number << 8), answer + number
    return FUNCTIONAL_ID, FIRST_PHYSICAL_ID + number, FIRST_ANSWER_ID + number
