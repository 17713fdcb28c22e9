"""Looks for what must not be there: in every file of a folder, and in what the log compressed."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from agent.eventstore.reader import LogReader

SHORT: Final = 6
"""Bytes. Less than this turns up among random bytes by itself, so it counts only in numbers."""
OFTEN: Final = 5


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file, as it lies there now; of each block of a log, decompressed."""
    for path in sorted(folder.rglob("*")):
        try:
            yield str(path), path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue  # somebody is at work here
        if path.name == "events.db":
            yield from blocks(path)


def blocks(path: Path) -> Iterator[tuple[str, bytes]]:
    with LogReader.open(path) as reader:
        for block in reader.blocks():
            yield f"{path}, block {block.no}", block.body or b""


def traces(things: Iterable[tuple[str, bytes]], needles: Iterable[bytes]) -> list[str]:
    """Names of the things that hold any of the needles."""
    wanted = set(needles)
    return [name for name, data in things if any(_holds(data, needle) for needle in wanted)]


def of_text(text: str) -> list[bytes]:
    """The ways in which a text may lie somewhere; halves, since a frame or a page may cut it."""
    parts = [text, text[: len(text) // 2], text[-8:], text[::-1], text.encode().hex()]
    encodings = ("utf-8", "utf-16-le", "utf-16-be")
    return [form.encode(e) for part in parts for form in (part, part.lower()) for e in encodings]


def of_position(latitude_deg: float, longitude_deg: float) -> list[bytes]:
    """As text, as doubles, as integers of 1e-7 degrees, and bit by bit as in a BSM (UPER)."""
    found = []
    for degrees in (latitude_deg, longitude_deg):
        texts = (f"{degrees:.5f}", f"{int(degrees * 1e7)}", f"{abs(degrees) % 1 * 60:.4f}")
        found += [text.encode(e) for text in texts for e in ("ascii", "utf-16-le")]
        whole = round(degrees * 1e7)
        found += [
            struct.pack(f"{order}{form}", v)
            for order in "<>"
            for form, v in (("d", degrees), ("f", degrees), ("i", whole))
        ]
    return found + of_bsm(latitude_deg, longitude_deg)


def of_bsm(latitude_deg: float, longitude_deg: float) -> list[bytes]:
    """SAE J2735: latitude in 31 bits and longitude in 32, one behind the other, at any bit."""
    latitude = round(latitude_deg * 1e7) + 900_000_000
    longitude = round(longitude_deg * 1e7) + 1_799_999_999
    bits = latitude << 32 | longitude
    return [(bits >> cut & (1 << 56) - 1).to_bytes(7, "big") for cut in range(8)]


def _holds(data: bytes, needle: bytes) -> bool:
    return needle in data if len(needle) >= SHORT else data.count(needle) >= OFTEN
