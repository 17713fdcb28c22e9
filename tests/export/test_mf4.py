"""MDF files that asammdf, the usual reader of them, reads back sample for sample."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asammdf
import pytest

from agent.export.mdf import PART_RECORDS
from agent.export.mf4 import write
from agent.export.seen import Seen
from tests.export.made import T0_NS, sampled

SECOND = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drive.mf4"


def written(path: Path, events: Iterable[Seen]) -> Any:
    with path.open("wb") as file:
        write(events, file)
    return asammdf.MDF(path)


def signals(mdf: Any) -> list[tuple[str, str, str, list[int], list[float]]]:
    """(origin, name, unit, times in ns from the start, values) of each group, in order."""
    found = []
    for number, group in enumerate(mdf.groups):
        _, channel = group.channels
        raw = mdf.get("time", group=number, raw=True)
        signal = mdf.get(channel.name, group=number)
        assert [t / SECOND for t in raw.samples.tolist()] == pytest.approx(signal.timestamps)
        name = (group.channel_group.acq_source.name, channel.name, signal.unit)
        found.append((*name, raw.samples.tolist(), signal.samples.tolist()))
    return found


def test_signals_come_back_in_groups_by_origin_with_unit_time_and_value(path: Path) -> None:
    mdf = written(
        path,
        [
            sampled("can0", speed_vehicle=([0, 50], [12.5, -0.0]), can_Any_thing=([3], [4.0])),
            sampled("obd", T0_NS + 100, speed_vehicle=([0], [5e-324])),
            sampled("can0", T0_NS + SECOND, speed_vehicle=([1], [float("inf")])),
        ],
    )
    assert mdf.version == "4.10"
    assert signals(mdf) == [
        ("can0", "speed.vehicle", "m/s", [0, 50, SECOND + 1], [12.5, -0.0, float("inf")]),
        ("can0", "can.Any.thing", "", [3], [4.0]),
        ("obd", "speed.vehicle", "m/s", [100], [5e-324]),
    ]


def test_the_file_says_when_it_begins(path: Path) -> None:
    mdf = written(path, [sampled("can0", gear=([0], [1.0]))])
    assert mdf.start_time.timestamp() == pytest.approx(T0_NS / SECOND, abs=1e-6)
    assert mdf.start_time.utcoffset().total_seconds() == 0
    assert mdf.header.abs_time == T0_NS


def test_a_signal_of_many_parts_is_whole(path: Path) -> None:
    n = 2 * PART_RECORDS + 5
    events = [sampled("can0", T0_NS + i * SECOND, gear=([0], [float(i)])) for i in range(n)]
    ((_, _, _, times, values),) = signals(written(path, events))
    assert times == [i * SECOND for i in range(n)]
    assert values == [float(i) for i in range(n)]


def test_a_clock_that_was_set_back_begins_a_new_group(path: Path) -> None:
    mdf = written(
        path,
        [
            sampled("can0", gear=([0, 9], [1.0, 2.0])),
            sampled("can0", T0_NS - 5, gear=([0, 0, 2], [3.0, 4.0, 5.0])),
        ],
    )
    times = [times for _, _, _, times, _ in signals(mdf)]
    assert sorted(times) == [[-5, -5, -3], [0, 9]]


@pytest.mark.parametrize("events", [[], [sampled("can0", gear=([], []))]])
def test_without_samples_the_file_is_whole_and_empty(path: Path, events: list[Seen]) -> None:
    assert signals(written(path, events)) == []


def test_no_number_stays_no_number(path: Path) -> None:
    ((_, _, _, _, values),) = signals(written(path, [sampled("can0", gear=([0], [float("nan")]))]))
    assert str(values) == "[nan]"


def test_every_link_leads_to_a_block_and_every_block_is_linked_to(path: Path) -> None:
    speed = ([0], [2.0])
    events = [sampled("can0", T0_NS + i, gear=([0], [1.0]), speed_vehicle=speed) for i in (0, 9, 4)]
    written(path, events).close()
    data = path.read_bytes()
    assert data[:16] == b"MDF     4.10    "
    blocks = dict(_blocks(data))
    reached: set[int] = set()
    ahead = [64]
    while ahead:
        at = ahead.pop()
        if at not in reached:
            reached.add(at)
            ahead += [link for link in blocks[at] if link]
    assert reached == set(blocks)


def _blocks(data: bytes) -> Iterable[tuple[int, tuple[int, ...]]]:
    """Where each block begins and what it links to, from the head to the end of the file."""
    at = 64
    while at < len(data):
        name, length, links = struct.unpack_from("<4s4xQQ", data, at)
        assert name[:2] == b"##"
        assert length >= 24 + 8 * links
        yield at, struct.unpack_from(f"<{links}Q", data, at + 24)
        at += -(-length // 8) * 8
    assert at == len(data)
