"""SocketCAN, read in batches from a raw socket of our own (linux/can.h, linux/can/raw.h).

The socket never sends. Frame times are the kernel's; what did not fit into its queue is known to
the frame, and so is, with a filter, how many frames the kernel kept back.
"""

import select
import socket
import struct
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from agent.errors import ConfigError, MalformedInputError
from agent.obd.buserror import ERROR_FLAG, BusErrors, ErrorFrame
from agent.obd.datagrams import Datagrams
from agent.obd.frame import BASE_ID_MAX, EXTENDED_FLAG, EXTENDED_ID_MAX, CanFrame, Counts
from agent.obd.kernelqueue import WANTED_BYTES, KernelQueue

BATCH_FRAMES: Final = 500
FILTERS_MAX: Final = 512
"""Of one socket (linux/can/raw.h, CAN_RAW_FILTER_MAX)."""
REMOTE_FLAG: Final = 0x4000_0000

QUEUE_FULL: Final = "the kernel's queue was full"
LEFT_UNREAD: Final = "left unread at the end"

_FRAME_BYTES: Final = 16
_FD_FRAME_BYTES: Final = 72
_HEAD: Final = struct.Struct("=IB3x")
"""Identifier with flags, length; the data follow."""
_FILTER: Final = struct.Struct("=II")
_RAW_FILTER: Final = 1
_RAW_ERR_FILTER: Final = 2
_RAW_FD_FRAMES: Final = 5
_EVERY_ERROR: Final = EXTENDED_ID_MAX
_RECEIVED: Final = "/sys/class/net/{}/statistics/rx_packets"

_log = structlog.get_logger()


def filters(keys: Collection[int]) -> bytes:
    """CAN_RAW_FILTER for exactly these data frames. keys: identifiers, bit 31 where extended.

    Raises ConfigError for more than the kernel takes.
    """
    if len(keys) > FILTERS_MAX:
        raise ConfigError(f"filter = true: {len(keys)} ids are described; at most {FILTERS_MAX}")
    return b"".join(
        _FILTER.pack(
            key,
            (EXTENDED_ID_MAX if key & EXTENDED_FLAG else BASE_ID_MAX) | EXTENDED_FLAG | REMOTE_FLAG,
        )
        for key in sorted(keys)
    )


def open_socket(name: str, only: bytes | None) -> socket.socket:
    """A raw socket on one interface, for classic and FD frames and for error frames.

    only: of `filters`; None lets everything in. Raises OSError.
    """
    reader = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    try:
        reader.setsockopt(socket.SOL_CAN_RAW, _RAW_FD_FRAMES, 1)
        reader.setsockopt(socket.SOL_CAN_RAW, _RAW_ERR_FILTER, _EVERY_ERROR)
        if only is not None:
            reader.setsockopt(socket.SOL_CAN_RAW, _RAW_FILTER, only)
        reader.bind((name,))
    except OSError:
        reader.close()
        raise
    return reader


class SocketCan:
    """Reads a raw socket, which is closed with it. See bus.Reader.

    filtered: whether the kernel was told to keep frames back
    """

    def __init__(
        self, reader: socket.socket, name: str, counts: Counts, *, filtered: bool = False
    ) -> None:
        self.errors = BusErrors(counts.errors)
        self.behind = False
        self._socket = reader
        self._name = name
        self._counts = counts
        self._queue = KernelQueue(reader)
        self._datagrams = Datagrams(reader, BATCH_FRAMES, _FD_FRAME_BYTES)
        self._seen = 0
        self._received_before = _received(name) if filtered else None
        if self._queue.size_bytes < WANTED_BYTES:
            size = self._queue.size_bytes
            _log.warning("short queue, raise net.core.rmem_max", bus=name, bytes=size)

    def wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def read(self) -> list[CanFrame]:
        received = None if self._received_before is None else _received(self._name)
        found = self._datagrams.read(BATCH_FRAMES)
        self._seen += len(found)
        self.behind = len(found) == BATCH_FRAMES
        if found:
            self._counts.lose(QUEUE_FULL, self._queue.dropped(found[-1][2]))
        if received is not None and not self.behind:
            self._count_filtered(received)
        return [frame for one in found if (frame := self._frame(*one)) is not None]

    def stop(self) -> None:
        self._queue.shut()

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        unread, dropped = self._queue.close()
        self._counts.lose(LEFT_UNREAD, unread)
        self._counts.lose(QUEUE_FULL, dropped)
        self._socket.close()

    def _frame(self, raw: bytes, t_ns: int, _: int) -> CanFrame | None:
        if len(raw) not in {_FRAME_BYTES, _FD_FRAME_BYTES} or raw[4] > len(raw) - _HEAD.size:
            self._counts.broken += 1
            return None
        key, length = _HEAD.unpack_from(raw)
        data = raw[_HEAD.size : _HEAD.size + length]
        if key & (ERROR_FLAG | REMOTE_FLAG):
            self._aside(key, data, t_ns)
            return None
        extended = key >= EXTENDED_FLAG
        can_id = key & EXTENDED_ID_MAX
        try:
            fd = len(raw) == _FD_FRAME_BYTES
            return CanFrame(can_id, data, t_ns, self._name, extended, fd)
        except MalformedInputError:
            self._counts.broken += 1
            return None

    def _aside(self, key: int, data: bytes, t_ns: int) -> None:
        if key & ERROR_FLAG:
            self.errors.see(ErrorFrame(key, data, t_ns, self._name))
        else:
            self._counts.remote += 1

    def _count_filtered(self, received: int) -> None:
        """What came before `received` was read and is not here was kept back by the filter."""
        assert self._received_before is not None
        here = self._seen + self._counts.losses[QUEUE_FULL]
        kept_back = received - self._received_before - here
        self._counts.filtered = max(self._counts.filtered, kept_back)


def _received(name: str) -> int | None:
    """Frames an interface received since it is there; None where nobody says."""
    with suppress(OSError, ValueError):
        return int(Path(_RECEIVED.format(name)).read_text(encoding="ascii"))
    return None
