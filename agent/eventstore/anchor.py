"""Seals that AMO bears witness to. A parcel is registered with the last seal of its log.

What stands on the chain of AMO was true when its block was made, whoever has the device now: a log
that lacks the seal, or has another one of that number, was cut or written anew.
"""

from hashlib import sha3_512
from typing import Final, NamedTuple, Self

from agent.errors import MalformedInputError, UsageError
from agent.events import ParcelRegistered
from agent.eventstore import note
from agent.eventstore.reader import LogReader
from agent.eventstore.sealcheck import BadSealError
from agent.eventstore.walk import Walked

DIGEST_BYTES: Final = 64
MAX_NO: Final = (1 << 63) - 1
"""Of a seal: docs/formats/seal.md."""


class Anchor(NamedTuple):
    """no: of a seal; digest: SHA3-512 of its note."""

    no: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of "NO:DIGEST", the digest as 128 hexadecimal digits. Raises UsageError."""
        no, _, digits = text.partition(":")
        try:
            anchor = cls(int(no), bytes.fromhex(digits))
        except ValueError:
            anchor = cls(0, b"")
        if not 0 < anchor.no <= MAX_NO or len(anchor.digest) != DIGEST_BYTES:
            raise UsageError(f"{text[:160]!r} is no anchor: NO:DIGEST with 128 hexadecimal digits")
        return anchor

    def __str__(self) -> str:
        return f"{self.no}:{self.digest.hex()}"


class Witnessed(NamedTuple):
    """seq: the last event that AMO bears witness to; receipt: of the parcel with the anchor."""

    seq: int
    receipt: ParcelRegistered


def last_anchor(reader: LogReader) -> Anchor | None:
    """Of the last seal; None where there is none."""
    seal = reader.last_seal()
    return None if seal is None else Anchor(seal.no, sha3_512(seal.note).digest())


def fault(reader: LogReader, anchor: Anchor) -> str:
    """What an anchor tells against a log; empty where it tells nothing.

    The seals themselves are checked elsewhere (sealcheck.py): this is all that an anchor adds.
    Raises StoreError.
    """
    seal = next(reader.seals(anchor.no), None) if anchor.no <= MAX_NO else None
    if seal is None or seal.no != anchor.no:
        last = reader.last_seal()
        there = 0 if last is None else last.no
        return f"seal {anchor.no} is anchored, and the log has {there} seals: its tail was cut off"
    if sha3_512(seal.note).digest() != anchor.digest:
        return f"seal {anchor.no} is not the one that was anchored: the log was written anew"
    return ""


class AnchorChecker:
    """The anchors that a log tells of in its receipts. witnessed: the last one, None without.

    That the transaction of a receipt stands in its block, only the chain of AMO can tell.
    """

    def __init__(self, reader: LogReader) -> None:
        self.witnessed: Witnessed | None = None
        self._reader = reader

    def take(self, walked: Walked) -> None:
        """Raises BadSealError for a receipt whose anchor is not of this log, StoreError."""
        for seq, event in walked.told:
            if isinstance(event, ParcelRegistered) and event.seal_no:
                self._receipt(seq, event)

    def _receipt(self, seq: int, receipt: ParcelRegistered) -> None:
        told = fault(self._reader, Anchor(receipt.seal_no, receipt.seal_digest))
        if told:
            raise BadSealError(seq, f"the receipt in event {seq} does not fit: {told}")
        seal = next(self._reader.seals(receipt.seal_no))
        try:
            self.witnessed = Witnessed(note.decode(seal.note).size, receipt)
        except MalformedInputError as error:  # a seal whose turn to be checked has not come yet
            raise BadSealError(seq, f"the receipt in event {seq} does not fit: {error}") from error
