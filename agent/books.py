"""What the log says of the owner's coins, parcels and consents, by the read model."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from agent.events import Event, ParcelRegistered, TxSigned, decode
from agent.eventstore.log import EventReader
from agent.eventstore.readmodel import ReadModel

OWNER: Final = "owner"
"""Who decided what was decided by no rule."""
MOST: Final = 1000
"""Rows of one answer, the newest of them: our choice."""

_HAPPENED: Final = """
SELECT c.t_ns, c.seq, 'consent ' || c.state AS what, c.parcel_id, c.buyer,
    coalesce(c.payment_mote, (SELECT payment_mote FROM consent AS r WHERE r.parcel_id = c.parcel_id
        AND r.buyer = c.buyer AND r.state = 'requested' AND r.seq < c.seq AND c.state = 'granted'
        ORDER BY r.seq DESC LIMIT 1), '') AS mote,
    coalesce(c.by, '') AS by, coalesce(c.tx_hash, '') AS tx_hash, coalesce(o.proof, '') AS proof
    FROM consent AS c LEFT JOIN outgoing AS o ON o.hash = c.tx_hash
UNION ALL SELECT t_ns, seq, kind || CASE WHEN height IS NULL THEN ' under way'
    WHEN code = 0 THEN ' done' WHEN height = 0 THEN ' not executed' ELSE ' failed' END,
    '', '', '', by, hash, coalesce(proof, '') FROM outgoing
