import asyncio
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress
from math import degrees
from pathlib import Path
from threading import Event
from uuid import uuid4

import can
import pytest

from agent.clock import MS, SECOND, ManualClock, SystemClock
from agent.errors import MalformedInputError
from agent.obd.route import Route
from agent.obd.simcar import SimCar
from agent.obd.simframes import CONTENT, SAFE, checksum, load_messages
from agent.position import PositionFix
from agent.privacy import LEVELS, Level, level_of

VIN = "KMHTEST0000000017"
MESSAGES = {message.frame_id: message for message in load_messages()}
IDS = {message.name: can_id for can_id, message in MESSAGES.items()}
PROFILE = Path(__file__).parents[2] / "dbc" / "simcar.toml"
RATE = 1723  # frames a second, by the DBC file
BRAKING = range(1200, 1300)  # slots of the hard brake


class LaterClock(SystemClock):
    """The machine's clock, put forward by `ahead_ns`."""

    ahead_ns = 0

    def mono_ns(self) -> int:
        return super().mono_ns() + self.ahead_ns

    async def sleep_until(self, mono_ns: int) -> None:
        await super().sleep_until(mono_ns - self.ahead_ns)


@pytest.fixture
def channel() -> str:
    return uuid4().hex


@pytest.fixture
def listener(channel: str) -> Iterator[can.BusABC]:
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        yield bus


@pytest.fixture
def car(channel: str) -> Iterator[SimCar]:
    car = SimCar(channel, ManualClock(1_700_000_000_050 * MS), vin=VIN)
    yield car
    car.close()


def heard(bus: can.BusABC) -> list[can.Message]:
    return list(iter(lambda: bus.recv(0), None))


def values(frames: list[can.Message], name: str) -> list[dict[str, float]]:
    """What the frames of one message say, by signal."""
    found = []
    for frame in frames:
        if frame.arbitration_id == IDS[name]:
            decoded = MESSAGES[IDS[name]].decode(bytes(frame.data), decode_choices=False)
            assert isinstance(decoded, dict)
            found.append({signal: float(str(value)) for signal, value in decoded.items()})
    return found


def drive(car: SimCar, listener: can.BusABC, slots: range) -> list[can.Message]:
    for slot in slots:
        car.send_slot(slot)
    return heard(listener)


