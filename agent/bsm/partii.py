"""VehicleSafetyExtensions, the Part II that cars send ten times a second: one format a shape.

The shape is which of events, path history, path prediction and lights are there, and how many
points the history has. Without extensions, and without the optional parts of a history and its
points, each of the 192 shapes has fixed bits; its format is made when it is first met.

Signed components are two's complement in the format and offset binary on the wire: one XOR and
one addition over the whole value, taken as one number, carry all of them across.
"""

from functools import cache
from itertools import cycle
from typing import Final, NamedTuple

import msgspec

from agent.bsm.fastbits import compiled
from agent.errors import MalformedInputError

EVENT_BITS: Final = 13
LIGHT_BITS: Final = 9
A_POINT: Final = 4  # integers of a point: offsets of latitude, longitude, elevation, time
MOST_POINTS: Final = 23


class Safety(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """SAE J2735, DF_VehicleSafetyExtensions as integers of the wire; None for what is absent.

    events, lights: their 13 and 9 bits, the first named as the highest
    path:    four integers a point, newest point first: latOffset, lonOffset, elevationOffset,
             timeOffset; empty without a path history
    radius, confidence: of the path prediction
    """

    events: int | None = None
    path: tuple[int, ...] = ()
    radius: int | None = None
    confidence: int | None = None
    lights: int | None = None

    def __repr__(self) -> str:
        """Without the path, which no log line may carry."""
        return f"Safety(events={self.events}, points={len(self.path) // A_POINT})"


class _Run(NamedTuple):
    """Components in a row: format, its bits; and of those the zeros, the turned, the less by 1."""

    text: str
    bits: int
    zeros: int = 0
    turned: int = 0
    less: int = 0


# The bit before each run and each point says that it has no extension; three bits of a history
# and of a point, that nothing optional is there. A radius is -32767 upwards, a time 1 upwards.
_EVENTS: Final = _Run(f"p1u{EVENT_BITS}", 14, zeros=1 << 13)
_PREDICTION: Final = _Run("p1s16u8", 25, zeros=1 << 24, turned=1 << 23, less=1 << 8)
_LIGHTS: Final = _Run(f"p1u{LIGHT_BITS}", 10, zeros=1 << 9)
_HISTORY: Final = _Run("u8", 8)  # the number of points less one; with it, the zeros before
_POINT: Final = _Run("p4s18s18s12u16", 68, 0xF << 64, turned=1 << 63 | 1 << 45 | 1 << 27, less=1)
_HAS_EVENTS, _HAS_PATH, _HAS_PREDICTION, _HAS_LIGHTS = 8, 4, 2, 1  # as in the first octet
_MANY: Final = 31  # what five bits of a number of points can say
_RUN_UP: Final = 5  # bits: extended or not, and the four
_EXTENDED: Final = 16  # above them
_STRAIGHT: Final = 32767  # the largest radius, which stands for none
_SURE: Final = 200  # the largest confidence


class _Shape:
    """present: the four bits; points: of the path history, 0 without one"""

    def __init__(self, present: int, points: int) -> None:
        runs = [_Run(f"u{_RUN_UP}", _RUN_UP)]
        runs += [_EVENTS] if present & _HAS_EVENTS else []
        runs += [_HISTORY, *[_POINT] * points] if present & _HAS_PATH else []
        runs += [_PREDICTION] if present & _HAS_PREDICTION else []
        runs += [_LIGHTS] if present & _HAS_LIGHTS else []
        left = sum(run.bits for run in runs)
        self.octets = (left + 7) // 8
        padding = 8 * self.octets - left
        self.zeros, self.turned, self.less = (1 << padding) - 1, 0, 0
        left += padding
        for run in runs:
            left -= run.bits
            self.zeros |= run.zeros << left
            self.turned |= run.turned << left
            self.less |= run.less << left
        coding = compiled("".join(run.text for run in runs))
        self.pack, self.unpack = coding.pack, coding.unpack


_shape: Final = cache(_Shape)


def decode_safety(bits: int, octets: int) -> Safety | None:
    """None for a value of another shape, and for one that has something wrong.

    bits: the encoded value as one number, of so many octets
    """
    left = 8 * octets - _RUN_UP
    if left < 0:
        return None
    present, points = bits >> left, 0
    if present & _HAS_PATH:
        left -= _HISTORY.bits + (_EVENTS.bits if present & _HAS_EVENTS else 0)
        points = 1 + (bits >> left & _MANY) if left > 0 else 0
    if present >= _EXTENDED or points > MOST_POINTS:
        return None
    shape = _shape(present, points)
    if octets != shape.octets or bits & shape.zeros:
        return None
    crossed = bits + shape.less ^ shape.turned
    return _sorted(shape.unpack(crossed.to_bytes(octets)), present, points)


def _sorted(values: tuple[int, ...], present: int, points: int) -> Safety | None:
    """A raw time or radius one past its range comes as the lowest that the bits can hold."""
    path: tuple[int, ...] = ()
    radius = confidence = None
    if points:
        at = 2 if present & _HAS_EVENTS else 1
        path = values[at + 1 : at + 1 + A_POINT * points]
        if values[at] != points - 1 or 0 in path[3::A_POINT]:
            return None
    if present & _HAS_PREDICTION:
        at = len(values) - (3 if present & _HAS_LIGHTS else 2)
        radius, confidence = values[at], values[at + 1]
        if radius < -_STRAIGHT or confidence > _SURE:
            return None
    return Safety(
        events=values[1] if present & _HAS_EVENTS else None,
        path=path,
        radius=radius,
        confidence=confidence,
        lights=values[-1] if present & _HAS_LIGHTS else None,
    )


def encode_safety(safety: Safety) -> bytes:
    """Raises MalformedInputError with the component, its value and its range."""
    try:
        return _encoded(safety)
    except (OverflowError, TypeError, ValueError) as error:
        raise _refusal(safety) from error


def _encoded(safety: Safety) -> bytes:
    path, radius, confidence = safety.path, safety.radius, safety.confidence
    present = points = 0
    values: list[int] = [0]
    if safety.events is not None:
        present |= _HAS_EVENTS
        values.append(safety.events)
    if path:
        present |= _HAS_PATH
        points, odd = divmod(len(path), A_POINT)
        values.append(points - 1)
        values += path
        if odd or points > MOST_POINTS or 0 in path[3::A_POINT]:
            raise ValueError
    if radius is not None or confidence is not None:
        present |= _HAS_PREDICTION
        if radius is None or confidence is None or radius < -_STRAIGHT or confidence > _SURE:
            raise ValueError
        values += (radius, confidence)
    if safety.lights is not None:
        present |= _HAS_LIGHTS
        values.append(safety.lights)
    values[0] = present
    shape = _shape(present, points)
    bits = (int.from_bytes(shape.pack(*values)) ^ shape.turned) - shape.less
    return bits.to_bytes(shape.octets)


_RANGES: Final = {
    "events": (0, (1 << EVENT_BITS) - 1),
    "radiusOfCurve": (-_STRAIGHT, _STRAIGHT),
    "confidence": (0, _SURE),
    "lights": (0, (1 << LIGHT_BITS) - 1),
    "latOffset": (-131072, 131071),
    "lonOffset": (-131072, 131071),
    "elevationOffset": (-2048, 2047),
    "timeOffset": (1, 65535),
}
_POINT_NAMES: Final = tuple(_RANGES)[-A_POINT:]


def _refusal(safety: Safety) -> MalformedInputError:
    """What is wrong with the first value that is."""
    length = len(safety.path)
    if length % A_POINT or length > A_POINT * MOST_POINTS:
        limits = f"{A_POINT} a point, at most {MOST_POINTS} points"
        return MalformedInputError(f"crumbData: {length} integers; {limits}")
    if (safety.radius is None) != (safety.confidence is None):
        return MalformedInputError("pathPrediction: a radius and a confidence, or neither")
    whole = (safety.events, safety.radius, safety.confidence, safety.lights)
    values = [
        (name, value) for name, value in zip(_RANGES, whole, strict=False) if value is not None
    ]
    values += zip(cycle(_POINT_NAMES), safety.path, strict=False)
    for name, value in values:
        low, high = _RANGES[name]
        if not isinstance(value, int) or not low <= value <= high:
            return MalformedInputError(f"{name}: {value!r:.40} is not in {low}..{high}")
    raise AssertionError("refused, and every value is in its range")
