"""The two proofs of docs/formats/seal.md, and their check without the log. No I/O.

A checker needs nothing else: not the log, not its other events. Whose key signed can be told only
by somebody who knows the device's key from elsewhere.
"""

from typing import Annotated, Final

import msgspec

from agent.errors import MalformedInputError
from agent.eventstore import chain, note
from agent.eventstore.log import Recorded
from agent.eventstore.note import Note
from agent.eventstore.signature import signed_by
from agent.eventstore.tree import MAX_PATH, check_consistency, check_inclusion

MAX_BYTES: Final = 256 * 1024
"""Of the file."""

_DIGITS: Final = r"\A(?:[0-9a-f]{2})*\Z"
_Hex = Annotated[str, msgspec.Meta(pattern=_DIGITS)]
_Note = Annotated[str, msgspec.Meta(pattern=_DIGITS, max_length=2 * note.MAX_BYTES)]
_Hex32 = Annotated[str, msgspec.Meta(pattern=_DIGITS, min_length=64, max_length=64)]
_Hex64 = Annotated[str, msgspec.Meta(pattern=_DIGITS, min_length=128, max_length=128)]
_Path = Annotated[tuple[_Hex64, ...], msgspec.Meta(max_length=MAX_PATH)]


class SignedNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seal without its MAC, which only the owner could check."""

    note: _Note
    signature: _Hex64


class EventProof(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="proof",
    tag="amo-agent event 1",
):
    """That an event is in the log of a device. Its members are the file's; bytes are in hex.

    before: h(i - 1); path: from h(i) upwards; key: of this event alone, if it is disclosed
    """

    event: _Hex
    before: _Hex64
    path: _Path
    seal: SignedNote
    key: _Hex32 | None = None

    def __repr__(self) -> str:
        return f"EventProof({len(self.event) // 2} bytes)"


class SealsProof(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="proof",
    tag="amo-agent seals 1",
):
    """That the log under the first seal is the beginning of that under the second."""

    first: SignedNote
    second: SignedNote
    path: _Path


Proof = EventProof | SealsProof


class Finding(msgspec.Struct, frozen=True):
    """
    holds:  whether the proof does; reason: why not, in one line
    seals:  what was signed; empty where it does not hold
    event:  the event that was shown; None where there is none
    """

    holds: bool
    reason: str = ""
    seals: tuple[Note, ...] = ()
    event: Recorded | None = None


class _NotSoError(Exception):
    """The first thing that does not hold."""


def encode(proof: Proof) -> bytes:
    """The file. Raises MalformedInputError for an event that is too long for one."""
    data = msgspec.json.encode(proof) + b"\n"
    if len(data) > MAX_BYTES:
        raise MalformedInputError(f"proof of {len(data)} bytes, limit {MAX_BYTES}")
    return data


def decode(data: bytes) -> Proof:
    """Raises MalformedInputError for what is no proof; whether it holds is not looked at."""
    if len(data) > MAX_BYTES:
        raise MalformedInputError(f"proof of {len(data)} bytes or more, limit {MAX_BYTES}")
    try:
        proof: Proof = msgspec.json.decode(data, type=Proof)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = ascii(str(error)[:100])  # it may quote the file, which is a stranger's
        raise MalformedInputError(f"{len(data)} bytes are no proof: {why}") from error
    return proof


def check(proof: Proof, device: bytes | None = None) -> Finding:
    """device: the key that must have signed, 65 bytes; None believes the one in the seal."""
    try:
        if isinstance(proof, EventProof):
            return _check_event(proof, device)
        return _check_seals(proof, device)
    except (_NotSoError, MalformedInputError) as error:
        return Finding(holds=False, reason=str(error))


def _check_event(proof: EventProof, device: bytes | None) -> Finding:
    seal = _signed(proof.seal, device)
    event = bytes.fromhex(proof.event)
    recorded = chain.decode(event)
    leaf = chain.link(bytes.fromhex(proof.before), event)
    if not check_inclusion(leaf, recorded.seq - 1, seal.size, _bytes(proof.path), seal.root):
        raise _NotSoError(f"event {recorded.seq} is not among the {seal.size} that were sealed")
    return Finding(holds=True, seals=(seal,), event=recorded)


def _check_seals(proof: SealsProof, device: bytes | None) -> Finding:
    first, second = _signed(proof.first, device), _signed(proof.second, device)
    if (first.log, first.device) != (second.log, second.device):
        raise _NotSoError("the two seals are not of one log and one device")
    if second.no < first.no:
        raise _NotSoError(f"seal {second.no} comes before seal {first.no}")
    if second.no == first.no and second != first:
        raise _NotSoError(f"there are two seals with the number {first.no}")
    sizes, roots = (first.size, second.size), (first.root, second.root)
    if not check_consistency(*sizes, _bytes(proof.path), *roots):
        raise _NotSoError(f"the {first.size} events do not begin the {second.size}")
    return Finding(holds=True, seals=(first, second))


def _signed(seal: SignedNote, device: bytes | None) -> Note:
    """The note of a seal that is signed by its device, which is the one that is expected."""
    data = bytes.fromhex(seal.note)
    decoded = note.decode(data)
    if device is not None and decoded.device != device:
        raise _NotSoError(f"seal {decoded.no} is by another device")
    if not signed_by(decoded.device, note.to_sign(data), bytes.fromhex(seal.signature)):
        raise _NotSoError(f"seal {decoded.no} is not signed by its device")
    return decoded


def _bytes(path: tuple[str, ...]) -> list[bytes]:
    return [bytes.fromhex(each) for each in path]
