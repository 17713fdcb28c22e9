"""Proofs out of logs of every shape: many blocks, tiles, pruned bodies, changed ones."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from agent.errors import LogCorruptError, MalformedInputError, UsageError
from agent.eventstore import chain, note
from agent.eventstore.proof import Proof, SealsProof, check, decode, encode
from agent.eventstore.prover import NotProvableError, prove_event, prove_seals
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.tree import nodes_of
from tests.eventstore.conftest import body_of, draft, fill, put_body, tampering
from tests.eventstore.sealing import CAR, seal, the_tree

BLOCKS = (3, 1, 250, 7, 100, 1, 300, 90)
SEALED_AFTER = (1, 3, 4, 7)
"""Blocks, counted from 0, behind which a seal was made; behind the last of them too."""


@pytest.fixture
def sealed(log: SqliteLog, state: Path) -> SqliteLog:
    for at, size in enumerate(BLOCKS):
        fill(log, size)
        if at in SEALED_AFTER:
            seal(log, state)
    return log


@pytest.fixture
def events_db(sealed: SqliteLog, state: Path) -> Path:
    """The log at rest."""
    sealed.close()
    return state / "events.db"


def prune(log: SqliteLog, state: Path, *numbers: int) -> None:
    """Takes the bodies of these blocks away, their nodes computed from them."""
    nodes = {}
    with LogReader.open(state / "events.db") as reader:
        for block in reader.blocks():
            if block.no in numbers:
                leaves, head = [], block.head_before
                for _, event in chain.unpack(block.body or b""):
                    head = chain.link(head, event)
                    leaves.append(head)
                nodes[block.no] = nodes_of(block.first_seq - 1, leaves)
    log.prune(nodes)


def holds(proof: Proof) -> bool:
    return check(decode(encode(proof)), CAR.public).holds


def test_every_event_is_proved_by_the_first_seal_over_it(sealed: SqliteLog, state: Path) -> None:
    del sealed
    with LogReader.open(state / "events.db") as reader:
        sizes = [note.decode(each.note).size for each in reader.seals()]
        events = list(reader.read())
        for recorded in events:
            finding = check(decode(encode(prove_event(reader, recorded.seq))), CAR.public)
            assert finding.holds, (recorded.seq, finding.reason)
            assert finding.event == recorded
            assert finding.seals[0].size == min(s for s in sizes if s >= recorded.seq)
    assert len(events) == sum(BLOCKS)


def test_every_two_seals_are_proved(sealed: SqliteLog, state: Path) -> None:
    del sealed
    with LogReader.open(state / "events.db") as reader:
        for second in range(1, len(SEALED_AFTER) + 1):
            for first in range(1, second + 1):
                assert holds(prove_seals(reader, first, second)), (first, second)


@pytest.mark.parametrize(
    "pruned", [(1,), (2,), (3,), (7,), (8,), (1, 2, 3), (2, 4, 6), (3, 5, 7), tuple(range(1, 9))]
)
def test_events_beside_pruned_blocks_are_still_proved_and_so_are_seals(
    pruned: tuple[int, ...], sealed: SqliteLog, state: Path
) -> None:
    prune(sealed, state, *pruned)
    with LogReader.open(state / "events.db") as reader:
        for block in list(reader.blocks()):
            for seq in {block.first_seq, block.first_seq + block.n - 1}:
                if block.no in pruned:
                    with pytest.raises(NotProvableError, match=f"event {seq} was pruned"):
                        prove_event(reader, seq)
                else:
                    assert holds(prove_event(reader, seq)), (block.no, seq)
        for first in range(1, 5):
            assert holds(prove_seals(reader, first, 4)), first


def test_pruned_blocks_give_the_same_tree(sealed: SqliteLog, state: Path) -> None:
    with LogReader.open(state / "events.db") as reader:
        before = the_tree(reader)
        prune(sealed, state, 3, 7)
        after = the_tree(reader)
        assert (after.size, after.root(), after.tiles) == (before.size, before.root(), before.tiles)
        assert after.has_tiles(tile for _, tile in reader.tiles())


def test_proof_reads_a_few_blocks_of_a_long_log(
    log: SqliteLog, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that share a tile with the event, and those behind the last tile."""
    fill(log, *[50] * 200)
    seal(log, state)
    read = []
    blocks = LogReader.blocks

    def counted(self: LogReader, first: int) -> object:
        read.append(first)
        return blocks(self, first)

    monkeypatch.setattr(LogReader, "blocks", counted)
    with LogReader.open(state / "events.db") as reader:
        assert holds(prove_event(reader, 5_000))
    assert len(set(read)) <= 7 + 2


def test_event_behind_the_last_seal_is_not_sealed_yet(sealed: SqliteLog, state: Path) -> None:
    fill(sealed, 2)
    with LogReader.open(state / "events.db") as reader:
        for seq in (sum(BLOCKS) + 1, sum(BLOCKS) + 2):
            with pytest.raises(NotProvableError, match=f"event {seq} is not sealed yet"):
                prove_event(reader, seq)
        assert holds(prove_event(reader, sum(BLOCKS)))


