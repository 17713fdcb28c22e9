"""One block by itself: how far its events hold, and what is wrong with the one behind those."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.events import BodiesPruned, LogChecked, LogSealed, ParcelRegistered, encode
from agent.eventstore import chain
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import verify
from agent.eventstore.walk import walk
from tests.eventstore.conftest import draft, fill, put_body, tampering


@pytest.fixture
def block(state: Path) -> Block:
    """Five events from the third on."""
    with SqliteLog.open(state, create=True) as log:
        fill(log, 2, 5)
    with LogReader.open(state / EVENTS) as reader:
        return list(reader.blocks())[-1]


def test_block_that_holds_leads_from_its_one_head_to_its_other(block: Block) -> None:
    walked = walk(block)
    assert (walked.bad, walked.good, walked.head) == ("", 5, block.head_after)
    assert walked.block == replace(block, body=None)
    assert walked.boots == (1, 1)


def test_start_that_falls_from_one_block_to_the_next_is_a_fault(state: Path) -> None:
    for _ in range(3):
        with SqliteLog.open(state, create=True) as log:
            fill(log, 2)
    with LogReader.open(state / EVENTS) as reader:
        last, events = list(reader.blocks())[-1], list(reader.read(4))
    before = [replace(event, boot=1) for event in events]
    body, after = chain.pack([chain.encode(event) for event in before], last.head_before)
    with tampering(state / EVENTS) as connection:
        put_body(connection, 3, body)
        connection.execute("UPDATE block SET head_after = ? WHERE no = 3", (after,))
    found = verify(state / EVENTS)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 5)
    assert found.reason == "boot 1 follows boot 2"


def test_head_that_is_not_that_of_the_events_is_a_fault_of_the_last_one(
    block: Block, state: Path
) -> None:
    walked = walk(replace(block, head_after=bytes(64)))
    assert (walked.good, walked.nodes) == (4, b"")
    assert walked.bad == "block 2 does not end with the hash it says"
    with tampering(state / EVENTS) as connection:
        connection.execute("UPDATE block SET head_after = zeroblob(64) WHERE no = 2")
    found = verify(state / EVENTS)
    assert (found.verdict, found.first_bad_seq, found.events) == ("tampered", 7, 6)


def test_what_the_log_tells_of_itself_comes_out_with_its_place(state: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        sealed = LogSealed(1, b"digest")
        log.append([draft(), draft(kind=sealed.kind, payload=encode(sealed)), draft()])
    with LogReader.open(state / EVENTS) as reader:
        assert walk(next(reader.blocks())).told == [(2, sealed)]


@pytest.mark.parametrize("kind", [LogSealed, LogChecked, BodiesPruned, ParcelRegistered])
def test_what_tells_of_the_log_and_cannot_be_read_is_found_where_it_is(
    kind: type[LogSealed], state: Path
) -> None:
    with SqliteLog.open(state, create=True) as log:
        fill(log, 2)
        log.append([draft(), draft(kind=kind.kind, payload=b"\xff"), draft()])
    found = verify(state / EVENTS)
    assert (found.verdict, found.first_bad_seq, found.events) == ("tampered", 4, 3)
    assert kind.kind in found.reason
