"""What a readmodel.db is: its numbers in the file header, its tables, and views on them.

Tables have what happened, each row with the sequence number of the event it comes from; views
have what holds now. Of sealed events there is only what the log has in clear: kind, level,
sequence number, time. Every row can be had again from events.db, so nothing here is evidence.
"""

from typing import Final

APPLICATION_ID: Final = 0x414D4F52
"""PRAGMA application_id: "AMOR"."""
VERSION: Final = 6
"""PRAGMA user_version; raised with every change of the tables or of what is folded into them."""
STRETCH: Final = 128
"""Events in a row of the index by time."""

TABLES: Final = """
CREATE TABLE cursor(id INTEGER PRIMARY KEY CHECK(id = 1), seq INTEGER NOT NULL,
    log_id BLOB NOT NULL) STRICT;
CREATE TABLE unseen(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT;
CREATE TABLE kind_count(kind TEXT, level INTEGER, events INTEGER NOT NULL,
    unread INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    PRIMARY KEY(kind, level)) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letter(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL,
    reason TEXT NOT NULL) STRICT;
CREATE TABLE stretch(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL,
    earliest_ns INTEGER NOT NULL, latest_ns INTEGER NOT NULL, kinds INTEGER NOT NULL) STRICT;
CREATE INDEX stretch_by_time ON stretch(latest_ns, earliest_ns, last_seq);
CREATE TABLE trip(boot INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, start_ns INTEGER NOT NULL, stop_ns INTEGER NOT NULL,
    reason TEXT) STRICT;
CREATE TABLE latest(name TEXT PRIMARY KEY, value REAL, t_ns INTEGER NOT NULL,
    origin TEXT NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE dtc(seq INTEGER PRIMARY KEY, code TEXT NOT NULL, ecu TEXT NOT NULL,
    change TEXT NOT NULL, t_ns INTEGER NOT NULL, memory TEXT NOT NULL) STRICT;
CREATE INDEX dtc_by_code ON dtc(code, ecu, memory);
CREATE TABLE consent(seq INTEGER PRIMARY KEY, parcel_id TEXT NOT NULL, buyer TEXT NOT NULL,
    state TEXT NOT NULL, t_ns INTEGER NOT NULL, by TEXT, tx_hash TEXT, payment_mote TEXT) STRICT;
CREATE INDEX consent_by_buyer ON consent(parcel_id, buyer);
CREATE TABLE parcel(parcel_id TEXT PRIMARY KEY, level INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    tx_hash TEXT NOT NULL, height INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE loss(seq INTEGER PRIMARY KEY, what TEXT NOT NULL, reason TEXT NOT NULL,
    count INTEGER NOT NULL, t_ns INTEGER NOT NULL) STRICT;
CREATE TABLE input(boot INTEGER, uri TEXT, fate TEXT, count INTEGER NOT NULL,
    PRIMARY KEY(boot, uri, fate)) STRICT, WITHOUT ROWID;
CREATE TABLE source(uri TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT,
    t_ns INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bus(uri TEXT, channel TEXT, state TEXT NOT NULL, t_ns INTEGER NOT NULL,
    seq INTEGER NOT NULL, PRIMARY KEY(uri, channel)) STRICT, WITHOUT ROWID;
CREATE TABLE asking(origin TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL,
    voltage_v REAL, left_wh REAL, t_ns INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT,
    WITHOUT ROWID;
CREATE TABLE polls(signer TEXT PRIMARY KEY, serial INTEGER NOT NULL, digest TEXT NOT NULL,
    t_ns INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outgoing(hash TEXT PRIMARY KEY, kind TEXT NOT NULL, once TEXT NOT NULL,
    last_height INTEGER NOT NULL, cost_mote TEXT NOT NULL, by TEXT NOT NULL,
    t_ns INTEGER NOT NULL, seq INTEGER NOT NULL, height INTEGER, code INTEGER, proof TEXT)
    STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_pending ON outgoing(seq) WHERE height IS NULL;
CREATE INDEX outgoing_by_time ON outgoing(t_ns);
CREATE INDEX outgoing_once ON outgoing(once);
CREATE INDEX outgoing_by_height ON outgoing(last_height);
CREATE TABLE repeated(hash TEXT PRIMARY KEY, of_hash TEXT NOT NULL, height INTEGER NOT NULL,
    t_ns INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE short(once TEXT PRIMARY KEY, needed_mote TEXT NOT NULL, balance_mote TEXT NOT NULL,
    by TEXT NOT NULL, t_ns INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE VIEW dtc_open AS SELECT code, ecu, memory, t_ns, seq FROM dtc AS d WHERE change = 'set'
    AND seq = (SELECT max(seq) FROM dtc WHERE code = d.code AND ecu = d.ecu AND memory = d.memory);
CREATE VIEW consent_now AS SELECT parcel_id, buyer, state, t_ns, by, tx_hash, seq
    FROM consent AS c WHERE seq = (SELECT max(seq) FROM consent
        WHERE parcel_id = c.parcel_id AND buyer = c.buyer);
CREATE VIEW upload AS SELECT level, max(last_seq) AS last_seq, count(*) AS parcels
    FROM parcel GROUP BY level;
CREATE VIEW loss_total AS SELECT what, reason, CAST(total(count) AS INTEGER) AS count
    FROM loss GROUP BY what, reason;
CREATE VIEW input_total AS SELECT uri, fate, CAST(total(count) AS INTEGER) AS count
    FROM input GROUP BY uri, fate;
"""
"""
cursor:      the last event folded in
unseen:      ranges whose bodies were pruned before they could be folded in
kind_count:  unread: of the clear events, those of a kind this version does not know, and the
             dead letters
dead_letter: clear events of a known kind that could not be folded, and why
stretch:     events of STRETCH sequence numbers, the times between which they were recorded, and a
             bit for each of their kinds (kindbits.py)
trip:        a start of the agent to its stop, as its clock said; `reason` is why it stopped, NULL
             where it was cut off or still goes on
latest:      of each signal, the sample that arrived last
dtc:         every change of a code, 'set' or 'cleared'; dtc_open: codes that are set now
consent:     everything asked and decided; consent_now: the last word on each parcel and buyer
input:       what became of the frames of each input that were not lost, by start of the agent;
             input_total: in all of the log
source:      whether each input is 'open' or 'closed' now, and why it was closed
bus:         what the controller of each bus last said of itself
asking:      whether the car is asked on each bus, and why
polls:       of each signer, the file of polls that was used last
outgoing:    transactions of ours, and how they ended: height NULL while that is open, 0 where one
             is in no block and never will be
repeated:    what was sent in our name by others
short:       what coins were lacking for, the last time
parcel:      seq: of its receipt; upload: through which event each level is uploaded
"""
