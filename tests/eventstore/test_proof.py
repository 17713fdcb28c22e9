"""What a proof shows, and everything that must not pass for one."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.eventstore import chain, note
from agent.eventstore import proof as proofs
from agent.eventstore.log import Recorded
from agent.eventstore.note import Note
from agent.eventstore.proof import EventProof, Proof, SealsProof, SignedNote, check
from agent.eventstore.signature import signed_by
from agent.eventstore.tree import MAX_PATH, Tree, consistency, inclusion, node, nodes_of
from tests.eventstore.conftest import draft
from tests.eventstore.sealing import CAR, ORDER, Device, a_note

_Proof = TypeVar("_Proof", EventProof, SealsProof)

SIZE = 21
LOG_ID = bytes(range(32))


class Made:
    """A log that is only in memory: its events, its leaves and its seals."""

    def __init__(self, size: int = SIZE, *, first_payload: bytes = b"payload 0") -> None:
        self.heads = [chain.genesis(LOG_ID, b"note")]
        self.events = []
        for seq in range(1, size + 1):
            made = draft(seq - 1, payload=first_payload if seq == 1 else None)
            event = chain.encode(
                Recorded(
                    seq, made.kind, made.level, made.t_ns, made.mono_ns, 1, made.clock, made.payload
                )
            )
            self.events.append(event)
            self.heads.append(chain.link(self.heads[-1], event))

    def subtree(self, start: int, height: int) -> bytes:
        return nodes_of(start, self.heads[start + 1 : start + 1 + (1 << height)])

    def note(self, size: int, **changes: object) -> Note:
        tree = Tree()
        for leaf in self.heads[1 : size + 1]:
            tree.append(leaf)
        fields: dict[str, object] = {
            "log": LOG_ID,
            "size": size,
            "head": self.heads[size],
            "root": tree.root(),
        }
        return a_note(**(fields | changes))

    def seal(self, size: int, **changes: object) -> SignedNote:
        return CAR.signed(note.encode(self.note(size, **changes)))

    def event_proof(self, seq: int, size: int) -> EventProof:
        path = inclusion(seq - 1, size, self.subtree)
        return EventProof(
            self.events[seq - 1].hex(), self.heads[seq - 1].hex(), hexed(path), self.seal(size)
        )

    def seals_proof(self, first: int, second: int) -> SealsProof:
        path = consistency(first, second, self.subtree)
        return SealsProof(self.seal(first, no=1), self.seal(second, no=2), hexed(path))


def hexed(path: list[bytes]) -> tuple[str, ...]:
    return tuple(each.hex() for each in path)


LOG = Made()
EVENT = LOG.event_proof(6, SIZE)
SEALS = LOG.seals_proof(6, SIZE)


def changed(proof: _Proof, **changes: object) -> _Proof:
    return msgspec.structs.replace(proof, **changes)


def refused(proof: Proof, why: str, device: bytes | None = None) -> None:
    finding = check(proof, device)
    assert not finding.holds
    assert why in finding.reason
    assert "\n" not in finding.reason
    assert (finding.seals, finding.event) == ((), None)


def test_every_event_of_every_size_up_to_21_is_proved_and_shown() -> None:
    for size in range(1, SIZE + 1):
        for seq in range(1, size + 1):
            finding = check(proofs.decode(proofs.encode(LOG.event_proof(seq, size))))
            assert finding.holds, (seq, size)
            assert finding.event == chain.decode(LOG.events[seq - 1])
            assert finding.seals == (LOG.note(size),)


def test_every_two_seals_of_sizes_up_to_21_are_proved() -> None:
    for second in range(1, SIZE + 1):
        for first in range(1, second + 1):
            finding = check(proofs.decode(proofs.encode(LOG.seals_proof(first, second))))
            assert finding.holds, (first, second)
            assert finding.seals == (LOG.note(first, no=1), LOG.note(second, no=2))


def test_file_has_the_members_of_the_format_page_in_lower_case_hexadecimal() -> None:
    file = json.loads(proofs.encode(EVENT))
    assert set(file) == {"proof", "event", "before", "path", "seal"}
    assert file["proof"] == "amo-agent event 1"
    assert bytes.fromhex(file["event"]) == LOG.events[5]
    assert bytes.fromhex(file["before"]) == LOG.heads[5]
    assert set(file["seal"]) == {"note", "signature"}
    assert set(json.loads(proofs.encode(changed(EVENT, key="ab" * 32)))) - set(file) == {"key"}
    two = json.loads(proofs.encode(SEALS))
    assert set(two) == {"proof", "first", "second", "path"}
    assert two["proof"] == "amo-agent seals 1"


def test_proof_with_a_key_shows_neither_in_its_repr() -> None:
    with_key = changed(EVENT, key="ab" * 32)
    assert "abab" not in repr(with_key)
    assert LOG.events[5].hex()[-8:] not in repr(with_key)


@given(st.sampled_from([EVENT, SEALS]), st.data())
def test_any_changed_byte_of_a_file_is_no_proof_or_does_not_hold(
    proof: Proof, data: st.DataObject
) -> None:
    file = bytearray(proofs.encode(proof))
    at = data.draw(st.integers(0, len(file) - 2))  # the last byte is a blank line's
    file[at] ^= data.draw(st.integers(1, 255))
    try:
        other = proofs.decode(bytes(file))
    except MalformedInputError:
        return
    assert other == proof or not check(other).holds  # a blank may be another blank


@given(st.binary(max_size=300))
def test_any_bytes_are_no_proof(data: bytes) -> None:
    with pytest.raises(MalformedInputError):
        proofs.decode(data)


def file(**changes: object) -> bytes:
    return json.dumps(json.loads(proofs.encode(EVENT)) | changes).encode()


NODE = "00" * 64


@pytest.mark.parametrize(
    "data",
    [
        file(proof="amo-agent event 2"),
        file(proof=1),
        file(proof="amo-agent seals 1"),
        file(event=LOG.events[5].hex().upper()),
        file(event=LOG.events[5].hex()[1:]),
        file(event="0x00"),
        file(event=" 00"),
        file(event="00\n"),
        file(event=None),
        file(event=[1, 2]),
        file(before="00" * 63),
        file(before="00" * 65),
        file(path=None),
        file(path={}),
        file(path=NODE),
        file(path=["00" * 63]),
        file(path=["00" * 65]),
        file(path=[""]),
        file(path=[NODE[1:] + "\n"]),
        file(path=[NODE] * (MAX_PATH + 1)),
        file(path=[["00"]]),
        file(seal=None),
        file(seal={"note": ""}),
        file(seal={"note": "", "signature": "00" * 63}),
        file(seal={"note": "", "signature": "00" * 72}),
        file(seal={"note": "00" * 4097, "signature": NODE}),
        file(seal={"note": "", "signature": NODE, "alg": "none"}),
        file(key=""),
        file(key="00" * 33),
        file(size=21),
        b"\xef\xbb\xbf" + file(),
        file().decode().encode("utf-16"),
        b"[" + file() + b"]",
        file() + b"{}",
        file()[:-1],
        b'{"proof": "\xff"}',
        b'{"proof": "\\ud800"}',
        b"NaN",
        b"1" + b"0" * 5000,
        b"",
    ],
)
def test_rt_24_what_is_not_of_the_format_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInputError) as error:
        proofs.decode(data)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_rt_24_index_beyond_the_size_empty_extra_and_missing_siblings_are_refused() -> None:
    for seq in range(1, SIZE + 1):
        whole = LOG.event_proof(seq, SIZE)
        for path in [
            (),
            whole.path[1:],
            whole.path[:-1],
            (*whole.path, NODE),
            (*whole.path, whole.path[-1]),
            (NODE, *whole.path),
            whole.path[::-1],
            (NODE,) * MAX_PATH,
        ]:
            refused(changed(whole, path=path), "not among the 21")
        for size in range(1, SIZE):
            # the same path under a true seal of another size, also of one before the event
            refused(changed(whole, seal=LOG.seal(size)), f"not among the {size}")


def test_rt_24_event_with_another_sequence_number_is_refused() -> None:
    for seq in (0, 5, 7, SIZE + 1, 2**64 - 1):
        raw = LOG.events[5]
        moved = raw[:1] + seq.to_bytes(8, "big") + raw[9:]
        refused(changed(EVENT, event=moved.hex()), f"event {seq} is not among")


def test_rt_25_an_inner_node_does_not_pass_for_an_event() -> None:
    """Whoever shows node(left, right) as an event would need 0x00 to be 0x01."""
    left, right = LOG.heads[1], LOG.heads[2]
    path = inclusion(0, SIZE, LOG.subtree)[1:]
    assert node(left, right) == LOG.subtree(0, 1)
    short = EventProof(right.hex(), left.hex(), hexed(path), LOG.seal(SIZE))
    assert not check(short).holds
    # and one that reads as event 1, so that only the hash stands against it
    posing = Recorded(1, "x/1", draft().level, 0, 0, 1, draft().clock, right)
    refused(changed(short, event=chain.encode(posing).hex()), "event 1 is not among")


def test_rt_27_seals_backwards_or_of_one_size_and_two_roots_are_refused() -> None:
    other = Made(first_payload=b"another")
    early, late = LOG.seal(6, no=1), LOG.seal(SIZE, no=2)
    refused(SealsProof(late, early, SEALS.path), "seal 1 comes before seal 2")
    refused(SealsProof(LOG.seal(SIZE, no=1), LOG.seal(6, no=2), SEALS.path), "do not begin")
    refused(SealsProof(LOG.seal(6, no=1), other.seal(6, no=2), ()), "do not begin")
    refused(SealsProof(other.seal(6, no=1), late, SEALS.path), "do not begin")
    refused(changed(SEALS, path=SEALS.path[:-1]), "do not begin")
    refused(changed(SEALS, path=(*SEALS.path, NODE)), "do not begin")
    assert check(SealsProof(early, LOG.seal(6, no=2), ())).holds


def test_rt_13_two_seals_with_one_number_are_no_proof_of_one_log() -> None:
    refused(SealsProof(LOG.seal(6), LOG.seal(SIZE), SEALS.path), "two seals with the number 1")
    assert check(SealsProof(LOG.seal(6), LOG.seal(6), ())).holds


def test_seals_of_two_logs_or_two_devices_are_no_proof() -> None:
    foreign = LOG.seal(SIZE, no=2, log=bytes(32))
    refused(changed(SEALS, second=foreign), "not of one log and one device")
    thief = Device(9)
    other = thief.signed(note.encode(LOG.note(SIZE, no=2, device=thief.public)))
    refused(changed(SEALS, second=other), "not of one log and one device")


def test_rt_28_prover_with_one_chain_and_another_tree_is_caught_by_the_second_checker() -> None:
    """CVE-2022-36111. The liar's seal binds the head of one history and the root of another.

    Each checker of an event sees the tree; who follows the chain sees the head. Both are under the
    one signature, so whoever holds the chain computes the root anew and has the liar's own
    signature against him.
    """
    shown, kept = Made(first_payload=b"speed 50"), Made(first_payload=b"speed 90")
    lie = CAR.signed(
        note.encode(shown.note(SIZE, head=shown.heads[SIZE], root=kept.note(SIZE).root))
    )

    # to one the tree's history is shown, and it holds: an event proof speaks of the tree alone
    to_one = changed(kept.event_proof(1, SIZE), seal=lie)
    assert check(to_one).holds
    # to the other the chain's history: no event that differs can be shown under the same seal
    for seq in range(1, SIZE + 1):
        refused(changed(shown.event_proof(seq, SIZE), seal=lie), "not among")

    # an auditor with the events the other was given computes head and root anew
    signed = check(to_one).seals[0]
    tree, head = Tree(), shown.heads[0]
    for event in shown.events:
        head = chain.link(head, event)
        tree.append(head)
    assert head == signed.head
    assert tree.root() != signed.root
    # and the tree that was signed does not go on from what was sealed honestly before
    honest = shown.seal(6, no=1)
    later = CAR.signed(note.encode(shown.note(SIZE, no=2, root=kept.note(SIZE).root)))
    for source in (shown, kept):
        path = hexed(consistency(6, SIZE, source.subtree))
        refused(SealsProof(honest, later, path), "do not begin")


def test_rt_29_event_proof_says_nothing_of_the_head_beside_it() -> None:
    """Stated in docs/formats/seal.md: the seal's tree is what it speaks of."""
    other_head = CAR.signed(note.encode(LOG.note(SIZE, head=bytes(64))))
    assert check(changed(EVENT, seal=other_head)).holds


