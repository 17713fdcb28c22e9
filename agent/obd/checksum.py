"""Checksums that carmakers put into their frames, besides that of the bus.

The CRC of CAN ends where a gateway or an adapter takes a frame in. A frame whose own checksum
does not fit was damaged or made up behind that, and none of its values is handed on. Where
hardly any frame of a message fits, it is the profile that is wrong: that is told, and the
message is believed as it comes.
"""

from collections.abc import Callable
from typing import Final

from agent.errors import ConfigError
from agent.events import Event, InputLost, SignalDoubted

SIGNAL: Final = "CHECKSUM"
"""Name of it in the DBC files of commaai/opendbc."""
PROVING: Final = 20
"""Our choice: after so many frames of a message it is settled whether the profile is right."""

Scheme = Callable[[int, bytes], int]
"""(identifier, data) -> the checksum, which is the last byte."""


def toyota(can_id: int, data: bytes) -> int:
    """Sum of length, identifier and data, byte by byte. Source: commaai/opendbc, toyota."""
    return (len(data) + sum(can_id.to_bytes(4, "big")) + sum(data[:-1])) & 0xFF


SCHEMES: Final[dict[str, Scheme]] = {"toyota": toyota}


def scheme_of(name: str) -> Scheme:
    """Raises ConfigError."""
    if name not in SCHEMES:
        raise ConfigError(f"checksum = {name!r}: one of {', '.join(sorted(SCHEMES))}")
    return SCHEMES[name]


class FrameCheck:
    """Of one message. wrong: frames so far whose checksum did not fit"""

    def __init__(self, message: str, length: int, scheme: Scheme) -> None:
        self._message = message
        self._length = length
        self._scheme = scheme
        self._seen = self._untold = self.wrong = 0
        self._given_up = False
        self._last = 0.0, 0.0
        self._doubt: SignalDoubted | None = None

    def fits(self, can_id: int, data: bytes) -> bool:
        """Whether a frame is to be believed. A cut one has no checksum to look at."""
        if self._given_up or len(data) != self._length:
            return True
        self._seen += 1
        expected = self._scheme(can_id, data)
        right = expected == data[-1]
        if not right:
            self.wrong += 1
            self._untold += 1
            self._last = float(data[-1]), float(expected)
        if self._seen == PROVING and self.wrong * 2 > PROVING:
            self._given_up = True
            name, reason = f"can.{self._message}.{SIGNAL}", "it is not that of the profile"
            self._doubt = SignalDoubted(name, reason, *self._last)
        return right

    def news(self, origin: str) -> list[Event]:
        """What was left out since it was last asked."""
        events: list[Event] = [self._doubt] if self._doubt is not None else []
        if self._untold:
            reason = f"{origin}: {self._message}: wrong checksum"
            events.append(InputLost("frames", self._untold, reason))
        self._untold, self._doubt = 0, None
        return events
