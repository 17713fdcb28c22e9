"""Inward: what arrives is recorded once, at its level, sealed where it is personal."""

import pytest

from agent.archive import Archive
from agent.bsm.convert import Converter
from agent.bsm.identity import Identity
from agent.bsm.message import VehicleSize
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND, ManualClock
from agent.compose import recorder
from agent.deadband import Band, DeadBand
from agent.events import (
    BrakedHard,
    BsmHeard,
    BsmMade,
    CalibrationRead,
    DtcCleared,
    DtcSet,
    Event,
    InputCounted,
    InputLost,
    MonitorsRead,
    PositionFixed,
    SignalsSampled,
    VinRead,
)
from agent.installed import codec
from agent.position import PositionFix
from agent.privacy import Level
from agent.record import Recorder
from agent.signals import Signal
from tests.conftest import START_NS
from tests.opened import opened, recorded

CODEC = codec()
SIZE = VehicleSize(1.8, 4.4)


@pytest.fixture
def core(parts: Archive) -> Recorder:
    return recorder(parts, SIZE, CODEC)


def signal(name: str, value: float, at_ms: int = 0, origin: str = "can0") -> Signal:
    return Signal(name, value, START_NS + at_ms * MS, origin)


def fix(at_ms: int = 0) -> PositionFix:
    t_ns = START_NS + at_ms * MS
    return PositionFix(
        t_ns=t_ns,
        arrived_ns=t_ns,
        latitude_deg=37.4,
        longitude_deg=127.1,
        elevation_m=60.0,
        speed_mps=14.0,
        heading_deg=90.0,
    )


def only(parts: Archive, kind: type[Event]) -> list[Event]:
    return [event for event in opened(parts) if isinstance(event, kind)]


def test_samples_of_a_tick_become_one_event_with_each_its_own_time(
    core: Recorder, parts: Archive
) -> None:
    core.signals([signal("speed.vehicle", 1.0, 10), signal("speed.vehicle", 2.0, 20)])
    core.signals([signal("yaw.rate", 0.5, 30)])

    core.tick(START_NS, 0)

    t0_ns = START_NS + 10 * MS
    series = {"speed.vehicle": ([0, 10 * MS], [1.0, 2.0]), "yaw.rate": ([20 * MS], [0.5])}
    assert only(parts, SignalsSampled) == [SignalsSampled("can0", t0_ns, series)]


def test_samples_of_two_sources_and_two_levels_do_not_share_an_event(
    core: Recorder, parts: Archive
) -> None:
    core.signals(
        [
            signal("speed.vehicle", 1.0),
            signal("speed.vehicle", 1.0, origin="obd"),
            signal("position.latitude", 37.4),
            signal("can.DOOR.AJAR", 1.0),
        ]
    )

    core.tick(START_NS, 0)

    levels = [event.level for event in recorded(parts, SignalsSampled)]
    assert sorted(levels) == [Level.LV1, Level.LV2, Level.LV3, Level.LV3]


def test_a_dead_band_thins_the_log_and_hides_no_braking(parts: Archive) -> None:
    name = "acceleration.longitudinal"
    band = DeadBand({name: Band(width=20.0, longest_ns=60 * SECOND)})
    core = recorder(parts, None, CODEC, band=band)

    core.signals([signal(name, 0.0)])
    core.signals([signal(name, -6.0, ms) for ms in range(100, 900, 100)])
    core.signals([signal(name, 0.0, 900)])
    core.finish()

    assert only(parts, BrakedHard) != []
    assert only(parts, SignalsSampled) == [SignalsSampled("can0", START_NS, {name: ([0], [0.0])})]
    assert core.samples == 1
    assert only(parts, InputCounted) == [InputCounted("can0", {"dead_band": 9})]


def test_a_signal_nobody_classified_is_sealed(core: Recorder, parts: Archive) -> None:
    core.signals([signal("can.DOOR.AJAR", 1.0)])

    core.tick(START_NS, 0)

    [event] = recorded(parts, SignalsSampled)
    assert event.level is Level.LV1
    assert b"DOOR" not in event.payload


def test_a_tick_without_samples_writes_nothing(core: Recorder, parts: Archive) -> None:
    core.tick(START_NS, 0)
    core.tick(START_NS + 100 * MS, 100 * MS)
    assert only(parts, SignalsSampled) == []


