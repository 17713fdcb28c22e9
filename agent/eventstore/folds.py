"""What each clear kind changes in the read model: one event, one statement.

Kinds that come with every tick are not here but in projection.py.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from agent.events import (
    AgentStopped,
    AskingChanged,
    BusChanged,
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DtcCleared,
    DtcSet,
    FundsShort,
    InputClosed,
    InputCounted,
    InputLost,
    InputOpened,
    ParcelRegistered,
    PollsUsed,
    TxEnded,
    TxRepeated,
    TxSigned,
)
from agent.eventstore.log import Recorded

Statement = tuple[str, tuple[str | float | None, ...]]

_DTC: Final = "INSERT INTO dtc VALUES (?, ?, ?, ?, ?, ?)"
_CONSENT: Final = "INSERT INTO consent VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

_INPUT: Final = """INSERT INTO input SELECT ?, ?, key, value FROM json_each(?) WHERE true
    ON CONFLICT DO UPDATE SET count = count + excluded.count"""
_SOURCE: Final = "INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?)"
_BUS: Final = "INSERT OR REPLACE INTO bus VALUES (?, ?, ?, ?, ?)"
_ASKING: Final = "INSERT OR REPLACE INTO asking VALUES (?, ?, ?, ?, ?, ?, ?)"


def _dtc_set(event: DtcSet, at: Recorded) -> Statement:
    return _DTC, (at.seq, event.code, event.ecu, "set", at.t_ns, event.memory)


def _dtc_cleared(event: DtcCleared, at: Recorded) -> Statement:
    return _DTC, (at.seq, event.code, event.ecu, "cleared", at.t_ns, event.memory)


def _requested(event: ConsentRequested, at: Recorded) -> Statement:
    row = (at.seq, event.parcel_id, event.buyer, "requested", at.t_ns)
    return _CONSENT, (*row, None, None, event.payment_mote)


def _granted(event: ConsentGranted, at: Recorded) -> Statement:
    row = (at.seq, event.parcel_id, event.buyer, "granted", at.t_ns)
    return _CONSENT, (*row, event.by, event.tx_hash, None)


def _refused(event: ConsentRefused, at: Recorded) -> Statement:
    row = (at.seq, event.parcel_id, event.buyer, "refused", at.t_ns)
    return _CONSENT, (*row, event.by, None, None)


def _revoked(event: ConsentRevoked, at: Recorded) -> Statement:
    row = (at.seq, event.parcel_id, event.buyer, "revoked", at.t_ns)
    return _CONSENT, (*row, None, event.tx_hash, None)


def _parcel(event: ParcelRegistered, at: Recorded) -> Statement:
    row = (event.parcel_id, event.parcel_level, event.first_seq, event.last_seq)
    rest = (event.size_bytes, event.tx_hash, event.height, at.seq)
    return "INSERT OR REPLACE INTO parcel VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row + rest


def _counted(event: InputCounted, at: Recorded) -> Statement:
    return _INPUT, (at.boot, event.uri, json.dumps(event.counts))


def _opened(event: InputOpened, at: Recorded) -> Statement:
    return _SOURCE, (event.uri, "open", None, at.t_ns, at.seq)


def _closed(event: InputClosed, at: Recorded) -> Statement:
    return _SOURCE, (event.uri, "closed", event.reason, at.t_ns, at.seq)


def _bus(event: BusChanged, at: Recorded) -> Statement:
    return _BUS, (event.uri, event.channel, event.state, at.t_ns, at.seq)


def _asking(event: AskingChanged, at: Recorded) -> Statement:
    row = (event.origin, event.state, event.reason, event.voltage_v, event.left_wh)
    return _ASKING, (*row, at.t_ns, at.seq)


def _lost(event: InputLost, at: Recorded) -> Statement:
    row = (at.seq, event.what, event.reason, event.count, at.t_ns)
    return "INSERT INTO loss VALUES (?, ?, ?, ?, ?)", row


def _polls(event: PollsUsed, at: Recorded) -> Statement:
    row = (event.signer, event.serial, event.digest.hex(), at.t_ns, at.seq)
    return "INSERT OR REPLACE INTO polls VALUES (?, ?, ?, ?, ?)", row


def _signed(event: TxSigned, at: Recorded) -> Statement:
    row = (event.hash, event.tx_kind, event.once, event.last_height, event.cost_mote, event.by)
    return "INSERT OR IGNORE INTO outgoing VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)", (
        *row,
        at.t_ns,
        at.seq,
    )


def _ended(event: TxEnded, _at: Recorded) -> Statement:
    row = (event.height, event.code, event.proof, event.hash)
    return "UPDATE outgoing SET height = ?, code = ?, proof = ? WHERE hash = ?", row


def _repeated(event: TxRepeated, at: Recorded) -> Statement:
    row = (event.hash, event.of_hash, event.height, at.t_ns, at.seq)
    return "INSERT OR IGNORE INTO repeated VALUES (?, ?, ?, ?, ?)", row


def _short(event: FundsShort, at: Recorded) -> Statement:
    row = (event.once, event.needed_mote, event.balance_mote, event.by, at.t_ns, at.seq)
    return "INSERT OR REPLACE INTO short VALUES (?, ?, ?, ?, ?, ?)", row


def _stopped(event: AgentStopped, at: Recorded) -> Statement:
    return "UPDATE trip SET reason = ? WHERE boot = ?", (event.reason, at.boot)


FOLDS: Final[dict[str, Callable[[Any, Recorded], Statement]]] = {
    AgentStopped.kind: _stopped,
    AskingChanged.kind: _asking,
    BusChanged.kind: _bus,
    ConsentGranted.kind: _granted,
    ConsentRefused.kind: _refused,
    ConsentRequested.kind: _requested,
    ConsentRevoked.kind: _revoked,
    DtcCleared.kind: _dtc_cleared,
    DtcSet.kind: _dtc_set,
    FundsShort.kind: _short,
    InputClosed.kind: _closed,
    InputCounted.kind: _counted,
    InputLost.kind: _lost,
    InputOpened.kind: _opened,
    ParcelRegistered.kind: _parcel,
    PollsUsed.kind: _polls,
    TxEnded.kind: _ended,
    TxRepeated.kind: _repeated,
    TxSigned.kind: _signed,
}
