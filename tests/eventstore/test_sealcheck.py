"""Seals hold as they were made; whatever else is done to them is found, and where.

The attacker of these tests is root: has the file, the device key and the key of the next seal. What
root never has are the keys of the seals before, which only the owner can make again.
"""

import shutil
from collections.abc import Callable, Iterator
from hashlib import sha3_512
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from agent.clock import ManualClock
from agent.errors import SealError
from agent.events import LogSealed, encode
from agent.eventstore import chain, floor, note
from agent.eventstore.ending import lost_tail
from agent.eventstore.note import Note
from agent.eventstore.reader import LogReader, Seal
from agent.eventstore.sealcheck import BadSealError, SealChecker
from agent.eventstore.state import EVENTS, FLOOR
from agent.eventstore.tree import Tree, check_consistency, consistency, nodes_of
from agent.eventstore.walk import walk
from agent.sealing import DeviceKeys
from agent.wallet.keys import Keys, load_keys
from agent.wallet.sealkey import SealKey
from tests.data import make_golden_log
from tests.eventstore.conftest import body_of, draft, fill, put_body, rows, tampering
from tests.eventstore.sealed import Car, checked, copied, driven, owners, told

SEALS = ((3, 1), (2,), (300,), (4, 2))
SIZES = (4, 7, 308, 315)
"""Events under each seal: an event that tells of the seal before is one of them."""
EVENTS_ALL = 316


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("kept") / "state"
    driven(state, *SEALS)
    return state


@pytest.fixture
def state(kept: Path, tmp_path: Path) -> Path:
    """A log of four seals, to be done with as one likes."""
    return copied(kept, tmp_path / "state")


class Root:
    """Whoever has the device and its keys."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.keys: Keys = load_keys(state / "keys")
        with LogReader.open(state / EVENTS) as reader:
            self.log_id = reader.log_id
            self.seals = list(reader.seals())
        self.owner = owners(state, self.keys, self.log_id)

    def device(self) -> bytes:
        return self.keys.device.public

    def signed(self, made: Note, mac: Callable[[int, bytes], bytes] | None = None) -> Seal:
        """A seal of any note; its MAC is the owner's, which no attacker could make."""
        data = note.encode(made)
        tag = (mac or self.owner.mac)(made.no, note.to_mac(data))
        return Seal(made.no, data, tag, self.keys.device.sign(note.to_sign(data)))

    def put(self, no: int, seal: Seal) -> None:
        """In the row of seal `no`."""
        row = (seal.note, seal.mac, seal.signature, no)
        with tampering(self.state / EVENTS) as connection:
            put = "UPDATE seal SET note = ?, mac = ?, signature = ? WHERE no = ?"
            connection.execute(put, row)

    def bad(self, *, owned: bool = True) -> BadSealError:
        """What is found."""
        with pytest.raises(BadSealError) as caught:
            checked(self.state, device=self.device(), keys=self.owner if owned else None)
        return caught.value


@pytest.fixture
def root(state: Path) -> Root:
    return Root(state)


def run(state: Path, sql: str) -> None:
    with tampering(state / EVENTS) as connection:
        connection.execute(sql)


def cut(state: Path, last_block: int, last_seal: int) -> None:
    run(
        state,
        f"DELETE FROM block WHERE no > {last_block}; DELETE FROM body WHERE no > {last_block};"
        f"DELETE FROM seal WHERE no > {last_seal}; DELETE FROM tile WHERE {last_seal} < 3",
    )


def loss(state: Path, next_seal: int | None = None) -> tuple[int, int, str] | None:
    """Expected and found event, and the cause, by floor and key."""
    with LogReader.open(state / EVENTS) as reader:
        lost, _ = lost_tail(reader, floor.read(state / FLOOR), next_seal)
    return None if lost is None else (lost.expected_seq, lost.found_seq, lost.cause)


def test_untouched_seals_hold(root: Root) -> None:
    found = checked(root.state, device=root.device(), keys=root.owner)
    assert (found.seals, found.sealed, found.device) == (4, SIZES[-1], root.device())
    assert checked(root.state).device == root.device()
    assert loss(root.state, 5) is None


def test_log_without_seals_holds(tmp_path: Path) -> None:
    with Car(tmp_path / "state") as car:
        fill(car.log, 300)
    found = checked(tmp_path / "state", device=bytes(65))
    assert (found.seals, found.sealed) == (0, 0)


