import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND, ClockQuality
from agent.errors import MalformedInputError, SealError, UsageError
from agent.eventstore import places as module
from agent.eventstore.log import Recorded
from agent.eventstore.places import EVERYWHERE, Box, Places
from agent.privacy import Level

KIND = "position-fixed/1"
T0_NS = 1_750_000_000 * SECOND


def unsealed(level: Level, kind: str, payload: bytes) -> bytes:
    """Stands for the owner's key: what is sealed begins with the level."""
    if payload[:1] != bytes((level,)) or kind != KIND:
        raise SealError(f"{kind} does not open")
    return payload[1:]


def located(clear: bytes) -> tuple[float, float] | None:
    if len(clear) != 16:
        raise MalformedInputError(f"{len(clear)} bytes; a position has 16")
    latitude, longitude = struct.unpack(">dd", clear)
    return None if latitude == 0 else (latitude, longitude)


def event(
    seq: int, latitude: float, longitude: float, *, t_ns: int = T0_NS, kind: str = KIND
) -> Recorded:
    payload = b"\x02" + struct.pack(">dd", latitude, longitude)
    return Recorded(seq, kind, Level.LV2, t_ns, 0, 1, ClockQuality.GNSS, payload)


@pytest.fixture
def places() -> Iterator[Places]:
    with Places(unsealed, {KIND: located}) as opened:
        yield opened


def found(places: Places, box: Box = EVERYWHERE, *time: int) -> list[int]:
    return [place.seq for place in places.within(box, *time)]


def test_events_are_found_by_place(places: Places) -> None:
    places.add([event(1, 48.0, 11.0), event(2, 48.5, 11.5), event(3, -48.5, -11.5)])
    assert found(places, Box(48.2, 11.0, 49.0, 12.0)) == [2]
    assert found(places, Box(-90, -180, 0, 0)) == [3]
    assert found(places) == [1, 2, 3]


def test_events_are_found_by_time_to_the_nanosecond(places: Places) -> None:
    places.add([event(seq, 48.0, 11.0, t_ns=T0_NS + seq) for seq in range(1, 6)])
    assert found(places, EVERYWHERE, T0_NS + 2, T0_NS + 4) == [2, 3, 4]


def test_clock_that_is_off_by_centuries_hides_no_event(places: Places) -> None:
    ends = (-(2**63), 2**63 - 1)
    places.add([event(seq, 48.0, 11.0, t_ns=t_ns) for seq, t_ns in enumerate(ends, 1)])
    assert [found(places, EVERYWHERE, t_ns, t_ns) for t_ns in ends] == [[1], [2]]


def test_box_across_the_180th_meridian_is_one_box(places: Places) -> None:
    places.add([event(1, 1.0, 179.9), event(2, 1.0, -179.9), event(3, 1.0, 0.0)])
    assert found(places, Box(0.0, 179.0, 2.0, -179.0)) == [1, 2]


degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(st.lists(degrees, min_size=1, max_size=20), degrees, degrees)
def test_box_has_exactly_what_lies_in_it(
    points: list[tuple[float, float]], one: tuple[float, float], other: tuple[float, float]
) -> None:
    (south, north), (west, east) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    with Places(unsealed, {KIND: located}) as places:
        places.add([event(seq, *point) for seq, point in enumerate(points)])
        expected = [
            seq
            for seq, (latitude, longitude) in enumerate(points)
            if latitude and south <= latitude <= north and west <= longitude <= east
        ]
        assert found(places, Box(south, west, north, east)) == expected


def test_event_that_does_not_open_or_tells_no_place_is_counted(places: Places) -> None:
    shut = Recorded(1, KIND, Level.LV1, T0_NS, 0, 1, ClockQuality.GNSS, b"\x02")
    broken = Recorded(2, KIND, Level.LV2, T0_NS, 0, 1, ClockQuality.GNSS, b"\x02...")
    nowhere = (event(3, 0.0, 0.0), event(4, 91.0, 0.0), event(5, float("nan"), 1.0))
    places.add([shut, broken, *nowhere, event(6, 1.0, 1.0), event(7, 1.0, 1.0, kind="other/1")])
    assert (places.placed, places.shut, places.unplaced) == (1, 1, 4)
    assert found(places) == [6]


def test_clear_event_is_none_of_this_index(places: Places) -> None:
    clear = Recorded(1, KIND, Level.LV3, T0_NS, 0, 1, ClockQuality.GNSS, b"\x03" + bytes(16))
    places.add([clear])
    assert (places.placed, places.shut, places.unplaced) == (0, 0, 0)


def test_more_places_than_memory_is_kept_for_are_refused(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    with pytest.raises(UsageError, match="more than 2 places"):
        places.add([event(seq, 1.0, 1.0) for seq in range(3)])
    assert found(places) == [0, 1]


def test_place_is_in_no_message_and_in_no_file(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    places.add([event(seq, 48.1 + seq / 1e5, 11.5) for seq in range(1_000)])
    assert "48.1" not in repr(places.within())
    assert list(tmp_path.iterdir()) == []
