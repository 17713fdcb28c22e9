"""Raw frames as `candump -L` of can-utils writes them: `(1533226488.230547) can0 260#08FFFB00`."""

import re
from collections.abc import Iterable
from typing import BinaryIO, Final

from agent.events import CapturedFrame, FramesCaptured
from agent.export.seen import Seen

# linux/can.h
_EXTENDED: Final = 0x8000_0000
_REMOTE: Final = 0x4000_0000
_ERROR: Final = 0x2000_0000
_BASE_MASK: Final = 0x7FF
_EXTENDED_MASK: Final = 0x1FFF_FFFF

_FD: Final = 0x04
_US: Final = 1_000
_US_A_SECOND: Final = 1_000_000
_NAME: Final = 64
"""Characters of a bus's name; none of them ends it or the line."""


def write(events: Iterable[Seen], out: BinaryIO) -> None:
    for seen in events:
        event = seen.event
        if isinstance(event, FramesCaptured):
            bus = re.sub(r"\s", "_", event.origin)[:_NAME] or "_"
            for frame in event.frames:
                seconds, us = divmod((event.t0_ns + frame.offset_ns) // _US, _US_A_SECOND)
                out.write(f"({seconds:010d}.{us:06d}) {bus} {_frame(frame)}\n".encode())


def _frame(frame: CapturedFrame) -> str:
    """Identifier and data; 8 digits of the identifier tell an extended or an error frame."""
    word = frame.can_id
    if word & _ERROR:
        name = f"{word & (_ERROR | _EXTENDED_MASK):08X}"
    elif word & _EXTENDED:
        name = f"{word & _EXTENDED_MASK:08X}"
    else:
        name = f"{word & _BASE_MASK:03X}"
    if word & _REMOTE:
        return f"{name}#R{len(frame.data):X}"
    if frame.flags & _FD:
        return f"{name}##{frame.flags:X}{frame.data.hex().upper()}"
    return f"{name}#{frame.data.hex().upper()}"
