"""The kernel's queue of one SocketCAN socket: made long, and asked what did not fit.

A frame that finds the queue full is dropped, and the reader is not told; the socket counts.
Numbers are those of Linux: asm-generic/socket.h, linux/sock_diag.h, linux/can/raw.h.
"""

import socket
import struct
from contextlib import suppress
from typing import Final

WANTED_BYTES: Final = 8 * 1024 * 1024
"""The kernel doubles it for its own needs; 16 MiB hold some 20,000 frames, five busy seconds.
Above net.core.rmem_max it gives no more than that."""

_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")
_DROPS: Final = 8
_COUNT_SPAN: Final = 1 << 32
_SOL_CAN_RAW: Final = 101
_CAN_RAW_FILTER: Final = 1
_CAN_RAW_ERR_FILTER: Final = 2


class KernelQueue:
    """size_bytes: what the kernel granted, its own needs included."""

    def __init__(self, reader: socket.socket) -> None:
        self._socket = reader
        self._told = 0
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WANTED_BYTES)
        self.size_bytes = reader.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def dropped(self, count: int | None = None) -> int:
        """Frames of any kind that did not fit, since the last call.

        count: of the socket's whole life, as the newest frame had it; else the kernel is asked,
               who knows also of those that were dropped behind that frame
        """
        if count is None:
            raw = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            count = int(_MEMINFO.unpack(raw)[_DROPS])
        since = (count - self._told) % _COUNT_SPAN
        self._told = count
        return since

    def shut(self) -> None:
        """Let nothing more in: an empty list of filters. What is queued can still be read."""
        with suppress(OSError):  # an interface that is gone lets nothing in either
            self._socket.setsockopt(_SOL_CAN_RAW, _CAN_RAW_FILTER, b"")
            self._socket.setsockopt(_SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, 0)

    def close(self) -> tuple[int, int]:
        """Let nothing more in and throw away what is queued.

        Returns how many frames that were, and how many were dropped since the last call of
        `dropped`.
        """
        self.shut()
        # a pending error, as of an interface that went down, would hide the frames behind it
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        unread = 0
        with suppress(BlockingIOError):
            while self._socket.recv(1, socket.MSG_DONTWAIT):
                unread += 1
        return unread, self.dropped()
