"""Payloads of the transactions an owner and a buyer send, checked before they are signed.

Amounts are whole numbers of mote (10^18 of them are one AMO) and go as decimal strings,
addresses are 40 upper-case hex digits, a parcel id is the four bytes of its storage's
number and a local id, in upper-case hex. Each function gives the payload of the
transaction it is named after, and raises UsageError for what the chain would refuse
whatever its state. What depends on the sender or the protocol too is in kinds.py,
documents and credentials are in dids.py.
"""

import re
from collections.abc import Mapping
from typing import Final

from agent.amo.fields import MAX_MOTE
from agent.errors import UsageError

AMO: Final = 10**18
"""Mote in one AMO."""

Payload = dict[str, object]

_ADDRESS: Final = re.compile(r"[0-9A-Fa-f]{40}")
_PARCEL: Final = re.compile(r"[0-9A-Fa-f]{8}(?:[0-9A-Fa-f]{2})+")
_MAX_UINT32: Final = 2**32 - 1
_VALIDATOR_BYTES: Final = 32


def transfer(to: str, *, mote: int = 0, parcel: str | None = None, udc: int = 0) -> Payload:
    """Coins, or the ownership of a parcel; the chain would leave coins beside a parcel unmoved."""
    payload: Payload = {"to": address_of(to)}
    if parcel is not None:
        if mote or udc:
            raise UsageError(f"a transfer moves a parcel or coins, not both: {mote} mote given")
        return payload | {"parcel": parcel_of(parcel)}
    if mote == 0:
        raise UsageError("a transfer moves a parcel, or at least 1 mote")
    coin: Payload = {"udc": _uint32("udc", udc)} if udc else {}
    return payload | coin | {"amount": _mote("amount", mote)}


def stake(validator: bytes, mote: int) -> Payload:
    """Bind coins to a validator's Ed25519 public key, 32 bytes, in units of the chain's choice."""
    if len(validator) != _VALIDATOR_BYTES:
        raise UsageError(f"validator key of {len(validator)} bytes; it has {_VALIDATOR_BYTES}")
    return {"validator": validator.hex().upper(), "amount": _at_least_one(mote)}


def withdraw(mote: int) -> Payload:
    """Take own stake back, once it is unlocked."""
    return {"amount": _at_least_one(mote)}


def delegate(to: str, mote: int) -> Payload:
    """Lend coins to the stake of another account."""
    return {"to": address_of(to), "amount": _at_least_one(mote)}


def retract(mote: int) -> Payload:
    """Take delegated coins back."""
    return {"amount": _at_least_one(mote)}


def vote(draft_id: int, *, approve: bool) -> Payload:
    """A validator's word on another validator's draft of the chain's configuration."""
    return {"draft_id": _uint32("draft", draft_id), "approve": approve}


def setup(storage: int, url: str, *, registration_fee: int, hosting_fee: int) -> Payload:
    """A storage service; fees in mote, for a registration and for a grant."""
    return {
        "storage": _uint32("storage", storage),
        "url": url,
        "registration_fee": _mote("registration fee", registration_fee),
        "hosting_fee": _mote("hosting fee", hosting_fee),
    }


def close(storage: int) -> Payload:
    """No parcel is registered, requested or granted in that storage until it is set up again."""
    return {"storage": _uint32("storage", storage)}


def register(
    target: str,
    custody: bytes,
    *,
    proxy: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> Payload:
    """A parcel of the sender's; custody is its data key, wrapped for the sender."""
    payload: Payload = {"target": parcel_of(target), "custody": custody.hex().upper()}
    if proxy is not None:
        payload["proxy_account"] = address_of(proxy)
    return payload | _extra(extra)


def discard(target: str) -> Payload:
    return {"target": parcel_of(target)}


def request(
    target: str,
    payment: int,
    *,
    recipient: str | None = None,
    dealer: str | None = None,
    dealer_fee: int = 0,
    extra: Mapping[str, object] | None = None,
) -> Payload:
    """Ask for a parcel, for oneself or for a recipient; amounts in mote are pledged.

    A recipient can cancel the request, and then gets the pledged coins.
    """
    if dealer is None and dealer_fee:
        raise UsageError(f"dealer fee of {dealer_fee} mote without a dealer")
    payload: Payload = {"target": parcel_of(target), "payment": _mote("payment", payment)}
    if recipient is not None:
        payload["recipient"] = address_of(recipient)
    if dealer is not None:
        payload["dealer"] = address_of(dealer)
        payload["dealer_fee"] = _mote("dealer fee", dealer_fee)
    return payload | _extra(extra)


def cancel(target: str, *, recipient: str | None = None) -> Payload:
    payload: Payload = {"target": parcel_of(target)}
    return payload if recipient is None else payload | {"recipient": address_of(recipient)}


def grant(
    target: str, recipient: str, custody: bytes, *, extra: Mapping[str, object] | None = None
) -> Payload:
    """Give a requested parcel; custody is its data key, wrapped for the recipient."""
    payload: Payload = {
        "target": parcel_of(target),
        "recipient": address_of(recipient),
        "custody": custody.hex().upper(),
    }
    return payload | _extra(extra)


def revoke(target: str, recipient: str) -> Payload:
    return {"target": parcel_of(target), "recipient": address_of(recipient)}


def parcel_id(storage: int, local: bytes) -> str:
    """Upper-case hex of the storage's number in four bytes and the local id."""
    return parcel_of((_uint32("storage", storage).to_bytes(4) + local).hex())


def parcel_of(text: str) -> str:
    """A parcel id in upper case; it is longer than the four bytes of its storage."""
    if not _PARCEL.fullmatch(text):
        raise UsageError(f"parcel id {text[:80]!r} is not hex of more than 4 bytes")
    return text.upper()


def storage_of(parcel: str) -> int:
    """The number of the storage that a parcel id names."""
    return int(parcel_of(parcel)[:8], 16)


def address_of(text: str) -> str:
    """An account's address in upper case."""
    if not _ADDRESS.fullmatch(text):
        raise UsageError(f"address {text[:80]!r} is not 40 hex digits")
    return text.upper()


def _mote(what: str, mote: int) -> str:
    if not 0 <= mote <= MAX_MOTE:
        raise UsageError(f"{what} of {mote} mote is outside 0..2^256-2")
    return str(mote)


def _at_least_one(mote: int) -> str:
    if mote == 0:
        raise UsageError("an amount of 0 mote; at least 1 is needed")
    return _mote("amount", mote)


def _uint32(what: str, number: int) -> int:
    if not 0 <= number <= _MAX_UINT32:
        raise UsageError(f"{what} number {number} is outside 0..2^32-1")
    return number


def _extra(extra: Mapping[str, object] | None) -> Payload:
    return {} if extra is None else {"extra": dict(extra)}
