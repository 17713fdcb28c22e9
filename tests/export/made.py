"""Events as a reader of a log meets them: encoded, with a place, and decoded again."""

from agent.clock import ClockQuality
from agent.events import Event, SignalsSampled, encode
from agent.eventstore.log import Recorded
from agent.export.seen import Seen, seen
from agent.privacy import Level

T0_NS = 1_700_000_000_123_456_789


def recorded(
    kind: str, payload: bytes, *, seq: int = 1, t_ns: int = T0_NS, level: Level = Level.LV3
) -> Recorded:
    return Recorded(seq, kind, level, t_ns, 0, 1, ClockQuality.GNSS, payload)


def made(event: Event, *, seq: int = 1, t_ns: int = T0_NS, level: Level = Level.LV3) -> Seen:
    found = seen(recorded(event.kind, encode(event), seq=seq, t_ns=t_ns, level=level), None)
    assert found.event == event or "nan" in repr(event)
    return found


def sampled(origin: str, t0_ns: int = T0_NS, **series: tuple[list[int], list[float]]) -> Seen:
    """`speed_vehicle` stands for speed.vehicle."""
    named = {name.replace("_", "."): columns for name, columns in series.items()}
    return made(SignalsSampled(origin, t0_ns, named))
