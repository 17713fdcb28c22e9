"""Start, watch, open again with back-off, stop: the loops round the recorder.

Each source has a task that reads it and, when it is lost, opens it again after a wait that
doubles from 1 s to 60 s, or to what the source says. A tick task runs every 100 ms on the monotonic
clock. Stopping cancels every task; each ends at its next await. Recordings end by themselves, and
with the last of them the service ends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from agent.bsm.ports import Radio
from agent.bsm.schedule import Schedule
from agent.clock import MS, SECOND, Clock
from agent.errors import DiskFullError, RemoteError, SealError, SourceLostError
from agent.events import ClockStepped, InputClosed, InputOpened
from agent.record import Journal, Recorder

STEPPED_NS = 50 * MS
"""The schedule is laid anew when the wall clock has moved this far against the monotonic one."""
BEAT_NS = 2 * SECOND
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0

_log = structlog.get_logger()


class Feed(Protocol):
    """One thing that is read: it hands itself to the recorder, batch by batch.

    The iterator ends where a recording ends. Raises SourceLostError.
    taken, broken: what was read, and what could not be understood, so far
    """

    @property
    def taken(self) -> int: ...

    @property
    def broken(self) -> int: ...

    def deliveries(self) -> AsyncIterator[Callable[[Recorder], None]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Source:
    """uri: for people and for the log; open: makes the feed, and again after a loss.

    longest_wait_s: between two tries to open it
    """

    uri: str
    open: Callable[[], Feed]
    finite: bool = False
    longest_wait_s: float = LONGEST_WAIT_S


class Watchdog(Protocol):
    """Tells the supervisor how the agent is."""

    def ready(self) -> None: ...

    def alive(self) -> None: ...

    def stopping(self) -> None: ...


class Service:
    """
    healthy:  whether the log takes events; the watchdog is fed only while it does
    schedule: of the 10 Hz tick, with what was late and what was skipped
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        journal: Journal,
        clock: Clock,
        sources: Sequence[Source],
        radio: Radio | None,
        healthy: Callable[[], bool],
        watchdog: Watchdog,
    ) -> None:
        self.schedule = Schedule()
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._sources = sources
        self._radio = radio
        self._healthy = healthy
        self._watchdog = watchdog
        self._closed: dict[str, str] = {}
        self._outward: list[tuple[Callable[[], Coroutine[Any, Any, object]], float]] = []

    def every(self, seconds: float, job: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Call `job` every so many seconds while the service runs; a RemoteError is logged."""
        self._outward.append((job, seconds))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or the last recording ended. Raises what is not mendable."""
        try:
            await self._run(stop)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._recorder.finish()

    async def _run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            tried = [asyncio.Event() for _ in self._sources]
            pairs = zip(self._sources, tried, strict=True)
            reading = [group.create_task(self._read(*pair)) for pair in pairs]
            running = [group.create_task(self._tick())]
            running += [group.create_task(self._repeat(*job)) for job in self._outward]
            if self._radio is not None:
                running.append(group.create_task(self._hear(self._radio)))
            for once in tried:
                await _either(once, stop)
            self._watchdog.ready()
            running.append(group.create_task(self._beat()))
            await self._end(stop, reading)
            self._watchdog.stopping()
            for task in (*reading, *running):
                task.cancel()

    async def _end(self, stop: asyncio.Event, reading: Sequence[asyncio.Task[None]]) -> None:
        """Wait for the stop, or for the end of all recordings where there is nothing else."""
        stopped = asyncio.create_task(stop.wait())
        finite = {t for t, s in zip(reading, self._sources, strict=True) if s.finite}
        try:
            left = finite
            while not stopped.done() and (left or not finite):
                await asyncio.wait({stopped, *left}, return_when=asyncio.FIRST_COMPLETED)
                left = {task for task in left if not task.done()}
        finally:
            stopped.cancel()

    async def _read(self, source: Source, tried: asyncio.Event) -> None:
        """Read a source for as long as it gives; `tried` is set when it was opened or not."""
        wait_s = FIRST_WAIT_S
        while True:
            came, reason = await self._read_once(source, tried)
            if source.finite:
                return
            wait_s = FIRST_WAIT_S if came else wait_s
            _log.warning("source lost", uri=source.uri, reason=reason, again_in_s=wait_s)
            await self._clock.sleep_until(self._clock.mono_ns() + int(wait_s * SECOND))
            wait_s = min(source.longest_wait_s, wait_s * 2)

    async def _read_once(self, source: Source, tried: asyncio.Event) -> tuple[bool, str]:
        """Read one opening to its end; whether anything came, and why it ended. Closes it."""
        try:
            feed = await _opened(source)
        except SourceLostError as error:
            self._say_closed(source.uri, str(error))
            return False, str(error)
        finally:
            tried.set()
        self._closed.pop(source.uri, None)
        self._journal.write(InputOpened(source.uri))
        reason = "ended"
        try:
            async for deliver in feed.deliveries():
                deliver(self._recorder)
        except SourceLostError as error:
            reason = str(error)
        except asyncio.CancelledError:
            reason = "stopped"
            raise
        finally:
            feed.close()
            self._journal.write(InputClosed(source.uri, feed.taken, feed.broken, reason))
        return feed.taken > 0, reason

    def _say_closed(self, uri: str, reason: str) -> None:
        """Of a source that does not open: once, not with each try."""
        if self._closed.get(uri) != reason:
            self._closed[uri] = reason
            self._journal.write(InputClosed(uri, 0, 0, reason))

    async def _tick(self) -> None:
        clock, schedule = self._clock, self.schedule
        schedule.align(clock.now_ns(), clock.mono_ns())
        before = clock.quality
        while True:
            await clock.sleep_until(schedule.due_ns)
            tick = schedule.tick(clock.mono_ns())
            message = self._recorder.tick(tick.t_ns, tick.mono_ns)
            if message is not None:
                await self._transmit(message)
            schedule.follow(self._recorder.arrived_ns)
            now_ns, mono_ns = clock.now_ns(), clock.mono_ns()
            stepped_ns = (now_ns - tick.t_ns) - (mono_ns - tick.mono_ns)
            if abs(stepped_ns) > STEPPED_NS:
                step = ClockStepped(stepped_ns, now_ns - stepped_ns, before, clock.quality)
                self._journal.write(step)
                schedule.align(now_ns, mono_ns)
            before = clock.quality

    async def _beat(self) -> None:
        """Feed the watchdog while the log takes events."""
        while True:
            if self._healthy():
                self._watchdog.alive()
            await self._clock.sleep_until(self._clock.mono_ns() + BEAT_NS)

    async def _transmit(self, message: bytes) -> None:
        on_air = self._radio is not None
        try:
            if self._radio is not None:
                await self._radio.send(message)
        except SourceLostError as error:
            _log.warning("radio lost", reason=str(error))
            on_air = False
        self._recorder.made(message, on_air=on_air)

    async def _hear(self, radio: Radio) -> None:
        dropped = 0
        async for payload in radio.heard():
            self._recorder.heard(payload)
            if radio.dropped > dropped:
                self._recorder.lost("messages", radio.dropped - dropped, "radio: more than we take")
                dropped = radio.dropped

    async def _repeat(self, job: Callable[[], Coroutine[Any, Any, object]], every_s: float) -> None:
        while True:
            await self._clock.sleep_until(self._clock.mono_ns() + int(every_s * SECOND))
            try:
                await job()
            except (RemoteError, SealError, DiskFullError) as error:
                _log.warning("upload put off", reason=str(error))


async def _opened(source: Source) -> Feed:
    """The feed, opened in a thread because a driver may take seconds."""
    opening = asyncio.ensure_future(asyncio.to_thread(source.open))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[Feed]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    """Return when one of the two is set."""
    waits = [asyncio.create_task(first.wait()), asyncio.create_task(second.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
