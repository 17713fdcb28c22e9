"""Some room set aside in the state directory, for what must be written on a full disk.

Once the disk is full this file goes, and the last events fit: what was lost, the end of the run.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.eventstore.state import RESERVE

RESERVE_BYTES: Final = 4 * 1024 * 1024
"""Our choice: the write-ahead log is folded in at 4 MiB, so as much may be needed at once."""


class Reserve:
    """state: the directory; its file there is named in state.py."""

    def __init__(self, state: Path) -> None:
        self._path = state / RESERVE

    def make(self) -> bool:
        """Whether it is there, made where there was room for it."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self.free()  # a part of it would be of no use, and in the way
            return False
        return True

    def free(self) -> bool:
        """Whether there was one to give back."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False
