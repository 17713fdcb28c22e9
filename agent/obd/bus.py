"""A live bus, read by one thread that hands over batches to the event loop.

URIs: `can:can0` (SocketCAN), `slcan:/dev/ttyUSB0@500000` (serial adapters, with the bitrate of
the bus), `virtual:NAME` (a bus inside this process).
"""

import asyncio
import importlib
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from agent.errors import ConfigError, MalformedInputError, SourceLostError
from agent.obd.frame import BASE_ID_MAX, CanFrame, Counts, FrameSource
from agent.obd.kernelqueue import WANTED_BYTES, KernelQueue

if TYPE_CHECKING:
    import can
    from can.interfaces.socketcan import SocketcanBus

BATCH_S = 0.02
BATCH_FRAMES = 500
HELD_FRAMES_MAX = 20_000
"""Five seconds of a busy bus; what arrives beyond is lost, and counted."""
_WAIT_S = 0.1
_JOIN_S = 2.0

_log = structlog.get_logger()


def open_bus(uri: str, *, listen_only: bool = True) -> FrameSource:
    """Open an interface; blocks as long as its driver does (slcan: about two seconds).

    listen_only: the adapter does not even acknowledge frames. It is set where the adapter can be
    told (slcan). On SocketCAN it is a property of the interface, set by whoever brings it up:
    `ip link set can0 type can bitrate 500000 listen-only on`. No source here sends in any case.

    Raises ConfigError for a URI that names no known bus, SourceLostError when it cannot be opened.
    """
    options = bus_options(uri, listen_only=listen_only)
    scheme, _, name = uri.partition(":")
    bus = _open(uri, options)
    queue = _queue(uri, cast("SocketcanBus", bus)) if scheme == "can" else None
    return BusSource(uri, name.partition("@")[0], bus, queue)


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


def _virtual(_uri: str, name: str, **_: bool) -> dict[str, Any]:
    return {"interface": "virtual", "channel": name}


_OPENERS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "can": _socketcan,
    "slcan": _slcan,
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


def _queue(uri: str, bus: "SocketcanBus") -> KernelQueue:
    try:
        queue = KernelQueue(bus.socket)
    except OSError as error:
        bus.shutdown()
        raise SourceLostError(f"{uri}: {error}") from error
    if queue.size_bytes < WANTED_BYTES:
        _log.warning("short queue, raise net.core.rmem_max", uri=uri, bytes=queue.size_bytes)
    return queue


class BusSource:
    """Frames of one python-can bus. `batches` may be iterated once; cancelled, it first hands
    over what had arrived.

    queue: of a bus that the kernel reads; what did not fit into it counts as lost
    """

    def __init__(
        self, uri: str, channel: str, bus: "can.BusABC", queue: KernelQueue | None = None
    ) -> None:
        self.uri = uri
        self.counts = Counts()
        self._channel = channel
        self._bus = bus
        self._queue = queue
        self._lock = threading.Lock()
        self._held: list[CanFrame] = []
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

    def close(self) -> None:
        self._stop.set()
        self._arrived.set()
        if self._thread is None:
            self._bus.shutdown()
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
        self.counts.lost += left

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """The reading thread: never waits for the other side, so the bus is never held up."""
        try:
            self._read_to_the_end(loop)
        except Exception as error:  # noqa: BLE001 - any driver's error ends this source
            self._error = error
        finally:
            self._bus.shutdown()
            self._stop.set()
            self._wake(loop)

    def _read_to_the_end(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._stop.is_set():
                first = self._bus.recv(_WAIT_S)
                if first is not None:
                    self._read_batch(self._take(first), loop)
            if self._queue is not None:
                self._queue.shut()  # so that the last batch is the last
            self._read_batch([], loop)
        finally:
            if self._queue is not None:
                self.counts.lost += self._queue.close()

    def _read_batch(self, batch: list[CanFrame], loop: asyncio.AbstractEventLoop) -> None:
        self._stop.wait(BATCH_S)  # frames gather in the driver's queue meanwhile
        try:
            while len(batch) < BATCH_FRAMES and (more := self._bus.recv(0)) is not None:
                batch += self._take(more)
        finally:  # what came before a failure is handed over too
            self._hand_over(batch, loop)

    def _take(self, message: "can.Message") -> list[CanFrame]:
        if message.is_error_frame or message.is_remote_frame:
            self.counts.other += 1
            return []
        try:
            frame = CanFrame(
                message.arbitration_id,
                bytes(message.data),
                round(message.timestamp * 1e9),
                self._channel,
                message.is_extended_id or message.arbitration_id > BASE_ID_MAX,
                message.is_fd,
            )
        except (MalformedInputError, ValueError, OverflowError):
            self.counts.broken += 1
            return []
        return [frame]

    def _hand_over(self, batch: list[CanFrame], loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            room = HELD_FRAMES_MAX - len(self._held)
            self._held += batch[:room]
        taken = min(room, len(batch))
        self.counts.taken += taken
        self.counts.lost += len(batch) - taken
        if self._queue is not None:
            self.counts.lost += self._queue.dropped()
        self._wake(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        # one call a batch; when the loop is stuck the calls are as bounded as the time it is
        try:
            loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._stop.set()
