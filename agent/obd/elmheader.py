"""Whom an adapter asks: the commands that turn it to one ECU, and back to everybody.

ECUs of ISO 15765-4 (7E0 to 7E7, 18DAxxF1) take one command: an adapter hears their answers and
sends them flow control by itself. Those elsewhere need their answer's identifier let through, and
flow control by our word (ELM327 data sheet, AT SH, CRA, FC SH, FC SD, FC SM).
"""

from collections.abc import Callable
from typing import Final

from agent.errors import SourceLostError
from agent.obd.address import ANSWER_OFFSET, EVERYBODY, STANDARD, Address, name
from agent.obd.elmtalk import Said
from agent.obd.elmtext import UNKNOWN_COMMAND, printed

BY_OUR_WORD: Final = "ATFCSM1"
BY_ITSELF: Final = "ATFCSM0"
ALL_LET_THROUGH: Final = ("ATCRA", "ATAR")
"""Early adapters know the second one alone."""

Exchange = Callable[[str], Said | None]


class Header:
    """Of one session, which begins with everybody. Whatever went wrong is set anew."""

    def __init__(self) -> None:
        self._at: Address | None = None
        self._sure = True
        self._special = False

    def turn(self, at: Address | None, exchange: Exchange, *, extended: bool) -> str:
        """Let the adapter ask `at` from now on; why it does not, "" where it does.

        at: one ECU, or None for everybody; extended: whether everybody is asked with 29 bits
        Raises SourceLostError for an adapter that does not find back to everybody.
        """
        if self._sure and at == self._at:
            return ""
        if self._special and (reason := self._undone(exchange)):
            return reason
        to = at or EVERYBODY[extended]
        for command in commands(to):
            said = exchange(command)
            self._sure = self._sure and _unknown(said)  # then it is as it was
            self._special |= not command.startswith("ATSH")
            if not _taken(said):
                return f"{command} not taken"
        self._at, self._sure = at, True
        return ""

    def _undone(self, exchange: Exchange) -> str:
        self._sure = False
        said = exchange(BY_ITSELF)
        if not _taken(said) and not _unknown(said):  # what it does not know it never did
            return f"{BY_ITSELF} not taken"
        answers = [exchange(command) for command in ALL_LET_THROUGH]
        if all(map(_unknown, answers)):
            raise SourceLostError(f"the adapter takes none of {', '.join(ALL_LET_THROUGH)}")
        self._special = not any(map(_taken, answers))
        return "filter not taken back" if self._special else ""


def special(to: Address) -> bool:
    """Whether an adapter needs to be told more than whom to ask."""
    usual = to.request in STANDARD and to.answer == to.request + ANSWER_OFFSET
    return not (usual or to.extended or to.everybody)


def commands(to: Address) -> list[str]:
    """Of 29-bit identifiers the first byte, 18, is the adapter's own."""
    header = name(to.request)[-6:]
    if not special(to):
        return [f"ATSH{header}"]
    flow = [f"ATFCSH{header}", "ATFCSD300000", BY_OUR_WORD]
    return [f"ATSH{header}", f"ATCRA{name(to.answer)}", *flow]


def _taken(said: Said | None) -> bool:
    return said is not None and b"OK" in said.octets


def _unknown(said: Said | None) -> bool:
    return said is not None and UNKNOWN_COMMAND in printed(said.octets).remarks
