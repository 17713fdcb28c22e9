"""Part I alone, as fast as this language allows: one flat value, one compiled format.

BSMcoreData has no optional and no extensible component, so a message without Part II always
has the same 290 bits between 27 bits that announce it and 3 that pad it. The reference for
every bit and range is asn1tools with asn1/J2735.asn; tests/bsm/test_core.py compares them.

    core = decode_core(heard)              # 40 octets, or 37 without the MessageFrame
    encode_core(core)                      # 40 octets
"""

# ruff: noqa: PLR2004 - the ranges of FIELDS, written where they are compared: a lookup costs time

from typing import Final, NamedTuple

import msgspec

from agent.bsm.fastbits import compiled
from agent.errors import MalformedInputError


class Core(msgspec.Struct, frozen=True, gc=False):
    """SAE J2735, DF_BSMcoreData: integers of the wire, as asn1/J2735.asn gives their units.

    An enumeration is its number, wheel_brakes the 5 bits with the first named as the highest.
    """

    msg_count: int
    temporary_id: bytes
    sec_mark: int
    latitude: int
    longitude: int
    elevation: int
    semi_major: int
    semi_minor: int
    orientation: int
    transmission: int
    speed: int
    heading: int
    steering_angle: int
    acceleration_long: int
    acceleration_lat: int
    acceleration_vert: int
    yaw_rate: int
    wheel_brakes: int
    traction: int
    abs: int
    stability: int
    brake_boost: int
    aux_brakes: int
    width: int
    length: int

    def __repr__(self) -> str:
        """Without the position and the identity, which no log line may carry."""
        return f"Core(msg_count={self.msg_count}, sec_mark={self.sec_mark})"


class Field(NamedTuple):
    """path: of the component in the ASN.1 module; octets, not an integer, where high is None"""

    path: str
    bits: int
    low: int
    high: int | None


FIELDS: Final = (
    Field("msgCnt", 7, 0, 127),
    Field("id", 32, 0, None),
    Field("secMark", 16, 0, 65535),
    Field("lat", 31, -900000000, 900000001),
    Field("long", 32, -1799999999, 1800000001),
    Field("elev", 16, -4096, 61439),
    Field("accuracy.semiMajor", 8, 0, 255),
    Field("accuracy.semiMinor", 8, 0, 255),
    Field("accuracy.orientation", 16, 0, 65535),
    Field("transmission", 3, 0, 7),
    Field("speed", 13, 0, 8191),
    Field("heading", 15, 0, 28800),
    Field("angle", 8, -126, 127),
    Field("accelSet.long", 12, -2000, 2001),
    Field("accelSet.lat", 12, -2000, 2001),
    Field("accelSet.vert", 8, -127, 127),
    Field("accelSet.yaw", 16, -32767, 32767),
    Field("brakes.wheelBrakes", 5, 0, 31),
    Field("brakes.traction", 2, 0, 3),
    Field("brakes.abs", 2, 0, 3),
    Field("brakes.scs", 2, 0, 3),
    Field("brakes.brakeBoost", 2, 0, 2),
    Field("brakes.auxBrakes", 2, 0, 3),
    Field("size.width", 10, 0, 1023),
    Field("size.length", 12, 0, 4095),
)
"""In the order of `Core` and of the wire."""

BARE: Final = 37  # octets
FRAME: Final = b"\x00\x14\x25"  # MessageFrame: not extended, message 20, 37 octets
_FRAMED: Final = len(FRAME) + BARE
_HEAD: Final = int.from_bytes(FRAME) << 3  # and the message: not extended, neither list there
_ID: Final = 4  # octets

_format = compiled(
    "u27" + "".join(f"{'u' if f.high is not None else 'r'}{f.bits}" for f in FIELDS) + "u3"
)
_pack, _unpack = _format.pack, _format.unpack


