"""Bodies that are gone and that the log does not tell of are tampering."""

from pathlib import Path

import pytest

from agent.events import BodiesPruned, encode
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Going
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import Verdict, verify
from agent.eventstore.walk import walk
from tests.eventstore.conftest import draft, fill
from tests.eventstore.sealed import Car
from tests.eventstore.stocked import prune


@pytest.fixture
def car(tmp_path: Path) -> Car:
    with Car(tmp_path / "state") as opened:
        opened.drive(10, 20, 30, 40)
        return opened


def going(state: Path, first: int, last: int) -> Going:
    with LogReader.open(state / EVENTS) as reader:
        return Going.of([walk(b) for b in reader.blocks(first) if b.no <= last])


def after(car: Car, event: BodiesPruned | None, nodes: dict[int, bytes]) -> Verdict:
    """What is said of the log when these bodies went after that event."""
    with Car(car.state) as again:
        if event is not None:
            again.log.append([draft(kind=event.kind, payload=encode(event))])
        again.log.prune(nodes)
    return verify(car.state / EVENTS)


def test_pruning_that_is_told_of_holds(car: Car) -> None:
    said = going(car.state, 2, 3)
    assert after(car, said.event, said.nodes).verdict == "intact"


def test_pruning_that_was_cut_short_holds(car: Car) -> None:
    said = going(car.state, 1, 4)
    assert after(car, said.event, {2: said.nodes[2]}).verdict == "intact"


def test_body_that_is_gone_untold_is_named_by_its_first_event(car: Car) -> None:
    said = going(car.state, 2, 3)
    found = after(car, None, said.nodes)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 11)
    assert found.reason == "no event tells that block 2 was pruned"


def test_one_more_body_than_was_told_of_is_named(car: Car) -> None:
    found = after(car, going(car.state, 2, 3).event, going(car.state, 2, 4).nodes)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 61)


@pytest.mark.parametrize("event", [BodiesPruned(2, 3, bytes(64)), BodiesPruned(1, 3, bytes(64))])
def test_digest_that_is_not_over_those_blocks_is_found(car: Car, event: BodiesPruned) -> None:
    found = after(car, event, going(car.state, 2, 3).nodes)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 11)
    assert "not those pruned" in found.reason


def test_event_that_came_before_the_pruned_blocks_tells_of_nothing(tmp_path: Path) -> None:
    state = tmp_path / "early"
    with Car(state) as car:
        car.drive(10)
        event = BodiesPruned(1, 9, bytes(64))
        car.log.append([draft(kind=event.kind, payload=encode(event))])
        car.drive(20, 30)
        car.log.prune(going(state, 4, 5).nodes)
    assert verify(state / EVENTS).verdict == "tampered"


def test_body_that_went_before_a_seal_covered_it_is_found(car: Car) -> None:
    with Car(car.state) as again:
        fill(again.log, 5, 5)
        said = going(car.state, 6, 6)
    found = after(car, said.event, said.nodes)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 101)
    assert "no seal covers" in found.reason


def test_event_that_is_none_is_found_where_it_is(car: Car) -> None:
    with Car(car.state) as again:
        again.log.append([draft(kind=BodiesPruned.kind, payload=b"\xc1")])
    found = verify(car.state / EVENTS)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 102)


def test_pruning_twice_what_was_told_of_twice_holds(car: Car) -> None:
    said = going(car.state, 1, 4)
    after(car, said.event, {})
    with Car(car.state) as again:
        assert prune(again.log, car.state) == 4
    assert verify(car.state / EVENTS).verdict == "intact"
