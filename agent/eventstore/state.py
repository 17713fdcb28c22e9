"""The state directory: ours alone, and one process at a time.

The lock is on the directory itself and is the kernel's, so it ends with the process that
holds it, however that process ends.
"""

import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.errors import UsageError
from agent.files import named_in_utf8

EVENTS: Final = "events.db"
NEWBORN: Final = "events.db.new"
"""A log whose birth is not finished; it never held an event."""
READMODEL: Final = "readmodel.db"
FLOOR: Final = "floor"
RESERVE: Final = "reserve"
BROKEN: Final = f"{EVENTS}.broken-"
"""With a number: a log that could not be gone on with."""
SALVAGED: Final = f"{EVENTS}.salvaged-"
"""With the same number: a whole log of what still holds of it."""
SIDES: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database."""
_DATABASE: Final = rf"{EVENTS}(\.new|\.broken-\d+|\.salvaged-\d+(\.new)?)?|{READMODEL}"
_OURS: Final = re.compile(
    rf"({_DATABASE})({'|'.join(SIDES)})?|{FLOOR}(\.new|\.broken-\d+)?|keys|outbox|{RESERVE}"
    r"|\.keys-unfinished"  # the power failed while keys were made
)


class StateLock:
    """Held until closed. path: the directory, without symbolic links."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def sync(self) -> None:
        """Makes names that were added or changed survive a power cut. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def lock_state(path: Path, *, create: bool = True) -> StateLock:
    """Takes the directory, making it where it is missing and `create` says so.

    Raises UsageError for a file, for a name that is not UTF-8, for a directory that holds anything
    not ours, that cannot be written, that others may write, or that another process uses. It is
    left as it was then.
    """
    named_in_utf8(path)
    try:
        if create:
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{path} is not a directory") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be the state directory: {_why(error)}") from error
    lock = StateLock(path.resolve(), descriptor)
    try:
        _take(lock.path, descriptor)
        _check_ours(lock.path, os.fstat(descriptor))
        _check(lock.path)
    except BaseException:
        lock.close()
        raise
    return lock


def _make(path: Path) -> None:
    """Also what is missing above it; each name is on disk before anything is put below it."""
    if path.exists():
        return
    _make(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    parent = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _check(path: Path) -> None:
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names are all that is asked for
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {_why(error)}") from error
    for name in names:
        if not _OURS.fullmatch(name):
            raise UsageError(f"{path} belongs to something else: it holds {name!r}")
        if name.startswith((EVENTS, READMODEL)):
            _check_file(path / name)
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=True):
        raise UsageError(f"{path} cannot be written by this user or on this file system")


def _check_file(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise UsageError(f"{path} cannot be looked at: {_why(error)}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a regular file")
    if found.st_nlink > 1:
        raise UsageError(f"{path} has {found.st_nlink} names; its log would be torn between them")
    _check_ours(path, found)


def _check_ours(path: Path, found: os.stat_result) -> None:
    """Whoever may write there may put another log in its place."""
    if found.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}")
    if found.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(found.st_mode)
        raise UsageError(f"{path} has mode {mode:04o}; only its owner may write there")


def _take(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"{path} is in use by {_holder(descriptor)}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be locked: {_why(error)}") from error


def _holder(descriptor: int) -> str:
    with suppress(OSError):  # the list only makes the message better
        number = _locked_by(os.fstat(descriptor))
        return "another process" if number is None else f"process {number}"
    return "another process"


def holder(path: Path) -> int | None:
    """The process that uses a state directory, by what the kernel tells (proc_locks(5)).

    None where there is none. The lock itself is not touched: an agent that starts meanwhile gets
    it. A process in another PID namespace is not seen. Raises UsageError.
    """
    try:
        return _locked_by(path.stat())
    except OSError as error:
        raise UsageError(f"{path} cannot be looked at: {_why(error)}") from error


def _locked_by(found: os.stat_result) -> int | None:
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].endswith(f":{found.st_ino}"):  # noqa: PLR2004 - columns of proc_locks(5)
            return int(fields[4])
    return None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
