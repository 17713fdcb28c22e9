"""Where a result goes: a file that is whole or not there, or standard output."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from agent.errors import UsageError
from agent.files import sync_directory


def standard_output(*, text: bool) -> BinaryIO:
    """Raises UsageError where octets would be written to a terminal."""
    if not text and sys.stdout.isatty():
        raise UsageError("standard output is a terminal; this format needs --out FILE")
    return sys.stdout.buffer


def apart(out: Path, state: Path) -> Path:
    """`out`, where it would not be one of the agent's own files, or lie among them.

    Raises UsageError: it would take the place of the log or a key, or the next start would find
    a directory that is not the agent's alone.
    """
    place, log = out.resolve(), state.resolve()
    if log in (place, *place.parents):
        raise UsageError(f"{out} is in {state}, where nothing but the agent's own files may be")
    return out


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file, its owner's alone, that takes its name when all of it is on disk.

    What had the name before stays until then, and for good if anything goes wrong.
    Raises UsageError where there is none to be made or written, and for what is no regular file.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            raise UsageError(f"{path} is not a regular file")
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".amo-agent-")
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - mkstemp made it private
                yield file
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(target)
            sync_directory(target.parent)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                Path(name).unlink()
            raise
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
