"""Vector BLF: objects in compressed containers, read in one pass and bounded in memory.

Every length in the file is checked before it is used: a recorder that lost power leaves files
whose lengths lie, and a length of zero must not make a reader run in a circle.
"""

import struct
import zlib
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from io import BufferedIOBase
from typing import Final

from agent.errors import MalformedInputError
from agent.obd.buserror import ErrorFrame
from agent.obd.frame import BASE_ID_MAX, CLASSIC_BYTES_MAX, EXTENDED_ID_MAX, CanFrame
from agent.obd.lines import Aside

MAGIC = b"LOGG"
_OBJECT_MAGIC = b"LOBJ"
_OBJECT_BYTES_MAX = 1 << 24
_INFLATED_BYTES_MAX = 1 << 24
"""Vector's own writer makes containers of 128 KiB; 16 MiB is our choice of an upper limit."""

_FILE_HEADER: Final = struct.Struct("<4sL32x8H16x")  # signature, header size, …, start time
_BASE: Final = struct.Struct("<4sHHLL")  # signature, header size, version, object size, type
_TIMES: Final = {1: struct.Struct("<L4xQ"), 2: struct.Struct("<L4xQ")}  # flags, …, time stamp
_CONTAINER: Final = struct.Struct("<H14x")  # compression
_CLASSIC: Final = struct.Struct("<HBBL8s")  # channel, flags, dlc, id, data
_FD: Final = struct.Struct("<HBBL5xBB5x64s")  # channel, flags, dlc, id, …, fd flags, length, data
_FD_64: Final = struct.Struct("<BxBxL4xL19xB4x")  # channel, length, id, flags, …, extension at

_LOG_CONTAINER = 10
_CAN_FD_MESSAGE = 100
_CAN_FD_MESSAGE_64 = 101
_CAN_FRAMES = {1, 86, _CAN_FD_MESSAGE, _CAN_FD_MESSAGE_64}
_CAN_ERRORS = {2, 73, 104}
_DEFLATED = 2
_STORED = 0

_REMOTE_FLAG = 0x80
_TEN_MICROSECONDS = 1
_FD_64_REMOTE = 0x10
_FD_64_FDF = 0x1000

Item = CanFrame | ErrorFrame | Aside | str
"""A frame, something without data, or a complaint about a broken object."""


