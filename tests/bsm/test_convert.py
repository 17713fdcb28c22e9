import msgspec
import pytest

from agent.bsm.codec import Codec
from agent.bsm.convert import NO_FIX, NO_SIZE, NO_WAY, OLD_FIX, Converter, Silence
from agent.bsm.geodesy import moved
from agent.bsm.message import BasicSafetyMessage, VehicleDetails, Wiper
from agent.bsm.prediction import STRAIGHT
from agent.bsm.snapshot import NO_DETAILS
from agent.bsm.state import VehicleState
from agent.clock import MS
from tests.bsm.drive import LATITUDE, LONGITUDE, NOON, SIZE, fix, identity, signal

WEATHER = {"air.temperature": 291.15, "air.pressure": 100_600.0, "wiper.front": 3.0}


def test_without_a_fix_there_is_silence() -> None:
    converter = Converter(VehicleState(), identity(), SIZE)
    assert converter.make(NOON, 0) == Silence(NO_FIX)
    assert converter.silent == {NO_FIX: 1}


def test_without_a_size_there_is_silence() -> None:
    state = VehicleState()
    state.fix(fix(0))
    converter = Converter(state, identity(), None)
    assert converter.make(NOON, 0) == Silence(NO_SIZE)


def test_with_a_fix_over_half_a_second_old_there_is_silence() -> None:
    state = VehicleState()
    state.fix(fix(0))
    converter = Converter(state, identity(), SIZE)
    assert isinstance(converter.make(NOON + 500 * MS, 0), BasicSafetyMessage)
    assert converter.make(NOON + 600 * MS, 0) == Silence(OLD_FIX)


def test_a_position_that_cannot_be_carried_on_is_silence() -> None:
    state = VehicleState()
    state.fix(fix(0, speed=None))
    converter = Converter(state, identity(), SIZE)
    assert converter.make(NOON + 200 * MS, 0) == Silence(NO_WAY)


def test_silence_uses_up_no_message_count() -> None:
    state = VehicleState()
    converter = Converter(state, identity(), SIZE)
    state.fix(fix(0))
    first = converter.make(NOON, 0)
    converter.make(NOON + 700 * MS, 700 * MS)
    state.fix(fix(1000))
    second = converter.make(NOON + 1000 * MS, 1000 * MS)

    assert isinstance(first, BasicSafetyMessage)
    assert isinstance(second, BasicSafetyMessage)
    assert (second.msg_count - first.msg_count) % 128 == 1


def test_ten_messages_a_second_describe_a_drive(codec: Codec) -> None:
    state = VehicleState()
    converter = Converter(state, identity(), SIZE)
    heard = []
    for tick in range(1, 31):
        for ms in range(tick * 100 - 100, tick * 100, 20):
            state.update(signal("speed.vehicle", 10.0 + ms / 1000, ms))
        state.fix(fix(tick * 100 - 80, speed=10.0))
        message = converter.make(NOON + tick * 100 * MS, tick * 100 * MS)
        assert isinstance(message, BasicSafetyMessage)
        heard.append(codec.decode_frame(codec.encode_frame(message)))

    assert converter.made == 30
    assert [message.sec_mark_ms for message in heard] == [tick * 100 - 80 for tick in range(1, 31)]
    assert heard[-1].speed_mps == 12.92
    assert len({message.temporary_id for message in heard}) == 1


def moving(ticks: int, details: VehicleDetails = NO_DETAILS) -> list[BasicSafetyMessage]:
    """Messages of a car that drives north-east at 10 m/s with rain and lights."""
    state = VehicleState()
    converter = Converter(state, identity(), SIZE, details)
    messages = []
    for tick in range(ticks):
        ms = tick * 100
        north, east = moved(LATITUDE, LONGITUDE, tick * 1.0, 45.0)
        place = msgspec.structs.replace(
            fix(ms, speed=10.0, course=45.0), latitude_deg=north, longitude_deg=east
        )
        for name, value in WEATHER.items():
            state.update(signal(name, value, ms))
        state.update(signal("speed.vehicle", 10.0, ms))
        state.update(signal("yaw.rate", 0.0, ms))
        state.fix(place)
        message = converter.make(NOON + (ms + 80) * MS, (ms + 80) * MS)
        assert isinstance(message, BasicSafetyMessage)
        messages.append(message)
    return messages