@pytest.mark.parametrize("column", ["note", "mac", "signature"])
def test_every_byte_of_a_seal_is_bound(root: Root, column: str) -> None:
    good = root.seals[1]
    length = len(getattr(good, column))
    for place in range(0, length, 1 if length == 64 else 7):
        bad = bytearray(getattr(good, column))
        bad[place] ^= 1 << place % 8
        root.put(2, replace(good, **{column: bytes(bad)}))
        assert root.bad().seq == SIZES[0] + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log": bytes(32)}, "is of log 0000"),
        ({"no": 3}, "says it is seal 3"),
        ({"size": 6}, "ends at event 6, within a block"),
        ({"size": 3}, "is over 3 events of boot 1, less than before"),
        ({"head": bytes(64)}, "has not the hash of event 7"),
        ({"root": bytes(64)}, "has not the root of its 7 events"),
        ({"prev": bytes(64)}, "does not follow the one before"),
        ({"boot": 2}, "is of boot 2, its last event of boot 1"),
    ],
)
def test_note_that_is_not_of_its_place_is_found_though_device_and_owner_made_it(
    root: Root, change: dict[str, object], says: str
) -> None:
    made = replace(note.decode(root.seals[1].note), **change)
    root.put(2, root.signed(made))
    bad = root.bad()
    assert says in str(bad)
    assert bad.seq == SIZES[0] + 1


def test_boot_never_falls(tmp_path: Path) -> None:
    state = tmp_path / "state"
    driven(state, (3,))
    with Car(state) as car:
        car.drive(3)
        fill(car.log, 3)
        car.sealer.seal()
    root = Root(state)
    assert checked(state, keys=root.owner).seals == 3
    root.put(3, root.signed(replace(note.decode(root.seals[2].note), boot=1)))
    bad = root.bad()
    assert (bad.seq, "of boot 1, less than before" in str(bad)) == (8, True)


def test_rt_09_every_tail_cut_off_behind_the_last_seal_is_below_the_floor(kept: Path) -> None:
    state = kept.with_name("cut-09")
    for last in range(9, 15):
        shutil.rmtree(state, ignore_errors=True)
        with Car(copied(kept, state)) as car:
            fill(car.log, *[1] * 4)
            car.sealer.lay_floor(car.log.head())
        cut(state, last, 4)
        assert checked(state, keys=Root(state).owner).seals == 4, "seals cannot tell"
        expected = (EVENTS_ALL + 4, EVENTS_ALL + last - 10, "cut") if last < 14 else None
        assert loss(state, 5) == expected
    shutil.rmtree(state)


def test_rt_10_every_tail_cut_off_below_the_last_seal_is_found(kept: Path, tmp_path: Path) -> None:
    with LogReader.open(kept / EVENTS) as reader:
        ends = {b.no: b.first_seq + b.n - 1 for b in reader.blocks()}
    for last, end in ends.items():
        if end >= SIZES[-1]:
            continue
        held = sum(size <= end for size in SIZES)
        state = copied(kept, tmp_path / str(last))
        cut(state, last, 4)
        bad = Root(state).bad()  # the rows of the seals were left
        assert (bad.seq, f"seal {held + 1} is over {SIZES[held]} events" in str(bad)) == (
            (end + 1, True)
        )
        cut(state, last, held)
        assert checked(state).seals == held, "without floor and key it is a shorter log"
        assert loss(state) == (EVENTS_ALL, end, "rolled-back")
        (state / FLOOR).unlink()
        assert loss(state, 5) == (end, end, "rolled-back"), "the key alone tells as well"


def test_rt_12_copy_of_yesterday_is_below_the_floor_of_today(kept: Path, tmp_path: Path) -> None:
    state = copied(kept, tmp_path / "state")
    with Car(state) as car:
        car.drive(20)
    shutil.copy(kept / EVENTS, state / EVENTS)
    assert checked(state).seals == 4
    assert loss(state, 6) == (EVENTS_ALL + 20, EVENTS_ALL, "rolled-back")


