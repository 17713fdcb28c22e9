"""Bodies go as they may: told of first, all of them, and their space comes back."""

from collections.abc import Iterator
from hashlib import sha3_512
from pathlib import Path

import pytest

from agent.errors import LogCorruptError
from agent.events import BodiesPruned, decode
from agent.eventstore import pruner
from agent.eventstore.log import Recorded
from agent.eventstore.pruner import Pruner
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Facts, Ranges
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import verify
from agent.privacy import Level
from tests.eventstore.conftest import body_of, draft, fill, put_body, tampering
from tests.eventstore.sealed import Car, checked
from tests.eventstore.stocked import announce, bodies, facts, prune, sealed_through, unheld


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    """Seals behind blocks 1 to 3 and 5 to 6; each is told of in the next block."""
    with Car(tmp_path / "state") as opened:
        opened.drive(100, 57, 1)
        opened.drive(255, 300)
        yield opened


def told(log: SqliteLog) -> list[BodiesPruned]:
    return [event for e in log.read() if isinstance(event := _known(e), BodiesPruned)]


def _known(recorded: Recorded) -> object:
    return decode(recorded.kind, recorded.payload) if "pruned" in recorded.kind else None


def test_what_is_sealed_goes_and_the_log_holds(car: Car) -> None:
    assert prune(car.log, car.state) == 6

    assert bodies(car.state) == [7, 8]
    assert [(event.first, event.last) for event in told(car.log)] == [(1, 6)]
    car.drive(10)
    assert checked(car.state, keys=car.owners()).seals == 3
    assert verify(car.state / EVENTS).verdict == "intact"


def test_a_start_on_a_pruned_log_goes_on_from_its_tree(car: Car) -> None:
    prune(car.log, car.state)
    car.sealer = car.new_sealer()
    car.drive(3)
    assert verify(car.state / EVENTS).verdict == "intact"


def test_blocks_that_stay_part_those_that_go(car: Car) -> None:
    known = facts(sealed=sealed_through(car.state), held=lambda first, last: first <= 300 <= last)

    assert prune(car.log, car.state, known) == 5

    assert bodies(car.state)[0] == 5
    assert [(event.first, event.last) for event in told(car.log)] == [(1, 4), (6, 6)]
    assert verify(car.state / EVENTS).verdict == "intact"


def test_no_more_go_at_once_than_the_writer_can_wait_for(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "AT_ONCE", 4)
    assert prune(car.log, car.state) == 6
    assert [(event.first, event.last) for event in told(car.log)] == [(1, 4), (5, 6)]
    assert verify(car.state / EVENTS).verdict == "intact"


def test_a_pass_that_takes_nothing_is_spread_over_steps_all_the_same(
    car: Car, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "LOOK", 3)
    stays = facts(sealed=sealed_through(car.state), held=lambda _first, _last: True)
    one = Pruner(car.log, car.state / EVENTS, announce(car.log))
    assert list(one.prune(stays)) == [0, 0], "of seven blocks"


def test_young_block_ends_the_pass_but_not_one_of_a_clock_that_stood_ahead(car: Car) -> None:
    known = facts(sealed=sealed_through(car.state), keep_ns=10**30)
    assert prune(car.log, car.state, known) == 0
    ahead = facts(now_ns=0, keep_ns=1)
    assert prune(car.log, car.state, ahead) == 0


def test_what_waited_is_looked_at_again_and_what_went_is_not(car: Car) -> None:
    looked: list[tuple[int, int]] = []

    def held(first: int, last: int) -> bool:
        looked.append((first, last))
        return first == 159 and len(looked) < 5

    one = Pruner(car.log, car.state / EVENTS, announce(car.log))
    sealed = sealed_through(car.state)
    assert sum(one.prune(facts(sealed=sealed, held=held))) == 5
    looked.clear()
    assert sum(one.prune(facts(sealed=sealed, held=unheld))) == 1
    assert sum(one.prune(facts(sealed=sealed, held=held))) == 0
    assert looked == []


def test_what_stays_for_good_is_passed_over_and_a_log_that_ends_under_its_seal_goes_whole(
    tmp_path: Path,
) -> None:
    with Car(tmp_path / "state") as car:
        one = Pruner(car.log, car.state / EVENTS, announce(car.log))
        fill(car.log, 5, 5)
        car.sealer.seal()
        stays = facts(sealed=sealed_through(car.state), nowhere=frozenset({draft().kind}))
        assert [sum(one.prune(stays)) for _ in range(2)] == [0, 0]
        rot(car, 1)
        fill(car.log, 5, 5)
        car.sealer.seal()

        assert sum(one.prune(facts(sealed=sealed_through(car.state)))) == 2

        assert bodies(car.state) == [1, 2, 5]


def rot(car: Car, no: int) -> None:
    with tampering(car.state / EVENTS) as connection:
        put_body(connection, no, b"?")


@pytest.mark.parametrize(
    "known",
    [facts(keep_ns=10**30), facts(stored={Level.LV3: Ranges([(1, 100)])})],
    ids=["young", "not stored"],
)
def test_nothing_is_read_behind_what_cannot_go_yet(car: Car, known: Facts) -> None:
    rot(car, 3)
    assert prune(car.log, car.state, known) == (0 if known.keep_ns else 1)


def test_rt_38_cut_between_the_event_and_the_bodies_is_no_fault_and_is_gone_on_with(
    car: Car,
) -> None:
    class CutError(Exception):
        pass

    def write_and_die(event: BodiesPruned) -> None:
        announce(car.log)(event)
        raise CutError

    known = facts(sealed=sealed_through(car.state))
    with pytest.raises(CutError):
        sum(Pruner(car.log, car.state / EVENTS, write_and_die).prune(known))
    assert len(bodies(car.state)) == 8
    assert verify(car.state / EVENTS).verdict == "intact"

    assert prune(car.log, car.state) == 6
    assert [(event.first, event.last) for event in told(car.log)] == [(1, 6), (1, 6)]
    assert verify(car.state / EVENTS).verdict == "intact"


def test_rt_45_body_that_rotted_is_kept_for_diagnosis(car: Car) -> None:
    with tampering(car.state / EVENTS) as connection:
        put_body(connection, 2, body_of(connection, 2)[:-1] + b"?")
    with pytest.raises(LogCorruptError, match="block 2"):
        prune(car.log, car.state)
    assert 2 in bodies(car.state)


def test_space_is_given_back_and_the_write_ahead_log_stays_small(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Car(state) as car:
        for number in range(600):
            car.log.append([draft(payload=sha3_512(b"%d" % number).digest())] * 20 * 2)
            payloads = (sha3_512(b"%d %d" % (number, i)).digest() for i in range(20))
            car.log.append([draft(payload=payload) for payload in payloads])
        car.drive(1)
        _folded_in(car.log)
        before = (state / EVENTS).stat().st_size
        assert prune(car.log, state) == 1201
        assert (state / f"{EVENTS}-wal").stat().st_size < 8 * 1024 * 1024
    after = (state / EVENTS).stat().st_size
    with LogReader.open(state / EVENTS) as reader:
        assert reader.last_block() == 1201 + 1 + 7
    assert after < before * 0.6
    assert verify(state / EVENTS).verdict == "intact"


def _folded_in(log: SqliteLog) -> None:
    connection = log._connected()
    connection.wal_checkpoint()
