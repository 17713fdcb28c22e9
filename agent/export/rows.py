"""The log as one table: a row for each sample, and one for each event that is no sample."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.events import SignalsSampled
from agent.export.seen import Seen, content, json_line
from agent.obd.units import SIGNAL_UNITS


class Row(NamedTuple):
    """
    t_ns:   of the sample, or of the event
    origin, name, value, unit: of a sample; unit is None where the DBC file alone knows it
    fields: of any other event, as JSON
    """

    seq: int
    t_ns: int
    boot: int
    kind: str
    level: int
    origin: str | None = None
    name: str | None = None
    value: float | None = None
    unit: str | None = None
    fields: str | None = None


def rows(what: Seen) -> Iterator[Row]:
    recorded, event = what.recorded, what.event
    seq, boot, kind, level = recorded.seq, recorded.boot, recorded.kind, int(recorded.level)
    if not isinstance(event, SignalsSampled):
        fields = json_line(content(what)).decode()
        yield Row(seq, recorded.t_ns, boot, kind, level, fields=fields)
        return
    t0_ns, origin = event.t0_ns, event.origin
    for name, (offsets, values) in event.series.items():
        unit = SIGNAL_UNITS.get(name)
        for offset, value in zip(offsets, values, strict=True):
            yield Row(seq, t0_ns + offset, boot, kind, level, origin, name, value, unit)
