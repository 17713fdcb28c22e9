"""What an erasure reaches: whole segments around the time asked for, and nothing beside them."""

import pytest

from agent.clock import SECOND, ClockQuality
from agent.events import ConsentGranted, DtcSet, Event, ParcelRegistered, RangeHeld, encode
from agent.eventstore.holds import Hold
from agent.eventstore.log import Recorded
from agent.privacy import Level
from agent.survey import Parcel, Plan, Run, Survey
from agent.wallet.seal import bound, seal_with


def sealed_in(segment: int, seq: int, t_s: int, level: Level = Level.LV1) -> Recorded:
    payload = seal_with(
        bytes(32), segment, bytes(24), b"secret", bound(b"log", level, "vin-read/1")
    )
    return Recorded(seq, "vin-read/1", level, t_s * SECOND, 0, 1, ClockQuality.FREE, payload)


def clear(seq: int, event: Event, t_s: int = 0) -> Recorded:
    payload = encode(event)
    return Recorded(seq, event.kind, event.level, t_s * SECOND, 0, 1, ClockQuality.FREE, payload)


def receipt(seq: int, first: int, last: int, level: Level = Level.LV1) -> Recorded:
    name = f"{first:010X}"
    return clear(seq, ParcelRegistered(name, level, first, last, 9, "AB", 1, b"", b""))


def plan(*events: Recorded, since_s: int, until_s: int, kept: list[int] | None = None) -> Plan:
    survey = Survey(Level.LV1, since_s * SECOND, until_s * SECOND)
    for event in events:
        survey.take(event)
    return survey.plan([1, 2, 3, 4, 5] if kept is None else kept)


FIVE = [sealed_in(n, n, 600 * n) for n in (1, 2, 3, 4, 5)]
"""One event in each of five segments, at 600 s, 1200 s and so on."""


def segments(found: Plan) -> list[tuple[int, int]]:
    return [(run.first_segment, run.last_segment) for run in found.runs]


def test_segments_with_an_event_of_that_time_go_whole() -> None:
    whole = [sealed_in(2, 1, 1200), sealed_in(2, 2, 1500), sealed_in(2, 3, 1799)]
    found = plan(*whole, since_s=1400, until_s=1600)
    assert found.runs == (Run(2, 2, 1, 1, 3, 3, 1200 * SECOND, 1799 * SECOND),)


def test_both_ends_of_the_time_belong_to_it() -> None:
    assert segments(plan(*FIVE, since_s=1200, until_s=2400)) == [(2, 4)]
    assert segments(plan(*FIVE, since_s=1201, until_s=2399)) == [(3, 3)]


def test_nothing_is_reached_where_nothing_of_the_level_was_recorded() -> None:
    other = sealed_in(1, 1, 600, Level.LV2)
    assert plan(other, since_s=0, until_s=9000) == Plan(Level.LV1, (), (), None)


def test_a_segment_between_that_is_not_reached_keeps_its_key() -> None:
    stepped = [sealed_in(1, 1, 600), sealed_in(2, 2, 90_000), sealed_in(3, 3, 650)]
    assert segments(plan(*stepped, since_s=600, until_s=700)) == [(1, 1), (3, 3)]


def test_segments_without_a_key_between_two_make_no_second_run() -> None:
    assert segments(plan(FIVE[0], FIVE[4], since_s=0, until_s=9000, kept=[1, 5])) == [(1, 5)]
    assert [run.keys for run in plan(*FIVE, since_s=0, until_s=9000).runs] == [5]


def test_what_was_erased_before_is_not_reached_again() -> None:
    assert segments(plan(*FIVE, since_s=0, until_s=9000, kept=[3, 4])) == [(3, 4)]
    assert plan(*FIVE, since_s=0, until_s=9000, kept=[]).runs == ()


def test_parcels_of_the_range_are_named_with_everybody_who_was_let_in() -> None:
    events = [*FIVE, receipt(6, 1, 2), receipt(7, 3, 5), receipt(8, 1, 5, Level.LV2)]
    grants = [ConsentGranted("0000000003", name, "owner", "AB") for name in ("KIM", "LEE")]
    events += [clear(9 + n, grant) for n, grant in enumerate(grants)]
    found = plan(*events, since_s=1800, until_s=9000)
    assert found.parcels == (Parcel("0000000003", 3, 5, ("KIM", "LEE")),)


def test_rt_70_a_hold_on_any_of_its_events_is_found() -> None:
    events = [*FIVE, clear(6, RangeHeld(4, 4, "crash"))]
    assert plan(*events, since_s=2000, until_s=9000).hold == Hold(6, 4, 4, "crash")
    assert plan(*events, since_s=0, until_s=1900).hold is None


PRUNED = [FIVE[0], FIVE[4]]
"""Events 2 to 4 were pruned."""


@pytest.mark.parametrize(("since_s", "until_s"), [(1200, 1300), (700, 800), (2900, 2950)])
def test_pruned_events_that_may_be_of_that_time_lose_every_key_they_may_have(
    since_s: int, until_s: int
) -> None:
    [run] = plan(*PRUNED, since_s=since_s, until_s=until_s).runs
    assert run == Run(1, 5, 5, 1, 5, 2, 600 * SECOND, 3000 * SECOND)


def test_pruned_events_of_another_time_keep_their_keys() -> None:
    later = [*PRUNED, sealed_in(6, 6, 9000)]
    found = plan(*later, since_s=8000, until_s=9000, kept=[1, 2, 3, 4, 5, 6])
    assert segments(found) == [(6, 6)]


def test_events_pruned_from_the_beginning_are_as_old_as_may_be() -> None:
    events = [clear(100, DtcSet("P0301", "7E8"), 3000), sealed_in(5, 101, 3000)]
    [run] = plan(*events, since_s=0, until_s=1).runs
    assert (run.first_segment, run.last_segment, run.first_seq, run.events) == (1, 5, 1, 1)


def test_times_of_pruned_events_alone_are_not_made_up() -> None:
    events = [clear(100, DtcSet("P0301", "7E8"), 3000)]
    assert plan(*events, since_s=0, until_s=1, kept=[1]).runs == (
        Run(1, 1, 1, 1, 99, 0, None, None),
    )


def test_parcels_of_pruned_events_are_named() -> None:
    events = [clear(100, DtcSet("P0301", "7E8"), 3000), receipt(101, 1, 50)]
    assert [p.last_seq for p in plan(*events, since_s=0, until_s=1, kept=[1]).parcels] == [50]
