"""Checksums and counters that carmakers put into their frames, besides the CRC of the bus.

That CRC ends where a gateway or an adapter takes a frame in. A frame whose own checksum does not
fit was damaged or made up behind it, and one whose counter stands still is an old one, sent
again by something that hangs: none of their values is handed on. A counter that skips tells of
frames that never reached us.

Where hardly any frame of a message fits, it is the profile that is wrong: that is told, and the
message is believed as it comes.
"""

from collections.abc import Callable
from typing import Final, Protocol

from cantools.database.can import Message

from agent.clock import SECOND
from agent.errors import ConfigError
from agent.events import Event, InputLost, SignalDoubted
from agent.obd.bits import Field, raw_value
from agent.obd.frame import CanFrame

SIGNAL: Final = "CHECKSUM"
"""Name of it in the DBC files of commaai/opendbc."""
PROVING: Final = 20
"""Our choice: after so many frames of a message it is settled whether the profile is right."""
STUCK: Final = 10
"""Our choice: a gateway may send a frame a few times over; more often it hangs."""
PAUSE_NS: Final = SECOND
"""After so long a silence a counter may begin anywhere."""

Scheme = Callable[[int, bytes], int]
"""(identifier, data) -> the checksum, which is the last byte."""


class FrameCheck(Protocol):
    """Of one message."""

    def fits(self, frame: CanFrame) -> bool:
        """Whether the values of a frame are to be believed."""

    def news(self) -> list[Event]:
        """What was found since it was last asked."""


def toyota(can_id: int, data: bytes) -> int:
    """Sum of length, identifier and data, byte by byte. Source: commaai/opendbc, toyota."""
    return (len(data) + sum(can_id.to_bytes(4, "big")) + sum(data[:-1])) & 0xFF


SCHEMES: Final[dict[str, Scheme]] = {"toyota": toyota}


def scheme_of(name: str) -> Scheme:
    """Raises ConfigError."""
    if name not in SCHEMES:
        raise ConfigError(f"checksum = {name!r}: one of {', '.join(sorted(SCHEMES))}")
    return SCHEMES[name]


class Findings:
    """What is to be told of one message, added up until somebody asks."""

    def __init__(self) -> None:
        self._lost: dict[tuple[str, str], int] = {}
        self._doubts: list[Event] = []

    def lost(self, what: str, count: int, reason: str) -> None:
        self._lost[what, reason] = self._lost.get((what, reason), 0) + count

    def doubt(self, doubt: SignalDoubted) -> None:
        self._doubts.append(doubt)

    def take(self) -> list[Event]:
        if not self._lost and not self._doubts:
            return []
        lost = [InputLost(what, count, reason) for (what, reason), count in self._lost.items()]
        events, self._lost, self._doubts = [*self._doubts, *lost], {}, []
        return events


class Trial:
    """The first frames of a message. failed: hardly any fits what the profile says"""

    def __init__(self) -> None:
        self.failed = False
        self._seen = self._wrong = 0

    def fails(self, *, right: bool) -> bool:
        """Whether this frame settled it."""
        self._seen += 1
        self._wrong += not right
        settled = self._seen == PROVING and self._wrong * 2 > PROVING
        self.failed |= settled
        return settled


class ChecksumCheck:
    """A frame that was cut has no checksum to look at, and is believed."""

    def __init__(self, message: str, length: int, scheme: Scheme) -> None:
        self._message = message
        self._length = length
        self._scheme = scheme
        self._trial = Trial()
        self._found = Findings()

    def fits(self, frame: CanFrame) -> bool:
        data = frame.data
        if self._trial.failed or len(data) != self._length:
            return True
        stated, expected = data[-1], self._scheme(frame.can_id, data)
        right = stated == expected
        if not right:
            self._found.lost("frames", 1, f"{frame.channel}: {self._message}: wrong checksum")
        if self._trial.fails(right=right):
            name, reason = f"can.{self._message}.{SIGNAL}", "it is not that of the profile"
            self._found.doubt(SignalDoubted(name, reason, float(stated), float(expected)))
        return right

    def news(self) -> list[Event]:
        return self._found.take()


class CounterCheck:
    """name: of the counter; field: its place in a whole frame; size: its values, from 0 on"""

    def __init__(self, message: Message, name: str, field: Field, size: int) -> None:
        self._message = message.name
        self._length = message.length
        self._name = f"can.{message.name}.{name}"
        self._field = field
        self._size = size
        self._last: dict[str, tuple[int, int, int]] = {}
        self._trial = Trial()
        self._found = Findings()

    def fits(self, frame: CanFrame) -> bool:
        data, channel = frame.data, frame.channel
        if self._trial.failed or len(data) != self._length:
            return True
        little, big = int.from_bytes(data, "little"), int.from_bytes(data, "big")
        count = raw_value(self._field, little, big)
        before, t_ns, stood = self._last.get(channel, (count - 1, frame.t_ns, 0))
        goes_on = 0 <= frame.t_ns - t_ns <= PAUSE_NS
        step = (count - before) % self._size if goes_on else 1
        stood = stood + 1 if step == 0 else 0
        self._last[channel] = count, frame.t_ns, stood
        if self._trial.fails(right=step == 1):
            reason = "it does not count as the profile says"
            expected = (before + 1) % self._size
            self._found.doubt(SignalDoubted(self._name, reason, float(count), float(expected)))
        if step > 1:
            self._found.lost("counts", step - 1, f"{channel}: {self._message}: its counter skips")
        if stood >= STUCK:
            self._found.lost("frames", 1, f"{channel}: {self._message}: its counter stands still")
        return stood < STUCK

    def news(self) -> list[Event]:
        return self._found.take()
