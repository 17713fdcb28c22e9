"""Recorded CAN traffic: whatever form a log is in, it is read as a sequence of frames.

The form is found by looking into the file, never by its name; gzip is undone on the way.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from agent.errors import MalformedInputError, UsageError
from agent.obd.asc import Asc
from agent.obd.blf import MAGIC as BLF_MAGIC
from agent.obd.blf import BlfReader, Item
from agent.obd.buserror import UNNAMED, BusErrors, ErrorFrame
from agent.obd.busmaster import BusMaster
from agent.obd.columns import CarBus, Gvret, Microchip
from agent.obd.frame import CanFrame, Counts
from agent.obd.lines import Aside, CandumpConsole, CandumpLog, Crtd, LineForm
from agent.obd.stamps import Stamps
from agent.obd.trc import Trc

LINE_BYTES_MAX = 4096
"""A line of the longest form, CAN FD in ASC, has about 350 characters."""
COMPLAINTS_MAX = 20

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 18
_BLF_NAME = "Vector BLF"

_FORMS: Final[tuple[type[LineForm], ...]] = (
    BusMaster,
    Trc,
    CarBus,
    Gvret,
    CandumpLog,
    CandumpConsole,
    Crtd,
    Microchip,
    Asc,
)


class LogFile:
    """A recording; each `for` over it reads it again from the start, in file order.

    form:       name of the form, "candump"
    start_ns:   time of the first frame, None where there is no frame
    dated:      whether times are dates; else they are offsets, counted from 1970
    counts:     of the latest reading: frames taken, lines broken, remote and error frames
    errors:     of the latest reading: what error frames told of the bus
    stamps:     of the latest reading: what is odd about the times
    complaints: of the latest reading: the first 20 broken lines, "line 17: …"

    Raises UsageError, naming the path, for what is no readable recording. A broken line costs
    that line; a damaged compression costs what follows it. A date without a zone is read as UTC.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._begin()
        self._form = self._recognise()
        self._reader: LineForm | BlfReader | None = None
        self.form = self._form.name if self._form else _BLF_NAME
        self.start_ns = next((frame.t_ns for frame in self), None)
        self._begin()

    def _begin(self) -> None:
        self.counts = Counts()
        self.errors = BusErrors(self.counts.errors)
        self.stamps = Stamps()
        self.complaints: list[str] = []

    @property
    def uri(self) -> str:
        """As events name it: the octets of a file name need not be UTF-8, a text is."""
        name = os.fsencode(self.path.name).decode("utf-8", "backslashreplace")
        return f"replay:{name}"

    @property
    def dated(self) -> bool:
        return self._reader is not None and self._reader.dated

    def __iter__(self) -> Iterator[CanFrame]:
        self._begin()
        counts, look = self.counts, self.stamps.look
        with self._open() as stream:
            try:
                for item in self._items(stream):
                    if item.__class__ is CanFrame:
                        counts.taken += 1
                        look(item.t_ns)
                        yield item
                    elif item is Aside.REMOTE:
                        counts.remote += 1
                    elif item is Aside.ERROR:
                        counts.errors[UNNAMED] += 1
                    elif isinstance(item, ErrorFrame):
                        self.errors.see(item)
                    elif isinstance(item, str):
                        self._complain(item)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self._complain("the compressed data end too early or are damaged")
            except OSError as error:
                raise UsageError(f"{self.path}: {error.strerror or error}") from error

    def _items(self, stream: BufferedIOBase) -> Iterator[Item]:
        if self._form is None:
            return self._objects(stream)
        return self._lines(stream, self._form())

    def _objects(self, stream: BufferedIOBase) -> Iterator[Item]:
        try:
            self._reader = reader = BlfReader(stream)
        except MalformedInputError as error:
            yield str(error)
            return
        yield from reader.items()

    def _lines(self, stream: BufferedIOBase, form: LineForm) -> Iterator[Item]:
        self._reader = form
        parse = form.parse
        number = 0
        for lines in _blocks(stream):
            for line in lines:
                number += 1
                try:
                    yield parse(line)
                except MalformedInputError as error:
                    yield f"line {number}: {error}"
                except (ValueError, LookupError):
                    # their texts quote the data, which may be personal
                    yield f"line {number}: not a line of {form.name}"

    def _complain(self, text: str) -> None:
        self.counts.broken += 1
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(text)

    def _open(self) -> BufferedIOBase:
        try:
            if not self.path.is_file():
                reason = "a directory" if self.path.is_dir() else "no such file"
                raise UsageError(f"{self.path}: {reason}")
            with self.path.open("rb") as raw:
                zipped = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            return gzip.open(self.path) if zipped else self.path.open("rb")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise UsageError(f"{self.path}: {getattr(error, 'strerror', error)}") from error

    def _recognise(self) -> type[LineForm] | None:
        """The form of the lines; None for BLF."""
        head = b""
        with self._open() as stream:
            try:
                while len(head) < _HEAD_BYTES and (part := stream.read1(_HEAD_BYTES)):
                    head += part
            except (EOFError, zlib.error, OSError) as error:
                if not head:
                    raise UsageError(f"{self.path}: cannot be read: {error}") from error
        if not head:
            raise UsageError(f"{self.path}: empty")
        if head.startswith(BLF_MAGIC):
            return None
        lines = _split(head)
        for form in _FORMS:
            if form.fits(lines):
                return form
        known = ", ".join([*(form.name for form in _FORMS), _BLF_NAME])
        raise UsageError(f"{self.path}: none of the known forms ({known})")


def _split(block: bytes) -> list[str]:
    """Lines, whatever ends them. Latin-1 cannot fail and keeps every byte a character."""
    text = block.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _blocks(stream: BufferedIOBase) -> Iterator[list[str]]:
    """Whole lines, many at a time. A line too long for memory is cut, and broken by that."""
    tail = b""
    while block := stream.read1(_BLOCK_BYTES):  # read() would drop what stands before damage
        data = tail + block
        # a carriage return at the very end may be half of a line end
        cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
        if cut:
            yield _split(data[:cut])[:-1]
        tail = data[cut:]
        if len(tail) > LINE_BYTES_MAX:
            tail = tail[:LINE_BYTES_MAX]
    if tail:
        yield _split(tail)