async def run_for(car: SimCar, clock: SystemClock, duration_ns: int, *, stall_s: float = 0) -> None:
    """Let it run; half-way everything else stands still for a while."""
    begun = clock.mono_ns()
    running = asyncio.create_task(car.run())
    await clock.sleep_until(begun + duration_ns // 2)
    Event().wait(stall_s)
    await clock.sleep_until(begun + duration_ns)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_frames_come_at_the_real_rate_with_the_values_of_the_route(
    channel: str, listener: can.BusABC
) -> None:
    clock = LaterClock()
    car = SimCar(channel, clock, vin=VIN)
    clock.ahead_ns = 12 * SECOND
    await run_for(car, clock, 600 * MS)
    frames = heard(listener)
    car.close()
    assert len(frames) == car.frames_sent >= 1600 * 0.6
    route = Route()
    motions, wheels = values(frames, "ESC_MOTION"), values(frames, "WHEEL_SPEEDS")
    first = BRAKING.start + int(motions[0]["COUNTER"])  # 1200 is a multiple of 16
    assert len(motions) == len(wheels) >= 58
    for slot, (motion, wheel) in enumerate(zip(motions, wheels, strict=True), start=first):
        state = route.at(slot / 100)
        assert motion["COUNTER"] == slot % 16
        assert motion["LONGITUDINAL_ACCELERATION"] == pytest.approx(
            state.acceleration_mps2, abs=0.001
        )
        assert wheel["WHEEL_SPEED_RL"] / 3.6 == pytest.approx(state.wheel_speeds_mps[2], abs=0.01)


async def test_stalled_machine_sends_late_but_everything(
    channel: str, listener: can.BusABC
) -> None:
    clock = SystemClock()
    car = SimCar(channel, clock, vin=VIN)
    await run_for(car, clock, 400 * MS, stall_s=0.15)
    counters = [motion["COUNTER"] for motion in values(heard(listener), "ESC_MOTION")]
    car.close()
    assert len(counters) >= 38
    assert counters == [(counters[0] + place) % 16 for place in range(len(counters))]


def test_a_second_has_the_frames_that_the_dbc_file_promises(
    car: SimCar, listener: can.BusABC
) -> None:
    found = Counter(frame.arbitration_id for frame in drive(car, listener, range(100)))
    assert found.total() == car.frames_sent == RATE
    for can_id, message in MESSAGES.items():
        assert found[can_id] == 1000 / (message.cycle_time or 0)


def test_no_slot_is_much_fuller_than_another(car: SimCar, listener: can.BusABC) -> None:
    sizes = [len(drive(car, listener, range(slot, slot + 1))) for slot in range(100)]
    assert max(sizes) - min(sizes) <= 6


def test_the_car_does_not_hear_itself(car: SimCar) -> None:
    car.send_slot(0)
    assert car.bus.recv(0) is None


def test_every_message_of_the_dbc_file_has_content() -> None:
    assert CONTENT.keys() | {"VIN_1", "VIN_2", "VIN_3"} == IDS.keys()


def test_motion_on_the_bus_is_that_of_the_route(car: SimCar, listener: can.BusABC) -> None:
    frames, route = drive(car, listener, BRAKING), Route()
    for name, signal, field, factor, resolution in (
        ("VEHICLE_SPEED", "SPEED", "speed_mps", 3.6, 0.01),
        ("ESC_MOTION", "YAW_RATE", "yaw_rps", degrees(1), 0.002),
        ("ESC_MOTION", "LATERAL_ACCELERATION", "lateral_mps2", 1, 0.001),
        ("STEERING", "STEERING_ANGLE", "steering_rad", degrees(1), 0.02),
        ("STEERING", "STEERING_RATE", "steering_rate_rps", degrees(1), 0.1),
        ("BRAKE", "BRAKE_PRESSURE", "brake_pa", 1e-5, 0.1),
        ("BRAKE", "ABS_ACTIVE", "abs_active", 1, 0),
        ("MOTOR", "MOTOR_SPEED", "motor_rps", 60, 0.25),
        ("BATTERY_POWER", "BATTERY_CURRENT", "current_a", 1, 0.05),
        ("DRIVE_POWER", "BATTERY_POWER", "power_w", 1, 1),
    ):
        found = [entry[signal] for entry in values(frames, name)]
        wanted = [factor * getattr(route.at(slot / 100), field) for slot in BRAKING]
        assert found == pytest.approx(wanted, abs=resolution * 0.51), signal


def test_position_on_the_bus_is_that_of_the_route(car: SimCar, listener: can.BusABC) -> None:
    frames, route = drive(car, listener, BRAKING), Route()
    found = {(v["GNSS_LATITUDE"], v["GNSS_LONGITUDE"]) for v in values(frames, "GNSS_POSITION")}
    states = [route.at(slot / 100) for slot in BRAKING]
    on_route = {(round(s.latitude_deg, 7), round(s.longitude_deg, 7)) for s in states}
    assert len(found) == 10
    assert {(round(lat, 7), round(lon, 7)) for lat, lon in found} <= on_route


def test_gear_is_park_and_then_drive(car: SimCar, listener: can.BusABC) -> None:
    levers = [v["GEAR_LEVER"] for v in values(drive(car, listener, range(100)), "GEAR")]
    assert levers == [0] * 50 + [3] * 50


def test_battery_modules_take_turns(car: SimCar, listener: can.BusABC) -> None:
    found = values(drive(car, listener, range(80)), "BATTERY_MODULES")
    assert [entry["MODULE"] for entry in found] == list(range(8))
    assert all(len(entry) == 3 for entry in found)


def test_counters_run_and_checksums_fit(car: SimCar, listener: can.BusABC) -> None:
    frames = drive(car, listener, BRAKING)
    safe = [m for m in MESSAGES.values() if {s.name for s in m.signals} >= SAFE]
    assert len(safe) >= 6
    for message in safe:
        found = values(frames, message.name)
        assert [entry["COUNTER"] for entry in found] == [slot % 16 for slot in BRAKING]
    for frame in frames:
        if MESSAGES[frame.arbitration_id] in safe:
            assert frame.data[-1] == checksum(frame.arbitration_id, bytes(frame.data))


def test_vin_is_broadcast_in_three_frames(car: SimCar, listener: can.BusABC) -> None:
    frames = drive(car, listener, range(100))
    parts = [frame for frame in frames if 0x580 <= frame.arbitration_id <= 0x582]
    parts.sort(key=lambda frame: frame.arbitration_id)
    assert [len(frame.data) for frame in parts] == [8, 8, 1]
    assert b"".join(bytes(frame.data) for frame in parts) == VIN.encode()


@pytest.mark.parametrize("vin", ["", "KMHTEST000000001", "KMHTEST00000000I7", "kmhtest0000000017"])
def test_text_that_is_no_vin_is_refused_and_not_repeated(channel: str, vin: str) -> None:
    with pytest.raises(MalformedInputError) as refused:
        SimCar(channel, ManualClock(), vin=vin)
    assert not vin or vin not in str(refused.value)


def test_profile_names_signals_that_exist_and_levels_that_are_known() -> None:
    profile = tomllib.loads(PROFILE.read_text(encoding="utf-8"))
    for name, source in profile["signals"].items():
        assert name in LEVELS
        signals = {signal.name for signal in MESSAGES[IDS[source["message"]]].signals}
        assert source["signal"] in signals
    assert level_of("position.latitude") is Level.LV2
    assert profile["signals"]["position.latitude"]["message"] == "GNSS_POSITION"


async def fixes_of(car: SimCar, count: int) -> list[PositionFix]:
    found: list[PositionFix] = []
    async with aclosing(car.fixes()) as fixes:
        async for fix in fixes:
            found.append(fix)
            if len(found) == count:
                break
    return found


async def test_fixes_come_on_whole_tenths_of_a_second(car: SimCar) -> None:
    epochs = [fix.t_ns for fix in await fixes_of(car, 20)]
    assert epochs == [1_700_000_000_100 * MS + 100 * MS * place for place in range(20)]


async def test_fix_is_where_the_route_was_at_its_epoch(car: SimCar) -> None:
    for fix in (await fixes_of(car, 50))[::10]:
        state = Route().at((fix.t_ns - 1_700_000_000_050 * MS) / SECOND)
        assert (fix.latitude_deg, fix.longitude_deg) == (state.latitude_deg, state.longitude_deg)
        assert (fix.speed_mps, fix.heading_deg) == (state.speed_mps, state.heading_deg)
        assert fix.arrived_ns >= fix.t_ns
        assert (fix.semi_major_m or 0) >= (fix.semi_minor_m or 0) > 0
