"""Seals made by hand, by the format page alone, and logs that carry them."""

import hmac
from hashlib import sha3_512
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.clock import ClockQuality
from agent.eventstore import chain, note
from agent.eventstore.note import Note
from agent.eventstore.proof import SignedNote
from agent.eventstore.reader import LogReader, Seal
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.tree import Tree

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Signs(Protocol):
    """A device key, whoever holds it."""

    @property
    def public(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class Device:
    """A P-256 key and what it signs."""

    def __init__(self, scalar: int = 7) -> None:
        self._private = ec.derive_private_key(scalar, ec.SECP256R1())
        self.public = self._private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")

    def signed(self, data: bytes) -> SignedNote:
        """These bytes of a note, whatever they are, as a proof has them."""
        return SignedNote(data.hex(), self.sign(b"amo-agent seal 1" + data).hex())


CAR = Device()


def a_note(**changes: object) -> Note:
    fields = {
        "log": bytes(range(32)),
        "no": 1,
        "size": 5,
        "head": bytes(64),
        "root": b"\x11" * 64,
        "prev": note.FIRST,
        "boot": 1,
        "t": 1_750_000_000_000_000_000,
        "clock": ClockQuality.GNSS,
        "firmware": "1.2.3",
        "image": b"\x22" * 32,
        "counter": None,
        "custody": "file",
        "device": CAR.public,
    }
    return Note(**(fields | changes))  # type: ignore[arg-type]  # wrong ones are the point


def seal(log: SqliteLog, state: Path, signer: Signs = CAR, /, **changes: object) -> Note:
    """Seals what the log in this state directory holds now, as the format page says."""
    with LogReader.open(state / "events.db") as reader:
        last, tail, tree = reader.last_seal(), reader.tail(), the_tree(reader)
        known = sum(1 for _ in reader.tiles())
    fields: dict[str, object] = {
        "log": log.log_id,
        "no": last.no + 1 if last else 1,
        "size": tail.head.seq,
        "head": tail.head.hash,
        "root": tree.root(),
        "prev": sha3_512(last.note).digest() if last else note.FIRST,
        "boot": tail.boot,
        "device": signer.public,
    }
    made = a_note(**(fields | changes))
    data = note.encode(made)
    mac = hmac.digest(bytes(32), note.to_mac(data), "sha3_512")
    row = Seal(made.no, data, mac, signer.sign(note.to_sign(data)))
    log.seal(row, tree.tiles[known:])
    return made


def the_tree(reader: LogReader) -> Tree:
    """Of all leaves of a log."""
    tree = Tree()
    for block in reader.blocks():
        if block.body is None:
            tree.add_nodes(block.nodes or b"", block.n)
            continue
        head = block.head_before
        for _, event in chain.unpack(block.body):
            head = chain.link(head, event)
            tree.append(head)
    return tree