def test_rt_30_note_in_another_encoding_is_refused_though_its_signature_fits() -> None:
    canon = note.encode(LOG.note(SIZE))
    for data in (
        canon + b"\0",
        b"\xbf" + canon[1:] + b"\xff",
        canon.replace(b"\x62no\x01", b"\x62no\x18\x01"),
        cbor2.dumps(dict(reversed(cbor2.loads(canon).items()))),
        cbor2.dumps(cbor2.loads(canon) | {"x": 1}, canonical=True),
        b"",
    ):
        seal = CAR.signed(data)
        assert signed_by(CAR.public, note.to_sign(data), bytes.fromhex(seal.signature))
        refused(changed(EVENT, seal=seal), "note of")


def test_rt_31_only_the_pinned_key_counts_if_one_is_given() -> None:
    thief = Device(9)
    data = note.encode(LOG.note(SIZE, device=thief.public))
    forged = changed(EVENT, seal=thief.signed(data))
    assert check(forged).holds  # that is why a checker says that no key was pinned
    refused(forged, "by another device", CAR.public)
    assert check(EVENT, CAR.public).holds
    refused(changed(SEALS, first=forged.seal), "by another device", CAR.public)


def low_s_twin(signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + (ORDER - s).to_bytes(32, "big")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(low_s_twin, id="high s"),
        pytest.param(lambda _: bytes(64), id="zeros"),
        pytest.param(lambda s: bytes(32) + s[32:], id="r zero"),
        pytest.param(lambda s: s[:32] + bytes(32), id="s zero"),
        pytest.param(lambda _: b"\xff" * 64, id="ones"),
        pytest.param(lambda s: s[32:] + s[:32], id="r and s swapped"),
        pytest.param(
            lambda s: (ORDER + int.from_bytes(s[:32], "big") % 2**200).to_bytes(32, "big") + s[32:],
            id="r beyond the order",
        ),
        pytest.param(lambda s: bytes([s[0] ^ 1]) + s[1:], id="one bit"),
    ],
)
def test_rt_31_any_other_signature_is_refused(change: Callable[[bytes], bytes]) -> None:
    signature = change(bytes.fromhex(EVENT.seal.signature)).hex()
    seal = SignedNote(EVENT.seal.note, signature)
    refused(changed(EVENT, seal=seal), "not signed by its device")


