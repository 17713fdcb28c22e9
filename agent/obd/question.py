"""A question of OBD-II, UDS or KWP2000 and what can come back. No I/O.

SAE J1979, ISO 14229-1; of ISO 14230-3 service 21, ReadDataByLocalIdentifier, alone.
"""

from typing import Final, Protocol

import msgspec

from agent.errors import UsageError
from agent.obd.address import Address

WITH_PID: Final = frozenset({0x01, 0x02, 0x09, 0x19, 0x21, 0x22})
POSITIVE: Final = 0x40
NEGATIVE: Final = 0x7F
BUSY_REPEAT_REQUEST: Final = 0x21
RESPONSE_PENDING: Final = 0x78
FREEZE_FRAME: Final = 0x02
READ_DTCS: Final = 0x19
READ_LOCAL: Final = 0x21
READ_DATA: Final = 0x22
CURRENT_DATA: Final = 0x01
CONFIRMED: Final = 0x08
"""Bit of a UDS code's status that we ask for (ISO 14229-1, table D.2)."""
NRC_PLACE: Final = 2
LAST_SERVICE: Final = 0x3F
LAST_PID: Final = 0xFF
LAST_IDENTIFIER: Final = 0xFFFF


class Question(msgspec.Struct, frozen=True):
    """
    pid: None for services that have none; of services 21 and 22 the identifier, of 19 the report
    at:  whom it goes to; None is everybody

    Raises UsageError when service and PID do not fit, and for service 21 to everybody: what its
    identifiers are each ECU has its own.
    """

    service: int
    pid: int | None = None
    at: Address | None = None

    def __post_init__(self) -> None:
        most = LAST_IDENTIFIER if self.service == READ_DATA else LAST_PID
        if not 0 <= self.service <= LAST_SERVICE or not 0 <= (self.pid or 0) <= most:
            raise UsageError(
                f"service {self.service:02X}, PID {self.pid}; at most {LAST_SERVICE:02X} and {most}"
            )
        if self.service in WITH_PID and self.pid is None:
            raise UsageError(f"service {self.service:02X} needs a PID")
        if self.service == READ_LOCAL and self.at is None:
            raise UsageError(f"service {self.service:02X} is for one ECU, not for everybody")
        if self.service not in WITH_PID and self.pid is not None:
            raise UsageError(f"service {self.service:02X} has no PID, {self.pid:02X} was given")

    def message(self) -> bytes:
        behind = {FREEZE_FRAME: b"\0", READ_DTCS: bytes([CONFIRMED])}  # frame 0; which codes
        return self._named(self.service) + behind.get(self.service, b"")

    def answer_start(self) -> bytes:
        return self._named(self.service | POSITIVE)

    def _named(self, first: int) -> bytes:
        if self.pid is None:
            return bytes([first])
        return bytes([first]) + self.pid.to_bytes(2 if self.service == READ_DATA else 1, "big")


class Answer(msgspec.Struct, frozen=True):
    """
    ecu:     its answer identifier, "7E8" or "18DAF110"
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


def reply_to(question: Question, ecu: str, message: bytes, took_ns: int) -> Answer | Refusal | None:
    """What a whole message of an ECU says to a question; None where it answers some other one."""
    if message[:2] == bytes([NEGATIVE, question.service]) and len(message) > NRC_PLACE:
        return Refusal(ecu, message[NRC_PLACE])
    start = question.answer_start()
    return Answer(ecu, message[len(start) :], took_ns) if message.startswith(start) else None


class Requester(Protocol):
    """Who carries a question to the car; see `ObdRequester.ask`."""

    def ask(
        self,
        service: int,
        pid: int | None = None,
        timeout_s: float = 0.2,
        *,
        at: Address | None = None,
    ) -> list[Reply]: ...

    def close(self) -> None: ...

    def reopen(self) -> None: ...
