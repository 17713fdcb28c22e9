"""Whom a question goes to, and by which CAN identifiers its answers come (ISO 15765-4).

Everybody is asked at 7DF, or at 18DB33F1 on cars with 29-bit identifiers; one ECU at its own.
"""

from typing import Final

import msgspec

from agent.errors import UsageError
from agent.obd.frame import BASE_ID_MAX, EXTENDED_ID_MAX

ANSWER_OFFSET: Final = 8
STANDARD: Final = range(0x7E0, 0x7E8)
"""ECUs of emissions; carmakers give others a place anywhere in DIAGNOSTIC."""
DIAGNOSTIC: Final = range(0x700, 0x800)
TO_EVERYBODY: Final = 0x7DF
_TO_ECU, _FROM_ECU, _HDR = 0x18DA00F1, 0x18DAF100, 0xDA


class Address(msgspec.Struct, frozen=True):
    """
    request:      identifier of the question
    answer, mask: of the answers, as in a filter of the kernel
    """

    request: int
    answer: int
    mask: int

    @property
    def extended(self) -> bool:
        """Whether identifiers have 29 bits."""
        return self.request > BASE_ID_MAX

    @property
    def everybody(self) -> bool:
        return self in EVERYBODY

    def hears(self, can_id: int, *, extended: bool) -> bool:
        return extended == self.extended and can_id & self.mask == self.answer

    def physical(self, answer_id: int) -> int:
        """Where flow control to the ECU that answers by this identifier goes."""
        if not self.everybody:
            return self.request
        if self.extended:
            return _TO_ECU | (answer_id & 0xFF) << 8
        return answer_id - ANSWER_OFFSET


EVERYBODY: Final = (
    Address(TO_EVERYBODY, 0x7E8, 0x7F8),
    Address(0x18DB33F1, _FROM_ECU, 0x1FFFFF00),
)
"""With 11-bit and with 29-bit identifiers."""


def one_ecu(hdr: str, rax: str | None = None) -> Address:
    """The address of a signal set: "7E4" and "7EC", or "DA10" and "10".

    Raises UsageError for identifiers that are not those of diagnostics.
    """
    number = int(hdr, 16)
    answer = number + ANSWER_OFFSET if rax is None else int(rax, 16)
    if number in DIAGNOSTIC and answer in DIAGNOSTIC and number != TO_EVERYBODY:
        return Address(number, answer, BASE_ID_MAX)
    if number >> 8 == _HDR and rax in (None, hdr[2:]):
        ecu = number & 0xFF
        return Address(_TO_ECU | ecu << 8, _FROM_ECU | ecu, EXTENDED_ID_MAX)
    raise UsageError(f"hdr {hdr}, rax {rax}: neither 700 to 7FF nor DA00 to DAFF")


def name(can_id: int) -> str:
    """Of an ECU, by the identifier it answers with."""
    return f"{can_id:03X}" if can_id <= BASE_ID_MAX else f"{can_id:08X}"


def speaks_to_an_ecu(can_id: int) -> bool:
    """Whether it is the identifier of one ECU of the standard: 7E0 to 7E7, or 18DAxxF1."""
    return can_id in STANDARD or can_id & ~0xFF00 == _TO_ECU