def test_rt_31_der_or_cut_signature_is_no_signature() -> None:
    message, whole = b"message", CAR.sign(b"message")
    assert signed_by(CAR.public, message, whole)
    der = b"\x30\x44\x02\x20" + whole[:32] + b"\x02\x20" + whole[32:]
    longer = whole[:32] + b"\0" + whole[32:]
    for wrong in (der, whole[:-1], whole + b"\0", longer, b"", whole[:32]):
        assert not signed_by(CAR.public, message, wrong)


def not_on_the_curve(public: bytes) -> bytes:
    return public[:-1] + bytes([public[-1] ^ 1])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(not_on_the_curve, id="not on the curve"),
        pytest.param(lambda _: bytes(65), id="zeros"),
        pytest.param(lambda _: b"\x04" + bytes(64), id="origin"),
        pytest.param(lambda p: b"\x06" + p[1:], id="hybrid form"),
        pytest.param(lambda p: b"\x07" + p[1:], id="other hybrid form"),
        pytest.param(lambda p: b"\x03" + p[1:], id="compressed with a tail"),
        pytest.param(lambda _: b"\x04" + b"\xff" * 64, id="beyond the field"),
    ],
)
def test_rt_31_device_key_that_is_no_point_of_the_curve_is_refused(
    change: Callable[[bytes], bytes],
) -> None:
    data = note.encode(LOG.note(SIZE, device=change(CAR.public)))
    refused(changed(EVENT, seal=CAR.signed(data)), "not signed by its device")


