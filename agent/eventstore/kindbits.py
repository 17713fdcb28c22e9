"""Which kinds are among some events, in one number: a bit for each kind that is there.

Two kinds may share a bit: what has the bit may have the kind, what has it not does not.
"""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

BITS: Final = 61
"""Of the 63 that fit; a prime that parts the common kinds from the others."""


def kind_bits(kinds: Iterable[str]) -> int:
    """0 for none."""
    found = 0
    for kind in kinds:
        found |= 1 << crc32(kind.encode()) % BITS
    return found
