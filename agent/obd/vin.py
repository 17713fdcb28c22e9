"""Finds a VIN that is sent on a bus without anybody asking for it.

Two ways are known: its 17 characters fill three identifiers in a row (8, 8 and 1, as Toyota
does), or one identifier sends it in three turns, numbered in the first byte. Alphabet and shape
as in ISO 3779: capital letters but I, O, Q, and digits; the last four characters are digits.
"""

import re
from collections.abc import Sequence
from typing import Final

from agent.obd.frame import CanFrame

_ALPHABET: Final = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
_SHAPE: Final = re.compile(r"(?=[0-9]*[A-Z][0-9]*[A-Z])[0-9A-HJ-NPR-Z]{13}[0-9]{4}")
_PADDING: Final = b"\x00\xff "
_VIN_CHARACTERS = 17
_FRAME_BYTES = 8
_PARTS = 3
_SIGHTINGS = 2
_PART_CHARACTERS_MIN = 3
_BEGINNINGS_MAX = 32
"""An identifier with more first bytes than these counts something; it does not number parts."""
_FORGET_FRAMES = 100_000
"""Frames after which everything is looked at afresh; half a minute of a busy bus."""
_EVERY: Final = range(256)
_SUSPECTS_MAX = 10_000

_Key = tuple[str, int, int]


class VinFinder:
    """Fed with every frame, it reports each distinct VIN of a channel once.

    A VIN counts when all its parts were seen twice with the same content. Identifiers whose data
    are no VIN characters are not looked at again for a while, so the usual frame costs one
    look-up. Its text form shows nothing it has seen.
    """

    def __init__(self) -> None:
        self._rejected: dict[tuple[str, int], set[int] | range] = {}
        self._fed = 0
        self._texts: dict[_Key, tuple[bytes, int]] = {}
        self._tails: set[tuple[str, int]] = set()
        self._found: set[tuple[str, str]] = set()
        self._suspects: set[tuple[str, int]] = set()

    def feed(self, frames: Sequence[CanFrame]) -> list[str]:
        """The VINs that became certain with these frames."""
        news: list[str] = []
        self._fed += len(frames)
        if self._fed > _FORGET_FRAMES:
            self._fed = 0
            self._rejected.clear()
            self._texts.clear()
            self._tails.clear()
        rejected = self._rejected
        for frame in frames:
            data = frame.data
            if not data or data[0] in rejected.get((frame.channel, frame.can_id), ()):
                continue
            vin = self._look((frame.channel, frame.can_id, data[0]), data)
            if vin is not None and (frame.channel, vin) not in self._found:
                self._found.add((frame.channel, vin))
                news.append(vin)
        return news

    def suspects(self, frame: CanFrame) -> bool:
        """Whether its identifier ever sent what may be part of a VIN; all, once they are many."""
        suspects = self._suspects
        return (frame.channel, frame.can_id) in suspects or len(suspects) >= _SUSPECTS_MAX

    def _look(self, key: _Key, data: bytes) -> str | None:
        channel, can_id, first = key
        if (channel, can_id) in self._tails and first in _ALPHABET:
            self._see(key, data[:1])
            return self._over_three_ids(channel, can_id - 2)
        if len(data) == _FRAME_BYTES and _in_alphabet(data):
            self._see(key, data)
            return self._over_three_ids(channel, can_id)
        text = data[1:].strip(_PADDING)
        if first not in _ALPHABET and len(text) >= _PART_CHARACTERS_MIN and _in_alphabet(text):
            self._see(key, text)
            return self._in_three_turns(key)
        self._reject(key)
        return None

    def _see(self, key: _Key, text: bytes) -> None:
        seen, times = self._texts.get(key, (text, 0))
        self._texts[key] = (text, times + 1) if seen == text else (text, 1)
        if len(self._suspects) < _SUSPECTS_MAX:
            self._suspects.add(key[:2])

    def _reject(self, key: _Key) -> None:
        channel, can_id, first = key
        beginnings = self._rejected.setdefault((channel, can_id), set())
        if isinstance(beginnings, set):
            beginnings.add(first)
            if len(beginnings) > _BEGINNINGS_MAX:
                self._rejected[channel, can_id] = _EVERY
        self._texts.pop(key, None)

    def _over_three_ids(self, channel: str, can_id: int) -> str | None:
        """A VIN that begins at `can_id`, or one or two identifiers before it."""
        for start in (can_id, can_id - 1):
            heads = [self._part(channel, start + place, _FRAME_BYTES) for place in (0, 1)]
            if not all(text for text, _ in heads):
                continue
            self._watch_tail(channel, start + 2)
            parts = [*heads, self._part(channel, start + 2, 1)]
            if all(times >= _SIGHTINGS for _, times in parts):
                return _vin([text for text, _ in parts])
        return None

    def _part(self, channel: str, can_id: int, size: int) -> tuple[bytes, int]:
        """The characters an identifier was seen with, and how often."""
        for first in _ALPHABET:
            text, times = self._texts.get((channel, can_id, first), (b"", 0))
            if len(text) == size:
                return text, times
        return b"", 0

    def _watch_tail(self, channel: str, can_id: int) -> None:
        if (channel, can_id) not in self._tails:
            self._tails.add((channel, can_id))
            self._rejected.pop((channel, can_id), None)

    def _in_three_turns(self, key: _Key) -> str | None:
        channel, can_id, index = key
        for start in range(index - _PARTS + 1, index + 1):
            turns = [
                self._texts.get((channel, can_id, turn), (b"", 0))
                for turn in range(start, start + _PARTS)
            ]
            if all(times >= _SIGHTINGS for _, times in turns):
                vin = _vin([text for text, _ in turns])
                if vin is not None:
                    return vin
        return None


def _in_alphabet(data: bytes) -> bool:
    return not data.translate(None, _ALPHABET)


def _vin(parts: Sequence[bytes]) -> str | None:
    text = b"".join(parts).decode("ascii")
    return text if len(text) == _VIN_CHARACTERS and _SHAPE.fullmatch(text) else None
