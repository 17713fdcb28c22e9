"""Any other bus: adapters and virtual buses that python-can reads, one message a call."""

from typing import TYPE_CHECKING, Final

from agent.errors import MalformedInputError
from agent.obd.buserror import BusErrors, ErrorFrame
from agent.obd.frame import BASE_ID_MAX, CanFrame, Counts

if TYPE_CHECKING:
    import can

BATCH_FRAMES: Final = 500


class PythonCan:
    """Reads a bus, which is shut down with it. See bus.Reader. channel: of its frames."""

    def __init__(self, bus: "can.BusABC", channel: str, counts: Counts) -> None:
        self.errors = BusErrors(counts.errors)
        self.behind = False
        self._bus = bus
        self._channel = channel
        self._counts = counts
        self._first: can.Message | None = None
        self._failed: Exception | None = None

    def wait(self, seconds: float) -> bool:
        if self._failed is not None:
            raise self._failed
        if self._first is None:
            self._first = self._bus.recv(seconds)
        return self._first is not None

    def read(self) -> list[CanFrame]:
        messages = self._messages()
        self.behind = len(messages) == BATCH_FRAMES
        return [frame for one in messages if (frame := self._frame(one)) is not None]

    def stop(self) -> None:
        """There is nobody to tell; what comes after the last reading is left in the driver."""

    def close(self) -> None:
        self._bus.shutdown()

    def _messages(self) -> "list[can.Message]":
        """What came before a failure is handed over; the next call of `wait` tells of it."""
        messages = [] if self._first is None else [self._first]
        self._first = None
        try:
            while len(messages) < BATCH_FRAMES and (more := self._bus.recv(0)) is not None:
                messages.append(more)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, later
            self._failed = error
        return messages

    def _frame(self, message: "can.Message") -> CanFrame | None:
        t_ns = round(message.timestamp * 1e9)
        if message.is_error_frame:
            told = ErrorFrame(message.arbitration_id, bytes(message.data), t_ns, self._channel)
            self.errors.see(told)
            return None
        if message.is_remote_frame:
            self._counts.remote += 1
            return None
        try:
            return CanFrame(
                message.arbitration_id,
                bytes(message.data),
                t_ns,
                self._channel,
                message.is_extended_id or message.arbitration_id > BASE_ID_MAX,
                message.is_fd,
            )
        except (MalformedInputError, ValueError, OverflowError):
            self._counts.broken += 1
            return None
