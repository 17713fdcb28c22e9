import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.bsm.codec import Codec
from agent.bsm.jer import from_jer, to_jer
from agent.bsm.si import physical
from agent.bsm.uper import Tree
from tests.bsm.layout import packed
from tests.bsm.trees import messages

UNKNOWN = {
    "secMark": 65_535,
    "lat": 900_000_001,
    "long": 1_800_000_001,
    "elev": -4096,
    "semiMajor": 255,
    "semiMinor": 255,
    "orientation": 65_535,
    "transmission": 7,
    "speed": 8191,
    "heading": 28_800,
    "angle": 127,
    "accelLong": 2001,
    "accelLat": 2001,
    "accelVert": -127,
    "wheelBrakes": 0b10000,
    "traction": 0,
    "abs": 0,
    "scs": 0,
    "brakeBoost": 0,
    "auxBrakes": 0,
    "width": 0,
    "length": 0,
}


def with_part(codec: Codec, number: int, value: Any) -> Tree:
    tree = codec.decode_tree(packed())
    return {**tree, "partII": [{"partII-Id": number, "partII-Value": value}]}


def point(**changed: int) -> dict[str, int]:
    usual = {"latOffset": 100, "lonOffset": -200, "elevationOffset": 5, "timeOffset": 250}
    return {**usual, **changed}


def test_part_one_is_in_the_units_of_its_names(codec: Codec) -> None:
    assert physical(codec, codec.decode_tree(packed())) == {
        "msg_count": 77,
        "id": "0BADF00D",
        "sec_mark_ms": 31_400,
        "lat_deg": 52.5163,
        "lon_deg": 13.3777,
        "elev_m": 74.5,
        "semi_major_m": 1.55,
        "semi_minor_m": 1.0,
        "orientation_deg": pytest.approx(45.000687, abs=1e-6),
        "transmission": "forwardGears",
        "speed_mps": 13.88,
        "heading_deg": 90.0,
        "angle_deg": -21.0,
        "accel_long_mps2": -3.92,
        "accel_lat_mps2": 0.51,
        "accel_vert_mps2": pytest.approx(3 * 0.02 * 9.80665),
        "yaw_rate_degps": -20.0,
        "wheel_brakes": ["leftFront", "leftRear", "rightFront", "rightRear"],
        "traction": "on",
        "abs": "engaged",
        "scs": "off",
        "brake_boost": None,
        "aux_brakes": "off",
        "width_m": 1.82,
        "length_m": 4.51,
    }


def test_what_is_unavailable_is_none(codec: Codec) -> None:
    found = physical(codec, codec.decode_tree(packed(UNKNOWN)))
    known = {name for name, value in found.items() if value is not None}
    assert known == {"msg_count", "id", "yaw_rate_degps"}


def test_reserved_milliseconds_say_nothing(codec: Codec) -> None:
    assert physical(codec, codec.decode_tree(packed(secMark=61_000)))["sec_mark_ms"] is None
    assert physical(codec, codec.decode_tree(packed(secMark=60_999)))["sec_mark_ms"] == 60_999


def test_a_point_of_the_path_is_here_minus_its_offset(codec: Codec) -> None:
    tree = with_part(codec, 0, {"pathHistory": {"crumbData": [point()]}})
    assert physical(codec, tree)["path_points"] == [
        {
            "lat_offset_deg": 1e-05,
            "lon_offset_deg": -2e-05,
            "elev_offset_m": 0.5,
            "time_offset_s": 2.5,
            "lat_deg": 52.51629,
            "lon_deg": 13.37772,
            "elev_m": 74.0,
        }
    ]


def test_a_point_that_is_unavailable_has_no_place(codec: Codec) -> None:
    away = point(latOffset=-131_072, lonOffset=-131_072, elevationOffset=-2048, timeOffset=65_535)
    found = physical(codec, with_part(codec, 0, {"pathHistory": {"crumbData": [away]}}))
    assert set(found["path_points"][0].values()) == {None}


def test_a_path_with_its_own_beginning_is_placed_from_there(codec: Codec) -> None:
    begin = {"long": 0, "lat": 10_000_000, "elevation": 100}
    tree = with_part(codec, 0, {"pathHistory": {"initialPosition": begin, "crumbData": [point()]}})
    found = physical(codec, tree)
    place = found["path_points"][0]
    assert (place["lat_deg"], place["lon_deg"], place["elev_m"]) == (0.99999, 0.00002, 9.5)
    assert found["lat_deg"] == 52.5163


def test_a_path_across_the_antimeridian_stays_on_the_globe(codec: Codec) -> None:
    tree = codec.decode_tree(packed(long=-1_799_999_999))
    history = {"pathHistory": {"crumbData": [point(lonOffset=101)]}}
    tree["partII"] = [{"partII-Id": 0, "partII-Value": history}]
    assert physical(codec, tree)["path_points"][0]["lon_deg"] == 179.99999


def test_a_straight_path_has_no_radius(codec: Codec) -> None:
    straight = {"pathPrediction": {"radiusOfCurve": 32_767, "confidence": 100}}
    curve = {"pathPrediction": {"radiusOfCurve": -254, "confidence": 140}}
    found = physical(codec, with_part(codec, 0, straight))
    assert (found["path_straight"], found["path_radius_m"]) == (True, None)
    found = physical(codec, with_part(codec, 0, curve))
    assert (found["path_straight"], found["path_radius_m"]) == (False, -25.4)
    assert found["path_confidence_percent"] == 70.0


def test_flags_are_the_names_that_are_set(codec: Codec) -> None:
    flags = {"events": (b"\x01\x04", 14), "lights": (b"\x00\x00", 9)}
    found = physical(codec, with_part(codec, 0, flags))
    assert found["events"] == ["eventHardBraking", "eventJackKnife"]
    assert found["lights"] == []


def test_a_flag_without_a_name_is_told_by_its_place(codec: Codec) -> None:
    found = physical(codec, with_part(codec, 0, {"events": (b"\x00\x02", 15)}))
    assert found["events"] == ["bit14"]


def test_weather_and_mass_are_in_the_units_of_their_names(codec: Codec) -> None:
    value = {
        "vehicleData": {"height": 38, "mass": 81, "bumpers": {"front": 45, "rear": 50}},
        "weatherProbe": {"airTemp": 60, "airPressure": 218},
        "speedProfile": {"speedReports": [12, 31]},
    }
    found = physical(codec, with_part(codec, 2, value))
    assert found["vehicle_data_height_m"] == 1.9
    assert found["vehicle_data_mass_kg"] == 4500
    assert found["vehicle_data_bumpers_front_m"] == 0.45
    assert found["weather_probe_air_temp_degc"] == 20
    assert found["weather_probe_air_pressure_hpa"] == 1014
    assert found["speed_profile_speed_reports_mps"] == [12, None]


def test_every_public_message_has_quantities_without_losing_its_own(
    codec: Codec, public: dict[str, Any]
) -> None:
    for vector in public["vectors"]:
        found = physical(codec, codec.decode_tree(bytes.fromhex(vector["hex"])))
        assert found["msg_count"] == vector["decoded"]["coreData"]["msgCnt"]
        assert found["id"] == vector["decoded"]["coreData"]["id"]
        assert json.loads(json.dumps(found)) == found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_message_has_quantities_and_survives_json(codec: Codec, data: st.DataObject) -> None:
    tree = data.draw(messages(codec.types))
    assert isinstance(json.dumps(physical(codec, tree), allow_nan=False), str)
    assert from_jer(codec, json.loads(json.dumps(to_jer(codec, tree)))) == tree
