"""The loops round the recorder: sources are lost and found, ticks come, stopping works."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.archive import Archive, archive
from agent.bsm.message import VehicleSize
from agent.clock import MS, SECOND, ClockQuality, ManualClock, SystemClock
from agent.compose import recorder
from agent.errors import ConfigError, RemoteError, SourceLostError, StoreError
from agent.events import (
    BsmHeard,
    BsmMade,
    ClockStepped,
    InputClosed,
    InputOpened,
    PositionFixed,
)
from agent.eventstore.verify import verify
from agent.installed import codec
from agent.position import PositionFix
from agent.record import Recorder
from agent.service import Service, Source
from agent.v2x.udp import UdpRadio
from tests.conftest import START_NS
from tests.opened import opened

CODEC = codec()


@dataclass
class Feed:
    """A source that gives fixes, and may break."""

    fixes: list[PositionFix] = field(default_factory=list)
    breaks: bool = False
    endless: bool = False
    taken: int = 0
    broken: int = 0
    lost: int = 0
    closed: bool = False

    async def deliveries(self) -> AsyncIterator[Callable[[Recorder], None]]:
        for fix in self.fixes:
            self.taken += 1
            yield lambda core, fix=fix: core.position(fix)  # type: ignore[misc]  # one argument
        if self.breaks:
            raise SourceLostError("unplugged")
        if self.endless:
            await asyncio.Event().wait()

    def close(self) -> None:
        self.closed = True


class Watchdog:
    def __init__(self) -> None:
        self.told: list[str] = []

    def ready(self) -> None:
        self.told.append("ready")

    def alive(self) -> None:
        self.told.append("alive")

    def stopping(self) -> None:
        self.told.append("stopping")


def fix(t_ns: int) -> PositionFix:
    return PositionFix(
        t_ns=t_ns,
        arrived_ns=t_ns,
        latitude_deg=37.4,
        longitude_deg=127.1,
        speed_mps=14.0,
        heading_deg=90.0,
    )


def service(
    parts: Archive,
    *sources: Source,
    radio: UdpRadio | None = None,
    healthy: bool = True,
    watchdog: Watchdog | None = None,
    clock: ManualClock | SystemClock | None = None,
) -> Service:
    return Service(
        recorder(parts, VehicleSize(1.8, 4.4), CODEC),
        journal=parts.journal,
        clock=clock or parts.clock,
        sources=sources,
        radio=radio,
        healthy=lambda: healthy,
        watchdog=watchdog or Watchdog(),
    )


async def test_a_recording_that_ends_ends_the_service(parts: Archive) -> None:
    feed = Feed([fix(1)])

    await asyncio.wait_for(
        service(parts, Source("a", lambda: feed, finite=True)).run(asyncio.Event()), 5
    )

    assert feed.closed
    told = [event for event in opened(parts) if isinstance(event, InputOpened | InputClosed)]
    assert told == [InputOpened("a"), InputClosed("a", 1, 0, "ended")]


async def test_a_source_that_is_lost_is_opened_again_with_growing_waits(parts: Archive) -> None:
    stop = asyncio.Event()
    feeds: list[Feed] = []

    def open_() -> Feed:
        feeds.append(Feed(breaks=True))
        if len(feeds) == 5:
            stop.set()
        return feeds[-1]

    with capture_logs() as lines:
        await asyncio.wait_for(service(parts, Source("can:can0", open_)).run(stop), 5)

    assert [line["again_in_s"] for line in lines][:4] == [1.0, 2.0, 4.0, 8.0]
    assert all(feed.closed for feed in feeds[:4])
    lost = [event.reason for event in opened(parts) if isinstance(event, InputClosed)]
    assert set(lost[:4]) == {"unplugged"}


async def test_a_source_may_say_how_long_it_is_waited_for_at_most(parts: Archive) -> None:
    stop = asyncio.Event()
    tries = 0

    def open_() -> Feed:
        nonlocal tries
        tries += 1
        if tries == 6:
            stop.set()
        raise SourceLostError("no such adapter")

    with capture_logs() as lines:
        source = Source("elm:/dev/ttyUSB0", open_, longest_wait_s=4.0)
        await asyncio.wait_for(service(parts, source).run(stop), 5)

    assert [line["again_in_s"] for line in lines][:5] == [1.0, 2.0, 4.0, 4.0, 4.0]


async def test_a_source_that_gave_something_is_opened_again_soon(parts: Archive) -> None:
    stop = asyncio.Event()
    opened_so_far: list[Feed] = []

    def open_() -> Feed:
        opened_so_far.append(Feed([fix(len(opened_so_far))], breaks=True))
        if len(opened_so_far) == 4:
            stop.set()
        return opened_so_far[-1]

    with capture_logs() as lines:
        await asyncio.wait_for(service(parts, Source("can:can0", open_)).run(stop), 5)

    assert {line["again_in_s"] for line in lines} == {1.0}


async def test_one_source_that_is_gone_does_not_stop_another(parts: Archive) -> None:
    def gone() -> Feed:
        raise SourceLostError("no such device")

    good = Feed([fix(1), fix(2)])
    run = service(
        parts, Source("can:none", gone), Source("replay:x", lambda: good, finite=True)
    ).run(asyncio.Event())

    await asyncio.wait_for(run, 5)

    assert good.taken == 2


async def test_a_configuration_error_of_a_source_ends_the_service_with_it(parts: Archive) -> None:
    def wrong() -> Feed:
        raise ConfigError("bus 'tin:x': 'tin' is none of can:")

    with pytest.raises(ConfigError, match="tin"):
        await asyncio.wait_for(service(parts, Source("tin:x", wrong)).run(asyncio.Event()), 5)


async def test_stopping_closes_every_source_and_says_so(parts: Archive) -> None:
    stop = asyncio.Event()
    feed = Feed([fix(1)], endless=True)
    run = asyncio.create_task(service(parts, Source("a", lambda: feed)).run(stop))
    while not feed.taken:
        await asyncio.sleep(0)

    stop.set()
    await asyncio.wait_for(run, 5)

    assert feed.closed
    assert [e.reason for e in opened(parts) if isinstance(e, InputClosed)] == ["stopped"]


async def test_the_watchdog_is_told_ready_then_alive_then_stopping(parts: Archive) -> None:
    watchdog = Watchdog()
    stop = asyncio.Event()
    feed = Feed(endless=True)
    run = asyncio.create_task(
        service(parts, Source("a", lambda: feed), watchdog=watchdog).run(stop)
    )
    while "alive" not in watchdog.told:
        await asyncio.sleep(0)
    stop.set()
    await run

    assert watchdog.told[0] == "ready"
    assert watchdog.told[-1] == "stopping"


async def test_rt_53_a_log_that_takes_nothing_starves_the_watchdog(
    parts: Archive, clock: ManualClock
) -> None:
    watchdog = Watchdog()
    stop = asyncio.Event()
    run = asyncio.create_task(
        service(
            parts, Source("a", lambda: Feed(endless=True)), healthy=False, watchdog=watchdog
        ).run(stop)
    )
    while clock.mono_ns() < 10 * SECOND:
        await asyncio.sleep(0)
    stop.set()
    await run

    assert "alive" not in watchdog.told


async def test_messages_go_out_by_the_radio_and_what_is_heard_comes_in(parts: Archive) -> None:
    ear = UdpRadio(listen=("127.0.0.1", 0))
    await ear.open()
    air = UdpRadio(send_to=ear.listening, listen=("127.0.0.1", 0))
    await air.open()
    mouth = UdpRadio(send_to=air.listening)
    clock = SystemClock()
    now = clock.now_ns()
    feed = Feed([fix(now)], endless=True)
    stop = asyncio.Event()
    agent = service(parts, Source("gnss", lambda: feed), radio=air, clock=clock)
    run = asyncio.create_task(agent.run(stop))

    heard = await asyncio.wait_for(anext(ear.heard()), 5)
    await mouth.send(heard)
    await asyncio.sleep(0.05)
    stop.set()
    await run
    for radio in (ear, air, mouth):
        radio.close()

    events = opened(parts)
    assert CODEC.decode_frame(heard).latitude_deg == pytest.approx(37.4)
    assert next(e.on_air for e in events if isinstance(e, BsmMade)) is True
    assert [e.message for e in events if isinstance(e, BsmHeard)] == [heard]


async def test_the_far_side_failing_is_tried_again_and_stops_nothing(
    parts: Archive, clock: ManualClock
) -> None:
    calls: list[int] = []
    stop = asyncio.Event()

    async def job() -> None:
        calls.append(clock.mono_ns())
        if len(calls) == 3:
            stop.set()
        raise RemoteError("nobody answers")

    agent = service(parts, Source("a", lambda: Feed(endless=True)))
    agent.every(60.0, job)
    await asyncio.wait_for(agent.run(stop), 5)

    assert [round(at / SECOND) for at in calls[:3]] == [60, 120, 180]


@pytest.mark.parametrize(
    "by_ns", [-400 * 24 * 3600 * SECOND, 51 * MS, 30 * 365 * 24 * 3600 * SECOND]
)
async def test_rt_57_wall_clock_that_steps_is_told_in_the_log(
    parts: Archive, clock: ManualClock, by_ns: int
) -> None:
    stop = asyncio.Event()
    agent = service(parts, Source("a", lambda: Feed(endless=True)))
    run = asyncio.create_task(agent.run(stop))
    while clock.mono_ns() < 2 * SECOND:
        await asyncio.sleep(0)
    then_ns, then_mono_ns = clock.now_ns(), clock.mono_ns()
    clock.step(then_ns + by_ns)
    while clock.mono_ns() < 4 * SECOND:
        await asyncio.sleep(0)
    stop.set()
    await run

    [step] = [event for event in opened(parts) if isinstance(event, ClockStepped)]
    assert step.by_ns == by_ns
    [recorded] = [event for event in parts.log.read() if event.kind == step.kind]
    assert recorded.t_ns == step.before_ns + by_ns
    assert recorded.t_ns - then_ns - by_ns == recorded.mono_ns - then_mono_ns
    assert (step.before, step.after) == (ClockQuality.RECORDED, ClockQuality.RECORDED)


class PoorClock(ManualClock):
    """One of a board without a battery: 1970 until somebody sets it."""

    @property
    def quality(self) -> ClockQuality:  # type: ignore[override]  # there it does not change
        return ClockQuality.UNKNOWN if self.now_ns() < SECOND * 86400 * 365 else ClockQuality.NTP


async def test_a_step_says_how_far_the_clock_was_to_be_believed_before_and_after(
    tmp_path: Path,
) -> None:
    clock, stop = PoorClock(), asyncio.Event()
    with archive(tmp_path / "state", clock, wait=True) as parts:
        run = asyncio.create_task(service(parts, Source("a", lambda: Feed(endless=True))).run(stop))
        while clock.mono_ns() < SECOND:
            await asyncio.sleep(0)
        clock.step(START_NS + clock.mono_ns())
        while clock.mono_ns() < 2 * SECOND:
            await asyncio.sleep(0)
        stop.set()
        await run
        [step] = [event for event in opened(parts) if isinstance(event, ClockStepped)]
        events = list(parts.log.read())
    assert (step.before, step.after) == (ClockQuality.UNKNOWN, ClockQuality.NTP)
    assert step.by_ns == START_NS
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_rt_58_time_that_a_spoofed_receiver_turns_back_is_told_and_moves_no_event(
    parts: Archive, clock: ManualClock
) -> None:
    """The machine's clock follows the receiver, whose own time is kept as it came."""
    day_ns = 24 * 3600 * SECOND
    begun_ns, stop = clock.now_ns(), asyncio.Event()
    feeds: list[Feed] = []

    def open_() -> Feed:
        feeds.append(Feed([fix(clock.now_ns())], breaks=not feeds, endless=bool(feeds)))
        return feeds[-1]

    run = asyncio.create_task(service(parts, Source("gnss", open_)).run(stop))
    while not (feeds and feeds[0].closed):
        await asyncio.sleep(0)
    clock.step(clock.now_ns() - day_ns)
    while not (len(feeds) > 1 and feeds[1].taken):
        await asyncio.sleep(0)
    stop.set()
    await run
    parts.journal.flush()

    events = list(parts.log.read())
    told = [event for event in opened(parts) if isinstance(event, ClockStepped | PositionFixed)]
    first, step, second, *_ = told
    assert isinstance(first, PositionFixed)
    assert isinstance(step, ClockStepped)
    assert step.by_ns == -day_ns
    assert isinstance(second, PositionFixed)
    assert second.t_ns < begun_ns <= first.t_ns
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    times = [event.mono_ns for event in events if event.kind != PositionFixed.kind]
    assert times == sorted(times)
    assert events[-1].t_ns < begun_ns
    assert verify(parts.state / "events.db").verdict == "intact"


async def died(state: Path) -> None:
    """A run whose writer ends in the middle."""
    clock = ManualClock()
    with archive(state, clock, wait=False) as parts:
        feed = Feed(endless=True)
        run = asyncio.create_task(service(parts, Source("a", lambda: feed)).run(asyncio.Event()))
        await asyncio.sleep(0.05)
        parts.writer.stop(StoreError("the disk is gone"))
        clock.step(-10 * SECOND)  # which the run has to tell
        await asyncio.wait_for(run, 5)


async def test_rt_53_writer_that_died_ends_the_service_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the disk is gone"):
        await died(tmp_path / "state")


async def test_late_ticks_are_counted(parts: Archive) -> None:
    clock = SystemClock()
    stop = asyncio.Event()
    agent = service(parts, Source("a", lambda: Feed(endless=True)), clock=clock)
    run = asyncio.create_task(agent.run(stop))
    await asyncio.sleep(0.25)
    stalled = clock.mono_ns()
    while clock.mono_ns() < stalled + 250 * MS:
        pass  # somebody blocks the loop
    await asyncio.sleep(0.01)
    stop.set()
    await run

    assert agent.schedule.worst_ns >= 100 * MS
    assert agent.schedule.skipped >= 1
