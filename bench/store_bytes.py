"""How many bytes SQLite hands to the system, counted where it writes them: in its file layer.

The layer is made the default of apsw, so it sees the write-ahead log, the file and every checkpoint
of any connection opened meanwhile. It does not see what the file system adds.
"""

from collections.abc import Callable

import apsw

_BASE = "unix"


class _File(apsw.VFSFile):
    def __init__(
        self, layer: "_Layer", name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        super().__init__(_BASE, name, flags)
        self._layer = layer

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._layer.written += len(data)
        super().xWrite(data, offset)

    def xLock(self, level: int) -> None:  # noqa: N802
        try:
            super().xLock(level)
        except apsw.IOError as error:  # a reader's last connection tries, and goes without it
            raise apsw.BusyError from error


class _Layer(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("counting", _BASE, makedefault=True)
        self.written = 0

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:  # noqa: N802
        return _File(self, name, flags)


def bytes_written(job: Callable[[], object]) -> int:
    layer = _Layer()
    try:
        job()
    finally:
        layer.unregister()
    return layer.written