def test_rt_13_copies_that_both_go_on_sign_two_seals_of_one_number(
    kept: Path, tmp_path: Path
) -> None:
    forks = [copied(kept, tmp_path / name) for name in ("one", "other")]
    for fork, size in zip(forks, (5, 6), strict=True):
        with Car(fork) as car:
            car.log.append([draft(payload=fork.name.encode())])
            car.drive(size)
    one, other = (Root(fork) for fork in forks)
    assert checked(forks[0], keys=one.owner).seals == checked(forks[1], keys=other.owner).seals == 5
    assert one.seals[:4] == other.seals[:4]
    first, second = note.decode(one.seals[4].note), note.decode(other.seals[4].note)
    assert (first.log, first.no, first.device) == (second.log, second.no, second.device)
    assert one.seals[4].note != other.seals[4].note, "both signed: that is the evidence"
    with LogReader.open(forks[1] / EVENTS) as reader:
        leaves = [h for b in reader.blocks() for h in chain.hashes(b.body or b"", b.head_before)]
    path = consistency(
        first.size, second.size, lambda at, height: nodes_of(at, leaves[at : at + (1 << height)])
    )
    assert not check_consistency(first.size, second.size, path, first.root, second.root)
    shutil.copy(forks[0] / FLOOR, forks[1] / FLOOR)
    assert loss(forks[1]) == (EVENTS_ALL + 6, EVENTS_ALL + 8, "rolled-back")


def rewritten(state: Path, seq: int, change: Callable[[bytes], bytes]) -> None:
    """Another event in the log, and the chain behind it made anew: that takes no secret."""
    with LogReader.open(state / EVENTS) as reader:
        first = reader.block_with(seq)
    with tampering(state / EVENTS) as connection:
        head = b""
        query = f"SELECT no, first_seq, head_before FROM block WHERE no >= {first} ORDER BY no"
        for no, first_seq, before in rows(connection, query):
            events = [event for _, event in chain.unpack(body_of(connection, no))]
            if no == first:
                events[seq - first_seq] = change(events[seq - first_seq])
            head = head or before
            body, after = chain.pack(events, head)
            put_body(connection, no, body)
            put = "UPDATE block SET head_before = ?, head_after = ? WHERE no = ?"
            connection.execute(put, (head, after, no))
            head = after


def flipped(event: bytes) -> bytes:
    return event[:-1] + bytes([event[-1] ^ 1])


def retold(root: Root, seq: int, event: LogSealed) -> None:
    """An event of another content in place of one."""

    def change(old: bytes) -> bytes:
        return chain.encode(replace(chain.decode(old), payload=encode(event)))

    rewritten(root.state, seq, change)


def resealed(root: Root, first: int, mac: Callable[[int, bytes], bytes]) -> None:
    """Seals from `first` on made anew over what is now in the log, events that tell of them too."""
    prev = sha3_512(root.seals[first - 2].note).digest() if first > 1 else note.FIRST
    for no in range(first, len(root.seals) + 1):
        old = note.decode(root.seals[no - 1].note)
        with LogReader.open(root.state / EVENTS) as reader:
            tree, head = Tree(), b""
            for block in reader.blocks():
                if tree.size < old.size:
                    for head in chain.hashes(block.body or b"", block.head_before):
                        tree.append(head)
        seal = root.signed(replace(old, head=head, root=tree.root(), prev=prev), mac)
        root.put(no, seal)
        prev = sha3_512(seal.note).digest()
        retold(root, old.size + 1, LogSealed(no, prev))


@pytest.fixture
def stolen(root: Root) -> SealKey:
    """The key that lies on the device: that of seal 5."""
    found = SealKey.load(root.state / "keys", root.log_id)
    assert found is not None
    return found


def any_number(key: SealKey) -> Callable[[int, bytes], bytes]:
    return lambda _, message: key.mac(key.no, message)


def test_rt_14_log_written_anew_has_not_the_seals_of_before(root: Root) -> None:
    rewritten(root.state, 6, flipped)
    bad = root.bad()
    assert (bad.seq, "has not the hash of event 7" in str(bad)) == (SIZES[0] + 1, True)


def test_rt_14_and_15_log_sealed_anew_with_the_key_of_now_has_no_mac(
    root: Root, stolen: SealKey
) -> None:
    rewritten(root.state, 6, flipped)
    fix_tiles(root)
    resealed(root, 2, any_number(stolen))
    fix_tiles(root)
    assert checked(root.state, device=root.device()).seals == 4, "only the owner can tell"
    bad = root.bad()
    assert (bad.seq, str(bad)) == (SIZES[0] + 1, "seal 2 has a MAC that is not that of its number")