class BlfReader:
    """Reads one file from its first byte. `dated` is false where the header has no start time."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._tail = b""
        header = stream.read(_FILE_HEADER.size)
        if len(header) < _FILE_HEADER.size or header[:4] != MAGIC:
            raise MalformedInputError(f"a BLF header of {len(header)} bytes")
        _, size, *start = _FILE_HEADER.unpack(header)
        self._start_ns = _system_time_ns(start)
        self.dated = self._start_ns > 0
        self._at = max(size, _FILE_HEADER.size)
        rest = min(self._at, _OBJECT_BYTES_MAX) - _FILE_HEADER.size
        if len(stream.read(rest)) < rest:
            raise MalformedInputError(f"the file ends inside its header of {size} bytes")

    def items(self) -> Iterator[Item]:
        """Every object of a CAN bus. Where the containers break off, the reading ends."""
        while header := self._stream.read(_BASE.size):
            if len(header) < _BASE.size:
                yield f"offset {self._at}: the file ends inside an object"
                return
            magic, _, _, size, kind = _BASE.unpack(header)
            if magic != _OBJECT_MAGIC or not _BASE.size <= size <= _OBJECT_BYTES_MAX:
                yield f"offset {self._at}: no object of 16 to {_OBJECT_BYTES_MAX} bytes begins here"
                return
            body = self._stream.read(size - _BASE.size)
            self._stream.read(size % 4)
            if kind == _LOG_CONTAINER:
                yield from self._container(body)
            else:
                yield from self._objects(header + body)
            if len(body) < size - _BASE.size:
                yield f"offset {self._at}: the file ends inside an object of {size} bytes"
                return
            self._at += size + size % 4
        if len(self._tail) >= _BASE.size:
            yield f"offset {self._at}: the file ends inside an object"

    def _container(self, body: bytes) -> Iterator[Item]:
        if len(body) < _CONTAINER.size:
            return
        (method,) = _CONTAINER.unpack_from(body)
        payload = body[_CONTAINER.size :]
        if method not in {_STORED, _DEFLATED}:
            yield f"offset {self._at}: compression {method} is neither 0 nor 2"
            return
        if method == _DEFLATED:
            try:
                payload = zlib.decompressobj().decompress(payload, _INFLATED_BYTES_MAX)
            except zlib.error:
                yield f"offset {self._at}: the compressed data are damaged"
                return
        self._tail = yield from self._objects(self._tail + payload)

    def _objects(self, data: bytes) -> Generator[Item, None, bytes]:
        """Walks the objects; returns what is cut off: it goes on in the next container."""
        place = 0
        while True:
            found = data.find(_OBJECT_MAGIC, place)
            if found < 0 or found + _BASE.size > len(data):
                return data[max(place, len(data) - len(_OBJECT_MAGIC)) if found < 0 else found :]
            if found - place > CLASSIC_BYTES_MAX:
                yield f"offset {self._at}: {found - place} bytes between two objects"
            _, _, version, size, kind = _BASE.unpack_from(data, found)
            if not _BASE.size <= size <= _OBJECT_BYTES_MAX:
                yield f"offset {self._at}: an object of {size} bytes"
                place = found + len(_OBJECT_MAGIC)
                continue
            if found + size > len(data):
                return data[found:]
            yield from self._object(version, kind, data[found : found + size])
            place = found + size

    def _object(self, version: int, kind: int, data: bytes) -> Iterator[Item]:
        if kind in _CAN_ERRORS:
            yield Aside.ERROR
        if kind not in _CAN_FRAMES or version not in _TIMES:
            return
        try:
            yield self._message(version, kind, data)
        except (struct.error, MalformedInputError) as error:
            yield f"offset {self._at}: {error}"

    def _message(self, version: int, kind: int, data: bytes) -> CanFrame | Aside:
        flags, stamp = _TIMES[version].unpack_from(data, _BASE.size)
        unit_ns = 10_000 if flags == _TEN_MICROSECONDS else 1
        t_ns = self._start_ns + stamp * unit_ns
        place = _BASE.size + (16 if version == 1 else 24)
        if kind == _CAN_FD_MESSAGE_64:
            return _fd_64(t_ns, data, place)
        if kind == _CAN_FD_MESSAGE:
            channel, flags, _, can_id, fd_flags, length, content = _FD.unpack_from(data, place)
            fd = bool(fd_flags & 1)
        else:
            channel, flags, length, can_id, content = _CLASSIC.unpack_from(data, place)
            length, fd = min(length, CLASSIC_BYTES_MAX), False
        if flags & _REMOTE_FLAG:
            return Aside.REMOTE
        return _frame(can_id, content[:length], t_ns, channel, fd=fd)


def _fd_64(t_ns: int, data: bytes, place: int) -> CanFrame | Aside:
    channel, length, can_id, flags, extension_at = _FD_64.unpack_from(data, place)
    if flags & _FD_64_REMOTE:
        return Aside.REMOTE
    begin = place + _FD_64.size
    # `length` may count bytes that were not stored; they are zeros then
    end = min(begin + length, extension_at or len(data))
    content = data[begin:end].ljust(length, b"\0")
    return _frame(can_id, content, t_ns, channel, fd=bool(flags & _FD_64_FDF))


def _frame(can_id: int, data: bytes, t_ns: int, channel: int, *, fd: bool) -> CanFrame:
    # some writers leave the flag out where the number alone tells
    extended = can_id > BASE_ID_MAX
    return CanFrame(can_id & EXTENDED_ID_MAX, data, t_ns, f"can{channel}", extended, fd)


def _system_time_ns(parts: Sequence[int]) -> int:
    """A Windows SYSTEMTIME: year, month, weekday, day, hour, minute, second, millisecond."""
    year, month, _, day, hour, minute, second, millis = parts
    try:
        start = datetime(year, month, day, hour, minute, second, millis * 1000, tzinfo=UTC)
    except ValueError:  # all zeros: the recorder had no clock
        return 0
    return int(start.timestamp()) * 10**9 + millis * 10**6
