"""The last minutes of a bus, frame by frame, in little memory: packed, and compressed by pieces.

A piece is what a freeze takes out, so what is frozen twice is handed out once.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

import msgspec
import zstandard

from agent.clock import SECOND
from agent.obd.frame import EXTENDED_FLAG, CanFrame

PIECE_FRAMES: Final = 500
PIECE_NS: Final = SECOND
ZSTD_LEVEL: Final = 1
_HEAD: Final = Struct("<IIB")
"""Nanoseconds since the first frame of the piece, identifier with flags, data bytes."""
_FD: Final = 0x4000_0000  # ours: remote frames never come here
_ID: Final = 0x1FFF_FFFF


class Piece(msgspec.Struct, frozen=True):
    """
    mono_ns: when its last frame came, on the monotonic clock
    t0_ns:   UTC of its first frame
    frames:  how many; packed: zstd of each frame's head and data
    """

    channel: str
    mono_ns: int
    t0_ns: int
    frames: int
    packed: bytes

    def unpacked(self) -> Iterator[CanFrame]:
        data, at = zstandard.ZstdDecompressor().decompress(self.packed), 0
        for _ in range(self.frames):
            offset_ns, word, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size + size
            yield CanFrame(
                word & _ID,
                data[at - size : at],
                self.t0_ns + offset_ns,
                self.channel,
                bool(word & EXTENDED_FLAG),
                bool(word & _FD),
            )


class Ring:
    """Of one channel. Times without a t are nanoseconds of the monotonic clock.

    lost: frozen frames that were let go because nobody took them in time
    """

    def __init__(self, channel: str, span_ns: int, bytes_max: int) -> None:
        self.lost = 0
        self._channel = channel
        self._span_ns = span_ns
        self._bytes_max = bytes_max
        self._kept: deque[Piece] = deque()
        self._frozen: deque[Piece] = deque()
        self._bytes = 0
        self._open = bytearray()
        self._count = self._t0_ns = self._first_ns = self._last_ns = 0
        self._until_ns = -1
        self._squeeze = zstandard.ZstdCompressor(level=ZSTD_LEVEL)

    def add(self, frames: Sequence[CanFrame], now_ns: int) -> None:
        """Frames in order of arrival, which was now. A clock that is set back begins a piece."""
        for frame in frames:
            offset_ns = frame.t_ns - self._t0_ns
            if self._count == PIECE_FRAMES or not 0 <= offset_ns < PIECE_NS:
                self.close()
                self._t0_ns, offset_ns = frame.t_ns, 0
                self._first_ns = now_ns
            word = frame.can_id | EXTENDED_FLAG * frame.extended | _FD * frame.fd
            self._open += _HEAD.pack(offset_ns, word, len(frame.data)) + frame.data
            self._count += 1
            self._last_ns = now_ns
        self._forget(now_ns)

    def close(self) -> None:
        """End the piece that is open, so that it can be taken."""
        if not self._count:
            return
        packed = self._squeeze.compress(bytes(self._open))
        piece = Piece(self._channel, self._last_ns, self._t0_ns, self._count, packed)
        (self._frozen if self._first_ns <= self._until_ns else self._kept).append(piece)
        self._bytes += len(packed)
        self._open.clear()
        self._count = 0

    def freeze(self, before_ns: int, until_ns: int) -> None:
        """From then on, as far as it is kept, until then: for `take`."""
        self.close()
        self._until_ns = max(self._until_ns, until_ns)
        self._frozen += [piece for piece in self._kept if piece.mono_ns >= before_ns]
        self._kept = deque(piece for piece in self._kept if piece.mono_ns < before_ns)

    def take(self) -> Piece | None:
        """The oldest frozen piece that was not taken yet."""
        if not self._frozen:
            return None
        piece = self._frozen.popleft()
        self._bytes -= len(piece.packed)
        return piece

    def _forget(self, now_ns: int) -> None:
        kept, oldest_ns = self._kept, now_ns - self._span_ns
        while kept and (kept[0].mono_ns < oldest_ns or self._bytes > self._bytes_max):
            self._bytes -= len(kept.popleft().packed)
        while self._bytes > self._bytes_max and (piece := self.take()) is not None:
            self.lost += piece.frames
