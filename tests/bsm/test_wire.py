import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm.codec import Codec
from agent.bsm.message import (
    ALL_WHEELS,
    Applied,
    BasicSafetyMessage,
    Brakes,
    Control,
    Transmission,
    Wheel,
)
from agent.bsm.namedbits import EVENTS, LIGHTS
from tests.bsm.layout import packed

NOTHING = BasicSafetyMessage(msg_count=1, temporary_id=bytes(4))

controls = st.none() | st.sampled_from(Control)
applied = st.none() | st.sampled_from(Applied)
messages = st.builds(
    BasicSafetyMessage,
    msg_count=st.integers(0, 127),
    temporary_id=st.binary(min_size=4, max_size=4),
    sec_mark_ms=st.none() | st.integers(0, 60_999),
    transmission=st.none() | st.sampled_from(Transmission),
    brakes=st.builds(
        Brakes,
        wheels=st.none() | st.frozensets(st.sampled_from(Wheel)),
        traction=controls,
        abs=controls,
        stability=controls,
        boost=applied,
        auxiliary=applied,
    ),
    yaw_rate_radps=st.just(0.0),
    events=st.frozensets(st.sampled_from(EVENTS.order)),
    lights=st.none() | st.frozensets(st.sampled_from(LIGHTS.order), min_size=1),
)


@settings(deadline=None, max_examples=60)
@given(message=messages)
def test_states_and_flags_come_back_as_they_were_sent(
    codec: Codec, message: BasicSafetyMessage
) -> None:
    assert codec.decode_frame(codec.encode_frame(message)) == message


def test_a_message_that_knows_nothing_is_all_unavailable(codec: Codec) -> None:
    core = codec.decode_tree(codec.encode_frame(NOTHING))["coreData"]

    assert core["secMark"] == 65535
    assert (core["lat"], core["long"], core["elev"]) == (900000001, 1800000001, -4096)
    assert core["accuracy"] == {"semiMajor": 255, "semiMinor": 255, "orientation": 65535}
    assert (core["transmission"], core["speed"], core["heading"]) == ("unavailable", 8191, 28800)
    assert core["accelSet"] == {"long": 2001, "lat": 2001, "vert": -127, "yaw": 0}
    assert core["brakes"]["wheelBrakes"] == (b"\x80", 5)
    assert core["size"] == {"width": 0, "length": 0}


def test_a_message_packed_by_hand_is_read_in_si(codec: Codec) -> None:
    message = codec.decode_frame(packed())

    assert message.latitude_deg == pytest.approx(52.5163)
    assert message.longitude_deg == pytest.approx(13.3777)
    assert message.elevation_m == pytest.approx(74.5)
    assert message.speed_mps == pytest.approx(13.88)
    assert message.heading_deg == pytest.approx(90.0)
    assert message.transmission is Transmission.FORWARD
    assert message.acceleration_longitudinal_mps2 == pytest.approx(-3.92)
    assert message.acceleration_lateral_mps2 == pytest.approx(-0.51)
    assert message.yaw_rate_radps == pytest.approx(math.radians(20.0))
    assert message.steering_angle_rad == pytest.approx(math.radians(21.0))
    assert message.brakes.wheels == ALL_WHEELS
    assert message.brakes.abs is Control.ENGAGED
    assert (message.width_m, message.length_m) == (1.82, 4.51)


def test_no_part_two_is_sent_without_a_flag_or_a_light(codec: Codec) -> None:
    dark = BasicSafetyMessage(msg_count=1, temporary_id=bytes(4), lights=frozenset())
    assert "partII" not in codec.decode_tree(codec.encode_frame(dark))


def test_hard_braking_is_bit_seven_of_thirteen(codec: Codec) -> None:
    hard = BasicSafetyMessage(
        msg_count=1, temporary_id=bytes(4), events=frozenset({"eventHardBraking"})
    )
    [part] = codec.decode_tree(codec.encode_frame(hard))["partII"]
    assert part["partII-Value"] == {"events": (b"\x01\x00", 13)}


def test_the_flag_of_2024_makes_fourteen_bits(codec: Codec) -> None:
    jack = BasicSafetyMessage(
        msg_count=1, temporary_id=bytes(4), events=frozenset({"eventJackKnife"})
    )
    [part] = codec.decode_tree(codec.encode_frame(jack))["partII"]
    assert part["partII-Value"] == {"events": (b"\x00\x04", 14)}


def test_no_position_and_no_identity_is_in_the_repr(codec: Codec) -> None:
    shown = repr(codec.decode_frame(packed()))
    assert "52.5" not in shown
    assert "0bad" not in shown.lower()
