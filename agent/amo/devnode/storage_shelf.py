"""Where the storage service keeps bodies: in memory, or one file a parcel.

A file is one line of JSON (owner and metadata) and then the body. It is written beside
its place, forced to disk and renamed, so it is whole or it is not there.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from agent.amo.rawjson import decode
from agent.errors import MalformedInputError, StoreError, UsageError

_PARCEL_ID: Final = re.compile(r"[0-9A-F]{72}")
_UNFINISHED: Final = ".part"
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class Stored:
    """A body and what its owner said about it."""

    owner: str
    metadata: Mapping[str, object]
    body: bytes


class Shelf(Protocol):
    async def put(self, parcel: str, stored: Stored) -> bool:
        """False where the parcel is there already; it then stays as it was."""

    async def get(self, parcel: str) -> Stored | None: ...

    async def drop(self, parcel: str) -> None: ...


class MemoryShelf:
    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}

    async def put(self, parcel: str, stored: Stored) -> bool:
        return self._stored.setdefault(parcel, stored) is stored

    async def get(self, parcel: str) -> Stored | None:
        return self._stored.get(parcel)

    async def drop(self, parcel: str) -> None:
        self._stored.pop(parcel, None)


class DirectoryShelf:
    """Files named by parcel id, readable by the service's user alone.

    Every method raises StoreError.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for unfinished in directory.glob(f"*{_UNFINISHED}"):
                unfinished.unlink()
        except OSError as error:
            raise UsageError(f"storage directory {directory}: {error.strerror}") from error
        self._directory = directory
        self._writing = asyncio.Lock()

    async def put(self, parcel: str, stored: Stored) -> bool:
        if not _PARCEL_ID.fullmatch(parcel):
            raise StoreError(f"parcel id of {len(parcel)} characters; it has 72 hex digits")
        async with self._writing:
            return await asyncio.to_thread(self._write, self._directory / parcel, stored)

    async def get(self, parcel: str) -> Stored | None:
        if not _PARCEL_ID.fullmatch(parcel):
            return None
        return await asyncio.to_thread(self._read, self._directory / parcel)

    async def drop(self, parcel: str) -> None:
        if not _PARCEL_ID.fullmatch(parcel):
            return
        try:
            await asyncio.to_thread((self._directory / parcel).unlink, missing_ok=True)
        except OSError as error:
            raise StoreError(f"parcel {parcel} is not removed: {error.strerror}") from error

    def _write(self, path: Path, stored: Stored) -> bool:
        if path.exists():
            return False
        head = json.dumps({"owner": stored.owner, "metadata": dict(stored.metadata)})
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            with os.fdopen(os.open(unfinished, _NEW_FILE, 0o600), "wb") as file:
                file.write(head.encode() + b"\n" + stored.body)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            _sync_directory(self._directory)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise StoreError(f"parcel {path.name} is not stored: {error.strerror}") from error
        return True

    def _read(self, path: Path) -> Stored | None:
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            record = decode(head)
        except FileNotFoundError:
            return None
        except (OSError, MalformedInputError) as error:
            raise StoreError(f"parcel {path.name} cannot be read") from error
        if not isinstance(record, dict) or not isinstance(record.get("metadata"), dict):
            raise StoreError(f"parcel {path.name} cannot be read: no metadata")
        return Stored(str(record.get("owner", "")), record["metadata"], body)


def _sync_directory(directory: Path) -> None:
    """Make the new name itself durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
