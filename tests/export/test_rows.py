"""A table has a row for each sample, and one for each event that is no sample."""

import json

from agent.events import DtcSet, VinRead, encode
from agent.export.rows import Row, rows
from agent.export.seen import seen
from agent.privacy import Level
from tests.export.made import T0_NS, made, recorded, sampled


def test_every_sample_has_a_row_with_its_own_time_and_its_unit() -> None:
    event = sampled("can0", speed_vehicle=([0, 7], [12.5, 13.0]), can_Any_thing=([3], [4.0]))
    head = (1, "signals-sampled/1", 3, "can0")
    assert list(rows(event)) == [
        Row(1, T0_NS, *head, "speed.vehicle", 12.5, "m/s"),
        Row(1, T0_NS + 7, *head, "speed.vehicle", 13.0, "m/s"),
        Row(1, T0_NS + 3, *head, "can.Any.thing", 4.0),
    ]


def test_any_other_event_is_one_row_with_its_fields_as_json() -> None:
    (row,) = rows(made(DtcSet("P0301", "7E8"), seq=4))
    assert row[:5] == (4, T0_NS, 1, "dtc-set/1", 3)
    assert (row.origin, row.name, row.value, row.unit) == (None, None, None, None)
    assert json.loads(row.fields or "") == {"code": "P0301", "ecu": "7E8", "memory": "stored"}


def test_a_sealed_event_is_one_row_that_says_so() -> None:
    event = recorded(VinRead.kind, encode(VinRead("JF1", "obd")), level=Level.LV1)
    assert list(rows(seen(event, None))) == [
        Row(1, T0_NS, 1, VinRead.kind, 1, fields='{"sealed":true}')
    ]
