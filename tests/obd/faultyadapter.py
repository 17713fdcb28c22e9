"""An ELM327 of our own with the faults of bad cables and bad clones.

Its car never gives the same value twice, so a value says when it was asked for. It stands for a
link, on a clock that moves when it is read.
"""

import re
from collections import deque
from random import Random

import msgspec

from agent.clock import MS, SECOND, ManualClock

READ_NS = 20 * MS
BYTE_NS = SECOND // 3840
SIZES = {0x00: 4, 0x04: 1, 0x0C: 2, 0x0D: 1, 0xA6: 4}
IDENTIFIERS = {0xD001: 2, 0xD002: 12}
"""Of service 22, which one ECU is asked, with how many bytes."""
ELSEWHERE = "7B0", "7CF"
"""An ECU to which no adapter sends flow control by itself, and the identifier of its answers."""
VIN = b"\x01KMHTEST0000000017"
WHICH = bytes.fromhex("BE3FA813")


_TURN = re.compile(
    r"AT(SH|CRA|FCSH)([0-9A-F]{3}|[0-9A-F]{6}|[0-9A-F]{8})|AT(CRA|AR)|ATFCS[DM][0-9A-F]+"
)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Chances, of each byte or each command, from 0 to 1."""

    loss_out: float = 0.0
    loss_in: float = 0.0
    hang: float = 0.0
    garbage: float = 0.0
    wrong_echo: float = 0.0
    no_prompt: float = 0.0
    split: bool = False


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How this adapter and this car print: frame lengths, padding, long identifiers, echo.

    headers: whether it can be turned to one ECU; old: back by AT AR, not by AT CRA
    """

    lengths: bool = False
    padded: bool = False
    long_ids: bool = False
    echo: bool = True
    multi: bool = True
    ecus: int = 2
    hints: bool = True
    headers: bool = True
    old: bool = False


