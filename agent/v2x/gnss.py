"""Positions by URI: a receiver on a serial line, a recording of one, or a gpsd.

nmea:/dev/ttyACM0@9600      a device and its baud rate
nmea:drive.nmea             a recording, .gz too, at the pace of the clock
gpsd:127.0.0.1:2947         a gpsd, see gpsd.py
"""

import asyncio
import gzip
import re
import threading
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

import serial

from agent.clock import Clock, ClockQuality
from agent.errors import ConfigError, SourceLostError, UsageError
from agent.position import PositionFix, PositionSource
from agent.v2x.gpsd import open_gpsd
from agent.v2x.nmea import NmeaJoiner
from agent.v2x.sentence import LONGEST

BAUD: Final = 9600  # what a receiver speaks unless told otherwise: NMEA 0183-HS aside, 4800 or this
QUIET_S: Final = 0.1  # a pause this long ends the burst of one epoch
WAITING: Final = 64  # fixes that may wait for their reader; older ones go

_GZIP: Final = b"\x1f\x8b"


class NmeaFile:
    """A recording of sentences, `.gz` or not; iterates its fixes in the order of the file.

    Raises UsageError for a file that is missing or empty, and, once it was read to the end,
    for one without a single sentence. counts: what was read and what was broken, so far
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.counts = NmeaJoiner()
        with self._open() as file:
            start = file.read(len(_GZIP))
        if not start:
            raise UsageError(f"{path}: the file is empty")
        self._packed = start == _GZIP

    def __iter__(self) -> Iterator[PositionFix]:
        joiner = self.counts = NmeaJoiner()
        with self._open() as raw:
            for line in _lines(gzip.GzipFile(fileobj=raw) if self._packed else raw, joiner):
                yield from joiner.feed(line)
        yield from joiner.flush()
        if not joiner.sentences:
            raise UsageError(f"{self._path}: no NMEA sentence in {joiner.broken} lines")

    def _open(self) -> BufferedReader:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror}") from error


class NmeaPlayback:
    """A recording as a source: each fix comes when the clock has reached it.

    A clock that runs along a recording is met at the times of the file. Any other clock takes
    the first fix at once and keeps the distances, as a receiver would that was just plugged in.
    """

    def __init__(self, file: NmeaFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    @property
    def broken(self) -> int:
        return self._file.counts.broken

    async def fixes(self) -> AsyncIterator[PositionFix]:
        start_ns: int | None = None
        for fix in self._file:
            if start_ns is None:
                recorded = self._clock.quality is ClockQuality.RECORDED
                utc_ns = self._clock.now_ns() if recorded else fix.t_ns
                start_ns = self._clock.mono_ns() - utc_ns
            await self._clock.sleep_until(start_ns + fix.t_ns)
            yield fix


class NmeaSerial:
    """A receiver on a serial line. counts: what was read and what was broken, so far."""

    def __init__(self, port: str, baud: int, clock: Clock) -> None:
        self._port = port
        self._baud = baud
        self._clock = clock
        self.counts = NmeaJoiner()

    @property
    def broken(self) -> int:
        return self.counts.broken

    async def fixes(self) -> AsyncIterator[PositionFix]:
        """Raises SourceLostError when the device is not there, or is there no more."""
        device = self._open()
        reader = _Reader(device, self.counts, self._clock, asyncio.get_running_loop())
        reader.start()
        try:
            while True:
                await reader.news.wait()
                reader.news.clear()
                while reader.waiting:
                    yield reader.waiting.popleft()
                if reader.lost is not None:
                    raise SourceLostError(f"receiver {self._port}: {reader.lost}")
        finally:
            reader.stop.set()
            await asyncio.to_thread(reader.join)
            device.close()

    def _open(self) -> serial.Serial:
        try:
            return serial.Serial(self._port, self._baud, timeout=QUIET_S)
        except (OSError, ValueError) as error:
            raise SourceLostError(f"receiver {self._port}: {error}") from error


class _Reader(threading.Thread):
    """Reads the line in its own thread; a pause ends an epoch, so no fix waits for the next."""

    def __init__(
        self,
        device: serial.Serial,
        joiner: NmeaJoiner,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name="gnss", daemon=True)
        self.waiting: deque[PositionFix] = deque(maxlen=WAITING)
        self.news = asyncio.Event()
        self.stop = threading.Event()
        self.lost: str | None = None
        self._device = device
        self._joiner = joiner
        self._clock = clock
        self._loop = loop
        self._begun = b""

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._take(self._device.read(max(1, self._device.in_waiting)))
        except (OSError, TypeError) as error:  # TypeError: pyserial, when closed while it reads
            self.lost = str(error)
        self._tell()

    def _take(self, octets: bytes) -> None:
        now_ns = self._clock.now_ns()
        if not octets:
            self._hand_over(self._joiner.flush(now_ns))
            return
        *lines, self._begun = (self._begun + octets).split(b"\n")
        for line in lines:
            self._hand_over(self._joiner.feed(line, now_ns))
        if len(self._begun) > LONGEST:
            self._joiner.complain(f"over {LONGEST} characters")
            self._begun = b""

    def _hand_over(self, fixes: list[PositionFix]) -> None:
        if fixes:
            self.waiting.extend(fixes)
            self._tell()

    def _tell(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.news.set)


def open_position(uri: str, clock: Clock) -> PositionSource:
    """The source that a URI names.

    Raises ConfigError for a scheme nobody knows, UsageError for a file that cannot be used.
    """
    scheme, _, rest = uri.partition(":")
    if scheme not in SCHEMES or not rest:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise ConfigError(f"gnss.uri = {uri!r}: no such source; there is {known}")
    return SCHEMES[scheme](rest, clock)


def _open_nmea(rest: str, clock: Clock) -> PositionSource:
    device = re.fullmatch(r"(.+)@(\d{3,7})", rest)
    if device is not None:
        return NmeaSerial(device[1], int(device[2]), clock)
    if Path(rest).is_char_device():
        return NmeaSerial(rest, BAUD, clock)
    return NmeaPlayback(NmeaFile(Path(rest)), clock)


SCHEMES: Final[dict[str, Callable[[str, Clock], PositionSource]]] = {
    "nmea": _open_nmea,
    "gpsd": open_gpsd,
}
"""Scheme -> opener."""


def _lines(file: gzip.GzipFile | BufferedReader, joiner: NmeaJoiner) -> Iterator[bytes]:
    """Lines of bounded length; where packed data break off, that is counted."""
    whole = True
    try:
        while line := file.readline(LONGEST + 2):
            if whole:
                yield line
            whole = line.endswith(b"\n")
    except (EOFError, OSError, zlib.error):
        joiner.complain("the file breaks off here")
