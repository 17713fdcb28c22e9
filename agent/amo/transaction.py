"""Transactions: the envelope, the bytes that are signed, and reading what others sent.

The signed message is rebuilt from the fields, compact and in a fixed order, with the
payload as its sender spelt it; the hash is over the bytes as sent. Reading is as
lenient as the chain is: field names of any case, the last of equal names wins, and
missing fields count as empty.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from agent.amo import p256
from agent.amo.fields import (
    MAX_MOTE,
    read_hex,
    read_mote,
    read_public,
    read_string,
    read_text,
    whole_number,
)
from agent.amo.rawjson import WHITE, compact, escape, members
from agent.errors import UsageError

MAX_SENT_BYTES: Final = 749_900
"""What passes through a node's RPC in base64 (body limit 1,000,000 bytes)."""
MAX_HEIGHT: Final = 2**63 - 1


class Signer(Protocol):
    """Whoever holds a private key of the chain.

    public: 65 bytes, uncompressed point of P-256.
    """

    @property
    def public(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes:
        """64 bytes r || s over SHA-256 of the message."""


@dataclass(frozen=True, slots=True)
class SignedTx:
    """raw: the bytes to send. hash: SHA-256 over them, 64 upper-case hex digits.

    last_height: what it is bound to
    """

    raw: bytes
    hash: str
    last_height: int


class Sendable(Protocol):
    """What can be sent, and sent again: signed now, or written down before."""

    @property
    def raw(self) -> bytes: ...

    @property
    def hash(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """A transaction as read; nothing is said yet about whether it is any good.

    sender:       upper-case hex of any length
    fee:          mote; negative values are read too
    last_height:  the text as sent; `bound_height` is the number it counts as
    payload:      raw JSON as sent; `null` where there is none
    public, signature:  empty where there are none
    """

    type: str
    sender: str
    fee: int
    last_height: str
    payload: bytes
    public: bytes
    signature: bytes

    @property
    def bound_height(self) -> int:
        """The height it is bound to; text that is not a whole number counts as 0."""
        return whole_number(self.last_height)

    def signing_bytes(self) -> bytes:
        return signing_bytes(self.type, self.sender, self.fee, self.last_height, self.payload)

    def is_signed_by_sender(self) -> bool:
        """The key belongs to the sender's address and signed these fields."""
        return (
            len(self.public) == p256.PUBLIC_BYTES
            and p256.address_of(self.public) == self.sender
            and p256.verify(self.public, self.signing_bytes(), self.signature)
        )


def tx_hash(raw: bytes) -> str:
    """SHA-256 over exactly the bytes sent: 64 upper-case hex digits."""
    return hashlib.sha256(raw).hexdigest().upper()


def signing_bytes(
    kind: str, sender: str, fee: int, last_height: int | str, payload_json: bytes | str
) -> bytes:
    """The message whose SHA-256 is signed.

    kind is the transaction's type, sender hex of either case, fee in mote. A last height
    given as text stays as it is spelt; the payload loses white space outside strings and
    nothing else. Raises MalformedInputError where the payload is not JSON.
    """
    payload = payload_json.encode() if isinstance(payload_json, str) else payload_json
    return b'{"type":%b,"sender":"%b","fee":"%d","last_height":%b,"payload":%b}' % (
        _quoted(kind),
        sender.upper().encode(),
        fee,
        _quoted(str(last_height)),
        compact(payload),
    )


def build(
    kind: str, payload: Mapping[str, object], *, signer: Signer, fee: int, last_height: int
) -> SignedTx:
    """A transaction of this signer, compact, with the payload sent as it is signed.

    fee in mote goes to the block's proposer; last_height is one the chain has reached.
    Raises UsageError for a payload that is not JSON, and above MAX_SENT_BYTES.
    """
    if not 0 <= fee <= MAX_MOTE:
        raise UsageError(f"fee of {fee} mote is outside 0..2^256-2")
    if not 0 <= last_height <= MAX_HEIGHT:
        raise UsageError(f"last height {last_height} is outside 0..2^63-1")
    sender = p256.address_of(signer.public)
    message = signing_bytes(kind, sender, fee, last_height, _payload_text(payload))
    raw = b'%b,"signature":{"pubkey":"%b","sig_bytes":"%b"}}' % (
        message[:-1],
        signer.public.hex().upper().encode(),
        signer.sign(message).hex().upper().encode(),
    )
    if len(raw) > MAX_SENT_BYTES:
        raise UsageError(f"transaction of {len(raw)} bytes; a node takes {MAX_SENT_BYTES}")
    return SignedTx(raw, tx_hash(raw), last_height)


def parse(raw: bytes) -> Tx:
    """The fields of a transaction, read as leniently as the chain reads them.

    The payload is any JSON; what its type needs of it is for its reader to say. Raises
    MalformedInputError, in the chain's own words where they are known.
    """
    sent = [] if raw.strip(WHITE) == b"null" else _named(raw)
    fields = dict(sent)
    signature = _signature(sent)
    return Tx(
        type=read_text(_last_text(sent, "type")),
        sender=read_hex(fields.get("sender", b'""')).hex().upper(),
        fee=read_mote(fields.get("fee", b'""')),
        last_height=read_text(_last_text(sent, "last_height")),
        payload=fields.get("payload", b"null"),
        public=read_public(signature["pubkey"]) if "pubkey" in signature else b"",
        signature=read_hex(signature.get("sig_bytes", b'""')),
    )


def _named(text: bytes) -> list[tuple[str, bytes]]:
    """Members by folded name; the chain's reader takes U+017F for an s, U+212A for a k."""
    return [
        (read_string(name).replace("\u017f", "s").lower(), value) for name, value in members(text)
    ]


def _last_text(sent: list[tuple[str, bytes]], field: str) -> bytes:
    """The last value of that name that is not null: null leaves what was read before."""
    return next((v for name, v in reversed(sent) if name == field and v != b"null"), b'""')


def _signature(sent: list[tuple[str, bytes]]) -> dict[str, bytes]:
    """All signature objects, the later laid over the earlier."""
    found: dict[str, bytes] = {}
    for name, value in sent:
        if name == "signature" and value != b"null":
            found.update(_named(value))
    return found


def _payload_text(payload: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(
            dict(payload), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # a message of the serialiser may show the value
        raise UsageError(f"payload cannot be written as JSON: {type(error).__name__}") from error


def _quoted(text: str) -> bytes:
    return escape(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))