def test_rt_31_signature_of_another_curve_is_none_under_its_own_key() -> None:
    for other in (ec.SECP256K1(), ec.BrainpoolP256R1()):
        key = ec.derive_private_key(5, other)
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        r, s = decode_dss_signature(key.sign(b"message", ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")
        assert not signed_by(point, b"message", signature)


def test_rt_31_compressed_or_cut_key_is_none() -> None:
    for public in (b"\x02" + CAR.public[1:33], CAR.public[:-1], b"", CAR.public[1:]):
        assert not signed_by(public, b"message", CAR.sign(b"message"))


def test_rt_32_signature_over_anything_but_the_seal_is_refused() -> None:
    data = note.encode(LOG.note(SIZE))
    for signed in (data, note.to_mac(data), b"amo-agent seal 2" + data, data + b"amo-agent seal 1"):
        seal = SignedNote(data.hex(), CAR.sign(signed).hex())
        refused(changed(EVENT, seal=seal), "not signed by its device")


def test_rt_33_bytes_do_not_move_between_the_hash_before_and_the_event() -> None:
    before, event = bytes.fromhex(EVENT.before), bytes.fromhex(EVENT.event)
    assert chain.link(before + event[:1], event[1:]) == chain.link(before, event)
    for moved in (
        file(before=(before + event[:1]).hex(), event=event[1:].hex()),
        file(before=before[:-1].hex(), event=(before[-1:] + event).hex()),
    ):
        with pytest.raises(MalformedInputError):
            proofs.decode(moved)


@given(st.binary(min_size=64, max_size=64), st.binary(min_size=64, max_size=64), st.binary())
def test_rt_33_leaf_node_and_genesis_never_have_one_input(
    one: bytes, other: bytes, event: bytes
) -> None:
    assert chain.link(one, other) != node(one, other)
    assert (chain.link(one, event) == chain.link(other, event)) == (one == other)
    assert chain.genesis(one[:32], one[32:] + other) not in {
        chain.link(one, other),
        node(one, other),
    }


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b'{"a":' * 50_000, id="deep object"),
        pytest.param(b'{"proof":"amo-agent event 1","event":' + b"[" * 200_000, id="deep inside"),
        pytest.param(b'{"proof":"amo-agent event 1","x":' + b"[" * 200_000, id="deep beside"),
        pytest.param(file(path=[NODE] * 1900), id="path of 1900"),
        pytest.param(file(seal={"note": "00" * 120_000, "signature": NODE}), id="long note"),
        pytest.param(file(path=[""] * 80_000), id="path of 80,000 empty nodes"),
        pytest.param(b" " * proofs.MAX_BYTES + file(), id="longer than may be read"),
        pytest.param(b'{"' + b"a" * 200_000 + b'":1}', id="long key"),
        pytest.param(b'{"proof":"' + b"a" * 200_000 + b'"}', id="long name"),
        pytest.param(b'{"proof":"\\n\\u001b[2J"}', id="name that moves the cursor"),
    ],
)
def test_rt_34_deep_or_long_proof_is_refused_with_a_short_line(data: bytes) -> None:
    with pytest.raises(MalformedInputError) as error:
        proofs.decode(data)
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()


