"""A live bus, read by one thread that hands over batches to the event loop.

URIs: `can:can0` (SocketCAN), `slcan:/dev/ttyUSB0@500000` (serial adapters, with the bitrate of
the bus), `udp:239.74.163.2:43113` (python-can's bus over multicast, of a network without secrets),
`virtual:NAME` (a bus inside this process).
"""

import asyncio
import importlib
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from agent.errors import ConfigError, SourceLostError
from agent.obd.buserror import BusErrors
from agent.obd.frame import BusState, CanFrame, Counts, FrameSource
from agent.obd.pythoncan import PythonCan
from agent.obd.socketcan import LEFT_UNREAD, SocketCan, filters, open_socket

if TYPE_CHECKING:
    import can

BATCH_S = 0.02
BATCH_FRAMES = 500
HELD_FRAMES_MAX = 20_000
"""Five seconds of a busy bus; what arrives beyond is lost, and counted."""
TOO_SLOW: Final = "the agent was too slow"
_WAIT_S = 0.1
_JOIN_S = 2.0


class Reader(Protocol):
    """Reads one bus for one thread, and counts what it does not hand on.

    behind: whether the last reading left something that can be read at once
    """

    errors: BusErrors
    behind: bool

    def wait(self, seconds: float) -> bool:
        """Whether something can be read. Raises what its driver raises when the bus is gone."""

    def read(self) -> list[CanFrame]:
        """What is there, one batch at the most. Raises as `wait` does."""

    def stop(self) -> None:
        """Let nothing more in, where that can be told."""

    def close(self) -> None:
        """Count what was never read as lost, and give the bus up."""


def open_bus(
    uri: str, *, listen_only: bool = True, only: Collection[int] | None = None
) -> FrameSource:
    """Open an interface; blocks as long as its driver does (slcan: about two seconds).

    listen_only: the adapter does not even acknowledge frames. It is set where the adapter can be
    told (slcan). On SocketCAN it is a property of the interface, set by whoever brings it up:
    `ip link set can0 type can bitrate 500000 listen-only on`. No source here sends in any case.
    only: identifiers, bit 31 set where extended, of the frames that the kernel lets through

    Raises ConfigError for a URI that names no known bus, for a filter that the kernel cannot have
    and on a bus that the kernel does not read, SourceLostError when it cannot be opened.
    """
    options = bus_options(uri, listen_only=listen_only)
    scheme, _, name = uri.partition(":")
    counts = Counts()
    if scheme == "can":
        return BusSource(uri, _socketcan_reader(uri, name, counts, only), counts)
    if only is not None:
        raise ConfigError(f"bus {uri!r}: filter = true is for can: alone")
    channel = name if scheme == "udp" else name.partition("@")[0]
    return BusSource(uri, PythonCan(_open(uri, options), channel, counts), counts)


def bus_options(uri: str, *, listen_only: bool = True) -> dict[str, Any]:
    """What python-can is asked for by a URI. Raises ConfigError; nothing is opened."""
    scheme, _, name = uri.partition(":")
    if scheme not in _OPENERS:
        known = ", ".join(f"{known}:" for known in _OPENERS)
        raise ConfigError(f"bus {uri!r}: {scheme!r} is none of {known}")
    if not name:
        raise ConfigError(f"bus {uri!r}: the name of the interface is missing")
    return _OPENERS[scheme](uri, name, listen_only=listen_only)


def _socketcan(_uri: str, name: str, **_: bool) -> dict[str, Any]:
    return {"interface": "socketcan", "channel": name, "fd": True}


def _slcan(uri: str, name: str, *, listen_only: bool) -> dict[str, Any]:
    port, _, bitrate = name.rpartition("@")
    if not (port and bitrate.isdecimal() and bitrate.isascii()):
        raise ConfigError(f"bus {uri!r}: the bitrate is missing, as in slcan:/dev/ttyUSB0@500000")
    return {
        "interface": "slcan",
        "channel": port,
        "bitrate": int(bitrate),
        "listen_only": listen_only,
    }


def _udp(uri: str, name: str, **_: bool) -> dict[str, Any]:
    parts = urlsplit(f"//{name}")
    with suppress(ValueError):  # no address, no number
        group, port = ip_address(parts.hostname or ""), parts.port
        if group.is_multicast and port:
            return {"interface": "udp_multicast", "channel": str(group), "port": port, "fd": True}
    form = "a multicast group and a port, as in udp:239.74.163.2:43113"
    raise ConfigError(f"bus {uri!r}: {form}")