def encode_core(core: Core) -> bytes:
    """The MessageFrame of a message without Part II: 40 octets.

    Raises MalformedInputError with the component, its value and its range.
    """
    # A value that goes unnamed in the condition has a range as wide as its bits, and so has
    # every lower bound once it is subtracted: the format refuses what is beyond.
    lat, long = core.latitude, core.longitude
    heading, boost, octets = core.heading, core.brake_boost, core.temporary_id
    try:
        angle, vert = core.steering_angle + 126, core.acceleration_vert + 127
        ahead, aside = core.acceleration_long + 2000, core.acceleration_lat + 2000
        yaw = core.yaw_rate + 32767
        if (
            lat <= 900000001
            and long <= 1800000001
            and heading <= 28800
            and angle <= 253
            and ahead <= 4001
            and aside <= 4001
            and vert <= 254
            and yaw <= 65534
            and boost <= 2
            and len(octets) == _ID
        ):
            return _pack(
                _HEAD,
                core.msg_count,
                octets,
                core.sec_mark,
                lat + 900000000,
                long + 1799999999,
                core.elevation + 4096,
                core.semi_major,
                core.semi_minor,
                core.orientation,
                core.transmission,
                core.speed,
                heading,
                angle,
                ahead,
                aside,
                vert,
                yaw,
                core.wheel_brakes,
                core.traction,
                core.abs,
                core.stability,
                boost,
                core.aux_brakes,
                core.width,
                core.length,
                0,
            )
    except (OverflowError, TypeError) as error:
        raise _refusal(msgspec.structs.astuple(core)) from error
    raise _refusal(msgspec.structs.astuple(core))


def decode_core(data: bytes) -> Core:
    """Part I of a message that has nothing else: MessageFrame or bare, 40 or 37 octets.

    Raises MalformedInputError with the component, its value and its range.
    """
    if len(data) != _FRAMED:
        data = _framed(data)
    (
        head,
        count,
        octets,
        mark,
        lat,
        long,
        elev,
        major,
        minor,
        orientation,
        transmission,
        speed,
        heading,
        angle,
        ahead,
        aside,
        vert,
        yaw,
        wheels,
        traction,
        abs_,
        stability,
        boost,
        auxiliary,
        width,
        length,
        padding,
    ) = _unpack(data)
    if head != _HEAD or padding:
        raise MalformedInputError("not a basic safety message of Part I and zeros as padding")
    core = Core(
        count,
        octets,
        mark,
        lat - 900000000,
        long - 1799999999,
        elev - 4096,
        major,
        minor,
        orientation,
        transmission,
        speed,
        heading,
        angle - 126,
        ahead - 2000,
        aside - 2000,
        vert - 127,
        yaw - 32767,
        wheels,
        traction,
        abs_,
        stability,
        boost,
        auxiliary,
        width,
        length,
    )
    if (
        lat <= 1800000001
        and long <= 3600000000
        and heading <= 28800
        and angle <= 253
        and ahead <= 4001
        and aside <= 4001
        and vert <= 254
        and yaw <= 65534
        and boost <= 2
    ):
        return core
    raise _refusal(msgspec.structs.astuple(core))


def _framed(data: bytes) -> bytes:
    if len(data) != BARE:
        raise MalformedInputError(f"{len(data)} octets; a message without Part II has 40 or 37")
    return FRAME + data


def _refusal(values: tuple[object, ...]) -> MalformedInputError:
    """What is wrong with the first value that is; an identity is not shown, nor a position."""
    for field, value in zip(FIELDS, values, strict=True):
        if field.high is None:
            if not isinstance(value, bytes) or len(value) != _ID:
                return MalformedInputError(f"coreData.{field.path}: not {_ID} octets")
        elif not isinstance(value, int) or not field.low <= value <= field.high:
            limits = f"{field.low}..{field.high}"
            return MalformedInputError(f"coreData.{field.path}: {value!r:.40} is not in {limits}")
    raise AssertionError("refused, and every value is in its range")