def test_path_and_prediction_are_in_every_message_from_the_third_on() -> None:
    messages = moving(20)
    assert [bool(message.path) for message in messages] == [False] * 2 + [True] * 18
    assert [message.prediction for message in messages[2:]] == [STRAIGHT] * 18
    assert messages[-1].path[-1].age_ms == 1900


def test_part_two_on_the_wire_is_what_was_meant(codec: Codec) -> None:
    last = moving(20)[-1]
    [part] = codec.decode_tree(codec.encode_frame(last))["partII"]
    assert part["partII-Id"] == 0
    assert set(part["partII-Value"]) == {"pathHistory", "pathPrediction"}
    [crumb] = part["partII-Value"]["pathHistory"]["crumbData"]
    assert crumb["timeOffset"] == 190
    assert crumb["latOffset"] == pytest.approx(19 / 111_267 / 2**0.5 * 1e7, abs=5)
    assert part["partII-Value"]["pathPrediction"] == {"radiusOfCurve": 32767, "confidence": 200}


def test_what_changes_slowly_is_told_once_a_second(codec: Codec) -> None:
    details = VehicleDetails(basic_class=10, height_m=1.5, mass_kg=1480.0)
    messages = moving(25, details)
    told = [message for message in messages if message.surroundings is not None]
    assert [messages.index(message) for message in told] == [0, 10, 20]
    for message in messages:
        assert (message.basic_class is None) is (message.surroundings is None)
    supplement = codec.decode_tree(codec.encode_frame(told[1]))["partII"][1]["partII-Value"]
    assert supplement == {
        "classification": 10,
        "vehicleData": {"height": 30, "mass": 30},
        "weatherProbe": {
            "airTemp": 58,
            "airPressure": 214,
            "rainRates": {"statusFront": "low", "rateFront": 0},
        },
    }


def test_a_message_comes_back_as_it_was_sent_but_for_rounding(codec: Codec) -> None:
    sent = moving(21)[-1]
    heard = codec.decode_frame(codec.encode_frame(sent))
    assert codec.decode_frame(codec.encode_frame(heard)) == heard
    assert len(heard.path) == len(sent.path)
    assert heard.surroundings is not None
    assert heard.surroundings.wiper_front is Wiper.LOW


def test_the_path_survives_a_change_of_identity() -> None:
    state = VehicleState()
    converter = Converter(state, identity(), SIZE)
    ids, lengths = set(), []
    for tick in range(3300):
        ms = tick * 100
        north, _ = moved(LATITUDE, LONGITUDE, tick * 1.0, 0.0)
        state.update(signal("speed.vehicle", 10.0, ms))
        state.fix(msgspec.structs.replace(fix(ms, speed=10.0, course=0.0), latitude_deg=north))
        message = converter.make(NOON + (ms + 80) * MS, (ms + 80) * MS)
        assert isinstance(message, BasicSafetyMessage)
        ids.add(message.temporary_id)
        lengths.append(len(message.path))
    assert len(ids) == 2
    assert min(lengths[2:]) >= 1


def test_instants_are_the_epochs_of_the_receiver() -> None:
    state = VehicleState()
    converter = Converter(state, identity(), SIZE)
    marks = []
    for tick in range(20):
        if tick % 5:  # one fix in five does not come
            state.fix(fix(tick * 100 + 40, speed=10.0))
        elif tick == 0:
            state.fix(fix(40, speed=10.0))
        message = converter.make(NOON + (tick * 100 + 120) * MS, tick * 100 * MS)
        assert isinstance(message, BasicSafetyMessage)
        marks.append(message.sec_mark_ms)
    assert marks == [tick * 100 + 40 for tick in range(20)]