class FaultyAdapter:
    """
    services: those that were asked of the car
    headers:  to whom they went
    settings: commands that turned it
    search_ns: how long the next question makes it look for the bus
    stall_ns:  how late everything is from the next command on
    lose_next: bytes of the next command that do not reach it
    given:    what the car answered: (PID or service, ECU) -> [(time, data)]
    """

    def __init__(self, clock: ManualClock, seed: int, faults: Faults, style: Style) -> None:
        self.services: set[int] = set()
        self.headers: set[str] = set()
        self.settings: list[str] = []
        self.given: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        self.faults = faults
        self.closed = False
        self.search_ns = 0
        self.lose_next = 0
        self.stall_ns = 0
        self._clock = clock
        self._dice = Random(seed)
        self._style = style
        self._typed = ""
        self._echo = style.echo
        self._out: deque[tuple[int, int]] = deque()
        self._free_ns = 0
        self._serial = self._dice.randrange(1 << 16)
        self._turn_to_all()

    def read(self) -> bytes:
        now = self._clock.mono_ns()
        if self._out and self._out[0][0] <= now + READ_NS:
            self._clock.advance(max(0, self._out[0][0] - now))
        else:
            self._clock.advance(READ_NS)
        most = self._dice.randint(1, 3) if self.faults.split else 4096
        octets = bytearray()
        while self._out and self._out[0][0] <= self._clock.mono_ns() and len(octets) < most:
            octets.append(self._out.popleft()[1])
        return bytes(octets)

    def write(self, octets: bytes) -> None:
        octets, self.lose_next = octets[self.lose_next :], 0
        self._free_ns = max(self._free_ns, self._clock.mono_ns()) + self.stall_ns
        self.stall_ns = 0
        for octet in octets:
            if self._dice.random() >= self.faults.loss_in:
                self._hear(chr(octet))

    def close(self) -> None:
        self.closed = True

    def _hear(self, char: str) -> None:
        if self._echo:
            wrong = self._dice.random() < self.faults.wrong_echo
            self._print(chr(self._dice.randrange(33, 127)) if wrong else char)
        if char != "\r":
            self._typed += char
            return
        command, self._typed = self._typed.replace(" ", "").upper(), ""
        if self._dice.random() < self.faults.hang:
            pause = self._dice.choice([200 * MS, SECOND, 3 * SECOND, 20 * SECOND])
            self._free_ns = max(self._free_ns, self._clock.mono_ns()) + pause
            if self._dice.random() < 0.5:  # it wakes up and has forgotten the command
                return
        self._carry_out(command)

    def _carry_out(self, command: str) -> None:
        if self._dice.random() < self.faults.garbage:
            length = self._dice.randrange(1, 40)
            self._print("".join(chr(self._dice.randrange(256)) for _ in range(length)) + "\r")
        answer = self._answer(command)
        if self.search_ns and not command.startswith("AT"):
            self._print("SEARCHING...\r")
            self._free_ns, self.search_ns = self._free_ns + self.search_ns, 0
        self._print(answer + "\r")
        if self._dice.random() >= self.faults.no_prompt:
            self._print(">")

    def _print(self, text: str) -> None:
        at = max(self._free_ns, self._clock.mono_ns())
        for char in text:
            at += BYTE_NS
            if self._dice.random() >= self.faults.loss_out:
                self._out.append((at, ord(char)))
        self._free_ns = at

    def _answer(self, command: str) -> str:
        if command == "ATZ":
            self._echo = self._style.echo
            self._turn_to_all()
            return "\r\rELM327 v1.5\r"
        if command.startswith("ATE") and self._style.echo:
            self._echo = command == "ATE1"
        if command.startswith(("ATSH", "ATCRA", "ATFC", "ATAR")):
            self.settings.append(command)
            return "OK\r" if self._style.headers and self._turned(command) else "?\r"
        if command.startswith("AT"):
            return "OK\r" if command != "ATI" else "ELM327 v1.5\r"
        if len(command) < 2 or any(char not in "0123456789ABCDEF" for char in command):
            return "?\r"
        self.services.add(int(command[:2], 16))
        self.headers.add(self._header)
        if len(command) % 2:
            if not self._style.hints:
                return "?\r"
            command = command[:-1]
        return self._car(bytes.fromhex(command))

    def _turn_to_all(self) -> None:
        self._header = self._functional = "DB33F1" if self._style.long_ids else "7DF"
        self._filter = self._flow_header = ""
        self._flow_by_word = False

    def _turned(self, command: str) -> bool:
        """As the data sheet has it: no mode of flow control before what it needs is there."""
        if not _TURN.fullmatch(command):
            return False
        if command.startswith("ATSH"):
            self._header = command[4:]
        elif command.startswith("ATFCSH"):
            self._flow_header = command[6:]
        elif command.startswith("ATFCSM"):
            self._flow_by_word = command == "ATFCSM1"
            return bool(self._flow_header) or not self._flow_by_word
        elif command == "ATCRA" and self._style.old:
            return False
        elif command.startswith(("ATCRA", "ATAR")):
            self._filter = command[5:]
        return True

    def _asked(self) -> list[tuple[str, str, str]]:
        """Number, request and answer identifier of those that the header reaches and that it hears.

        A header of 11 bits on a bus of 29 reaches nobody.
        """
        if self._style.long_ids:
            ecus = [(f"{n:X}", f"DA1{n:X}F1", f"18DAF11{n:X}") for n in range(self._style.ecus)]
        else:
            ecus = [(f"{n:X}", f"7E{n:X}", f"7E{8 + n:X}") for n in range(self._style.ecus)]
            ecus += [("F", *ELSEWHERE)]
        to_all = self._header == self._functional
        reached = [ecu for ecu in ecus if ecu[1] == self._header or (to_all and ecu[0] != "F")]
        return [ecu for ecu in reached if (self._filter or ecu[2]) == ecu[2] != ELSEWHERE[1]] + [
            ecu for ecu in reached if ecu[2] == ELSEWHERE[1] == self._filter
        ]

    def _car(self, question: bytes) -> str:
        """Lines of all ECUs, mixed up as far as each one's own order allows."""
        queues = []
        for number, request, name in self._asked():
            message = self._ecu(question, number)
            if message is not None:
                frames = _frames(message)
                flow = self._flow_header if self._flow_by_word else request[:2] != "7B" and request
                if flow != request:
                    frames = frames[:1]
                queues.append([name + self._digits(frame) for frame in frames])
        lines = []
        while any(queues):
            queue = self._dice.choice([queue for queue in queues if queue])
            lines.append(queue.pop(0))
        return "".join(line + "\r" for line in lines) or "NO DATA\r"

    def _ecu(self, question: bytes, ecu: str) -> bytes | None:
        service, pids = question[0], question[1:]
        if service == 0x22 and self._header != self._functional:
            identifier = int.from_bytes(pids, "big")
            if identifier not in IDENTIFIERS:
                return b"\x7f\x22\x31"
            data = self._value(4) * 3
            return (
                b"\x62"
                + pids
                + self._give(f"{identifier:04X}", ecu, data[: IDENTIFIERS[identifier]])
            )
        if service == 0x09 and pids == b"\x02":
            return b"\x49\x02" + VIN
        if service == 0x03:
            return b"\x43" + self._give("03", ecu, b"\x02" + self._value(4))
        if service != 0x01 or not pids or (len(pids) > 1 and not self._style.multi):
            return None
        parts = [
            bytes([pid]) + self._give(f"{pid:02X}", ecu, self._value(SIZES[pid]) if pid else WHICH)
            for pid in pids
            if pid in SIZES
        ]
        return b"\x41" + b"".join(parts) if parts else None

    def _value(self, size: int) -> bytes:
        """Another one each time, of bytes that differ."""
        self._serial += 1
        return (self._serial * 40_503 & 0xFFFF_FFFF).to_bytes(4, "little")[:size]

    def _give(self, name: str, ecu: str, data: bytes) -> bytes:
        self.given.setdefault((name, ecu), []).append((self._clock.mono_ns(), data))
        return data

    def _digits(self, frame: bytes) -> str:
        data = frame.ljust(8, b"\xaa") if self._style.padded else frame
        return (f"{len(data):X}" if self._style.lengths else "") + data.hex().upper()


def _frames(message: bytes) -> list[bytes]:
    if len(message) < 8:
        return [bytes([len(message)]) + message]
    head = bytes([0x10 | len(message) >> 8, len(message) & 0xFF]) + message[:6]
    rest = [message[at : at + 7] for at in range(6, len(message), 7)]
    return [head, *(bytes([0x20 | (n + 1) % 16]) + part for n, part in enumerate(rest))]
