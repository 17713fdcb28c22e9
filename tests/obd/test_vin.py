"""A VIN that passes by is found, and nothing else is taken for one."""

from pathlib import Path

import pytest

from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.vin import VinFinder
from tests.obd.recordings import RAV4_LOG, log_files, needs_recordings

VIN = "TMBAA7NE0B0123456"  # made up; in the shape of a real one


def frame(can_id: int, data: bytes, channel: str = "can0") -> CanFrame:
    return CanFrame(can_id, data, 0, channel)


def over_three_ids(vin: str, channel: str = "can0") -> list[CanFrame]:
    text = vin.encode()
    parts = [text[:8], text[8:16], text[16:] + b"\0\0\0\0\1\1\0"]
    return [frame(0x580 + place, part, channel) for place, part in enumerate(parts)]


def in_turns(vin: str, cuts: tuple[int, int], index: int, pad: bytes = b"\0") -> list[CanFrame]:
    text = vin.encode()
    parts = [text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :]]
    return [
        frame(0x40A, bytes([index + turn]) + part.ljust(7, pad)) for turn, part in enumerate(parts)
    ]


@needs_recordings
def test_vin_of_the_recorded_drive_is_found_once() -> None:
    finder = VinFinder()
    [vin] = finder.feed(list(LogFile(RAV4_LOG)))
    assert (len(vin), vin[11:]) == (17, "000000")  # the copy has no serial number


@needs_recordings
@pytest.mark.parametrize(
    "path", [path for path in log_files() if path != RAV4_LOG], ids=lambda path: path.name
)
def test_no_other_recording_seems_to_hold_a_vin(path: Path) -> None:
    assert VinFinder().feed(list(LogFile(path))) == []


def test_vin_over_three_identifiers_is_found_whatever_follows_its_last_character() -> None:
    finder = VinFinder()
    found = [vin for _ in range(4) for vin in finder.feed(over_three_ids(VIN))]
    assert found == [VIN]


@pytest.mark.parametrize(
    ("cuts", "index", "pad"),
    [((7, 14), 0, b"\0"), ((7, 14), 1, b"\xff"), ((6, 12), 0x10, b" "), ((3, 10), 0x10, b"\0")],
)
def test_vin_in_three_turns_of_one_identifier_is_found(
    cuts: tuple[int, int], index: int, pad: bytes
) -> None:
    finder = VinFinder()
    found = [vin for _ in range(3) for vin in finder.feed(in_turns(VIN, cuts, index, pad))]
    assert found == [VIN]


def test_each_channel_reports_its_own() -> None:
    finder = VinFinder()
    both = over_three_ids(VIN, "can0") + over_three_ids(VIN, "can1")
    assert [vin for _ in range(4) for vin in finder.feed(both)] == [VIN, VIN]


def test_seen_once_is_not_enough() -> None:
    assert VinFinder().feed(over_three_ids(VIN)) == []


@pytest.mark.parametrize("text", ["TMBAA7NE0B012345I", "01234567890123456", "AAAAAAAAAAAAAAAAA"])
def test_text_that_cannot_be_a_vin_is_not_one(text: str) -> None:
    finder = VinFinder()
    assert [vin for _ in range(4) for vin in finder.feed(over_three_ids(text))] == []


def test_vin_that_comes_after_other_content_is_found() -> None:
    finder = VinFinder()
    for _ in range(3):
        finder.feed([frame(0x580 + place, bytes(8)) for place in range(3)])
    assert [vin for _ in range(4) for vin in finder.feed(over_three_ids(VIN))] == [VIN]


def test_text_form_shows_nothing() -> None:
    finder = VinFinder()
    for _ in range(4):
        finder.feed(over_three_ids(VIN))
    assert VIN not in repr(finder)
    assert VIN[:8] not in repr(finder)


def test_memory_stays_bounded_on_noise() -> None:
    finder = VinFinder()
    finder.feed([frame(i % 0x700, bytes([i * 7 % 256, 1, 2, 3])) for i in range(90_000)])
    sets = [seen for seen in finder._rejected.values() if isinstance(seen, set)]
    assert len(finder._rejected) <= 0x700
    assert max(map(len, sets), default=0) <= 33
    assert not finder._texts


def test_identifier_that_counted_before_is_looked_at_again_later() -> None:
    finder = VinFinder()
    finder.feed([frame(0x40A, bytes([n % 256, 1, 2, 3])) for n in range(60_000)])
    assert [vin for _ in range(3) for vin in finder.feed(in_turns(VIN, (7, 14), 0))] == []
    finder.feed([frame(0x100, bytes(8))] * 60_000)
    assert [vin for _ in range(3) for vin in finder.feed(in_turns(VIN, (7, 14), 0))] == [VIN]


def test_identifiers_that_may_carry_a_vin_are_suspected_from_their_first_frame_on() -> None:
    finder, parts = VinFinder(), over_three_ids(VIN)
    other = frame(0x123, bytes(8))
    finder.feed([*parts[:2], other])
    assert [finder.suspects(part) for part in parts[:2]] == [True, True]
    finder.feed([other] * 100_001)  # long enough to forget what was seen
    assert finder.suspects(parts[0])
    assert not finder.suspects(other)


def test_a_flood_of_suspects_takes_bounded_memory_and_clears_nobody() -> None:
    finder = VinFinder()
    finder.feed([frame(number, VIN[:8].encode()) for number in range(0x700)] * 2)
    flood = [CanFrame(number, VIN[:8].encode(), 0, "can0", True) for number in range(20_000)]
    finder.feed(flood)
    assert all(finder.suspects(one) for one in flood)
    assert finder.suspects(frame(0x7FF, bytes(8)))
