"""Bounties: what a buyer signs to pay for data of a kind, to whoever will sell. No I/O.

Form of the file: docs/formats/bounty.md. A bounty is an offer and moves no coin: each parcel is
still requested, and paid, on the chain. An owner who subscribes takes it as a rule.
"""

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.clock import SECOND
from agent.errors import MalformedInputError, SealError
from agent.privacy import Level
from agent.wallet import cbor, curve
from agent.wallet.address import address
from agent.wallet.amount import MAX_MOTE
from agent.wallet.areas import Area
from agent.wallet.consent import Rule, Verdict
from agent.wallet.keys import Signer
from agent.wallet.policy import Count, Kinds, known_kind

DOMAIN: Final = b"amo-agent bounty 1"
MAX_BYTES: Final = 1 << 14

_Time = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Seconds of UTC, to the end of the year 9999."""


class Bounty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    buyer:      public key of the buyer's account, 65 bytes
    kinds:      all that a parcel may carry: names of signals, and kinds of other events
    levels:     of the parcels; never Lv1
    price_mote: for each parcel
    count:      parcels, at most, of one owner
    expires_s, since_s, until_s: UTC seconds: of the offer, and of the data, both inclusive
    area:       where the data was recorded
    """

    version: Annotated[int, Meta(ge=1, le=1)] = 1
    buyer: Annotated[bytes, Meta(min_length=65, max_length=65)]
    kinds: Annotated[Kinds, Meta(max_length=100)]
    levels: Annotated[frozenset[Annotated[int, Meta(ge=2, le=4)]], Meta(min_length=1)]
    price_mote: int
    count: Count
    expires_s: _Time
    since_s: _Time | None = None
    until_s: _Time | None = None
    area: Area | None = None

    @property
    def name(self) -> str:
        """Of the rule that it becomes: the same offer is the same rule."""
        return f"bounty {hashlib.sha256(_document(self)).hexdigest()[:16]}"


def sign_bounty(bounty: Bounty, key: Signer) -> bytes:
    """The file. key: the buyer's account. Raises MalformedInputError, SealError."""
    document = _document(bounty)
    signed = key.sign(DOMAIN + document) + document
    read_bounty(signed)
    return signed


def read_bounty(signed: bytes) -> Bounty:
    """Raises MalformedInputError for all that is not a bounty, signed by its buyer."""
    if len(signed) > MAX_BYTES:
        raise MalformedInputError(f"bounty of {len(signed)} bytes, at most {MAX_BYTES}")
    signature, document = signed[: curve.SIGNATURE_BYTES], signed[curve.SIGNATURE_BYTES :]
    try:
        bounty = cbor.load(document, Bounty)
        good = curve.verify(bounty.buyer, DOMAIN + document, signature)
    except (ValueError, SealError) as error:
        raise MalformedInputError(f"bounty: {error}") from None
    if not good:
        raise MalformedInputError("bounty: the signature is not that of its buyer")
    wrong = _wrong(bounty, document)
    if wrong:
        raise MalformedInputError(f"bounty: {wrong}")
    return bounty


def rule_of(bounty: Bounty) -> Rule:
    """What the owner lets happen by subscribing, and nothing more."""
    return Rule(
        name=bounty.name,
        verdict=Verdict.GRANTED,
        levels=frozenset(map(Level, bounty.levels)),
        buyers=frozenset({address(bounty.buyer)}),
        kinds=bounty.kinds,
        min_payment_mote=bounty.price_mote,
        since_ns=None if bounty.since_s is None else bounty.since_s * SECOND,
        until_ns=None if bounty.until_s is None else bounty.until_s * SECOND,
        area=bounty.area,
        expires_ns=bounty.expires_s * SECOND,
        count=bounty.count,
    )


def _wrong(bounty: Bounty, document: bytes) -> str:
    """What one that is signed still cannot be; "" where it can."""
    unknown = sorted(kind for kind in bounty.kinds if not known_kind(kind))
    if unknown:
        return f"{unknown[0]!r} is no kind of data that a parcel carries"
    if not 0 < bounty.price_mote <= MAX_MOTE:
        return f"a price of {bounty.price_mote} mote is outside 1..2^256-2"
    if bounty.since_s and bounty.until_s is not None and bounty.until_s < bounty.since_s:
        return f"until_s = {bounty.until_s} is before since_s = {bounty.since_s}"
    return "" if document == _document(bounty) else "not in its canonical form"


def _document(bounty: Bounty) -> bytes:
    """Sets are in order, so that one bounty has one form."""
    fields = msgspec.structs.asdict(bounty)
    ordered = {"kinds": sorted(bounty.kinds), "levels": sorted(bounty.levels)}
    return cbor.dump(fields | ordered)
