"""The blocks of an MDF file, as far as signals of plain numbers need them.

ASAM MDF 4.1: a block is its name, its length, links to other blocks (positions in the file, 0 for
none) and data, little-endian, at a multiple of 8 bytes. What is linked to is written first; only
the head, whose place is at the beginning, is filled in at the end.
"""

from collections.abc import Sequence
from struct import Struct
from typing import BinaryIO, Final
from xml.sax.saxutils import escape

RECORD: Final = Struct("<qd")
"""One sample: nanoseconds from the start of the file, value."""
PART_RECORDS: Final = 2_048
"""In a block of data; the last one of a group has fewer."""

_ALIGNED: Final = 8
_BLOCK: Final = Struct("<4s4xQQ")
_ID: Final = Struct("<8s8s8s4xH34x")
_HD: Final = Struct("<QhhBBBxdd")
_FH: Final = Struct("<QhhB3x")
_DG: Final = Struct("<B7x")
_CG: Final = Struct("<QQHH4xII")
_CN: Final = Struct("<BBBBIIIIBxH6d")
_CC: Final = Struct("<BBHHHdddd")
_SI: Final = Struct("<BBB5x")
_DL: Final = Struct("<B3xIQ")

_VERSION: Final = 410
_HD_LINKS: Final = 6
_HD_BYTES: Final = _BLOCK.size + 8 * _HD_LINKS + _HD.size
_UTC: Final = 2  # the offsets behind a time are meant, and they are 0
_LINEAR: Final = 1  # a conversion by two numbers, offset and factor
_EQUAL_LENGTH: Final = 1
_BITS: Final = 64
# kind of channel, what it counts, type of data (little-endian), bit offset, place in the record
_MASTER: Final = (2, 1, 2, 0, 0)
_VALUE: Final = (0, 0, 4, 0, 8)


class MdfFile:
    """A file of groups, each of a time channel and one signal over it.

    out: at its beginning, and able to go back there
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._at = _ID.size + _HD_BYTES
        self._first_group = 0
        out.write(_ID.pack(b"MDF     ", b"4.10    ", b"amoagent", _VERSION) + bytes(_HD_BYTES))
        self._time = self.text("time")
        self._second = self.text("s")
        self._ns = self._block(b"CC", (0, 0, 0, 0), _CC.pack(_LINEAR, 0, 0, 0, 2, 0, 0, 0, 1e-9))

    def text(self, text: str, *, block: bytes = b"TX") -> int:
        return self._block(block, (), text.encode() + b"\0")

    def data(self, records: bytes) -> int:
        """A part of a group's records; where it is."""
        return self._block(b"DT", (), records)

    def group(self, source: str, name: str, unit: str, parts: Sequence[int], records: int) -> None:
        """A signal that comes before those of the groups written so far. parts: of its records."""
        value = self._channel(0, self.text(name), 0, self.text(unit), _VALUE)
        time = self._channel(value, self._time, self._ns, self._second, _MASTER)
        origin = self.text(source)
        si = self._block(b"SI", (origin, 0, 0), _SI.pack(0, 0, 0))
        shape = _CG.pack(0, records, 0, 0, RECORD.size, 0)
        channels = self._block(b"CG", (0, time, origin, si, 0, 0), shape)
        whole = _DL.pack(_EQUAL_LENGTH, len(parts), PART_RECORDS * RECORD.size)
        data = self._block(b"DL", (0, *parts), whole)
        links = (self._first_group, channels, data, 0)
        self._first_group = self._block(b"DG", links, _DG.pack(0))

    def finish(self, program: str, version: str, start_ns: int) -> None:
        """
        program, version: who made the file
        start_ns:         UTC, what the times of the records count from
        """
        words = f"<TX>export of an event log</TX><tool_id>{escape(program)}</tool_id>"
        words += f"<tool_vendor/><tool_version>{escape(version)}</tool_version>"
        comment = self.text(f"<FHcomment>{words}</FHcomment>", block=b"MD")
        history = self._block(b"FH", (0, comment), _FH.pack(start_ns, 0, 0, _UTC))
        self._out.seek(_ID.size)
        links = (self._first_group, history, 0, 0, 0, 0)
        self._block(b"HD", links, _HD.pack(start_ns, 0, 0, _UTC, 0, 0, 0, 0))

    def _channel(
        self, following: int, name: int, conversion: int, unit: int, kind: tuple[int, ...]
    ) -> int:
        links = (following, 0, name, 0, conversion, 0, unit, 0)
        limits = (0.0,) * 6
        return self._block(b"CN", links, _CN.pack(*kind, _BITS, 0, 0, 0, 0, *limits))

    def _block(self, name: bytes, links: tuple[int, ...], data: bytes) -> int:
        at = self._at
        length = _BLOCK.size + 8 * len(links) + len(data)
        head = _BLOCK.pack(b"##" + name, length, len(links))
        padding = bytes(-length % _ALIGNED)
        self._out.write(head + Struct(f"<{len(links)}Q").pack(*links) + data + padding)
        self._at += length + len(padding)
        return at
