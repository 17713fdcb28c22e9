"""VehicleSafetyExtensions as one flat value: its ranges, and what is refused."""

import pytest

from agent.bsm import partii
from agent.bsm.codec import Codec
from agent.bsm.partii import Safety, decode_safety, encode_safety
from agent.errors import MalformedInputError


def test_the_ranges_of_part_two_are_those_of_the_compiled_module(codec: Codec) -> None:
    events, history, prediction, lights = codec.types["VehicleSafetyExtensions"].root_members
    point = history.root_members[-1].element_type.root_members
    numbers = [*prediction.root_members, *(member for member in point if not member.optional)]
    found = {number.name: (number.minimum, number.maximum) for number in numbers}
    flags = {flag.name: (0, (1 << flag.minimum) - 1) for flag in (events, lights)}
    assert {**found, **flags} == partii._RANGES


@pytest.mark.parametrize(
    ("safety", "text"),
    [
        (Safety(events=1 << 13), r"events: 8192 is not in 0\.\.8191"),
        (Safety(lights=-1), r"lights: -1 is not in 0\.\.511"),
        (Safety(radius=-32768, confidence=0), r"radiusOfCurve: -32768 is not in -32767\.\.32767"),
        (Safety(radius=32768, confidence=0), r"radiusOfCurve: 32768 is not in"),
        (Safety(radius=0, confidence=201), r"confidence: 201 is not in 0\.\.200"),
        (Safety(radius=0, confidence=-1), r"confidence: -1 is not in 0\.\.200"),
        (Safety(radius=0), "a radius and a confidence"),
        (Safety(path=(0, 0, 0, 0)), r"timeOffset: 0 is not in 1\.\.65535"),
        (Safety(path=(0, 0, 0, 65536)), r"timeOffset: 65536 is not in"),
        (Safety(path=(0, 0, 0, 1, 131072, 0, 0, 1)), r"latOffset: 131072 is not in"),
        (Safety(path=(0, -131073, 0, 1)), r"lonOffset: -131073 is not in -131072\.\.131071"),
        (Safety(path=(0, 0, 2048, 1)), r"elevationOffset: 2048 is not in -2048\.\.2047"),
        (Safety(path=(0, 0, 1)), "crumbData: 3 integers"),
        (Safety(path=(0, 0, 0, 1) * 24), "crumbData: 96 integers"),
    ],
)
def test_a_part_two_out_of_range_is_refused_by_name_value_and_range(
    safety: Safety, text: str
) -> None:
    with pytest.raises(MalformedInputError, match=text):
        encode_safety(safety)


def test_an_empty_part_two_has_one_octet() -> None:
    assert encode_safety(Safety()) == b"\0"
    assert decode_safety(b"\0") == Safety()


def test_the_path_is_not_in_the_repr() -> None:
    assert "4711" not in repr(Safety(path=(4711, 0, 0, 1)))


def test_no_octets_are_no_value() -> None:
    assert decode_safety(b"") is None
