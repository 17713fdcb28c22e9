"""Answers of ISO-TP (ISO 15765-2) from the frames that an adapter printed to one question. No I/O.

The adapter has sent the flow control; what it heard of several ECUs lies mixed up. An answer is
taken only when its length fits: that of each frame, padded or not, and that of the message.
"""

from typing import Final

from agent.obd.elmtext import LONGEST_FRAME

IN_FIRST: Final = 6
IN_OTHERS: Final = 7
MOST_UNORDERED: Final = 15
"""So many consecutive frames have each a number of its own, by which they can be put in order."""

_SINGLE, _FIRST, _CONSECUTIVE = range(3)


def messages(frames: list[bytes], *, padded: bool) -> tuple[list[bytes], list[str]]:
    """Whole messages of one ECU, and why others were not taken.

    frames: at least one byte each; padded: whether each has 8 bytes, however few it carries
    """
    kinds = [frame[0] >> 4 for frame in frames]
    found = [
        _single(frame, padded=padded)
        for frame, kind in zip(frames, kinds, strict=True)
        if kind == _SINGLE
    ]
    if any(kind > _CONSECUTIVE for kind in kinds):
        found.append("a frame of no kind that answers")
    if _FIRST in kinds or _CONSECUTIVE in kinds:
        firsts = {frame for frame in frames if frame[0] >> 4 == _FIRST}
        others = [frame for frame in frames if frame[0] >> 4 == _CONSECUTIVE]
        found.append(
            _joined(firsts.pop(), others, padded=padded)
            if len(firsts) == 1
            else f"{len(firsts)} first frames, 1 begins an answer"
        )
    whole = [message for message in found if isinstance(message, bytes)]
    return whole, [reason for reason in found if isinstance(reason, str)]


def _single(frame: bytes, *, padded: bool) -> bytes | str:
    size = frame[0]
    if not 0 < size <= IN_OTHERS or not _fits(size, frame, padded=padded):
        return f"a frame of {len(frame)} bytes that tells of {size}"
    return frame[1 : 1 + size]


def _joined(first: bytes, others: list[bytes], *, padded: bool) -> bytes | str:
    size = (first[0] & 0xF) << 8 | first[1] if len(first) == LONGEST_FRAME else 0
    count = -(-(size - IN_FIRST) // IN_OTHERS)
    if size <= IN_OTHERS:
        return "a first frame that is not whole"
    ordered = _ordered(others, count)
    if ordered is None:
        return f"{len(others)} consecutive frames, {count} in sequence were to come"
    *middle, last = ordered
    rest = size - IN_FIRST - IN_OTHERS * len(middle)
    full = all(len(frame) == LONGEST_FRAME for frame in middle)
    if not full or not _fits(rest, last, padded=padded):
        return "a consecutive frame that is not whole"
    return b"".join([first[2:], *(frame[1:] for frame in ordered)])[:size]


def _fits(size: int, frame: bytes, *, padded: bool) -> bool:
    return len(frame) == (LONGEST_FRAME if padded else 1 + size)


def _ordered(frames: list[bytes], count: int) -> list[bytes] | None:
    """The frames by sequence number, each once; None when one is missing or one too many came."""
    numbers = [(place + 1) % 16 for place in range(count)]
    if count <= MOST_UNORDERED:
        frames = sorted(dict.fromkeys(frames), key=lambda frame: frame[0])
    return frames if [frame[0] & 0xF for frame in frames] == numbers else None
