from agent.bsm.codec import Codec
from agent.bsm.convert import NO_FIX, NO_SIZE, NO_WAY, OLD_FIX, Converter, Silence
from agent.bsm.message import BasicSafetyMessage
from agent.bsm.state import VehicleState
from agent.clock import MS
from tests.bsm.drive import NOON, SIZE, fix, identity, signal


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
    assert converter.make(NOON + 100 * MS, 0) == Silence(NO_WAY)


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
