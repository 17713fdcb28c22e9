"""No core file of this process: its memory may hold keys and what they open."""

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def leave_no_core() -> None:
    """For this process; a program it starts may raise the limit again. Raises OSError.

    The limit alone does not hold where the kernel pipes cores into a program (core(5)); who is
    not dumpable cannot be looked into by other processes of the same user either.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
