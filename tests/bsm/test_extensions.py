"""Part II in SI and on the wire: scales, ends and codes for what is not known."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm import partunits as units
from agent.bsm.codec import Codec
from agent.bsm.extensions import read_parts, write_parts
from agent.bsm.message import (
    BasicSafetyMessage,
    PathPoint,
    PathPrediction,
    Surroundings,
    Wiper,
)

BARE = BasicSafetyMessage(msg_count=1, temporary_id=bytes(4), yaw_rate_radps=0.0)

codes = st.none() | st.integers(-131071, 131071).map(lambda code: code / 1e7)
points = st.builds(
    PathPoint,
    codes,
    codes,
    st.none() | st.integers(-2047, 2047).map(lambda code: code / 10),
    st.none() | st.integers(1, 65534).map(lambda code: code * 10),
)
wipers = st.none() | st.sampled_from(Wiper)
messages = st.builds(
    BasicSafetyMessage,
    msg_count=st.just(1),
    temporary_id=st.just(bytes(4)),
    yaw_rate_radps=st.just(0.0),
    path=st.lists(points, max_size=23).map(tuple),
    prediction=st.none()
    | st.builds(
        PathPrediction,
        st.none() | st.integers(-32766, 32766).map(lambda code: -code / 10),
        st.integers(0, 200).map(lambda code: code / 200),
    ),
    surroundings=st.none()
    | st.builds(
        Surroundings,
        air_temperature_k=st.none() | st.integers(0, 190).map(lambda code: code - 40 + 273.15),
        air_pressure_pa=st.none() | st.integers(1, 255).map(lambda code: 57_800.0 + 200 * code),
        wiper_front=wipers,
        wiper_rear=wipers,
    ),
    basic_class=st.none() | st.integers(0, 255),
    height_m=st.none() | st.integers(1, 127).map(lambda code: code / 20),
    mass_kg=st.none() | st.integers(0, 253).map(lambda c: units.mass_from_j2735(c) or 50.0),
)


@settings(deadline=None, max_examples=80)
@given(message=messages)
def test_part_two_comes_back_as_it_was_sent(codec: Codec, message: BasicSafetyMessage) -> None:
    heard = codec.decode_frame(codec.encode_frame(message))
    if message.surroundings is not None and message.surroundings == Surroundings():
        assert heard.surroundings is None or heard.surroundings == Surroundings()
        return
    assert heard == message


def test_a_message_with_nothing_to_add_has_no_part_two() -> None:
    assert write_parts(BARE) == []
    assert read_parts({}) == {}


@pytest.mark.parametrize(
    ("deg", "code"),
    [(None, -131072), (math.nan, -131072), (0.5, 131071), (-0.5, -131071), (1e-7, 1), (-0.0, 0)],
)
def test_offsets_end_at_their_last_code(deg: float | None, code: int) -> None:
    assert units.offset_to_j2735(deg) == code


@pytest.mark.parametrize(("m", "code"), [(None, -2048), (300.0, 2047), (-300.0, -2047), (0.1, 1)])
def test_rises_end_at_their_last_code(m: float | None, code: int) -> None:
    assert units.rise_to_j2735(m) == code


@pytest.mark.parametrize(
    ("ms", "code"), [(None, 65535), (0, 1), (9, 1), (19, 1), (20, 2), (10**9, 65534)]
)
def test_ages_are_rounded_down_and_at_least_one(ms: int | None, code: int) -> None:
    assert units.age_to_j2735(ms) == code


@pytest.mark.parametrize(
    ("m", "code"), [(None, 32767), (100.0, -1000), (-100.0, 1000), (1e6, -32766), (-1e6, 32766)]
)
def test_a_radius_to_the_left_is_negative_on_the_wire(m: float | None, code: int) -> None:
    assert units.radius_to_j2735(m) == code


@pytest.mark.parametrize(
    ("kg", "code"),
    [
        (None, 255),
        (math.nan, 255),
        (-5.0, 255),
        (1480.0, 30),
        (4000.0, 80),
        (4200.0, 80),
        (4500.0, 81),
        (54_500.0, 181),
        (64_000.0, 200),
        (64_900.0, 200),
        (66_000.0, 201),
        (170_000.0, 253),
        (500_000.0, 254),
    ],
)
def test_masses_have_three_scales(kg: float | None, code: int) -> None:
    assert units.mass_to_j2735(kg) == code


@pytest.mark.parametrize(
    ("k", "code"), [(None, 191), (273.15, 40), (233.15, 0), (100.0, 0), (500.0, 190)]
)
def test_air_temperatures_count_from_40_below(k: float | None, code: int) -> None:
    assert units.air_temperature_to_j2735(k) == code


@pytest.mark.parametrize(
    ("pa", "code"), [(None, 0), (58_000.0, 1), (101_300.0, 218), (10.0, 0), (120_000.0, 0)]
)
def test_a_pressure_off_the_scale_is_none(pa: float | None, code: int) -> None:
    assert units.air_pressure_to_j2735(pa) == code


@pytest.mark.parametrize(("m", "code"), [(None, 0), (1.5, 30), (6.35, 127), (9.0, 0)])
def test_a_height_off_the_scale_is_none(m: float | None, code: int) -> None:
    assert units.height_to_j2735(m) == code


def test_a_rear_wiper_alone_says_nothing_of_the_front_one() -> None:
    around = Surroundings(wiper_rear=Wiper.LOW)
    [part] = write_parts(
        BasicSafetyMessage(msg_count=1, temporary_id=bytes(4), surroundings=around)
    )
    rates = part["partII-Value"]["weatherProbe"]["rainRates"]
    assert rates == {"statusFront": "unavailable", "rateFront": 0, "statusRear": "low"}