def test_a_position_is_recorded_sealed(core: Recorder, parts: Archive) -> None:
    core.position(fix())

    [event] = recorded(parts, PositionFixed)
    assert event.level is Level.LV2
    assert only(parts, PositionFixed)[0].latitude_deg == 37.4  # type: ignore[attr-defined]  # the kind says so


def test_a_vin_is_recorded_once_for_each_source_of_it(core: Recorder, parts: Archive) -> None:
    for origin in ("obd", "can0", "obd"):
        core.vin("KMHAMXAG0NU000001", origin)

    assert len(recorded(parts, VinRead)) == 2
    assert all(b"KMH" not in event.payload for event in recorded(parts, VinRead))


def test_a_code_is_an_event_when_it_is_set_and_when_it_is_gone(
    core: Recorder, parts: Archive
) -> None:
    for codes in ({"P0A80"}, {"P0A80"}, {"P0A80", "P0301"}, set[str]()):
        core.codes({"7E8": frozenset(codes)})

    assert only(parts, DtcSet) == [DtcSet("P0A80", "7E8"), DtcSet("P0301", "7E8")]
    assert only(parts, DtcCleared) == [DtcCleared("P0301", "7E8"), DtcCleared("P0A80", "7E8")]


def test_an_ecu_that_did_not_answer_has_not_cleared_its_codes(
    core: Recorder, parts: Archive
) -> None:
    core.codes({"7E8": frozenset({"P0A80"})})
    core.codes({"7E9": frozenset()})
    assert only(parts, DtcCleared) == []


def test_memories_of_an_ecu_do_not_disturb_each_other(core: Recorder, parts: Archive) -> None:
    core.codes({"7E8": frozenset({"P0A80"})}, "pending")
    core.codes({"7E8": frozenset({"P0A80"})})
    core.codes({"7E8": frozenset()}, "pending")

    assert only(parts, DtcSet) == [DtcSet("P0A80", "7E8", "pending"), DtcSet("P0A80", "7E8")]
    assert only(parts, DtcCleared) == [DtcCleared("P0A80", "7E8", "pending")]


def test_what_was_cleared_while_the_agent_did_not_run_is_told(
    core: Recorder, parts: Archive
) -> None:
    core.codes({"7E8": frozenset({"P0A80", "P0301"})})
    parts.writer.flush()
    again = recorder(parts, None, CODEC)
    again.expect(parts.set_codes())
    again.codes({"7E8": frozenset({"P0301"})})

    assert only(parts, DtcCleared) == [DtcCleared("P0A80", "7E8")]
    assert len(only(parts, DtcSet)) == 2  # none a second time


def test_what_an_ecu_says_of_itself_is_written_when_it_changes(
    core: Recorder, parts: Archive
) -> None:
    early = MonitorsRead("7E8", False, 0, [], ["components"])
    late = MonitorsRead("7E8", False, 0, ["components"], [])
    other = MonitorsRead("7E9", False, 0, [], ["components"])
    for event in (early, early, other, late, late, early):
        core.diagnosed(event)

    assert only(parts, MonitorsRead) == [early, other, late, early]


def test_calibration_ids_are_sealed(core: Recorder, parts: Archive) -> None:
    core.diagnosed(CalibrationRead("7E8", ["CAL-OF-THIS-CAR"]))
    assert only(parts, CalibrationRead) == [CalibrationRead("7E8", ["CAL-OF-THIS-CAR"])]
    parts.writer.flush()
    for file in parts.state.glob("*.db*"):
        assert b"CAL-OF-THIS-CAR" not in file.read_bytes()


def test_a_fault_code_is_durable_without_waiting_for_the_block(
    core: Recorder, parts: Archive
) -> None:
    core.codes({"7E8": frozenset({"P0A80"})})
    parts.writer.flush()
    assert parts.writer.blocks >= 2  # the start of the agent, and this


def test_hard_braking_is_one_event(core: Recorder, parts: Archive) -> None:
    for at_ms in range(0, 1000, 20):
        value = -6.0 if 200 <= at_ms < 700 else 0.0
        core.signals([signal("acceleration.longitudinal", value, at_ms)])

    [event] = only(parts, BrakedHard)
    assert isinstance(event, BrakedHard)
    assert event.peak_mps2 == 6.0
    assert 450 <= event.held_ms <= 520


