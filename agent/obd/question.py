"""A question of OBD-II and what can come back (SAE J1979, ISO 15031-5). No I/O."""

from typing import Final

import msgspec

from agent.errors import UsageError

WITH_PID: Final = frozenset({0x01, 0x02, 0x09})
POSITIVE: Final = 0x40
NEGATIVE: Final = 0x7F
BUSY_REPEAT_REQUEST: Final = 0x21
RESPONSE_PENDING: Final = 0x78
FREEZE_FRAME: Final = 0x02
LAST_SERVICE: Final = 0x3F
LAST_PID: Final = 0xFF


class Question(msgspec.Struct, frozen=True):
    """pid: None for services that have none. Raises UsageError when the two do not fit."""

    service: int
    pid: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.service <= LAST_SERVICE or not 0 <= (self.pid or 0) <= LAST_PID:
            raise UsageError(f"service {self.service}, PID {self.pid}; at most 63 and 255")
        if self.service in WITH_PID and self.pid is None:
            raise UsageError(f"service {self.service:02X} needs a PID")
        if self.service not in WITH_PID and self.pid is not None:
            raise UsageError(f"service {self.service:02X} has no PID, {self.pid:02X} was given")

    def message(self) -> bytes:
        frame_number = b"\0" if self.service == FREEZE_FRAME else b""
        return self._named(self.service) + frame_number

    def answer_start(self) -> bytes:
        return self._named(self.service | POSITIVE)

    def _named(self, first: int) -> bytes:
        return bytes([first]) if self.pid is None else bytes([first, self.pid])


class Answer(msgspec.Struct, frozen=True):
    """
    ecu:     its answer identifier, "7E8"
    data:    what follows service and PID in the answer
    took_ns: from the question to the last frame of the answer
    """

    ecu: str
    data: bytes
    took_ns: int

    def __repr__(self) -> str:
        """Without the data, which may be a VIN."""
        return f"Answer(ecu={self.ecu!r}, {len(self.data)} bytes)"


class Refusal(msgspec.Struct, frozen=True):
    """nrc: negative response code (ISO 14229-1, table A.1); 0x21 busy, 0x78 never got ready."""

    ecu: str
    nrc: int


class Fragment(msgspec.Struct, frozen=True):
    """An ECU began to answer, or sent what is no ISO-TP. reason: in words."""

    ecu: str
    reason: str


Reply = Answer | Refusal | Fragment
