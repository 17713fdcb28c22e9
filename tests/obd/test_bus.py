"""A bus hands over batches, loses nothing without saying so, and ends in an orderly way."""

import asyncio
import threading
from pathlib import Path

import can
import pytest

from agent.clock import SECOND, ManualClock, RecordedClock
from agent.errors import ConfigError, SourceLostError, UsageError
from agent.obd.bus import HELD_FRAMES_MAX, TOO_SLOW, BusSource, open_bus
from agent.obd.frame import CanFrame, Counts, FrameSource
from agent.obd.logfile import LogFile
from agent.obd.pythoncan import PythonCan
from agent.obd.replay import LogSource
from agent.obd.socketcan import LEFT_UNREAD
from tests.obd.recordings import RAV4_LOG, needs_recordings


def message(number: int = 1, **more: object) -> can.Message:
    plain = {"arbitration_id": number & 0x7FF, "data": b"\1\2", "is_extended_id": False}
    return can.Message(**{**plain, **more})  # type: ignore[arg-type]  # keywords of python-can


async def take(source: FrameSource, count: int) -> list[CanFrame]:
    frames: list[CanFrame] = []
    async for batch in source.batches():
        assert len(batch) <= 500
        frames += batch
        if len(frames) >= count:
            source.close()
    return frames


async def test_frames_of_a_virtual_bus_arrive_in_order() -> None:
    source = open_bus("virtual:order")
    with can.Bus(interface="virtual", channel="order") as sender:
        for number in range(1200):
            sender.send(message(number))
        frames = await asyncio.wait_for(take(source, 1200), 5)
    assert [frame.can_id for frame in frames] == [number & 0x7FF for number in range(1200)]
    assert {(frame.channel, frame.data, frame.extended) for frame in frames} == {
        ("order", b"\1\2", False)
    }
    assert (source.counts.taken, source.counts.lost) == (1200, 0)


async def test_kinds_of_frames_keep_their_marks_and_those_without_data_are_counted() -> None:
    source = open_bus("virtual:kinds")
    with can.Bus(interface="virtual", channel="kinds") as sender:
        sender.send(message(is_remote_frame=True, data=b""))
        sender.send(message(is_error_frame=True))
        sender.send(can.Message(arbitration_id=5, is_extended_id=True, data=b"a"))
        sender.send(message(is_fd=True, data=bytes(12)))
        frames = await asyncio.wait_for(take(source, 2), 5)
    assert [(f.can_id, f.extended, f.fd, len(f.data)) for f in frames] == [
        (5, True, False, 1),
        (1, False, True, 12),
    ]
    assert (source.counts.remote, source.counts.errors) == (1, {"send timeout": 1})


async def test_time_of_a_frame_is_the_drivers() -> None:
    source = open_bus("virtual:time")
    with can.Bus(interface="virtual", channel="time", preserve_timestamps=True) as sender:
        sender.send(message(timestamp=1_600_000_000.25))
        [frame] = await asyncio.wait_for(take(source, 1), 5)
    assert frame.t_ns > 1_600_000_000 * 10**9


class ScriptedBus(can.BusABC):
    """Gives the messages it was made with, then fails as an unplugged adapter does."""

    def __init__(self, count: int, then: Exception) -> None:
        super().__init__("scripted")
        self.left = count
        self.then = then
        self.shut = threading.Event()

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        del timeout
        if self.left == 0:
            raise self.then
        self.left -= 1
        return message(self.left), True

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        raise NotImplementedError

    def shutdown(self) -> None:
        super().shutdown()
        self.shut.set()


def over(bus: can.BusABC) -> BusSource:
    counts = Counts()
    return BusSource("can:can0", PythonCan(bus, "can0", counts), counts)


async def collect(source: FrameSource, into: list[CanFrame]) -> None:
    async for batch in source.batches():
        into += batch


