"""The owner's rules are found in the log by their owner alone, and count what they granted."""

import pytest

from agent.archive import Archive
from agent.clock import ManualClock
from agent.errors import ConfigError, MalformedInputError, SealError
from agent.events import ConsentGranted, ConsentRefused, PolicySet, PositionFixed
from agent.eventstore.readmodel import ReadModel
from agent.privacy import Level
from agent.rules import DAY_NS, history, last_policy, places, set_policy
from agent.upload import NOT_IN_PARCELS
from agent.wallet.areas import Area, Fit
from agent.wallet.consent import History, Used
from agent.wallet.policy import NO_RULES
from tests.conftest import START_NS

HOME = (37.5665, 126.978)
TEXT = f"""version = 1
[[rule]]
name = "home"
verdict = "refuse"
levels = [2, 3]
area = {{lat = {HOME[0]}, lon = {HOME[1]}, radius_m = 500, inside = true}}
"""
NEAR_HOME = Area(lat=HOME[0], lon=HOME[1], radius_m=500, inside=True)


class Unknown(ManualClock):
    """Of a board whose clock was never set."""

    quality = type(ManualClock.quality).UNKNOWN


def model_of(parts: Archive) -> ReadModel:
    parts.journal.flush()
    model = ReadModel.in_memory()
    model.catch_up(parts.log)
    return model


def policy(parts: Archive) -> str:
    return last_policy(parts.log, model_of(parts), parts.unsealer)


def fix(parts: Archive, latitude_deg: float) -> int:
    """Record one position; the sequence number of its event."""
    at = PositionFixed(START_NS, latitude_deg, HOME[1], None, None, None, None, None, None)
    parts.journal.write(at)
    parts.journal.flush()
    return parts.log.head().seq


def test_the_policy_set_last_holds(parts: Archive) -> None:
    assert policy(parts) == NO_RULES
    set_policy(TEXT, parts.journal)
    assert policy(parts) == TEXT
    set_policy(NO_RULES, parts.journal)
    assert policy(parts) == NO_RULES


def test_what_is_no_policy_does_not_get_into_the_log(parts: Archive) -> None:
    set_policy(TEXT, parts.journal)
    with pytest.raises(ConfigError, match="version"):
        set_policy("", parts.journal)
    assert policy(parts) == TEXT


def test_it_is_sealed_for_the_owner_and_in_no_parcel_and_no_text(parts: Archive) -> None:
    set_policy(TEXT, parts.journal)
    (stored,) = [e for e in parts.log.read() if e.kind == PolicySet.kind]
    assert stored.level is Level.LV1
    assert b"home" not in stored.payload
    assert PolicySet.kind in NOT_IN_PARCELS
    assert "home" not in repr(PolicySet(TEXT))


def test_an_erased_policy_leaves_no_rules(parts: Archive, clock: ManualClock) -> None:
    set_policy(TEXT, parts.journal)
    clock.advance(DAY_NS)
    plan = parts.eraser.plan(Level.LV1, 0, START_NS + 1, lambda *_: None)
    assert parts.eraser.carry_out(plan, "owner")
    assert policy(parts) == NO_RULES


def test_grants_are_counted_by_rule_in_all_and_within_a_day(
    parts: Archive, clock: ManualClock
) -> None:
    for number in range(3):
        parts.journal.write(ConsentGranted(f"{number:02}", "B", "home", ""))
        clock.advance(DAY_NS // 2)
    parts.journal.write(ConsentGranted("03", "B", "owner", ""))
    parts.journal.write(ConsentRefused("04", "B", "home"))
    now_ns = START_NS + 3 * (DAY_NS // 2)
    assert history(model_of(parts), clock) == History(
        now_ns, {"home": Used(3, 1), "owner": Used(1, 1)}
    )


def test_a_clock_that_was_set_back_frees_no_grant_of_the_day(parts: Archive) -> None:
    parts.journal.write(ConsentGranted("01", "B", "home", ""))
    early = ManualClock(START_NS - 9 * DAY_NS)
    assert history(model_of(parts), early).used == {"home": Used(1, 1)}


def test_a_clock_that_knows_no_time_tells_none(parts: Archive) -> None:
    assert history(model_of(parts), Unknown(5)).now_ns is None


def test_places_are_those_of_the_range_of_the_log(parts: Archive) -> None:
    first, second, third = fix(parts, HOME[0]), fix(parts, HOME[0] + 0.001), fix(parts, 38.0)

    def fit(from_seq: int, to_seq: int) -> Fit:
        return places(parts.log, parts.unsealer, from_seq, to_seq)(NEAR_HOME)

    assert fit(first, second) is Fit.ALL
    assert fit(first, third) is Fit.SOME
    assert fit(third, third) is Fit.NONE
    assert fit(1, first - 1) is Fit.UNKNOWN


@pytest.mark.parametrize("error", [SealError("gone"), MalformedInputError("odd")])
def test_a_place_that_does_not_open_makes_all_unknown(parts: Archive, error: Exception) -> None:
    class Closed:
        def open(self, level: Level, kind: str, sealed: bytes) -> bytes:
            del level, kind, sealed
            raise error

    seq = fix(parts, HOME[0])
    assert places(parts.log, Closed(), seq, seq)(NEAR_HOME) is Fit.UNKNOWN