UNION ALL SELECT t_ns, seq, 'repeated by others', '', '', '', '', hash, '' FROM repeated
UNION ALL SELECT t_ns, seq, 'funds short: ' || once, '', '', needed_mote, by, '', '' FROM short
ORDER BY seq DESC LIMIT ?"""
_UNBOOKED: Final = """SELECT seq FROM outgoing AS o WHERE kind IN ('grant', 'revoke')
    AND height > 0 AND code = 0 AND NOT EXISTS (SELECT 1 FROM consent WHERE tx_hash = o.hash)
    ORDER BY seq"""
_STILL: Final = """NOT EXISTS (SELECT 1 FROM outgoing WHERE once = s.once AND seq > s.seq)
    AND NOT EXISTS (SELECT 1 FROM consent AS c WHERE s.once = 'grant:' || parcel_id || ':' || buyer
        AND c.seq > s.seq)"""
"""Nothing was sent for it, and nothing else was said about it, since it was told."""
_WAITING: Final = f"""SELECT once FROM short AS s WHERE once LIKE 'grant:%' AND by = '{OWNER}'
    AND {_STILL} ORDER BY seq LIMIT ?"""  # noqa: S608 - texts of our own
_TOLD: Final = f"SELECT 1 FROM short AS s WHERE once = ? AND by = ? AND {_STILL}"  # noqa: S608 - too

Consents = dict[str, tuple[str, str, str]]
"""Buyer -> (what was said last, who decided, what was offered last in mote); empty for unknown."""
NOTHING: Final = ("", "", "")

Kind = TypeVar("Kind", bound=Event)


class Happened(msgspec.Struct, frozen=True):
    """One line of the wallet's history; what does not apply is empty.

    seq: of its event; mote: decimal text; buyer: whom it concerns, or to whom coins went
    proof: who says that its transaction is in a block
    """

    t_ns: int
    seq: int
    what: str
    parcel_id: str
    buyer: str
    mote: str
    by: str
    tx_hash: str
    proof: str


class Books:
    """Of one log. Every answer is of all that is on disk by then; all raise StoreError."""

    def __init__(self, log: EventReader, path: Path) -> None:
        self._log = log
        self._path = path

    def pending(self) -> list[TxSigned]:
        """Transactions of which it is not known how they ended, in order."""
        rows = self._rows("SELECT seq FROM outgoing WHERE height IS NULL ORDER BY seq")
        return self._events(rows, TxSigned)

    def unbooked(self) -> list[TxSigned]:
        """Grants and revocations that were executed, but are in no consent event yet."""
        return self._events(self._rows(_UNBOOKED), TxSigned)

    def first_alive(self, lowest: int) -> int | None:
        """The lowest block with one that is bound to this height or a later one."""
        asked = """SELECT min(CASE WHEN height > 0 THEN height ELSE last_height END) AS first
            FROM outgoing WHERE last_height >= ?"""
        first: int | None = self._rows(asked, lowest)[0]["first"]
        return first

    def bound_to(self, height: int) -> list[TxSigned]:
        """Those that are bound to just this height."""
        rows = self._rows("SELECT seq FROM outgoing WHERE last_height = ?", min(height, 2**63 - 1))
        return self._events(rows, TxSigned)

    def ended(self, hashes: Sequence[str]) -> dict[str, int | None]:
        """Hash -> height, None while it is under way; of those that are ours."""
        marks = ",".join("?" * len(hashes))
        rows = self._rows(f"SELECT hash, height FROM outgoing WHERE hash IN ({marks})", *hashes)  # noqa: S608 - question marks
        return {row["hash"]: row["height"] for row in rows}

    def repeated(self) -> set[str]:
        return {row["hash"] for row in self._rows("SELECT hash FROM repeated")}

    def spent_mote(self, since_ns: int) -> int:
        """What was sent unattended since then has cost, at most."""
        asked = "SELECT cost_mote FROM outgoing WHERE t_ns >= ? AND by <> ?"
        return sum(int(row["cost_mote"]) for row in self._rows(asked, since_ns, OWNER))

    def told_short(self, once: str, by: str) -> bool:
        """Whether it is in the log that coins are lacking for what they decided."""
        return bool(self._rows(_TOLD, once, by))

    def waiting_grants(self) -> list[tuple[str, str]]:
        """(parcel id, buyer) of the owner's grants that wait for coins."""
        rows = self._rows(_WAITING, MOST)
        return [tuple(row["once"].split(":")[1:]) for row in rows]

    def parcels(self) -> list[ParcelRegistered]:
        """Receipts of the newest ones."""
        rows = self._rows("SELECT seq FROM parcel ORDER BY seq DESC LIMIT ?", MOST)
        return self._events(rows, ParcelRegistered)

    def parcel(self, parcel_id: str) -> ParcelRegistered | None:
        rows = self._rows("SELECT seq FROM parcel WHERE parcel_id = ?", parcel_id)
        return next(iter(self._events(rows, ParcelRegistered)), None)

    def consents(self, parcel_id: str) -> Consents:
        """Of one parcel."""
        asked = """SELECT buyer, state, coalesce(by, '') AS by, coalesce((SELECT payment_mote
            FROM consent AS r WHERE r.parcel_id = c.parcel_id AND r.buyer = c.buyer
            AND state = 'requested' ORDER BY seq DESC LIMIT 1), '') AS payment
            FROM consent_now AS c WHERE parcel_id = ?"""
        rows = self._rows(asked, parcel_id)
        return {row["buyer"]: (row["state"], row["by"], row["payment"]) for row in rows}

    def history(self) -> list[Happened]:
        """The newest first."""
        return [self._told(Happened(**row)) for row in self._rows(_HAPPENED, MOST)]

    def recorded(self, signed: TxSigned, after: int) -> bool:
        """Whether it is on disk; it was written behind that sequence number."""
        return any(event == signed for event in self._read(after, TxSigned))

    def head(self) -> int:
        return self._log.head().seq

    def _told(self, line: Happened) -> Happened:
        """With the recipient and the amount of a transfer, which only its bytes have."""
        if not line.what.startswith("transfer "):
            return line
        [signed] = self._events([{"seq": line.seq}], TxSigned)
        moved = json.loads(signed.raw)["payload"]
        return msgspec.structs.replace(line, buyer=moved["to"], mote=moved.get("amount", ""))

    @contextmanager
    def model(self) -> Iterator[ReadModel]:
        """The read model, with all that is on disk by now."""
        with ReadModel.open(self._path) as model:
            head = self.head()
            while model.through < head:
                model.catch_up(self._log)
            yield model

    def _rows(self, asked: str, *values: object) -> list[dict[str, Any]]:
        with self.model() as model:
            return list(model.db.query(asked, values))

    def _events(self, rows: Sequence[dict[str, Any]], kind: type[Kind]) -> list[Kind]:
        """Books are never pruned, so each is there."""
        return [next(self._read(row["seq"] - 1, kind, row["seq"])) for row in rows]

    def _read(self, after: int, kind: type[Kind], through: int | None = None) -> Iterator[Kind]:
        for recorded in self._log.read(after, through):
            if recorded.kind == kind.kind:
                event = decode(recorded.kind, recorded.payload)
                assert isinstance(event, kind)
                yield event