def _virtual(_uri: str, name: str, **_: bool) -> dict[str, Any]:
    return {"interface": "virtual", "channel": name}


_OPENERS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "can": _socketcan,
    "slcan": _slcan,
    "udp": _udp,
    "virtual": _virtual,
}


def _open(uri: str, options: dict[str, Any]) -> "can.BusABC":
    python_can = importlib.import_module("can")  # slow to load, and not needed for recordings
    try:
        bus: can.BusABC = python_can.Bus(**options)
    except (python_can.CanError, OSError, ImportError) as error:
        raise SourceLostError(f"{uri}: cannot be opened: {error}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{uri}: {error}") from error
    return bus


def _socketcan_reader(
    uri: str, name: str, counts: Counts, only: Collection[int] | None
) -> SocketCan:
    allowed = None if only is None else filters(only)
    try:
        reader = open_socket(name, allowed)
    except OSError as error:
        raise SourceLostError(f"{uri}: cannot be opened: {error}") from error
    try:
        return SocketCan(reader, name, counts, filtered=only is not None)
    except OSError as error:
        reader.close()
        raise SourceLostError(f"{uri}: {error}") from error


class BusSource:
    """Frames of one bus. `batches` may be iterated once; cancelled, it first hands over what had
    arrived. counts: those that the reader adds to
    """

    def __init__(self, uri: str, reader: Reader, counts: Counts) -> None:
        self.uri = uri
        self.counts = counts
        self._reader = reader
        self._lock = threading.Lock()
        self._held: list[CanFrame] = []
        self._states: list[BusState] = []
        self._stop = threading.Event()
        self._arrived = asyncio.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    async def batches(self) -> AsyncGenerator[list[CanFrame], None]:
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._read, args=(loop,), name=f"bus {self.uri}", daemon=True
        )
        self._thread.start()
        try:
            while not (self._stop.is_set() and not self._held):
                await self._arrived.wait()
                self._arrived.clear()
                if self._states and not self._held:
                    yield []
                while batch := self._fetch():
                    yield batch
            if self._error is not None:
                raise SourceLostError(f"{self.uri}: {self._error}") from self._error
        except asyncio.CancelledError:
            self.close()
            while batch := self._fetch():
                yield batch
            raise
        finally:
            self.close()
            self._give_up_held()

    def states(self) -> list[BusState]:
        with self._lock:
            taken, self._states = self._states, []
        return taken

    def close(self) -> None:
        self._stop.set()
        self._arrived.set()
        if self._thread is None:
            self._reader.close()
        else:
            self._thread.join(_JOIN_S)

    def _fetch(self) -> list[CanFrame]:
        with self._lock:
            batch, self._held = self._held[:BATCH_FRAMES], self._held[BATCH_FRAMES:]
        return batch

    def _give_up_held(self) -> None:
        """What a reader that went away left behind was not handed on."""
        with self._lock:
            left, self._held = len(self._held), []
        self.counts.taken -= left
        self.counts.lose(LEFT_UNREAD, left)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """The reading thread: never waits for the other side, so the bus is never held up."""
        try:
            self._read_to_the_end(loop)
        except Exception as error:  # noqa: BLE001 - any driver's error ends this source
            self._error = error
        finally:
            self._reader.close()
            self._stop.set()
            self._wake(loop)

    def _read_to_the_end(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._stop.is_set():
                if self._reader.wait(_WAIT_S):
                    self._stop.wait(BATCH_S)  # frames gather in the driver's queue meanwhile
                    self._read_what_is_there(loop)
        finally:  # an interface that went down still has what came before
            self._reader.stop()  # so that the last batch is the last
            self._read_what_is_there(loop)

    def _read_what_is_there(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hand_over(self._reader.read(), loop)
        for _ in range(HELD_FRAMES_MAX // BATCH_FRAMES):  # more could not be held in any case
            if not self._reader.behind:
                return
            self._hand_over(self._reader.read(), loop)

    def _hand_over(self, batch: list[CanFrame], loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            room = HELD_FRAMES_MAX - len(self._held)
            self._held += batch[:room]
            self._states += self._reader.errors.take()
        taken = min(room, len(batch))
        self.counts.taken += taken
        self.counts.lose(TOO_SLOW, len(batch) - taken)
        self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        # one call a batch; when the loop is stuck the calls are as bounded as the time it is
        try:
            loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stop.set()
