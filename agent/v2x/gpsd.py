"""A gpsd as a source of positions: our own client of its JSON socket, see gpsd_json(5).

gpsd:127.0.0.1:2947                 where it usually listens
gpsd:[::1]:2947/dev/ttyACM0         one receiver of those it has
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from agent.clock import Clock
from agent.errors import ConfigError, SourceLostError
from agent.position import PositionFix
from agent.v2x.gpsdreport import GpsdJoiner

PORT: Final = 2947
LONGEST: Final = 32_768  # octets; a report on 140 satellites, the longest there is, has 20,000
CONNECT_S: Final = 5.0
ELLIPSE_S: Final = 0.1  # for the report behind a fix; gpsd writes both at once
SILENT_S: Final = 10.0  # then it is asked whether it is there, and so long it may take to say so

_PROBE: Final = b"?VERSION;\n"


class GpsdSource:
    """Fixes of a gpsd. counts: what was read and what was broken, so far."""

    def __init__(self, host: str, port: int, device: str, clock: Clock) -> None:
        self._host = host
        self._port = port
        self._watch = {"enable": True, "json": True} | ({"device": device} if device else {})
        self._clock = clock
        self._begun = b""
        self._too_long = False
        self.counts = GpsdJoiner()

    @property
    def broken(self) -> int:
        return self.counts.broken

    async def fixes(self) -> AsyncIterator[PositionFix]:
        """Raises SourceLostError when gpsd is not there, is there no more or does not answer."""
        reader, writer = await self._connect()
        try:
            writer.write(f"?WATCH={json.dumps(self._watch)};\n".encode())
            while True:
                for fix in await self._next(reader, writer):
                    yield fix
        except OSError as error:
            raise self._lost(error.strerror or "broke off") from error
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(self._host, self._port)
        except TimeoutError as error:
            raise self._lost(f"no answer in {CONNECT_S:.0f} s") from error
        except OSError as error:
            raise self._lost(error.strerror or "not there") from error

    async def _next(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> list[PositionFix]:
        """The fixes of the next octets; what waited for an ellipse when none come at once."""
        if self.counts.waiting:
            octets = await _read(reader, ELLIPSE_S)
            return self.counts.flush() if octets is None else self._take(octets)
        octets = await _read(reader, SILENT_S)
        if octets is None:
            writer.write(_PROBE)
            octets = await _read(reader, SILENT_S)
        if octets is None:
            raise self._lost(f"no answer in {SILENT_S:.0f} s")
        return self._take(octets)

    def _take(self, octets: bytes) -> list[PositionFix]:
        if not octets:
            raise self._lost("it hung up")
        now_ns = self._clock.now_ns()
        *lines, self._begun = (self._begun + octets).split(b"\n")
        fixes = []
        for line in lines:
            if self._too_long:
                self._too_long = False  # this is the end of a line that was dropped
            else:
                fixes += self.counts.feed(line, now_ns)
        if len(self._begun) > LONGEST:
            self._drop()
        if self._watch.get("device") and self.counts.refusal:
            raise self._lost(" ".join(self.counts.refusal.split()))
        return fixes

    def _drop(self) -> None:
        if not self._too_long:
            self.counts.complain(f"over {LONGEST} octets")
        self._begun, self._too_long = b"", True

    def _lost(self, reason: str) -> SourceLostError:
        return SourceLostError(f"gpsd {self._host}:{self._port}: {reason}")


def open_gpsd(rest: str, clock: Clock) -> GpsdSource:
    """HOST:PORT, or HOST:PORT/DEVICE. Raises ConfigError for anything else."""
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, PORT if parts.port is None else parts.port
    except ValueError:
        host, port = None, 0
    if not host or not port or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(f"gnss.uri = 'gpsd:{rest}': gpsd:HOST:PORT[/DEVICE], port 1 to 65535")
    return GpsdSource(host, port, parts.path, clock)


async def _read(reader: asyncio.StreamReader, seconds: float) -> bytes | None:
    """What has come; empty at the end; None where nothing came in that time."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(65_536)
    except TimeoutError:
        return None
