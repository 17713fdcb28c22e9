"""VehicleSafetyExtensions, the Part II that cars send ten times a second: one format a shape.

The shape is which of events, path history, path prediction and lights are there, and how many
points the history has. Without extensions, and without the optional parts of a history and its
points, each of the 192 shapes has fixed bits; its format is made when it is first met.
"""

from collections.abc import Callable
from functools import cache
from itertools import cycle
from typing import Final, TypeVar

import msgspec

from agent.bsm.shape import Run, Shape, constant
from agent.errors import MalformedInputError

AnyShape = TypeVar("AnyShape", bound=Shape)

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


# The bit before each run and each point says that it has no extension; three bits of a history
# and of a point, that nothing optional is there. A radius is -32767 upwards, a time 1 upwards.
_EVENTS: Final = Run(f"p1u{EVENT_BITS}", 14, fixed=1 << 13)
_PREDICTION: Final = Run("p1s16u8", 25, fixed=1 << 24, turned=1 << 23, less=1 << 8)
_LIGHTS: Final = Run(f"p1u{LIGHT_BITS}", 10, fixed=1 << 9)
_POINT: Final = Run("p4s18s18s12u16", 68, 0xF << 64, turned=1 << 63 | 1 << 45 | 1 << 27, less=1)
_HAS_EVENTS, _HAS_PATH, _HAS_PREDICTION, _HAS_LIGHTS = 8, 4, 2, 1  # as in the first octet
_EXTENDED: Final = 16  # above them
_MANY: Final = 31  # what five bits of a number of points can say
_STRAIGHT: Final = 32767  # the largest radius, which stands for none
_SURE: Final = 200  # the largest confidence
START: Final = 32  # bits of a value that tell its shape


def runs(present: int, points: int) -> list[Run]:
    """Whole octets. present: the four bits; points: of the path history, 0 without one"""
    parts = [constant(present, 5)]
    parts += [_EVENTS] if present & _HAS_EVENTS else []
    parts += [constant(points - 1, 8), *[_POINT] * points] if points else []
    parts += [_PREDICTION] if present & _HAS_PREDICTION else []
    parts += [_LIGHTS] if present & _HAS_LIGHTS else []
    padding = -sum(run.bits for run in parts) % 8
    return [*parts, constant(0, padding)] if padding else parts


@cache
def shape(present: int, points: int) -> Shape:
    return Shape(runs(present, points))


def look(start: int) -> tuple[int, int] | None:
    """present, points; None where no compiled format fits. start: the first START bits"""
    present, points = start >> 27, 0
    if present & _HAS_PATH:
        points = 1 + (start >> (5 if present & _HAS_EVENTS else 19) & _MANY)
    if present >= _EXTENDED or points > MOST_POINTS:
        return None
    return present, points


def decode_safety(octets: bytes) -> Safety | None:
    """None for a value of another shape, and for one that has something wrong."""
    bits = int.from_bytes(octets)
    known = look(bits << START >> 8 * len(octets))
    if known is None:
        return None
    coding = shape(*known)
    inside = coding.inside(bits, len(octets))
    return None if inside is None else sorted_out(coding.unpack(inside), *known)


def sorted_out(values: tuple[int, ...], present: int, points: int) -> Safety | None:
    """A raw time or radius one past its range comes as the lowest that the bits can hold."""
    path: tuple[int, ...] = ()
    radius = confidence = None
    if points:
        at = 1 if present & _HAS_EVENTS else 0
        path = values[at : at + A_POINT * points]
        if 0 in path[3::A_POINT]:
            return None
    if present & _HAS_PREDICTION:
        at = len(values) - (3 if present & _HAS_LIGHTS else 2)
        radius, confidence = values[at], values[at + 1]
        if radius < -_STRAIGHT or confidence > _SURE:
            return None
    return Safety(
        events=values[0] if present & _HAS_EVENTS else None,
        path=path,
        radius=radius,
        confidence=confidence,
        lights=values[-1] if present & _HAS_LIGHTS else None,
    )


def encode_safety(safety: Safety) -> bytes:
    """Raises MalformedInputError with the component, its value and its range."""
    coding, inside = pack(safety, shape)
    return coding.outside(inside)


def pack(safety: Safety, shapes: Callable[[int, int], AnyShape]) -> tuple[AnyShape, int]:
    """The shape that fits, and what its format makes of the values, as one number.

    Raises MalformedInputError with the component, its value and its range.
    """
    try:
        present, points, values = _laid_out(safety)
        coding = shapes(present, points)
        return coding, int.from_bytes(coding.pack(*values))
    except (OverflowError, TypeError, ValueError) as error:
        raise _refusal(safety) from error


def _laid_out(safety: Safety) -> tuple[int, int, list[int]]:
    """present, points, and the values in the order of the wire."""
    path, radius, confidence = safety.path, safety.radius, safety.confidence
    present = points = 0
    values: list[int] = []
    if safety.events is not None:
        present |= _HAS_EVENTS
        values.append(safety.events)
    if path:
        present |= _HAS_PATH
        points, odd = divmod(len(path), A_POINT)
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
    return present, points, values


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