async def test_bus_that_goes_down_ends_in_source_lost_after_its_last_frames() -> None:
    bus = ScriptedBus(700, can.CanOperationError("Network is down"))
    frames: list[CanFrame] = []
    with pytest.raises(SourceLostError, match="can:can0: Network is down"):
        await collect(over(bus), frames)
    assert len(frames) == 700
    assert bus.shut.is_set()


async def test_bus_that_fails_at_once_is_a_lost_source_and_no_end() -> None:
    for _ in range(20):
        bus = ScriptedBus(0, can.CanOperationError("Network is down"))
        with pytest.raises(SourceLostError, match="Network is down"):
            await collect(over(bus), [])


class Unhurried(threading.Event):
    """Does not let frames gather, so that twenty thousand of them need no time."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return self.is_set()


async def test_frames_nobody_fetches_are_counted_as_lost() -> None:
    bus = ScriptedBus(HELD_FRAMES_MAX + 1500, can.CanOperationError("end"))
    source = over(bus)
    source._stop = Unhurried()
    await asyncio.to_thread(source._read, asyncio.get_running_loop())
    assert source.counts.taken == HELD_FRAMES_MAX == len(source._held)
    assert source.counts.losses == {TOO_SLOW: 1500}


async def test_close_ends_a_silent_bus_and_may_be_called_twice() -> None:
    source = open_bus("virtual:silent")
    reading = asyncio.create_task(take(source, 1))
    await asyncio.sleep(0.05)
    source.close()
    source.close()
    assert await asyncio.wait_for(reading, 2) == []


async def test_cancelling_the_reader_stops_the_thread() -> None:
    source = open_bus("virtual:cancelled")
    reading = asyncio.create_task(take(source, 1))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not [t for t in threading.enumerate() if t.name == "bus virtual:cancelled"]


async def test_cancelled_reader_is_first_handed_what_had_arrived() -> None:
    source = open_bus("virtual:late")
    frames: list[CanFrame] = []
    with can.Bus(interface="virtual", channel="late") as sender:
        reading = asyncio.create_task(collect(source, frames))
        await asyncio.sleep(0.05)
        for number in range(300):
            sender.send(message(number))
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert len(frames) == source.counts.taken == 300
    assert source.counts.lost == 0


async def test_frames_a_reader_left_behind_are_lost_and_not_taken() -> None:
    bus = ScriptedBus(1200, can.CanOperationError("end"))
    source = over(bus)
    batches = source.batches()
    first = await anext(batches)
    assert await asyncio.to_thread(bus.shut.wait, 1)
    await batches.aclose()
    assert source.counts.taken == len(first) < 1200
    assert source.counts.losses == {LEFT_UNREAD: 1200 - len(first)}


def test_source_that_was_never_read_can_be_closed() -> None:
    open_bus("virtual:unread").close()


@pytest.mark.parametrize("uri", ["flexray:a", "can0", "", ":", "replay:file"])
def test_unknown_scheme_is_refused_with_those_known(uri: str) -> None:
    with pytest.raises(ConfigError, match="can:, slcan:, udp:, virtual:"):
        open_bus(uri)


@pytest.mark.parametrize("uri", ["slcan:/dev/ttyUSB0", "slcan:/dev/ttyUSB0@fast", "slcan:@500000"])
def test_serial_adapter_needs_a_bitrate(uri: str) -> None:
    with pytest.raises(ConfigError, match="bitrate"):
        open_bus(uri)


@pytest.mark.parametrize(
    "uri",
    ["udp:239.74.163.2", "udp:10.0.0.1:43113", "udp:239.74.163.2:0", "udp:host:1", "udp:[::1]:5"],
)
def test_bus_over_udp_needs_a_multicast_group_and_a_port(uri: str) -> None:
    with pytest.raises(ConfigError, match="multicast group and a port"):
        open_bus(uri)


def test_filter_is_refused_where_the_kernel_has_none() -> None:
    with pytest.raises(ConfigError, match="can: alone"):
        open_bus("virtual:filtered", only={1})


async def test_bus_that_goes_off_says_so_though_no_frame_comes() -> None:
    source = open_bus("virtual:off")
    with can.Bus(interface="virtual", channel="off") as sender:
        sender.send(can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8)))
        async with asyncio.timeout(2):
            async for batch in source.batches():
                assert batch == []
                break
    [(_, channel, state)] = source.states()
    assert (channel, state) == ("off", "bus off")
    assert source.states() == []
    source.close()


def test_name_of_the_interface_is_needed() -> None:
    with pytest.raises(ConfigError, match="missing"):
        open_bus("can:")


@pytest.mark.parametrize("uri", ["can:absent77", "slcan:/dev/absent77@500000"])
def test_interface_that_is_not_there_is_a_lost_source(uri: str) -> None:
    with pytest.raises(SourceLostError, match="absent77"):
        open_bus(uri)


def test_source_cannot_send() -> None:
    source = open_bus("virtual:mute")
    assert not [name for name in dir(source) if "send" in name.lower()]
    source.close()


# recordings at their own pace


def record(tmp_path: Path, *seconds: float) -> Path:
    path = tmp_path / "drive.log"
    path.write_text("".join(f"({second:.6f}) can0 123#00\n" for second in seconds))
    return path


async def played(path: Path, clock: ManualClock) -> list[tuple[float, list[float]]]:
    """When each batch came, and the times of its frames, both in seconds."""
    source = LogSource(LogFile(path), clock)
    return [
        (clock.now_ns() / SECOND, [frame.t_ns / SECOND for frame in batch])
        async for batch in source.batches()
    ]


async def test_frames_come_when_the_clock_reaches_their_times(tmp_path: Path) -> None:
    path = record(tmp_path, 100.0, 100.001, 100.5, 102.0)
    assert await played(path, ManualClock(100 * SECOND)) == [
        (100.0, [100.0]),
        (100.02, [100.001]),
        (100.5, [100.5]),
        (102.0, [102.0]),
    ]


async def test_dense_frames_come_in_batches_of_twenty_milliseconds(tmp_path: Path) -> None:
    path = record(tmp_path, *(100 + n / 1000 for n in range(1000)))
    batches = await played(path, ManualClock(100 * SECOND))
    assert 45 <= len(batches) <= 55
    assert sum(len(times) for _, times in batches) == 1000


async def test_time_that_goes_back_is_not_waited_for(tmp_path: Path) -> None:
    path = record(tmp_path, 100.0, 100.3, 100.299, 50.0, 50.5, 100.9)
    batches = await played(path, ManualClock(100 * SECOND))
    assert [t for _, times in batches for t in times] == [100.0, 100.3, 100.299, 50.0, 50.5, 100.9]
    assert batches[-1][0] < 115


async def test_one_wild_time_stamp_costs_at_most_ten_seconds(tmp_path: Path) -> None:
    path = record(tmp_path, 100.0, 3_000_000_000.0, 100.1, 100.2)
    batches = await played(path, ManualClock(100 * SECOND))
    assert batches[-1][0] <= 111


async def test_late_reader_gets_everything_that_is_due_at_once(tmp_path: Path) -> None:
    path = record(tmp_path, 100.0, 101.0, 102.0)
    assert await played(path, ManualClock(200 * SECOND)) == [(200.0, [100.0, 101.0, 102.0])]


async def test_closed_playback_ends(tmp_path: Path) -> None:
    source = LogSource(LogFile(record(tmp_path, 100.0, 101.0, 102.0)), ManualClock(100 * SECOND))
    seen = 0
    async for batch in source.batches():
        seen += len(batch)
        source.close()
        source.close()
    assert seen == 1


async def test_file_that_is_no_recording_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        LogSource(LogFile(tmp_path / "absent.log"), ManualClock())


@needs_recordings
async def test_recorded_drive_plays_on_a_recorded_clock() -> None:
    source = LogSource(LogFile(RAV4_LOG), RecordedClock(1_533_226_488_230_547_000, speed=100))
    assert len(await take(source, 65_880)) == source.counts.taken == 65_879
