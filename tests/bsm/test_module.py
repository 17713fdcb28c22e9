"""The ASN.1 module by itself, without what the codec adds to asn1tools."""

from pathlib import Path

import asn1tools
import pytest

MODULE = Path(__file__).parents[2] / "asn1" / "J2735.asn"


@pytest.fixture(scope="module")
def compiled() -> asn1tools.compiler.Specification:
    return asn1tools.compile_files(str(MODULE), "uper")


def test_the_header_names_edition_and_source() -> None:
    header = MODULE.read_text("utf-8").split("DEFINITIONS")[0]
    assert "2016-03" in header
    assert "Source" in header


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("VehicleGroupAffected", 35, "all-vehicles", "military-vehicles"),
        ("IncidentResponseEquipment", 72, "ground-fire-suppression", "flatbed-tow"),
        (
            "ResponderGroupAffected",
            14,
            "emergency-vehicle-units",
            "private-contractor-response-units",
        ),
        ("GenericLocations", 96, "on-bridges", "roadside-park"),
    ],
)
def test_itis_lists_are_whole(
    compiled: asn1tools.compiler.Specification, name: str, count: int, first: str, last: str
) -> None:
    bits = (count - 1).bit_length()
    for index, value in ((0, first), (count - 1, last)):
        octets = (index << (15 - bits)).to_bytes(2)[: 1 + (bits > 7)]
        assert compiled.decode(name, octets) == value
    with pytest.raises(asn1tools.DecodeError):
        compiled.decode(name, (count << (15 - bits)).to_bytes(2)[: 1 + (bits > 7)])


@pytest.mark.parametrize(
    ("name", "value", "octets"),
    [
        ("TimeConfidence", "time-000-000-000-000-01", "9C"),
        ("EssPrecipYesNo", "error", "80"),
        ("DSRCmsgID", 20, "0028"),
        ("VehicleMass", 255, "FF"),
    ],
)
def test_types_have_the_bits_of_the_standard(
    compiled: asn1tools.compiler.Specification, name: str, value: object, octets: str
) -> None:
    assert compiled.encode(name, value).hex().upper() == octets
