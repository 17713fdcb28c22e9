"""Many datagrams of one socket in one system call: recvmmsg(2), which Python does not have.

With each comes when the kernel took it (SO_TIMESTAMPNS) and how many the socket had dropped
before it (SO_RXQ_OVFL). Numbers and layouts are those of Linux: asm-generic/socket.h,
bits/socket.h; cmsg(3).
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from errno import EAGAIN, EINTR
from typing import Final

_SO_TIMESTAMPNS: Final = 35
_SO_RXQ_OVFL: Final = 40
_CONTROL: Final = struct.Struct("@NiillNiiI4x")
"""Of two messages: length, level, type, seconds, nanoseconds; length, level, type, drops."""
_NO_DROPS_BYTES: Final = struct.calcsize("@Niill")
_MESSAGE: Final = struct.Struct("@PIPNPNi0PI0P")
"""struct mmsghdr: name and its length, buffers and their number, control and its length, flags,
and how many bytes came."""
_BUFFER: Final = struct.Struct("@PN")

_recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
_recvmmsg.restype = ctypes.c_int
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


Datagram = tuple[bytes, int, int]
"""(content, UTC ns of arrival, datagrams the socket dropped so far, modulo 2**32)"""


class Datagrams:
    """Room for `most` datagrams of up to `size` bytes, used again with every call.

    The socket is the caller's, who also closes it.
    """

    def __init__(self, reader: socket.socket, most: int, size: int) -> None:
        reader.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        reader.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self._socket = reader
        self._most = most
        self._size = size
        self._data = bytearray(most * size)
        self._control = bytearray(most * _CONTROL.size)
        self._buffers = bytearray(most * _BUFFER.size)
        self._messages = bytearray(most * _MESSAGE.size)
        self._template = self._fresh()

    def read(self, most: int) -> list[Datagram]:
        """What is there now, without waiting; one longer than `size` is cut. Raises OSError."""
        self._messages[:] = self._template
        count = _recvmmsg(
            self._socket.fileno(),
            _address(self._messages),
            min(most, self._most),
            socket.MSG_DONTWAIT,
            None,
        )
        if count < 0:
            number = ctypes.get_errno()
            if number in {EAGAIN, EINTR}:
                return []
            raise OSError(number, os.strerror(number))
        return list(self._taken(count))

    def _taken(self, count: int) -> Iterator[Datagram]:
        size = self._size
        data = bytes(self._data[: count * size])
        heads = _MESSAGE.iter_unpack(memoryview(self._messages)[: count * _MESSAGE.size])
        controls = _CONTROL.iter_unpack(memoryview(self._control)[: count * _CONTROL.size])
        place = 0
        for head, control in zip(heads, controls, strict=True):
            drops = control[8] if head[5] > _NO_DROPS_BYTES else 0
            yield data[place : place + head[7]], control[3] * 1_000_000_000 + control[4], drops
            place += size

    def _fresh(self) -> bytes:
        """The heads as they must be before each call: the kernel writes lengths into them."""
        data, control = _address(self._data), _address(self._control)
        buffers = _address(self._buffers)
        out = bytearray()
        for number in range(self._most):
            _BUFFER.pack_into(
                self._buffers, number * _BUFFER.size, data + number * self._size, self._size
            )
            out += _MESSAGE.pack(
                0,
                0,
                buffers + number * _BUFFER.size,
                1,
                control + number * _CONTROL.size,
                _CONTROL.size,
                0,
                0,
            )
        return bytes(out)


def _address(room: bytearray) -> int:
    """Where it is; it stays there because it is never made longer or shorter."""
    return ctypes.addressof(ctypes.c_char.from_buffer(room))
