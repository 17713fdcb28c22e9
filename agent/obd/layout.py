"""The part of a DBC file that says how frames are laid out, read tolerantly and written anew.

One bad line must not make a car unreadable, so BO_, SG_, SG_MUL_VAL_ and SIG_VALTYPE_ are taken
statement by statement, checked against limits, and put down in a form every parser accepts.
What cannot be understood is left out and reported as "line 211: …". Nodes, comments, attributes
and value names are not needed to decode a frame; they are read only to report broken ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Final

from agent.errors import MalformedInputError
from agent.obd.dbcsource import (
    COMMENT,
    FLOAT,
    LONG_NAME,
    MESSAGE,
    MULTIPLEX,
    OWNER,
    SIGNAL,
    VALUES,
    Statement,
    identifier,
    plain_number,
    statements,
)
from agent.obd.frame import BASE_ID_MAX, EXTENDED_FLAG, EXTENDED_ID_MAX, FD_BYTES_MAX

NO_MESSAGE_KEYS: Final = frozenset({0xC000_0000, 0x4000_0000})
"""VECTOR__INDEPENDENT_SIG_MSG, as newer and older tools write it: signals of no message."""
SIGNAL_BITS_MAX = 64
FLOAT_BITS: Final = {1: 32, 2: 64}
"""SIG_VALTYPE_ number -> bits of an IEEE 754 value."""
STATEMENT_CHARS_MAX = 1 << 14
SIGNALS_MAX = 1024
BRANCHES_MAX = 4096
NAMESAKES_MAX = 9
"""Our choices: far above anything a car uses, far below what exhausts memory or a float."""

_LAYOUT_KEYWORDS: Final = {"BO_", "SG_", "SG_MUL_VAL_", "SIG_VALTYPE_", "BA_"}


@dataclass(slots=True)
class MessageLayout:
    """One message in clean statements.

    key:     identifier with bit 31 set where it is extended
    head:    its BO_ statement
    names:   of its signals: as in the file -> as in the clean text
    signals: its SG_ statements
    extras:  statements of other kinds that tell how its signals are read
    values:  multiplexer -> its values; "" where the file names no multiplexer
    """

    line: int
    key: int
    head: str
    names: dict[str, str] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    values: dict[str, set[int]] = field(default_factory=dict)

    @property
    def branches(self) -> int:
        """Combinations of multiplexer values, each of which is laid out on its own."""
        named = [len(values) for name, values in self.values.items() if name]
        return prod(named or [len(values) for values in self.values.values()])


class Layout:
    """
    messages:   by key
    complaints: what was left out or read as something else, and where
    keywords:   of the statements there were
    """

    def __init__(self, text: str) -> None:
        self.messages: dict[int, MessageLayout] = {}
        self.complaints: list[str] = []
        self.keywords: set[str] = set()
        self._current: MessageLayout | None = None
        self._loose = False
        for statement in statements(text):
            try:
                self._read(statement)
            except MalformedInputError as error:
                self.complain(statement.line, str(error))
        for key, message in list(self.messages.items()):
            if message.branches > BRANCHES_MAX:
                count = f"{message.branches} multiplexer values; at most {BRANCHES_MAX}"
                self.complain(message.line, f"message left out: {count}")
                del self.messages[key]

    def complain(self, line: int, text: str) -> None:
        self.complaints.append(f"line {line}: {text}")

    def _read(self, statement: Statement) -> None:
        text = statement.text
        self.keywords.add(statement.keyword)
        if _of_no_use(statement):
            return
        if len(text) > STATEMENT_CHARS_MAX and statement.keyword in _LAYOUT_KEYWORDS:
            raise MalformedInputError(f"{len(text)} characters; at most {STATEMENT_CHARS_MAX}")
        match statement.keyword:
            case "BO_":
                self._current = None  # signals of a broken message belong to no other
                self._loose = False
                self._message(statement.line, text)
            case "SG_" if not self._loose:
                self._signal(statement.line, text)
            case "SG_MUL_VAL_":
                self._multiplex(text)
            case "SIG_VALTYPE_":
                self._float(text)
            case "BA_":
                self._long_name(text)
            case "CM_" if not COMMENT.match(text):
                raise MalformedInputError("a comment without the thing it speaks of")
            case "VAL_":
                self._values(text)

    def _message(self, line: int, text: str) -> None:
        match = MESSAGE.fullmatch(text)
        if match is None:
            raise MalformedInputError("not a message head; its signals are left out too")
        key, length = int(match[1]), int(match[3])
        if key in NO_MESSAGE_KEYS:
            self._loose = True
            return
        if key & ~EXTENDED_FLAG > EXTENDED_ID_MAX or key >= 2 * EXTENDED_FLAG:
            raise MalformedInputError(f"id {match[1]} has more than 29 bits")
        if BASE_ID_MAX < key < EXTENDED_FLAG:
            key |= EXTENDED_FLAG
            self.complain(line, f"id {int(match[1])} is above 0x7FF: read as an extended one")
        if length > FD_BYTES_MAX:
            raise MalformedInputError(f"{length} bytes in a message; at most {FD_BYTES_MAX}")
        if key in self.messages:
            self.complain(line, f"id {match[1]} was described before; this one counts")
        name = self._name(line, match[2])
        self._current = MessageLayout(line, key, f"BO_ {key} {name}: {length} Vector__XXX")
        self.messages[key] = self._current

    def _signal(self, line: int, text: str) -> None:
        match = SIGNAL.fullmatch(text)
        if match is None:
            raise MalformedInputError("not a signal")
        if self._current is None:
            raise MalformedInputError("a signal without a message")
        name, multiplex, start, bits, order, sign, factor, offset, unit = match.groups()
        if not (1 <= int(bits) <= SIGNAL_BITS_MAX and int(start) < 8 * FD_BYTES_MAX):
            raise MalformedInputError(f"{bits} bits from bit {start}; 1 to 64 within 512 can be")
        if len(self._current.signals) >= SIGNALS_MAX:
            raise MalformedInputError(f"more than {SIGNALS_MAX} signals in one message")
        if multiplex == "m":
            self.complain(line, f"{name} is multiplexed by no value: read as the multiplexer")
            multiplex = "M"
        if multiplex and multiplex != "M":
            self._current.values.setdefault("", set()).add(int(multiplex.strip("mM")))
        clean = self._signal_name(line, name, self._current)
        self._current.signals.append(
            f" SG_ {clean} {multiplex or ''} : {start}|{bits}@{order}{sign} "
            f"({plain_number(factor)},{plain_number(offset)}) [0|0] "
            f'"{(unit or "").replace(chr(92), "")}" Vector__XXX'
        )

    def _signal_name(self, line: int, name: str, message: MessageLayout) -> str:
        """A name that is there already gets a number; the first one keeps it."""
        own = next((own for own in _numbered(name) if own not in message.names), None)
        if own is None:
            raise MalformedInputError(f"more than {NAMESAKES_MAX} signals {name} in one message")
        if own != name:
            self.complain(line, f"a second signal {name} in one message is read as {own}")
        message.names[own] = clean = self._name(line, own)
        return clean

    def _multiplex(self, text: str) -> None:
        match = MULTIPLEX.fullmatch(text)
        if match is None:
            raise MalformedInputError("not a list of multiplexer values")
        message = self._owner(match[1], match[2], match[3])
        ranges = [(int(a), int(b)) for a, b in re.findall(r"(\d+)\s*-\s*(\d+)", match[4])]
        count = sum(max(0, last - first + 1) for first, last in ranges)
        if not 1 <= count <= BRANCHES_MAX:
            raise MalformedInputError(f"{count} multiplexer values; 1 to {BRANCHES_MAX} can be")
        listed = ", ".join(f"{first}-{last}" for first, last in ranges)
        child, parent = message.names[match[2]], message.names[match[3]]
        values = message.values.setdefault(parent, set())
        values.update(*(range(first, last + 1) for first, last in ranges))
        message.extras.append(f"SG_MUL_VAL_ {message.key} {child} {parent} {listed};")

    def _float(self, text: str) -> None:
        match = FLOAT.fullmatch(text)
        if match is None:
            raise MalformedInputError("not a value type")
        message = self._owner(match[1], match[2])
        kind = int(match[3])
        clean = message.names[match[2]]
        bits = FLOAT_BITS.get(kind)
        if bits is None:
            return
        if not any(f" SG_ {clean} " in line and f"|{bits}@" in line for line in message.signals):
            raise MalformedInputError(f"{match[2]} is no signal of {bits} bits")
        message.extras.append(f"SIG_VALTYPE_ {message.key} {clean} : {kind};")

    def _long_name(self, text: str) -> None:
        match = LONG_NAME.fullmatch(text)
        if match is None:
            return
        kind, number, short, name = match.groups()
        message = self._owner(number, *([short] if kind == "SG_" and short else []))
        what = (
            f"SG_ {message.key} {message.names[short]}" if kind == "SG_" else f"BO_ {message.key}"
        )
        owner = "Signal" if kind == "SG_" else "Message"
        message.extras.append(f'BA_ "System{owner}LongSymbol" {what} "{identifier(name)}";')

    def _values(self, text: str) -> None:
        match = VALUES.match(text)
        if match is None or not text.rstrip().endswith(";"):
            raise MalformedInputError("not a list of value names")
        if match[1]:
            self._owner(match[1], match[2])

    def _owner(self, number: str, *signals: str) -> MessageLayout:
        key = int(number)
        message = self.messages.get(key) or self.messages.get(key | EXTENDED_FLAG)
        if message is None:
            raise MalformedInputError(f"speaks of message {key}, which is not there")
        for name in signals:
            if name not in message.names:
                raise MalformedInputError(f"speaks of signal {name}, which is not there")
        return message

    def _name(self, line: int, name: str) -> str:
        clean = identifier(name)
        if clean != name:
            self.complain(line, f"name {name[:64]} is read as {clean[:64]}")
        return clean


def _of_no_use(statement: Statement) -> bool:
    """A bare word of the NS_ section, or what is said of a signal that no frame carries."""
    owner = OWNER.match(statement.text)
    bare = statement.text.rstrip(" :;") == statement.keyword
    return bare or (owner is not None and int(owner[1]) in NO_MESSAGE_KEYS)


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in range(2, NAMESAKES_MAX + 1):
        yield f"{name}_{number}"
