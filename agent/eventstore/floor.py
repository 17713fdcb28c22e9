"""The floor: how far the log is known to reach, kept in a file outside of it.

Form: docs/formats/seal.md. Of two records the older one is overwritten, so that a power cut in the
middle of it leaves the other. A log that ends before its floor was cut or rolled back (ending.py).
"""

import os
import stat
from collections.abc import Iterator
from hashlib import sha3_256
from pathlib import Path
from struct import Struct
from typing import Final

import msgspec

from agent.errors import MalformedInputError, StoreError
from agent.eventstore.log import Head
from agent.files import replace, store_error

RECORD_BYTES: Final = 512

_MAGIC: Final = b"AMOF"
_VERSION: Final = 1
_FIELDS: Final = Struct(">4sBQ32sQQ64s355x")


class Floor(msgspec.Struct, frozen=True):
    """seals: number of the last seal, 0 for none; head: the last event known to be on disk."""

    log_id: bytes
    seals: int
    head: Head


def encode(floor: Floor, written: int) -> bytes:
    """A record, 512 bytes. written: how many were written before it."""
    log_id, seals, head = floor.log_id, floor.seals, floor.head
    fields = _FIELDS.pack(_MAGIC, _VERSION, written, log_id, seals, head.seq, head.hash)
    return fields + sha3_256(fields).digest()


def decode(record: bytes) -> tuple[int, Floor]:
    """(how many records were written before, floor). Raises MalformedInputError."""
    if len(record) != RECORD_BYTES:
        raise MalformedInputError(f"floor record of {len(record)} bytes; it has {RECORD_BYTES}")
    _, _, written, log_id, seals, seq, digest = _FIELDS.unpack_from(record)
    floor = Floor(log_id, seals, Head(seq, digest))
    if encode(floor, written) != record:
        raise MalformedInputError("floor record is torn, or of another version")
    return written, floor


def newest(content: bytes) -> tuple[int, int, Floor]:
    """(records written before, place in the file, floor) of the newest whole record.

    Raises MalformedInputError where neither is whole.
    """
    whole = list(_whole(content))
    if not whole:
        raise MalformedInputError(f"floor of {len(content)} bytes has no whole record")
    return max(whole, key=lambda found: found[0])


def read(path: Path) -> Floor | None:
    """None where there is no such file. Raises MalformedInputError as `newest`, StoreError."""
    content = _content(path)
    return None if content is None else newest(content)[2]


def write(path: Path, floor: Floor) -> None:
    """The floor is on disk when this returns. A file without a whole record is made anew.

    `path` may be a symbolic link to another disk. Raises StoreError.
    """
    try:
        written, place, _ = newest(_content(path) or b"")
    except MalformedInputError:
        _make(path, encode(floor, 0) + bytes(RECORD_BYTES))
    else:
        _overwrite(path, encode(floor, written + 1), (1 - place) * RECORD_BYTES)


def _whole(content: bytes) -> Iterator[tuple[int, int, Floor]]:
    for place in (0, 1):
        try:
            written, floor = decode(content[place * RECORD_BYTES :][:RECORD_BYTES])
        except MalformedInputError:
            continue  # one of the two may be torn
        yield written, place, floor


def _content(path: Path) -> bytes | None:
    # a pipe in its place must not make us wait for a writer
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StoreError(f"{path} is not a regular file")
            return os.read(descriptor, 2 * RECORD_BYTES)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def _make(path: Path, content: bytes) -> None:
    try:
        replace(path.resolve(), content)
    except OSError as error:
        raise store_error(path, f"{path} cannot be written: {error.strerror}") from error


def _overwrite(path: Path, record: bytes, at: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.pwrite(descriptor, record, at) != len(record):
                raise StoreError(f"{path}: record not written whole")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise store_error(path, f"{path} cannot be written: {error.strerror}") from error
