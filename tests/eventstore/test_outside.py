"""What lies outside is known from the log alone."""

from pathlib import Path

import pytest

from agent.errors import LogCorruptError
from agent.events import (
    DtcSet,
    Event,
    ParcelChecked,
    ParcelRegistered,
    RangeHeld,
    RangeReleased,
    encode,
)
from agent.eventstore import outside
from agent.eventstore.log import Draft
from agent.eventstore.outside import Outside
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.privacy import Level
from tests.eventstore.conftest import body_of, draft, put_body, tampering


def sent(name: str, first: int, last: int, *, level: int = 3, digest: bytes = b"d") -> Event:
    return ParcelRegistered(name, level, first, last, 9, "TX", 7, b"", b"", digest)


def checked(name: str, *, equal: bool, level: int = 3) -> Event:
    return ParcelChecked(name, level, 0, 0, equal)


def known(log: SqliteLog, *events: Event) -> Outside:
    for event in events:
        log.append([draft(kind=event.kind, payload=encode(event))])
    found = Outside()
    while not caught_up(found, log):
        pass
    return found


def caught_up(found: Outside, log: SqliteLog) -> bool:
    with LogReader.open(log._path) as reader:
        return found.catch_up(reader)


def names(receipts: list[ParcelRegistered]) -> list[str]:
    return [receipt.parcel_id for receipt in receipts]


def test_rt_86_a_receipt_alone_says_nothing_of_what_is_stored(log: SqliteLog) -> None:
    found = known(log, sent("A", 1, 9), sent("B", 1, 9, level=1))
    assert not any(ranges.last for ranges in found.stored().values())
    assert names(found.due()) == ["A", "B"]


def test_parcel_that_was_read_back_is_stored_for_its_level(log: SqliteLog) -> None:
    found = known(log, sent("A", 1, 9), sent("B", 5, 12, level=1), checked("A", equal=True))
    stored = found.stored()
    assert [seq in stored[Level.LV3] for seq in (1, 9, 10)] == [True, True, False]
    assert 5 not in stored[Level.LV1]
    assert names(found.due()) == ["B"]


def test_parcel_that_is_not_what_was_sent_is_lost_and_not_stored(log: SqliteLog) -> None:
    found = known(log, sent("A", 1, 9), checked("A", equal=False))
    assert 1 not in found.stored()[Level.LV3]
    assert names(found.lost()) == ["A"]
    assert found.due() == []


def test_what_was_sent_in_its_place_counts_and_is_not_lost_a_third_time(log: SqliteLog) -> None:
    found = known(
        log, sent("A", 1, 9), sent("C", 10, 20), checked("A", equal=False), sent("B", 1, 9)
    )
    assert found.lost() == []
    assert names(found.due()) == ["C", "B"]
    log.append([_draft(checked("B", equal=False))])
    assert caught_up(found, log)
    assert found.lost() == []
    assert 1 not in found.stored()[Level.LV3]


def _draft(event: Event) -> Draft:
    return draft(kind=event.kind, payload=encode(event))


def test_receipt_from_before_there_were_digests_is_never_read_back(log: SqliteLog) -> None:
    assert known(log, sent("A", 1, 9, digest=b"")).due() == []


def test_holds_in_force_are_known(log: SqliteLog) -> None:
    found = known(log, RangeHeld(1, 5, "crash"), RangeHeld(8, 9, "claim"), RangeReleased(1))
    assert [found.held(*pair) for pair in ((1, 5), (1, 8), (9, 20))] == [False, True, True]


def test_it_goes_on_where_it_stood(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "AT_ONCE", 2)
    found = known(log, DtcSet("P0301", "7E8"), sent("A", 1, 9), DtcSet("P0301", "7E8"))
    assert names(found.due()) == ["A"]
    known_before = found.holds
    log.append([_draft(RangeHeld(1, 5, "crash"))])
    assert caught_up(found, log)
    assert list(known_before) == [4]


def test_body_that_cannot_be_read_might_tell_of_a_hold(log: SqliteLog, state: Path) -> None:
    log.append([_draft(RangeHeld(1, 5, "crash"))])
    with tampering(state / EVENTS) as connection:
        put_body(connection, 1, body_of(connection, 1)[:-3])
    with pytest.raises(LogCorruptError):
        known(log)
