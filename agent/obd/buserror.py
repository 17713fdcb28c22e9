"""Error frames: what a controller tells of its bus, in the form of linux/can/error.h.

An error frame is no traffic of the car; the driver makes it. It is counted by the gravest thing it
says, and a change of the controller's state is remembered until somebody asks for it.
"""

from collections import Counter, deque
from typing import Final, NamedTuple

from agent.clock import SECOND
from agent.obd.frame import BusState

ERROR_FLAG: Final = 0x2000_0000
"""Set in the identifier of an error frame (linux/can.h, CAN_ERR_FLAG)."""
UNNAMED: Final = "error frame"
"""Of a recording or an adapter that does not say what was wrong."""
ACTIVE: Final = "error active"
CHANGES_A_MINUTE: Final = 10
"""Our choice: more are counted with their error frames and not told one by one."""

_CONTROLLER: Final = 0x04
_CONTROLLER_BITS: Final = (
    (0x30, "error passive"),
    (0x0C, "error warning"),
    (0x01, "controller's receive queue full"),
    (0x02, "controller's send queue full"),
    (0x40, ACTIVE),
)
"""Bits of data[1] where the class says "controller", gravest first."""
_CLASSES: Final = (
    (0x0040, "bus off"),
    (0x0100, "restarted"),
    (_CONTROLLER, "controller problem"),
    (0x0010, "transceiver problem"),
    (0x0020, "no acknowledgement"),
    (0x0001, "send timeout"),
    (0x0008, "protocol violation"),
    (0x0080, "bus error"),
    (0x0002, "arbitration lost"),
)
"""Bits of the identifier, gravest first."""
_STATES: Final = {
    "bus off": "bus off",
    "restarted": ACTIVE,
    "error passive": "error passive",
    "error warning": "error warning",
    ACTIVE: ACTIVE,
}


class ErrorFrame(NamedTuple):
    """error_class: its identifier, with flags or without."""

    error_class: int
    data: bytes
    t_ns: int
    channel: str


def kind(error_class: int, data: bytes) -> str:
    """The gravest thing an error frame says. error_class: its identifier, flags or not."""
    for bits, name in _CLASSES:
        if error_class & bits:
            return _controller(data) if bits == _CONTROLLER else name
    return UNNAMED


def _controller(data: bytes) -> str:
    told = data[1] if len(data) > 1 else 0
    return next((name for bits, name in _CONTROLLER_BITS if told & bits), "controller problem")


class BusErrors:
    """The error frames of one source. counts: by kind."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self._now: dict[str, str] = {}
        self._changes: list[BusState] = []
        self._told_ns: deque[int] = deque(maxlen=CHANGES_A_MINUTE)

    def see(self, frame: ErrorFrame) -> None:
        told = kind(frame.error_class, frame.data)
        self.counts[told] += 1
        state = _STATES.get(told)
        if state is None or state == self._now.get(frame.channel, ACTIVE):
            return
        self._now[frame.channel] = state
        told_ns = self._told_ns
        if len(told_ns) < CHANGES_A_MINUTE or abs(frame.t_ns - told_ns[0]) > 60 * SECOND:
            told_ns.append(frame.t_ns)
            self._changes.append(BusState(frame.t_ns, frame.channel, state))

    def take(self) -> list[BusState]:
        """Changes of state since the last call."""
        taken, self._changes = self._changes, []
        return taken