def test_log_without_seals_proves_nothing(log: SqliteLog, state: Path) -> None:
    fill(log, 3)
    with LogReader.open(state / "events.db") as reader:
        with pytest.raises(NotProvableError, match="not sealed yet"):
            prove_event(reader, 1)
        with pytest.raises(UsageError, match="the log has none"):
            prove_seals(reader, 1, 1)


@pytest.mark.parametrize("seq", [0, -1, sum(BLOCKS) + 1, 2**64])
def test_event_there_is_not_is_wrong_usage(seq: int, sealed: SqliteLog, state: Path) -> None:
    del sealed
    with (
        LogReader.open(state / "events.db") as reader,
        pytest.raises(UsageError, match=f"the log has 1 to {sum(BLOCKS)}"),
    ):
        prove_event(reader, seq)


@pytest.mark.parametrize("seals", [(0, 1), (1, 5), (3, 2), (2**64, 2**64)])
def test_seals_there_are_not_or_backwards_are_wrong_usage(
    seals: tuple[int, int], sealed: SqliteLog, state: Path
) -> None:
    del sealed
    with (
        LogReader.open(state / "events.db") as reader,
        pytest.raises(UsageError, match="the log has 1 to 4"),
    ):
        prove_seals(reader, *seals)


def test_event_that_is_too_long_for_a_proof_is_refused_in_one_line(
    log: SqliteLog, state: Path
) -> None:
    log.append([draft(payload=bytes(200_000))])
    seal(log, state)
    with LogReader.open(state / "events.db") as reader:
        made = prove_event(reader, 1)
        with pytest.raises(MalformedInputError, match="limit 262144"):
            encode(made)


def every_proof(path: Path) -> list[Proof]:
    """Of each event and each two seals that the log still proves."""
    made: list[Proof] = []
    with LogReader.open(path) as reader:
        for seq in (1, 4, 5, 254, 300, 362, 662, 752):
            with suppress(LogCorruptError):
                made.append(prove_event(reader, seq))
        for first in range(1, 5):
            with suppress(LogCorruptError):
                made.append(prove_seals(reader, first, 4))
    return made


def change_event(connection: apsw.Connection) -> None:
    body = bytearray(body_of(connection, 3))
    body[60] ^= 1
    put_body(connection, 3, bytes(body))


CHANGES: dict[str, str | Callable[[apsw.Connection], None]] = {
    "a bit of an event": change_event,
    "a tile": "UPDATE tile SET hash = zeroblob(64) WHERE no = 0",
    "a short tile": "UPDATE tile SET hash = zeroblob(63) WHERE no = 0",
    "a body away": "DELETE FROM body WHERE no = 5",
    "a body cut": "UPDATE body SET data = substr(data, 1, 20) WHERE no = 5",
    "a block away": "DELETE FROM block WHERE no = 5",
    "a head before": "UPDATE block SET head_before = zeroblob(64) WHERE no = 3",
    "a count": "UPDATE block SET n = 9223372036854775807 WHERE no = 3",
    "a negative count": "UPDATE block SET n = -1 WHERE no = 3",
    "a first number": "UPDATE block SET first_seq = 4 WHERE no = 3",
    "a note": "UPDATE seal SET note = x'a0' WHERE no = 4",
    "a signature": "UPDATE seal SET signature = zeroblob(64) WHERE no = 4",
    "a seal away": "DELETE FROM seal WHERE no = 2",
    "a seal with a wild number": "UPDATE seal SET no = 9223372036854775807 WHERE no = 4",
    "another log": "UPDATE log SET log_id = zeroblob(32)",
    "tiles away": "DELETE FROM tile",
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_log_proves_nothing_that_does_not_hold(change: str, events_db: Path) -> None:
    with tampering(events_db) as connection:
        what = CHANGES[change]
        if isinstance(what, str):
            connection.execute(what)
        else:
            what(connection)
    made = every_proof(events_db)
    assert all(holds(each) for each in made)
    assert (len(made) == 12) == (change == "tiles away")  # they are a shortcut and prove nothing


def test_rt_28_seal_whose_root_and_head_are_of_two_histories_proves_no_event(
    log: SqliteLog, state: Path
) -> None:
    """The linear fake, in a log: the chain goes on, the signed tree is another's."""
    fill(log, 5)
    honest = seal(log, state)
    fill(log, 5)
    seal(log, state, root=honest.root)
    with LogReader.open(state / "events.db") as reader:
        assert holds(prove_event(reader, 3))  # under the honest seal
        for seq in range(6, 11):
            with pytest.raises(LogCorruptError, match=f"event {seq} is not among the 10"):
                prove_event(reader, seq)
        with pytest.raises(LogCorruptError, match="5 events do not begin the 10"):
            prove_seals(reader, 1, 2)


def test_seal_of_another_log_in_this_one_proves_nothing(log: SqliteLog, state: Path) -> None:
    fill(log, 5)
    seal(log, state, CAR, log=bytes(32))
    with (
        LogReader.open(state / "events.db") as reader,
        pytest.raises(LogCorruptError, match="of another log"),
    ):
        prove_event(reader, 3)


def test_proof_of_a_seal_with_itself_has_no_path(sealed: SqliteLog, state: Path) -> None:
    del sealed
    with LogReader.open(state / "events.db") as reader:
        made = prove_seals(reader, 2, 2)
    assert isinstance(made, SealsProof)
    assert made.path == ()
    assert holds(made)
