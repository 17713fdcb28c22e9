"""What is shown of an event is what was recorded, or why it cannot be shown."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.archive import Archive
from agent.errors import SealError
from agent.events import (
    CapturedFrame,
    DtcSet,
    FramesCaptured,
    ParcelRegistered,
    SignalsSampled,
    VinRead,
    encode,
)
from agent.export.seen import instant, json_line, opened, plain, seen
from agent.privacy import Level
from agent.wallet.seal import Unsealer
from tests.export.made import T0_NS, made, recorded, sampled
from tests.opened import recorded as written

SIGNALS = SignalsSampled.kind
VIN = "JF1VA1A60G9812345"


def test_an_event_is_shown_with_its_place_and_its_fields() -> None:
    assert plain(made(DtcSet("P0301", "7E8"), seq=7)) == {
        "seq": 7,
        "kind": "dtc-set/1",
        "level": 3,
        "t_ns": T0_NS,
        "time": "2023-11-14T22:13:20.123456789Z",
        "boot": 1,
        "code": "P0301",
        "ecu": "7E8",
        "memory": "stored",
    }


def test_bytes_are_hexadecimal_digits_wherever_they_stand() -> None:
    parcel = ParcelRegistered("AB", 3, 1, 2, 3, "CD", 4, b"\x01\xff", b"\x02")
    frames = FramesCaptured("can0", T0_NS, [CapturedFrame(5, 0x7FF, 0, b"\xab\xcd")])

    assert (plain(made(parcel))["custody"], plain(made(parcel))["root"]) == ("01ff", "02")
    assert plain(made(frames, level=Level.LV4))["frames"] == [[5, 0x7FF, 0, "abcd"]]


def test_what_is_sealed_stays_so_without_its_owner(parts: Archive) -> None:
    parts.journal.write(VinRead(VIN, "obd"))
    (event,) = written(parts, VinRead)

    assert plain(seen(event, None))["sealed"] is True
    assert VIN not in json_line(plain(seen(event, None))).decode()
    assert plain(seen(event, parts.unsealer.open))["vin"] == VIN


def test_what_does_not_open_stays_sealed_and_says_why(parts: Archive) -> None:
    parts.journal.write(VinRead(VIN, "obd"))
    (event,) = written(parts, VinRead)
    stranger = Unsealer(parts.keys.owner, parts.unsealer._segments, bytes(32))

    shown = plain(seen(event, stranger.open))

    assert shown["sealed"] is True
    assert "does not open" in shown["unknown"]
    with pytest.raises(SealError):
        opened(event, stranger.open)


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        ("flown/1", b"\x90", "flown/1"),
        ("dtc-set/1", b"\xc1", "dtc-set/1"),
        (SIGNALS, encode(SignalsSampled("o", 0, {"gear": ([1], [])})), "1 times, 0"),
        (SIGNALS, encode(SignalsSampled("o", 0, {"gear": ([-1], [1.0])})), "outside"),
        (
            SignalsSampled.kind,
            encode(SignalsSampled("o", 2**63, {"gear": ([0], [1.0])})),
            "outside",
        ),
        (FramesCaptured.kind, encode(FramesCaptured("o", -1, [])), ">= 0"),
        (
            FramesCaptured.kind,
            encode(FramesCaptured("o", 0, [CapturedFrame(0, 1, 0, bytes(65))])),
            "64",
        ),
    ],
)
def test_what_cannot_be_understood_says_why(kind: str, payload: bytes, reason: str) -> None:
    found = seen(recorded(kind, payload), None)
    assert found.event is None
    assert not found.closed
    assert reason in plain(found)["unknown"]


def test_numbers_that_json_cannot_say_are_null() -> None:
    values = [1.5, float("nan"), float("inf"), float("-inf")]
    line = json_line(plain(sampled("can0", gear=([0, 1, 2, 3], values))))
    assert json.loads(line)["series"] == {"gear": [[0, 1, 2, 3], [1.5, None, None, None]]}


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_instant_tells_every_nanosecond_a_log_can_hold(t_ns: int) -> None:
    date, _, fraction = instant(t_ns).removesuffix("Z").partition(".")
    since = datetime.fromisoformat(date).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert (since.days * 86_400 + since.seconds) * 10**9 + int(fraction) == t_ns
    assert len(fraction) == 9


def test_the_text_form_of_a_frame_does_not_tell_its_data() -> None:
    assert "4a46" not in repr(CapturedFrame(0, 0x7E8, 0, b"JF1V")).lower()
    assert "JF1V" not in repr(CapturedFrame(0, 0x7E8, 0, b"JF1V"))