def test_rt_14_root_that_begins_the_keys_anew_has_to_say_so(root: Root) -> None:
    """Everybody can wrap a key for the owner; an event has to say that one was lost."""
    rewritten(root.state, 6, flipped)
    forged = SealKey.begin(root.state / "keys", root.keys.owner.public, root.log_id, 2)

    def mac(no: int, message: bytes) -> bytes:
        forged.advance(no - 1)
        return forged.mac(no, message)

    resealed(root, 2, mac)
    fix_tiles(root)
    root.owner = owners(root.state, root.keys, root.log_id)
    assert str(root.bad()) == "seal 2 has a key begun anew, and no event says why"


def fix_tiles(root: Root) -> None:
    with LogReader.open(root.state / EVENTS) as reader:
        tree = Tree()
        for block in reader.blocks():
            for leaf in chain.hashes(block.body or b"", block.head_before):
                tree.append(leaf)
    with tampering(root.state / EVENTS) as connection:
        for no, digest in tree.tiles:
            connection.execute("UPDATE tile SET hash = ? WHERE no = ?", (digest, no))


def test_rt_15_old_log_sealed_with_the_key_of_now_is_found(root: Root, stolen: SealKey) -> None:
    """CVE-2023-31439: the log is as it was, but somebody sealed it later."""
    for no in (1, 2, 3, 4):
        good = root.seals[no - 1]
        root.put(no, replace(good, mac=stolen.mac(5, note.to_mac(good.note))))
        assert str(root.bad()) == f"seal {no} has a MAC that is not that of its number"
        root.put(no, good)
    assert checked(root.state, keys=root.owner).seals == 4


def test_rt_16_log_that_is_cut_and_sealed_on_with_later_keys_is_found(
    root: Root, stolen: SealKey
) -> None:
    """CVE-2023-31438: whole seals are missing in the middle, and the keys went on."""
    cut(root.state, 5, 2)  # up to the event that tells of seal 2
    with Car(root.state) as car:
        fill(car.log, 3)
        car.sealer._keys = Later(car, stolen)
        assert car.sealer.seal() is not None
    assert checked(root.state, device=root.device()).seals == 3
    bad = root.bad()
    assert (bad.seq, str(bad)) == (SIZES[1] + 1, "seal 3 has a MAC that is not that of its number")


class Later:
    """The device's keys, but for the number of the seal."""

    custody: Literal["file"] = "file"

    def __init__(self, car: Car, key: SealKey) -> None:
        self.public = car.keys.device.public
        self.sign = car.keys.device.sign
        self.mac = any_number(key)

    def rise(self) -> None:
        pass

    def advance(self, no: int) -> None:
        del no


class Counted(DeviceKeys):
    """Keys beside a counter that says these numbers."""

    def __init__(self, car: Car, *numbers: int) -> None:
        super().__init__(car.keys, car.key)
        self._numbers = iter(numbers)

    def rise(self) -> int:
        return next(self._numbers)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [((4, 5, 9), ""), ((4, 5, 5), "counter 5 after 5"), ((4, 6, 5), "counter 5 after 6")],
)
def test_counter_that_does_not_rise_is_found(
    tmp_path: Path, numbers: tuple[int, ...], says: str
) -> None:
    with Car(tmp_path / "state") as car:
        car.sealer._keys = Counted(car, *numbers)
        for _ in numbers:
            car.drive(1)
    if not says:
        assert checked(tmp_path / "state").seals == 3
        return
    with pytest.raises(BadSealError, match=f"seal 3 has {says}"):
        checked(tmp_path / "state")


@pytest.mark.parametrize("no", [1, 2, 3, 4])
def test_rt_16_missing_seal_is_found(root: Root, no: int) -> None:
    run(root.state, f"DELETE FROM seal WHERE no = {no}")
    bad = root.bad()
    if no == 4:  # the last one: the event that tells of it is still there
        assert str(bad) == "event 316 tells of seal 4, which is not before it"
    else:
        assert f"seal {no} is missing" in str(bad)
        assert bad.seq == (1, *SIZES)[no - 1] + (no > 1)


