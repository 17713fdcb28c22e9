"""Signals of a recorded drive go into a parcel and come back, bit for bit."""

import gzip
import math
from itertools import islice
from pathlib import Path

import pytest
from cantools.database.can import Database

from agent.events import SignalsSampled, encode
from agent.parcel.chunk import build, open_parcel
from agent.parcel.series import Row
from agent.privacy import Level

DATA = Path(__file__).parents[2].parent / "shared" / "data"
LOG = DATA / "can" / "toyota-rav4-2018-08-02" / "can.log.gz"
DBC = DATA / "dbc" / "opendbc" / "toyota_new_mc_pt_generated.dbc"
FRAMES = 4000

Series = dict[str, tuple[list[int], list[float]]]


def frames() -> list[tuple[int, int, bytes]]:
    """(UTC nanoseconds, identifier, data)"""
    with gzip.open(LOG, "rt", encoding="ascii") as lines:
        parts = [line.split() for line in islice(lines, FRAMES)]
    times = [int(stamp.strip("()").replace(".", "")) * 1000 for stamp, _, _ in parts]
    split = [frame.split("#") for _, _, frame in parts]
    return [(t, int(i, 16), bytes.fromhex(d)) for t, (i, d) in zip(times, split, strict=True)]


def ticks() -> list[Series]:
    """Signals of every 100 ms."""
    database = Database(strict=False)
    database.add_dbc_file(DBC)
    known = {message.frame_id: message for message in database.messages}
    found: dict[int, Series] = {}
    for t_ns, frame_id, data in frames():
        message = known.get(frame_id)
        if message is None or len(data) < message.length:
            continue
        tick = found.setdefault(t_ns // 10**8, {})
        for name, value in message.decode_simple(data, decode_choices=False).items():
            assert isinstance(value, int | float)
            times, values = tick.setdefault(f"can.{message.name}.{name}", ([], []))
            times.append(t_ns % 10**8)
            values.append(float(value))
    return list(found.values())


@pytest.mark.skipif(not LOG.exists(), reason="the recorded drive is not beside the repository")
def test_a_recorded_drive_comes_back_bit_for_bit_and_much_smaller() -> None:
    drive = ticks()
    rows: list[Row] = []
    expected: dict[str, list[tuple[int, int, float]]] = {}
    for seq, series in enumerate(drive):
        event = SignalsSampled(origin="can0", t0_ns=seq * 10**8, series=series)
        rows.append((seq, 0, SignalsSampled.kind, encode(event)))
        for name, (times, values) in series.items():
            samples = [(seq, seq * 10**8 + t, v) for t, v in zip(times, values, strict=True)]
            expected.setdefault(name, []).extend(samples)
    data = build(rows, device=b"", level=Level.LV1, first_seq=0, last_seq=len(rows), previous=None)
    found = {c.header.metric: [tuple(r) for r in c.records()] for c in open_parcel(data).chunks}
    assert len(found) > 50
    assert found == expected
    assert not any(math.isnan(v) for samples in expected.values() for _, _, v in samples)
    assert len(data) < sum(len(payload) for _, _, _, payload in rows) / 2
