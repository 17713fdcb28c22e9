"""Recorded traffic keeps its own time: ticks, gaps, and clocks that were set back."""

from collections.abc import Iterable
from pathlib import Path

from agent.archive import Archive
from agent.bsm.message import VehicleSize
from agent.clock import MS, SECOND, ManualClock
from agent.compose import decoder, recorder
from agent.events import BsmMade, PositionFixed, SignalsSampled
from agent.installed import codec
from agent.obd.frame import CanFrame
from agent.playback import Playback
from agent.position import PositionFix
from tests.conftest import START_NS
from tests.opened import opened

SIMCAR = Path(__file__).parents[1] / "dbc" / "simcar.dbc"
CODEC = codec()


def frames(*at_ms: int, can_id: int = 0x0AA) -> Iterable[CanFrame]:
    return [CanFrame(can_id, bytes(8), START_NS + ms * MS, "can0") for ms in at_ms]


def fix(at_ms: int) -> PositionFix:
    t_ns = START_NS + at_ms * MS
    place = {"latitude_deg": 37.4, "longitude_deg": 127.1}
    return PositionFix(t_ns=t_ns, arrived_ns=t_ns, speed_mps=14.0, heading_deg=90.0, **place)


def played(parts: Archive, clock: ManualClock, fixes: Iterable[PositionFix] = ()) -> Playback:
    core = recorder(parts, VehicleSize(1.8, 4.4), CODEC)
    decode, _ = decoder([str(SIMCAR)])
    return Playback(core, decode, clock, fixes)


def test_every_frame_is_handed_on(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock)
    playback.play(frames(*range(0, 1000, 3)))
    assert playback.frames == 334


def test_there_is_a_tick_every_100_ms_of_the_recording(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock)
    playback.play(frames(*range(0, 1000, 10)))
    assert playback.ticks == 10


def test_a_quiet_second_has_its_ticks_too(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock)
    playback.play(frames(0, 2000))
    assert 20 <= playback.ticks <= 21


def test_a_gap_of_an_hour_is_one_tick(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock)
    playback.play(frames(0, 3_600_000))
    assert playback.ticks <= 3
    assert clock.now_ns() >= START_NS + 3_600 * SECOND


def test_a_recording_that_was_set_back_goes_on_at_its_new_time(
    parts: Archive, clock: ManualClock
) -> None:
    playback = played(parts, clock)
    playback.play(frames(60_000, 60_050, 0, 50, 150))
    assert playback.frames == 5
    assert clock.now_ns() < START_NS + 10 * SECOND


def test_monotonic_time_never_goes_back(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock)
    seen = []
    for start in (0, 50_000, 3_000, 900_000, 0):
        playback.play(frames(start, start + 40))
        seen.append(clock.mono_ns())
    assert seen == sorted(seen)


def test_positions_come_between_the_frames_of_their_time(
    parts: Archive, clock: ManualClock
) -> None:
    playback = played(parts, clock, [fix(100), fix(200), fix(5_000)])
    playback.play(frames(*range(0, 1000, 10)))
    found = [event.t_ns for event in opened(parts) if isinstance(event, PositionFixed)]
    assert found == [START_NS + 100 * MS, START_NS + 200 * MS]


def test_messages_of_a_replay_are_recorded_as_not_sent(parts: Archive, clock: ManualClock) -> None:
    playback = played(parts, clock, [fix(ms) for ms in range(0, 1000, 100)])
    playback.play(frames(*range(0, 1000, 10)))
    made = [event for event in opened(parts) if isinstance(event, BsmMade)]
    assert len(made) >= 9
    assert not any(event.on_air for event in made)


def test_samples_of_frames_that_share_one_time_do_not_pile_up(
    parts: Archive, clock: ManualClock
) -> None:
    playback = played(parts, clock)
    known = next(iter(decoder([str(SIMCAR)])[0]._unbound[0].messages))
    playback.play(frames(*[0] * 5_000, can_id=known))
    sampled = [event for event in opened(parts) if isinstance(event, SignalsSampled)]
    longest = max(len(times) for event in sampled for times, _ in event.series.values())
    assert longest <= 2_001
