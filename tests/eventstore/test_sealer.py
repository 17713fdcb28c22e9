"""Seals are made of what lies on the disk, one after the other, whatever the clock says."""

import threading
from hashlib import sha3_512
from pathlib import Path

import pytest

from agent.clock import ClockQuality, ManualClock
from agent.errors import LogCorruptError, SealError
from agent.events import LogSealed
from agent.eventstore import chain, floor, note
from agent.eventstore.birth import NOTE
from agent.eventstore.ending import sealed_end
from agent.eventstore.floor import Floor
from agent.eventstore.log import Head
from agent.eventstore.note import Note
from agent.eventstore.reader import LogReader, Seal
from agent.eventstore.signature import signed_by
from agent.eventstore.state import EVENTS, FLOOR
from agent.eventstore.tree import node
from tests.data import make_golden_log
from tests.eventstore.conftest import body_of, draft, fill, put_body, rows, tampering
from tests.eventstore.sealed import FIRMWARE, Car, checked, copied, driven, told


def leaves(path: Path) -> list[bytes]:
    with LogReader.open(path) as reader:
        return [h for b in reader.blocks() for h in chain.hashes(b.body or b"", b.head_before)]


def root(of: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if len(of) == 1:
        return of[0]
    middle = 1
    while middle * 2 < len(of):
        middle *= 2
    return node(root(of[:middle]), root(of[middle:]))


def seals(path: Path) -> list[Seal]:
    with LogReader.open(path) as reader:
        return list(reader.seals())


def notes(path: Path) -> list[Note]:
    return [note.decode(seal.note) for seal in seals(path)]


@pytest.fixture
def car(state: Path) -> Car:
    return Car(state)


def test_a_note_under_the_number_of_another_is_not_gone_on_from(car: Car) -> None:
    with car:
        car.drive(3)
    with tampering(car.state / EVENTS) as connection:
        connection.execute("INSERT INTO seal SELECT 2, note, mac, signature FROM seal")
    with (
        LogReader.open(car.state / EVENTS) as reader,
        pytest.raises(LogCorruptError, match="seal 2 is seal 1"),
    ):
        sealed_end(reader)


def test_seal_says_what_is_on_disk(car: Car) -> None:
    with car:
        fill(car.log, 3, 1, 3)
        made = car.sealer.seal()
        [seal] = seals(car.state / EVENTS)
        all_leaves = leaves(car.state / EVENTS)
    assert made == LogSealed(1, sha3_512(seal.note).digest())
    assert note.decode(seal.note) == Note(
        log=car.log.log_id,
        no=1,
        size=7,
        head=all_leaves[-1],
        root=root(all_leaves),
        prev=bytes(64),
        boot=1,
        t=car.clock.now_ns(),
        clock=ClockQuality.RECORDED,
        firmware=FIRMWARE.version,
        image=FIRMWARE.image,
        counter=None,
        custody="file",
        device=car.keys.device.public,
    )
    assert signed_by(car.keys.device.public, b"amo-agent seal 1" + seal.note, seal.signature)
    assert car.owners().mac(1, b"amo-agent seal mac 1" + seal.note) == seal.mac


def test_each_seal_names_the_one_before(car: Car) -> None:
    with car:
        told_ = [car.drive(2), car.drive(1, 1), car.drive(5)]
    found = notes(car.state / EVENTS)
    assert [n.no for n in found] == [1, 2, 3]
    assert [n.size for n in found] == [2, 5, 11]
    assert [n.prev for n in found] == [bytes(64), told_[0].digest, told_[1].digest]


def test_nothing_is_sealed_where_nothing_came(car: Car) -> None:
    with car:
        assert car.sealer.seal() is None
        car.drive(3)
        assert car.sealer.seal() is None, "the event that tells of a seal asks for none"
        fill(car.log, 1)
        assert car.sealer.seal() is not None
        assert car.sealer.seal() is None


def test_one_event_alone_is_sealed(car: Car) -> None:
    with car:
        fill(car.log, 1)
        assert car.sealer.seal() is not None
        fill(car.log, 1)
        assert car.sealer.seal() is not None


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 700])
def test_tiles_are_kept_with_the_seal_that_completes_them(car: Car, size: int) -> None:
    with car:
        fill(car.log, size)
        car.sealer.seal()
        with LogReader.open(car.state / EVENTS) as reader:
            tiles = list(reader.tiles())
        all_leaves = leaves(car.state / EVENTS)
    assert tiles == [(i, root(all_leaves[i * 256 : i * 256 + 256])) for i in range(size // 256)]


@pytest.mark.parametrize("sizes", [(1,), (256,), (255, 2), (100,) * 6, (512, 3), (300, 300, 300)])
def test_sealer_goes_on_after_a_start(state: Path, sizes: tuple[int, ...]) -> None:
    driven(state, sizes)
    with Car(state) as car:
        car.drive(70, 200)
    assert [n.boot for n in notes(state / EVENTS)] == [1, 2]
    assert checked(state, keys=car.owners()).seals == 2


@pytest.mark.parametrize("pruned", [(1,), (1, 2), (1, 2, 3, 4), (3, 4), (4,)])
def test_sealer_goes_on_over_blocks_that_were_pruned(state: Path, pruned: tuple[int, ...]) -> None:
    driven(state, (200, 200, 200, 77))
    with Car(state) as car:
        make_golden_log.prune(car.log, state / EVENTS, pruned[0], pruned[-1])
        car.sealer = car.new_sealer()
        car.drive(70, 200)
    assert checked(state, keys=car.owners()).seals == 2


def test_tiles_that_do_not_give_the_sealed_root_stop_the_start(state: Path) -> None:
    driven(state, (600,))
    with tampering(state / EVENTS) as connection:
        connection.execute("UPDATE tile SET hash = zeroblob(64) WHERE no = 1")
    with pytest.raises(LogCorruptError, match="seal 1: tiles and events do not give its root"):
        Car(state)


@pytest.mark.parametrize("byte", [0, 7, 30, 60])
def test_event_that_is_not_on_disk_as_it_was_written_stops_the_agent(car: Car, byte: int) -> None:
    with car:
        car.drive(2)
        fill(car.log, 2, 2)
        with tampering(car.state / EVENTS) as connection:
            body = bytearray(body_of(connection, 4))
            body[byte] ^= 1
            put_body(connection, 4, bytes(body))
        before = seals(car.state / EVENTS)
        if byte in range(4, 8):  # the check proves nothing: the chain does
            assert car.sealer.seal() is not None
            return
        with pytest.raises(LogCorruptError, match="block 4"):
            car.sealer.seal()
        assert seals(car.state / EVENTS) == before


def test_rt_19_whole_chain_that_is_not_the_writers_is_not_sealed(car: Car) -> None:
    """Somebody replaces the last block by one that follows as well."""
    with car:
        fill(car.log, 2, 2)
        with tampering(car.state / EVENTS) as connection:
            events = [event for _, event in chain.unpack(body_of(connection, 2))]
            [(before,)] = rows(connection, "SELECT head_before FROM block WHERE no = 2")
            body, after = chain.pack([events[0], events[1][:-1] + b"?"], before)
            put_body(connection, 2, body)
            connection.execute("UPDATE block SET head_after = ? WHERE no = 2", (after,))
        with pytest.raises(LogCorruptError, match="not the one written up to event 4"):
            car.sealer.seal()


def test_missing_block_stops_the_agent(car: Car) -> None:
    with car:
        fill(car.log, 2, 2, 2)
        with tampering(car.state / EVENTS) as connection:
            connection.execute("DELETE FROM block WHERE no = 2; DELETE FROM body WHERE no = 2")
        with pytest.raises(LogCorruptError):
            car.sealer.seal()


def test_rt_17_no_number_is_sealed_twice_and_none_too_early(car: Car) -> None:
    with car:
        car.drive(2)
        [seal] = seals(car.state / EVENTS)
        for no in (1, 3):
            with pytest.raises(SealError, match="next seal is 2"):
                car.key.mac(no, seal.note)
            with pytest.raises(LogCorruptError, match="a seal follows the last one"):
                car.log.seal(Seal(no, seal.note, seal.mac, seal.signature), [])
        assert seals(car.state / EVENTS) == [seal]


@pytest.mark.parametrize(
    "times",
    [(0, 0, 0), (0, 1_800_000_000, 5), (4_000_000_000, 0, 9_000_000_000), (-5, -4, -3)],
)
def test_rt_57_clock_that_jumps_by_years_changes_no_number(
    state: Path, times: tuple[int, ...]
) -> None:
    clock = ManualClock()
    with Car(state, clock=clock) as car:
        for seconds in times:
            clock.step(seconds * 10**9)
            car.drive(3)
    assert [(n.no, n.t // 10**9) for n in notes(state / EVENTS)] == list(enumerate(times, 1))
    assert checked(state, keys=car.owners()).seals == 3


def test_floor_is_laid_with_every_seal(car: Car) -> None:
    with car:
        for size in (3, 4, 5):
            fill(car.log, size)
            head = car.log.head()
            made = car.sealer.seal()
            assert made is not None
            assert floor.read(car.state / FLOOR) == Floor(car.log.log_id, made.no, head)
            car.log.append([told(made)])
        car.sealer.lay_floor(car.log.head())
        assert floor.read(car.state / FLOOR) == Floor(car.log.log_id, 3, car.log.head())


def test_key_is_ahead_of_the_seals_by_one_and_no_more(car: Car) -> None:
    with car:
        assert car.key.no == 1
        for no in (1, 2, 3):
            car.drive(1)
            assert car.key.no == no + 1


def test_rt_39_power_that_fails_between_a_seal_and_its_key(
    state: Path,
) -> None:
    driven(state, (3,))
    before = copied(state, state.with_name("before"))
    driven(state, (3,))
    shut = copied(state, state.with_name("shut"))
    (shut / "keys" / "seal.key").write_bytes((before / "keys" / "seal.key").read_bytes())
    with Car(shut) as car:
        assert (car.key.no, car.sealer.seals) == (2, 2)
        car.key.advance(car.sealer.seals)
        car.drive(2)
    assert checked(shut, keys=car.owners()).seals == 3


def test_log_without_seals_is_sealed_from_its_first_event(state: Path) -> None:
    with Car(state) as car:
        fill(car.log, *[100] * 9)
    with Car(state) as car:
        fill(car.log, 1)
        assert car.sealer.seal() is not None
    [found] = notes(state / EVENTS)
    assert (found.size, found.root) == (901, root(leaves(state / EVENTS)))


def test_empty_log_has_nothing_to_seal(car: Car) -> None:
    with car:
        assert car.sealer.seal() is None
        assert car.log.head() == Head(0, chain.genesis(car.log.log_id, NOTE))


def test_sealing_goes_on_beside_a_writer_that_appends(car: Car) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            car.log.append([draft()] * 5)

    with car:
        fill(car.log, 1)
        writer = threading.Thread(target=write)
        writer.start()
        made = [car.sealer.seal() for _ in range(20)]
        stop.set()
        writer.join()
        assert all(event is None or event.no for event in made)
    assert checked(car.state, keys=car.owners()).seals == car.sealer.seals > 1
