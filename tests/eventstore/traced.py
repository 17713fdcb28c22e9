"""What a process asks of the disk, seen from outside by strace(1): no library hides anything here.

Writes are placed by the file's offset as it was opened, from 0 on; nothing is read by position.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.eventstore.noted import Noted

_CALLS: Final = "openat,write,pwrite64,fsync,fdatasync,ftruncate,unlink,rename,mkdir"
_LINE: Final = re.compile(r"(\w+)\((.*)\) += (\d+)")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPENED: Final = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")


class Call(NamedTuple):
    """
    texts:            the strings among the arguments
    descriptor, path: of the open file it is about, -1 and empty for none
    """

    name: str
    texts: list[bytes]
    numbers: list[int]
    descriptor: int
    path: str
    flags: str
    result: int


class Traced(NamedTuple):
    """said: (operations done, line) of each line that the process printed."""

    disk: Noted
    said: list[tuple[int, str]]


def traced(command: Sequence[str], root: Path, place: Path) -> Traced:
    """Runs a command to its end; the trace is kept in `place`, outside of `root`."""
    if shutil.which("strace") is None:
        pytest.skip("strace(1) is not installed")
    strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-e", f"trace={_CALLS}"]
    log = place / "trace"
    done = subprocess.run(
        [*strace, "-o", str(log), *command], capture_output=True, text=True, check=False, timeout=60
    )
    if "PTRACE" in done.stderr:
        pytest.skip(f"no process may be traced here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    result: Traced = Traced(Noted(root), [])
    written: dict[int, int] = {}
    for call in _calls(log):
        _note(result, written, call)
    return result


def _note(result: Traced, written: dict[int, int], call: Call) -> None:
    """written: how far each descriptor was written."""
    disk = result.disk
    match call.name:
        case "openat":
            path = call.texts[0].decode()
            written[call.result] = 0
            if "O_CREAT" in call.flags and not disk.is_there(path):
                disk.made(path)
        case "write" if call.descriptor == 1:
            result.said.append((len(disk.done), call.texts[0].decode().strip()))
        case "write" if call.descriptor in written:
            disk.written(call.path, written[call.descriptor], call.texts[0][: call.result])
            written[call.descriptor] += call.result
        case _:
            _note_placed(disk, call)


def _note_placed(disk: Noted, call: Call) -> None:
    """What says itself where in the file, or which file, it is about."""
    match call.name:
        case "pwrite64":
            disk.written(call.path, call.numbers[-1], call.texts[0][: call.result])
        case "ftruncate":
            disk.resized(call.path, call.numbers[-1])
        case "fsync" | "fdatasync":
            disk.path_synced(call.path)
        case "unlink":
            disk.gone(call.texts[0].decode())
        case "rename":
            disk.renamed(call.texts[0].decode(), call.texts[1].decode())
        case "mkdir":
            disk.made_directory(call.texts[0].decode())


def _calls(log: Path) -> Iterator[Call]:
    """Those that succeeded, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(encoding="ascii").splitlines():
        process, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if text.startswith("<..."):
            text = begun.pop(process) + text.partition("resumed>")[2]
        if found := _LINE.match(text):
            yield _call(*found.groups())


def _call(name: str, arguments: str, result: str) -> Call:
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    rest = _TEXT.sub("", arguments)
    opened = _OPENED.match(rest)
    descriptor, path = (int(opened[1]), _bytes(opened[2]).decode()) if opened else (-1, "")
    numbers = [int(number) for number in re.findall(r", (\d+)", rest)]
    return Call(name, texts, numbers, descriptor, path, rest, int(result))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