def test_rt_34_proof_as_long_as_may_be_is_read_and_a_longer_one_not_written() -> None:
    length = (proofs.MAX_BYTES - len(proofs.encode(EVENT))) // 2
    longest = changed(EVENT, event=(bytes.fromhex(EVENT.event) + bytes(length)).hex())
    assert not check(proofs.decode(proofs.encode(longest))).holds
    with pytest.raises(MalformedInputError, match="limit 262144"):
        proofs.encode(changed(longest, event=longest.event + "0000"))


def hostile(chosen: random.Random, honest: Any) -> Any:
    """A member of a file with something else in its place."""
    kinds: list[Any] = [None, True, -1, 2**70, 1.5, "", "00", NODE, "zz", [], [NODE], {}, {"a": 1}]
    if isinstance(honest, dict) and chosen.random() < 0.7:
        key = chosen.choice(sorted(honest))
        return honest | {key: hostile(chosen, honest[key])}
    if isinstance(honest, list) and honest and chosen.random() < 0.7:
        at = chosen.randrange(len(honest))
        return [*honest[:at], hostile(chosen, honest[at]), *honest[at + 1 :]]
    if isinstance(honest, str) and honest and chosen.random() < 0.7:
        at = chosen.randrange(len(honest))
        return honest[:at] + chosen.choice("0123456789abcdefA \n") + honest[at + 1 :]
    return chosen.choice(kinds)


def forgeries() -> Iterator[bytes]:
    chosen = random.Random(34)
    honest = [json.loads(proofs.encode(each)) for each in (EVENT, SEALS)]
    for turn in range(3000):
        yield json.dumps(hostile(chosen, honest[turn % 2])).encode()


def test_no_forged_file_holds_and_none_gives_another_exception() -> None:
    malformed = answered = 0
    for data in forgeries():
        try:
            proof = proofs.decode(data)
        except MalformedInputError:
            malformed += 1
            continue
        answered += 1
        assert proof in (EVENT, SEALS) or not check(proof).holds
    assert min(malformed, answered) > 300


def test_event_that_is_none_does_not_hold_though_it_is_under_the_seal() -> None:
    """Somebody with the device key seals bytes that are no event."""
    raw = b"no event at all"
    leaf = chain.link(LOG.heads[0], raw)
    seal = CAR.signed(note.encode(a_note(size=1, root=leaf)))
    refused(EventProof(raw.hex(), LOG.heads[0].hex(), (), seal), "event of 15 bytes")
