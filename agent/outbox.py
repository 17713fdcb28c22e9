"""Parcels on their way out, as files: each is there whole until its receipt is in the log."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.errors import StoreError
from agent.files import replace, store_error
from agent.privacy import Level

OUTBOX_ID = "00" * 5
"""Stands for the parcel id in the custody of a body that has none yet."""


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A body in the outbox. key: its data key, wrapped for the owner under OUTBOX_ID."""

    level: Level
    first: int
    last: int
    root: bytes
    body: bytes
    key: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Waiting)


def put(outbox: Path, entry: Waiting) -> Path:
    """Atomically, so that a half-written parcel is never found. Raises StoreError."""
    path = outbox / f"lv{entry.level}-{entry.first:012d}.parcel"
    try:
        replace(path, _ENCODER.encode(entry))
    except OSError as error:
        raise store_error(path, f"{path}: {error.strerror}") from error
    return path


def load(path: Path) -> Waiting:
    """Raises StoreError."""
    try:
        return _DECODER.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path}: cannot be read back: {error}") from error


def overlapping(outbox: Path, level: Level, first: int, last: int) -> Iterator[Path]:
    """Files that may hold events first..last of a level: also those nobody can read any more."""
    for path in sorted(outbox.glob(f"lv{level:d}-*")):
        try:
            entry = load(path)
        except StoreError:
            yield path
            continue
        if entry.first <= last and first <= entry.last:
            yield path
