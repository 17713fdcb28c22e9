"""A small file that is replaced whole or not at all, whatever happens to the power."""

import os
from pathlib import Path
from typing import Final

from agent.errors import DiskFullError, StoreError, UsageError

ROOM_BYTES: Final = 1024 * 1024
"""A disk with less than this is full: our choice, some blocks and the files beside them."""


def named_in_utf8(path: Path) -> Path:
    """The path. Raises UsageError where its name is one that SQLite cannot take."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{os.fsencode(path)!r} is no name in UTF-8, as a log needs one"
        ) from error
    return path


def replace(path: Path, content: bytes) -> None:
    """The file has mode 0600 and is on disk, its name too, when this returns. Raises OSError.

    What an interrupted call left behind, `path` with ".new", is replaced by the next one.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except OSError:
        new.unlink(missing_ok=True)  # a full disk has no room for half a file
        raise
    sync_directory(path.parent)


def has_room(path: Path) -> bool:
    """Whether the disk of a file or directory that is there takes more. Raises OSError."""
    found = os.statvfs(path)
    inodes = not found.f_files or found.f_favail > 0
    return inodes and found.f_bavail * found.f_frsize >= ROOM_BYTES


def used_percent(path: Path) -> float:
    """How full the disk of `path` is for us, as df(1) counts. Raises OSError."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    return 100.0 * used / max(1, used + found.f_bavail)


def store_error(path: Path, message: str) -> StoreError:
    """What to raise after a write beside `path` that failed.

    A full disk says so in several ways (a file that cannot be made, an index that cannot be
    mapped, a sync), so the disk itself is asked.
    """
    try:
        return StoreError(message) if has_room(path.parent) else DiskFullError(message)
    except OSError:
        return StoreError(message)


def sync_directory(path: Path) -> None:
    """Makes names that were added or changed survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
