"""A small file that is replaced whole or not at all, whatever happens to the power."""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """The file has mode 0600 and is on disk, its name too, when this returns. Raises OSError.

    What an interrupted call left behind, `path` with ".new", is replaced by the next one.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes names that were added or changed survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
