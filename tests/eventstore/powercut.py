"""What the store asks of its disk, written down while it runs, so that the power can be cut later.

SQLite's calls are seen by a VFS that is made the default, those of Python by taking the place of
its functions in `os`. The product knows of neither. Syncs are only noted: they cost no time here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from tests.eventstore.disk import Disk, Model
from tests.eventstore.noted import Noted

CUTS: Final = int(os.environ.get("AMO_CUTS", "1000"))
"""How many power cuts are tried."""

_JOURNALS = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_CREATE = apsw.SQLITE_OPEN_CREATE


class Recorder(Noted, apsw.VFS):
    """The machine's own file layer, which writes down what it is asked to do below one directory.

    calls: writes, syncs and truncations through SQLite; those whose number, from 1, is in `fails`
           report an I/O error. A sync that failed forgets what it should have written: the
           kernel takes those pages to be clean from then on, and still shows them to readers.
    """

    def __init__(self, root: Path) -> None:
        Noted.__init__(self, root)
        self.calls = 0
        self.fails = range(0)
        self._unwritten: set[str] = set()
        apsw.VFS.__init__(self, "recorder", "unix", makedefault=True)
        self.there_already()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "RecordedFile":  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        new = not os.path.lexists(path)
        file = RecordedFile(self, name, flags)
        if new:
            self.made(path)
        file.known_as(path, dirsync=bool(flags[0] & _JOURNALS and flags[0] & _CREATE))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's
        super().xDelete(filename, False)
        self.gone(filename)
        if syncdir:
            self.directory_synced(str(Path(filename).parent))

    def call(self) -> None:
        """Raises apsw.IOError where this one is to fail."""
        self.calls += 1
        if self.calls in self.fails:
            raise apsw.IOError

    def opened_new(self, path: str) -> None:
        """By Python, whose writes to a new file are seen when it is synced."""
        self.made(path)
        self._unwritten.add(path)

    def descriptor_synced(self, path: str) -> None:
        if path in self._unwritten:
            self._unwritten.remove(path)
            self.written(path, 0, Path(path).read_bytes())
        self.path_synced(path)

    def reread(self, path: str) -> None:
        """The kernel drops what it takes to be clean: readers see what the disk has."""
        if not self.known(path):
            return
        disk = Disk(Model.ORDERED)
        for operation in self.done:
            disk.take(operation)
        Path(path).write_bytes(disk.content(self.number(path)))


class RecordedFile(apsw.VFSFile):
    def __init__(
        self, disk: Recorder, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def known_as(self, path: str, *, dirsync: bool) -> None:
        """dirsync: SQLite syncs the directory after its first sync of a journal it may make."""
        self._path = path
        self._dirsync = dirsync

    def xLock(self, level: int) -> None:  # noqa: N802 - SQLite's name
        # a reader may not lock for writing; apsw would raise that, where SQLite only notes it
        try:
            super().xLock(level)
        except apsw.IOError as error:
            raise apsw.BusyError from error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.call()
        super().xWrite(data, offset)
        self._disk.written(self._path, offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.call()
        super().xTruncate(size)
        self._disk.resized(self._path, size)

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802 - SQLite's
        try:
            self._disk.call()
        except apsw.IOError:
            self._disk.forgotten(self._path)
            raise
        self._disk.synced(self._path)
        if self._dirsync:
            self._dirsync = False
            self._disk.directory_synced(str(Path(self._path).parent))


@contextmanager
def recording(root: Path) -> Iterator[Recorder]:
    """Everything that this process asks of the disk below `root`, while the block lasts."""
    recorder = Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        calls = _Calls(recorder)
        for name in ("open", "mkdir", "rename", "unlink", "pwrite", "fsync", "posix_fadvise"):
            patch.setattr(os, name, getattr(calls, name))
        try:
            yield recorder
        finally:
            recorder.unregister()


class _Calls:
    """Python's own calls, each of which tells the recorder what it did."""

    def __init__(self, disk: Recorder) -> None:
        self._disk = disk
        self._open, self._mkdir = os.open, os.mkdir
        self._rename, self._unlink = os.rename, os.unlink
        self._pwrite = os.pwrite

    def open(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        new = flags & os.O_CREAT and not os.path.lexists(path)
        descriptor = self._open(path, flags, *more, **named)
        if new:
            self._disk.opened_new(os.fspath(path))
        return descriptor

    def mkdir(self, path: Any, *more: Any, **named: Any) -> None:
        self._mkdir(path, *more, **named)
        self._disk.made_directory(os.fspath(path))

    def rename(self, old: Any, new: Any) -> None:
        self._rename(old, new)
        self._disk.renamed(os.fspath(old), os.fspath(new))

    def unlink(self, path: Any) -> None:
        self._unlink(path)
        self._disk.gone(os.fspath(path))

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        count = self._pwrite(descriptor, data, offset)
        self._disk.written(_path(descriptor), offset, data[:count])
        return count

    def fsync(self, descriptor: int) -> None:
        self._disk.descriptor_synced(_path(descriptor))

    def posix_fadvise(self, descriptor: int, *_: int) -> None:
        self._disk.reread(_path(descriptor))


def _path(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())
