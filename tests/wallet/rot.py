"""What a disk that forgets makes of a file: each bit of it turned, one at a time."""

from collections.abc import Iterator
from pathlib import Path


def every_bit(path: Path) -> Iterator[bytes]:
    """The content of a file as it is now, with one bit changed."""
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        rotten = bytearray(whole)
        rotten[bit // 8] ^= 1 << bit % 8
        yield bytes(rotten)