def test_a_braking_that_never_ends_is_told_at_the_end(core: Recorder, parts: Archive) -> None:
    for at_ms in range(0, 500, 20):
        core.signals([signal("acceleration.longitudinal", -6.0, at_ms)])

    core.finish()

    assert len(only(parts, BrakedHard)) == 1


def test_a_doubted_acceleration_is_recorded_and_is_no_braking(parts: Archive) -> None:
    state = VehicleState()
    state.doubted = frozenset(["acceleration.longitudinal"])
    core = Recorder(
        journal=parts.journal,
        clock=parts.clock,
        state=state,
        converter=Converter(state, Identity(bytes), SIZE),
        codec=CODEC,
    )
    for at_ms in range(0, 500, 20):
        core.signals([signal("acceleration.longitudinal", -6.0, at_ms)])

    core.finish()

    assert only(parts, BrakedHard) == []
    assert len(only(parts, SignalsSampled)) == 1


def test_a_message_is_made_from_a_fresh_fix(core: Recorder, clock: ManualClock) -> None:
    core.position(fix())
    core.signals([signal("speed.vehicle", 14.0)])

    message = core.tick(clock.now_ns(), clock.mono_ns())

    assert message is not None
    assert CODEC.decode_frame(message).speed_mps == pytest.approx(14.0, abs=0.02)


def test_no_message_is_made_without_a_fix(core: Recorder, clock: ManualClock) -> None:
    core.signals([signal("speed.vehicle", 14.0)])
    assert core.tick(clock.now_ns(), clock.mono_ns()) is None


def test_no_message_is_made_of_a_car_whose_size_is_not_known(parts: Archive) -> None:
    core = recorder(parts, None, CODEC)
    core.position(fix())
    assert core.tick(START_NS, 0) is None


def test_a_message_is_recorded_as_sent_only_when_a_radio_took_it(
    core: Recorder, parts: Archive
) -> None:
    core.made(b"\x00\x14one", on_air=True)
    core.made(b"\x00\x14two", on_air=False)

    assert (core.bsms_made, core.bsms_sent) == (2, 1)
    assert only(parts, BsmMade) == [
        BsmMade(b"\x00\x14one", on_air=True),
        BsmMade(b"\x00\x14two", on_air=False),
    ]


def test_what_is_heard_is_kept_whatever_it_is_and_sealed(core: Recorder, parts: Archive) -> None:
    core.heard(b"not a message")

    [event] = only(parts, BsmHeard)
    assert isinstance(event, BsmHeard)
    assert event.message == b"not a message"
    assert event.verdict.startswith("not a BSM")
    assert recorded(parts, BsmHeard)[0].level is Level.LV1


def test_a_neighbour_that_jumps_is_not_believed(core: Recorder, parts: Archive) -> None:
    core.position(fix())
    message = core.tick(START_NS, 0)
    assert message is not None
    other = CODEC.decode_tree(message)
    for lat in (374_000_000, 374_100_000):
        other["coreData"]["id"] = b"\x01\x02\x03\x04"
        other["coreData"]["lat"] = lat
        core.heard(CODEC.encode_tree(other))

    verdicts = [event.verdict for event in only(parts, BsmHeard)]  # type: ignore[attr-defined]  # the kind says so
    assert verdicts == ["ok", "position jump"]


def test_a_loss_is_recorded_with_its_reason(core: Recorder, parts: Archive) -> None:
    core.lost("frames", 7, "can0: more than we take")
    assert only(parts, InputLost) == [InputLost("frames", 7, "can0: more than we take")]


def test_many_neighbours_do_not_fill_the_memory(core: Recorder) -> None:
    core.position(fix())
    message = core.tick(START_NS, 0)
    assert message is not None
    other = CODEC.decode_tree(message)
    for number in range(300):
        other["coreData"]["id"] = number.to_bytes(4, "big")
        core.heard(CODEC.encode_tree(other))

    assert len(core._neighbours) == 256


def test_events_keep_the_time_they_happened(core: Recorder, parts: Archive) -> None:
    core.position(fix(at_ms=-300))
    [event] = recorded(parts, PositionFixed)
    assert event.t_ns == START_NS - 300 * MS
    assert event.mono_ns < SECOND
