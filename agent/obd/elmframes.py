"""Answers of ISO-TP (ISO 15765-2) from the frames that an adapter printed to one question. No I/O.

The adapter has sent the flow control; what it heard of several ECUs lies mixed up. An answer is
taken only when its length fits: that of the frame, padded or not, and that of the message.
"""

from typing import Final

Frames = list[tuple[str, bytes]]

FULL: Final = 8
IN_FIRST: Final = 6
IN_OTHERS: Final = 7
MOST_UNORDERED: Final = 15
"""So many consecutive frames have each a number of its own, by which they can be put in order."""

_SINGLE, _FIRST, _CONSECUTIVE = range(3)


class Assembler:
    """Of one session with an adapter.

    An ECU pads each of its frames to 8 bytes or none. Until it is known which, a frame of 7 bytes
    whose length says 6 may have lost one: it must come twice alike.
    """

    def __init__(self) -> None:
        self._pads: dict[str, bool] = {}
        self._doubtful: dict[str, bytes] = {}

    def messages(self, frames: Frames) -> tuple[Frames, dict[str, str]]:
        """Whole messages by ECU, and why an ECU's others were not taken."""
        found: Frames = []
        reasons: dict[str, str] = {}
        for ecu in dict(frames):
            own = [data for name, data in frames if name == ecu]
            for message in self._of_one(ecu, own):
                if isinstance(message, str):
                    reasons[ecu] = message
                else:
                    found.append((ecu, message))
        return found, reasons

    def doubts(self, ecu: str) -> bool:
        """Whether it would help to ask again."""
        return ecu in self._doubtful

    def _of_one(self, ecu: str, frames: list[bytes]) -> list[bytes | str]:
        kinds = [data[0] >> 4 for data in frames]
        found = [self._single(ecu, data) for data in frames if data[0] >> 4 == _SINGLE]
        if any(kind > _CONSECUTIVE for kind in kinds):
            found.append("a frame of no kind that answers")
        if _FIRST in kinds or _CONSECUTIVE in kinds:
            firsts = {data for data in frames if data[0] >> 4 == _FIRST}
            others = [data for data in frames if data[0] >> 4 == _CONSECUTIVE]
            found.append(
                self._joined(ecu, firsts.pop(), others)
                if len(firsts) == 1
                else f"{len(firsts)} first frames, 1 begins an answer"
            )
        return found

    def _single(self, ecu: str, frame: bytes) -> bytes | str:
        size = frame[0]
        if not 0 < size < FULL or not self._fits(ecu, size, frame):
            return f"a frame of {len(frame)} bytes that tells of {size}"
        return frame[1 : 1 + size]

    def _joined(self, ecu: str, first: bytes, others: list[bytes]) -> bytes | str:
        size = (first[0] & 0xF) << 8 | first[1] if len(first) == FULL else 0
        count = -(-(size - IN_FIRST) // IN_OTHERS)
        if size < FULL:
            return "a first frame that is not whole"
        ordered = _ordered(others, count)
        if ordered is None:
            return f"{len(others)} consecutive frames, {count} in sequence were to come"
        *middle, last = ordered
        rest = size - IN_FIRST - IN_OTHERS * len(middle)
        if any(len(frame) != FULL for frame in middle) or not self._fits(ecu, rest, last):
            return "a consecutive frame that is not whole"
        return b"".join([first[2:], *(frame[1:] for frame in ordered)])[:size]

    def _fits(self, ecu: str, size: int, frame: bytes) -> bool:
        """Whether a frame that carries `size` bytes has the length it then must have."""
        room = len(frame) - 1
        if size == IN_OTHERS:
            return room == IN_OTHERS
        if room == IN_OTHERS:
            self._pads[ecu] = True
            return True
        if room != size:
            return False
        if size < IN_FIRST:
            return not self._pads.setdefault(ecu, False)
        return not self._pads[ecu] if ecu in self._pads else self._again(ecu, frame)

    def _again(self, ecu: str, frame: bytes) -> bool:
        if self._doubtful.get(ecu) == frame:
            del self._doubtful[ecu]
            return True
        self._doubtful[ecu] = frame
        return False


def _ordered(frames: list[bytes], count: int) -> list[bytes] | None:
    """The frames by sequence number, each once; None when one is missing or one too many came."""
    alone = list(dict.fromkeys(frames)) if count <= MOST_UNORDERED else frames
    numbers = [(place + 1) % 16 for place in range(count)]
    if count <= MOST_UNORDERED:
        alone.sort(key=lambda frame: frame[0])
    return alone if [frame[0] & 0xF for frame in alone] == numbers else None