@pytest.mark.parametrize("no", [1, 2, 3])
def test_rt_16_missing_seal_whose_number_is_taken_by_the_next_is_found(root: Root, no: int) -> None:
    run(root.state, f"DELETE FROM seal WHERE no={no}; UPDATE seal SET no=no-1 WHERE no>{no}")
    assert f"seal {no} says it is seal {no + 1}" in str(root.bad())


def test_rt_17_two_seals_of_one_number_are_found(root: Root) -> None:
    run(
        root.state,
        "UPDATE seal SET no = no + 10 WHERE no > 2; UPDATE seal SET no = no - 9 WHERE no > 10;"
        "INSERT INTO seal SELECT 3, note, mac, signature FROM seal WHERE no = 2",
    )
    bad = root.bad()
    assert (bad.seq, str(bad)) == (SIZES[1] + 1, "seal 3 says it is seal 2")


def test_rt_17_seal_below_the_first_number_is_found(root: Root) -> None:
    run(root.state, "INSERT INTO seal SELECT -1, note, mac, signature FROM seal WHERE no = 1")
    assert str(root.bad()) == "seal 1 is missing"


def test_rt_17_seal_before_its_events_is_found(root: Root) -> None:
    premature = replace(note.decode(root.seals[3].note), size=1000)
    root.put(4, root.signed(premature))
    bad = root.bad()
    assert bad.seq == EVENTS_ALL  # where an event tells of it
    assert "event 316 tells of seal 4, which is not before it" in str(bad)


def test_rt_18_whole_log_of_another_car_is_found(root: Root, tmp_path: Path) -> None:
    driven(tmp_path / "other", *SEALS)
    other = Root(tmp_path / "other")
    with pytest.raises(BadSealError, match="seal 1 is of another device") as caught:
        checked(other.state, device=root.device())
    assert caught.value.seq == 1
    shutil.copy(other.state / EVENTS, root.state / EVENTS)
    assert loss(root.state) == (EVENTS_ALL, EVENTS_ALL, "unknown")


def test_rt_18_seals_of_another_car_do_not_fit(root: Root, tmp_path: Path) -> None:
    driven(tmp_path / "other", *SEALS)
    for no, seal in enumerate(Root(tmp_path / "other").seals, 1):
        root.put(no, seal)
    assert "seal 1 is of log" in str(root.bad())


def test_second_device_in_one_log_is_found(root: Root, tmp_path: Path) -> None:
    driven(tmp_path / "other", (1,))
    keys = Root(tmp_path / "other").keys
    made = replace(note.decode(root.seals[3].note), device=keys.device.public)
    root.keys = root.keys._replace(device=keys.device)
    root.put(4, root.signed(made))
    with pytest.raises(BadSealError, match="seal 4 is of another device"):
        checked(root.state)


def test_rt_28_tree_of_another_log_than_the_chain_is_found(root: Root) -> None:
    """CVE-2022-36111: the head is true, the root is that of a log with another event."""
    with LogReader.open(root.state / EVENTS) as reader:
        leaves = [h for b in reader.blocks() for h in chain.hashes(b.body or b"", b.head_before)]
    tree = Tree()
    for leaf in [sha3_512(b"told to somebody else").digest(), *leaves[1 : SIZES[1]]]:
        tree.append(leaf)
    root.put(2, root.signed(replace(note.decode(root.seals[1].note), root=tree.root())))
    assert "seal 2 has not the root of its 7 events" in str(root.bad())


def test_rt_59_seal_made_under_a_clock_set_back_keeps_its_place(tmp_path: Path) -> None:
    """The time in it is a claim; number, boot and the seal before say what came after what."""
    state, clock = tmp_path / "state", ManualClock(2_000_000_000 * 10**9)
    with Car(state, clock=clock) as car:
        car.drive(3)
        clock.step(1_000_000_000 * 10**9)
        car.drive(3)
        clock.step(2_000_000_060 * 10**9)
        car.drive(3)
    root = Root(state)
    times = [note.decode(seal.note).t for seal in root.seals]
    assert times[1] < times[0] < times[2]
    assert checked(state, keys=root.owner).seals == 3
    root.put(1, root.seals[1])
    root.put(2, root.seals[0])  # moved to where its time says
    assert "seal 1 says it is seal 2" in str(root.bad())


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("DELETE FROM tile WHERE no = 0", 1),
        ("UPDATE tile SET hash = zeroblob(64) WHERE no = 0", 1),
        ("UPDATE tile SET hash = x'00' WHERE no = 0", 1),
        ("UPDATE tile SET no = 1 WHERE no = 0", 1),
        ("INSERT INTO tile SELECT 1, hash FROM tile", 257),
        ("INSERT INTO tile SELECT -1, hash FROM tile", 257),
    ],
)
def test_tile_that_is_not_of_its_events_is_found(root: Root, sql: str, seq: int) -> None:
    run(root.state, sql)
    assert root.bad().seq == seq


