"""The programs of tpm2-tools, one process a call.

A PIN goes to a program through an anonymous file in memory, which only that process inherits: it
is in no argument, no environment and on no disk.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent.errors import ConfigError, SealError
from agent.wallet.tokenuri import Pin

TIMEOUT_S: Final = 30
"""Our choice. A TPM signs in a fifth of a second and makes a P-256 key within a few."""

_LOCK: Final = threading.Lock()
"""A TPM does one thing after the other, and has room for as few as three sessions."""
_WAYS: Final = ("device:", "swtpm:")
"""tpm2-tss knows others; one of them runs a shell."""
_WRONG_PIN: Final = 3
"""Exit code of tpm2-tools, the same in all of them."""
_NOT_THERE: Final = "0x18B"
"""TPM_RC_HANDLE of the first handle."""


class Tools:
    """The programs, and the way they take to the TPM."""

    def __init__(self, name: str, tcti: str) -> None:
        if not tcti.startswith(_WAYS):
            raise ConfigError(f"{name}: tcti {tcti!r} begins with none of {_WAYS}")
        self._name = name
        self._tcti = tcti

    def run(self, tool: str, *arguments: str, given: bytes = b"", pin: Pin | None = None) -> bytes:
        """given: its standard input -> its standard output.

        Raises ConfigError for a missing program, a wrong PIN and a number of nothing, SealError
        for all else.
        """
        program = shutil.which(tool)
        if program is None:
            raise ConfigError(f"{self._name}: no {tool}; install the Debian package tpm2-tools")
        with _LOCK, _inherited(pin) as (option, descriptors):
            done = self._call([program, "-T", self._tcti, *option, *arguments], given, descriptors)
        if done.returncode == _WRONG_PIN and pin is None:
            raise ConfigError(f"{self._name}: the TPM asks for a PIN or a password, and has none")
        if done.returncode == _WRONG_PIN and pin is not None:
            pin.refuse()
            raise ConfigError(f"{self._name}: the TPM refuses the PIN")
        said = _error(done.stderr.decode(errors="replace"))
        if done.returncode and _NOT_THERE in said:
            raise ConfigError(f"{self._name}: the TPM has no such key or counter")
        if done.returncode:
            raise SealError(f"{self._name}: {said}")
        return done.stdout

    def _call(
        self, command: list[str], given: bytes, descriptors: tuple[int, ...]
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell, a program found by its name
                command,
                input=given,
                capture_output=True,
                pass_fds=descriptors,
                env={"TSS2_LOG": "all+NONE"},
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SealError(f"{self._name}: no answer within {TIMEOUT_S} s") from error
        except OSError as error:
            raise SealError(f"{self._name}: {error}") from error


@contextmanager
def _inherited(pin: Pin | None) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The option that tells a program where to read the PIN, and the descriptor to hand it."""
    if pin is None:
        yield [], ()
        return
    descriptor = os.memfd_create("pin")
    try:
        # as digits: the programs give some beginnings of plain text a meaning
        os.write(descriptor, b"hex:" + pin.read().encode().hex().encode())
        yield ["-p", f"file:/dev/fd/{descriptor}"], (descriptor,)
    finally:
        os.close(descriptor)


def _error(stderr: str) -> str:
    """The first complaint; those after it come of it."""
    first = next((line for line in stderr.splitlines() if line.startswith("ERROR: ")), stderr)
    return " ".join(first.removeprefix("ERROR: ").split())
