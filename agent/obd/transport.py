"""ISO-TP between one pair of CAN identifiers (ISO 15765-2), fed with frames by its owner.

The state machine is can-isotp's. Whoever owns the bus hands in each frame for this pair, calls
`tick` now and then, and so needs no thread of the library's.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import isotp

from agent.obd.frame import BASE_ID_MAX

PADDING: Final = 0x00
LONGEST: Final = 4095
"""Bytes in one message on classic CAN."""
_LOGGER: Final = "agent.obd.transport"

# The library logs what it carries at level DEBUG, a VIN too; its errors reach us as a callback.
logging.getLogger(_LOGGER).setLevel(logging.CRITICAL)


class Transport:
    """
    send:      called with (CAN id, data) for each frame that must leave
    complaint: why the last message that came was not whole; "" while nothing went wrong
    """

    def __init__(self, rx_id: int, tx_id: int, send: Callable[[int, bytes], None]) -> None:
        self.complaint = ""
        self._rx_id = rx_id
        self._inbox: deque[isotp.CanMessage] = deque()
        self._logic = isotp.TransportLayerLogic(
            rxfn=self._next,
            txfn=lambda message: send(message.arbitration_id, bytes(message.data)),
            address=isotp.Address(_mode(rx_id), txid=tx_id, rxid=rx_id),
            error_handler=self._complain,
            params={
                "tx_padding": PADDING,
                "blocksize": 0,
                "stmin": 0,
                "max_frame_size": LONGEST,
                "logger_name": _LOGGER,
                "wait_func": lambda _: None,  # it is tried out for 1 ms at each construction
            },
        )

    @property
    def receiving(self) -> bool:
        """Whether a message has begun to arrive."""
        return self._logic.is_rx_active()

    @property
    def sending(self) -> bool:
        return self._logic.transmitting()

    def take(self, data: bytes) -> bytes | None:
        """Hand in a frame; the message that it completes, if it does."""
        extended = self._rx_id > BASE_ID_MAX
        frame = isotp.CanMessage(arbitration_id=self._rx_id, data=data, extended_id=extended)
        self._inbox.append(frame)
        self.tick()
        message = self._logic.recv()
        return None if message is None else bytes(message)

    def send(self, message: bytes) -> None:
        """Begin to send; frames go out now and at later ticks."""
        self._logic.send(message)
        self.tick()

    def tick(self) -> None:
        """Look at the timers; send what is due."""
        self._logic.process()

    def _next(self, _timeout: float) -> isotp.CanMessage | None:
        return self._inbox.popleft() if self._inbox else None

    def _complain(self, error: Exception) -> None:
        self.complaint = str(error)


def _mode(can_id: int) -> isotp.AddressingMode:
    if can_id > BASE_ID_MAX:
        return isotp.AddressingMode.Normal_29bits
    return isotp.AddressingMode.Normal_11bits