def test_tile_without_a_seal_is_found(tmp_path: Path) -> None:
    with Car(tmp_path / "state") as car:
        fill(car.log, 300)
    run(tmp_path / "state", "INSERT INTO tile VALUES (0, zeroblob(64))")
    with pytest.raises(BadSealError, match="tile 0"):
        checked(tmp_path / "state")


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (LogSealed(1, bytes(64)), "event 5 tells of another seal 1"),
        (LogSealed(2, bytes(64)), "event 5 tells of seal 2, which is not before it"),
        (LogSealed(5, bytes(64)), "event 5 tells of seal 5, which is not before it"),
        (LogSealed(0, bytes(64)), "event 5 tells of seal 0, which is not before it"),
        (LogSealed(2**64 - 1, b""), "event 5 tells of seal 18446744073709551615"),
    ],
)
def test_event_that_tells_of_another_seal_is_found(root: Root, event: LogSealed, says: str) -> None:
    retold(root, 5, event)
    bad = root.bad()
    assert (bad.seq, says in str(bad)) == (5, True)


@pytest.mark.parametrize("pruned", [{1}, {4}, {1, 2, 3, 4, 5, 6}, {7}, set(range(1, 10))])
def test_seals_hold_over_blocks_that_were_pruned(root: Root, pruned: set[int]) -> None:
    prune(root.state, pruned)
    assert checked(root.state, device=root.device(), keys=root.owner).seals == 4


@pytest.mark.parametrize("block", [1, 2, 7])
def test_every_changed_node_of_a_pruned_block_is_found(root: Root, block: int) -> None:
    nodes = prune(root.state, {block})[block]
    with tampering(root.state / EVENTS) as connection:
        for at in range(0, len(nodes), 64):
            bad = nodes[:at] + bytes([nodes[at] ^ 1]) + nodes[at + 1 :]
            connection.execute("UPDATE pruned SET nodes = ? WHERE no = ?", (bad, block))
            found = root.bad()
            assert "has not the root" in str(found) or "not its last hash" in str(found)
        connection.execute("UPDATE pruned SET nodes = ?", (nodes + bytes(64),))
        assert f"block {block}: {len(nodes) + 64} bytes of nodes" in str(root.bad())


def prune(state: Path, blocks: set[int]) -> dict[int, bytes]:
    with Car(state) as car:
        return make_golden_log.prune(car.log, state / EVENTS, min(blocks), max(blocks))


def test_seals_made_during_the_walk_are_left_to_the_next_one(state: Path) -> None:
    with Car(state) as car:
        assert checked_while(state, lambda: car.drive(2, 300)) == 4
        assert checked(state).seals == 5


def checked_while(state: Path, happens: Callable[[], object]) -> int:
    """A walk in the middle of which something happens."""

    def blocks(reader: LogReader) -> Iterator[None]:
        for block in reader.blocks():
            checker.take(walk(block))
            yield

    with LogReader.open(state / EVENTS) as reader:
        checker = SealChecker(reader)
        steps = blocks(reader)
        next(steps)
        happens()
        for _ in steps:
            pass
        checker.finish()
    return checker.seals


def test_unsealed_tail_is_behind_the_seals(state: Path) -> None:
    with Car(state) as car:
        fill(car.log, 5, 5)
        car.log.append([told(LogSealed(4, sha3_512(Root(state).seals[3].note).digest()))])
    found = checked(state)
    assert (found.seals, found.sealed, found.tree.size) == (4, SIZES[-1], EVENTS_ALL + 11)


def test_number_without_an_owners_key_is_named(root: Root) -> None:
    SealKey.begin(root.state / "keys", root.keys.owner.public, bytes(32), 9)
    others = owners(root.state, root.keys, bytes(32))
    with pytest.raises(SealError, match="seal 1 is before the first key, that of 9"):
        checked(root.state, keys=others)
