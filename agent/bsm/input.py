"""Where messages come from: lines of text or a unit's binary log, and what is wrapped round them.

A stream is a binary log when a possible record header stands at its beginning, else it is text;
either may be gzipped. Text is UTF-8 or, with a byte order mark, UTF-16. Memory is bounded by the
longest line or record that a message can need.

    for item in items(stream): ...             # Line, LogRecord or Broken
    octets("0x0014 25 00")                     # the four octets
    understood(codec, heard)                   # the tree, also behind a radio's header
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from itertools import count
from typing import BinaryIO, Final

import msgspec

from agent.bsm.codec import BSM_ID, Codec, UndecodableError
from agent.bsm.odelog import HEADER, Damaged, LogRecord, plausible, records, unpack
from agent.bsm.unwrap import opened, unwrap
from agent.bsm.uper import Tree

LONGEST_LINE: Final = 1 << 20  # characters; our choice: the largest message as JSON has a third
LONGEST_HEADER: Final = 128  # octets; our choice: Ethernet, IPv6, UDP and WSMP have 80
OCTET: Final = 8  # bits
DIGIT: Final = 4  # bits

GZIP: Final = b"\x1f\x8b"  # RFC 1952
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")

_BLANK: Final = re.compile(r"(?<![0-9A-Fa-f])0[xX]|[\s\ufeff]")
_NO_DIGIT: Final = re.compile(r"[^0-9A-Fa-f]")
_BEGINNING: Final = re.compile(rb"\x00\x14|\x03[\x80\x81]")


class Line(msgspec.Struct, frozen=True):
    """A line that is neither empty nor a comment, without its end. where: "line 3"."""

    where: str
    text: str


class Logged(msgspec.Struct, frozen=True):
    where: str
    record: LogRecord


class Broken(msgspec.Struct, frozen=True):
    """Something that cannot be read. offset: of the bit at which that was clear, in this item."""

    where: str
    reason: str
    offset: int = 0


def items(stream: io.BufferedReader) -> Iterator[Line | Logged | Broken]:
    """Everything in the stream, in order; what is broken does not stop the rest."""
    if stream.peek(len(GZIP))[:2] == GZIP:
        stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
    try:
        yield from _logged(stream) if plausible(stream.peek(HEADER.size)) else lines(stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        yield Broken("end", f"the gzip data ends early or is damaged: {error}")


def lines(stream: io.BufferedReader) -> Iterator[Line | Broken]:
    """Lines without blank ones and those that begin with `#`; too long a line is Broken."""
    encoding = "utf-16" if stream.peek(2)[:2] in UTF_16 else "utf-8-sig"
    text = io.TextIOWrapper(stream, encoding, errors="replace", newline=None)
    try:
        for number in count(1):
            line = text.readline(LONGEST_LINE)
            if not line:
                return
            if len(line) == LONGEST_LINE and line[-1] != "\n":
                while (line := text.readline(LONGEST_LINE)) and line[-1] != "\n":
                    pass
                yield Broken(f"line {number}", f"over {LONGEST_LINE} characters", 0)
            elif (line := line.strip(" \t\r\n\ufeff")) and not line.startswith("#"):
                yield Line(f"line {number}", line)
    finally:
        text.detach()  # the stream is not ours to close


def octets(text: str) -> bytes:
    """Hexadecimal digits without blanks, `0x` and what follows a `#`; raises UndecodableError."""
    digits = _BLANK.sub("", text.partition("#")[0])
    if wrong := _NO_DIGIT.search(digits):
        at, character = wrong.start(), ascii(wrong.group())
        raise UndecodableError(f"{character} is not a hexadecimal digit", DIGIT * at)
    if len(digits) % 2:
        raise UndecodableError(f"an odd number of digits, {len(digits)}", DIGIT * len(digits))
    return bytes.fromhex(digits)


def understood(codec: Codec, data: bytes) -> Tree:
    """The tree of the message in `data`, which may be one log record or have a header in front.

    Raises UndecodableError, its offset counted from the beginning of `data`.
    """
    try:
        return codec.decode_tree(data)
    except UndecodableError as error:
        failure = error
    for start in _starts(data):
        try:
            return codec.decode_tree(data[start:])
        except UndecodableError as error:
            error.offset += OCTET * start
            failure = error
    raise failure


def _starts(data: bytes) -> Iterator[int]:
    """Where a message may begin behind a header: lengths that fit to the end tell it.

    Something that begins as a message itself does is not searched: what is in front of a second
    message is a first one.
    """
    logged = unpack(data) is not None
    if logged:
        yield HEADER.size
    elif _BEGINNING.match(data):
        return
    for found in _BEGINNING.finditer(data, 1, LONGEST_HEADER):
        rest = data[found.start() :]
        frame = unwrap(rest)
        if frame is not rest or (opened(rest) or (0,))[0] == BSM_ID:
            yield found.start()


def _logged(stream: BinaryIO) -> Iterator[Logged | Broken]:
    for number, record in enumerate(records(stream), 1):
        where = f"record {number}"
        if isinstance(record, Damaged):
            reason = f"{record.octets} octets from octet {record.at} on are no log record"
            yield Broken(where, reason)
        else:
            yield Logged(where, record)
