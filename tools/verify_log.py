"""Does this event log hold? For whoever has a copy of events.db and Python, and nothing else.

    python3 verify_log.py events.db [--floor FILE] [--device HEX] [--json]

Written from docs/formats/log.md and docs/formats/seal.md alone; no code is shared with the agent.
The MACs of the seals and the form of `log-checked/1`, which is said for them, are not looked at:
only the owner has their keys, and the agent a verifier for that.
Exit code: 0 the log holds, 1 it does not, 2 nothing can be said. What no seal covers is as good
as whoever had the file; what was cut off behind the last seal, only a floor can tell.
"""

import argparse
import ctypes
import json
import re
import sqlite3
import struct
from collections.abc import Iterator
from hashlib import sha3_256, sha3_512, sha256
from pathlib import Path
from typing import Any

MAX_BODY = 64 * 1024 * 1024
SCHEMA = "fffce16e872d3c4d6be99023563e315bfd4f9ecfda110610ae63fd8273a88b22"
EVENT, ENTRY = struct.Struct(">BQqQIBBB"), struct.Struct(">I4s")
BLOCKS = """SELECT no, first_seq, n, head_before, head_after, data, nodes
    FROM block LEFT JOIN body USING (no) LEFT JOIN pruned USING (no)"""
COLUMNS: Any = (int, int, int, bytes, bytes, bytes | None, bytes | None)
P = 2**256 - 2**224 + 2**192 + 2**96 - 1  # the curve P-256, as in FIPS 186-5
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
# a note, by its only bytes in canonical CBOR; INT: a whole number, by its first byte not negative
INT = rb"""(?:[\0-\x17\x20-\x37] | [\x18\x38][\x18-\xff] | [\x19\x39](?!\0).. |
    [\x1a\x3a](?!\0\0).{4} | [\x1b\x3b](?!\0{4})[\0-\x7f].{7})"""
NOTE = rb"""\xaf \x61t INT \x61v \x01 \x62no (?P<no>(?=[\x01-\x1b])INT)
    \x63log \x58\x20(?P<log>.{32}) \x64boot (?P<boot>(?=[\x01-\x1a])INT)
    \x64head \x58\x40(?P<head>.{64}) \x64prev \x58\x40(?P<prev>.{64})
    \x64root \x58\x40(?P<root>.{64}) \x64size (?P<size>(?=[\x01-\x1b])INT)
    \x65clock [\0-\x04] \x65image \x58\x20.{32} \x66device \x58\x41(?P<device>.{65})
    \x67counter (?:\xf6|(?P<counter>(?=[\0-\x1b])INT)) \x67custody (?:\x64file|\x66pkcs11|\x63tpm)
    \x68firmware (?P<length>[\x60-\x77]|\x78[\x18-\xff]|\x79(?!\0)..)(?P<firmware>[\0-\x7f]*)"""
NOTE, NUMBERS = NOTE.replace(b"INT", INT), ("no", "boot", "size", "counter", "length")
# what the log says of its seals and of the bodies it lacks, in MessagePack
COUNT = rb"([\0-\x7f]|\xcc.|\xcd..|\xce.{4}|\xcf.{8})"
DIGEST = rb"(?:\xc4|\xc5\0|\xc6\0\0\0)\x40(.{64})"
TOLD = {b"log-sealed/1": b"\x92" + COUNT, b"bodies-pruned/1": b"\x93" + COUNT + COUNT}


def number(raw: bytes) -> int:
    return int.from_bytes(raw[1:] or raw, "big")


def decompressed(frame: bytes, zstd: ctypes.CDLL) -> bytes:
    """ValueError for a frame that is not whole, alone and of at most 64 MiB."""
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    zstd.ZSTD_findFrameCompressedSize.restype = zstd.ZSTD_decompress.restype = ctypes.c_size_t
    given = (frame, ctypes.c_size_t(len(frame)))
    size = zstd.ZSTD_getFrameContentSize(*given)  # of what is no frame 2^64 - 2
    if size <= MAX_BODY and zstd.ZSTD_findFrameCompressedSize(*given) == len(frame):
        body = ctypes.create_string_buffer(size)
        if zstd.ZSTD_decompress(body, ctypes.c_size_t(size), *given) == size:
            return body.raw
    raise ValueError("the body is not one whole Zstandard frame of at most 64 MiB")


def plus(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
    """Of any two points (x = X / Z, y = Y / Z), also of one and itself: Renes et al., 2016."""
    (a, b, c), (x, y, z) = p, q
    xx, yy, zz = a * x, b * y, c * z
    xy, yz, xz = a * y + b * x, b * z + c * y, a * z + c * x
    s, t, u = 3 * (B * zz - xz) % P, 3 * (B * xz - xx - 3 * zz) % P, 3 * (xx - zz)
    low, high = yy - s, yy + s
    return (xy * low - yz * t) % P, (u * t + high * low) % P, (yz * high + xy * u) % P


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this is r and s, the low one, of the key."""
    parts = (key[1:33], key[33:], signature[:32], signature[32:], sha256(message).digest())
    x, y, r, s, digest = (int.from_bytes(part, "big") for part in parts)
    on_curve = key[0] == 4 and max(x, y) < P and (y * y - x * x * x + 3 * x - B) % P == 0
    if not (on_curve and len(signature) == 64 and 0 < r < N and 0 < s <= N // 2):
        return False
    u, v = digest * pow(s, -1, N) % N, r * pow(s, -1, N) % N
    sums = [(0, 1, 0), (GX, GY, 1), (x, y, 1), plus((GX, GY, 1), (x, y, 1))]
    total = sums[0]
    for bit in range(255, -1, -1):
        total = plus(plus(total, total), sums[(u >> bit & 1) | (v >> bit & 1) << 1])
    return total[2] > 0 and total[0] * pow(total[2], -1, P) % P % N == r


def read_note(raw: bytes) -> dict[str, Any]:
    """What is looked at of a seal; empty where it is malformed."""
    if len(raw) > 4096 or not (found := re.fullmatch(NOTE, raw, re.DOTALL | re.VERBOSE)):
        return {}
    numbers: Any = {name: found[name] and number(found[name]) for name in NUMBERS}
    size = numbers["length"] - 0x60 * (len(found["length"]) == 1)
    return found.groupdict() | numbers if size == len(found["firmware"]) else {}


def chained(head: bytes, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each event and its hash; ValueError, struct.error where they do not follow."""
    at = 0
    while at < len(body):
        length, check = ENTRY.unpack_from(body, at)
        at += 8 + length
        event = body[at - length : at]
        head = sha3_512(b"\x00" + head + event).digest()
        if head[:4] != check or at > len(body):
            raise ValueError("the bytes of the event are not those that were hashed")
        yield event, head


def grow(peaks: list[bytes], first: int, start: int, found: bytes, size: int = 1) -> None:
    """Puts a complete subtree behind those that there are of the leaves first to start."""
    while start & size and start - size >= first:
        found = sha3_512(b"\x01" + peaks.pop() + found).digest()
        start, size = start - size, 2 * size
    peaks.append(found)


class Walk:
    """A log as far as it holds; `bad` is the event where it does not, or 0 for the next one."""

    def __init__(self, db: sqlite3.Connection, device: bytes) -> None:
        self.db, self.device, self.log_id, self.head = db, device, b"", b""
        self.bad = self.events = self.blocks = self.pruned = self.pruned_to = self.sealed = 0
        self.boot, self.last_boot, self.sealed_boot, self.counter = 1, 1, 1, -1
        self.notes = [bytes(64)]  # SHA3-512 of those of the seals, by number
        self.untold: dict[int, int] = {}  # number of a pruned block: its first event
        self.digested: list[bytes] = []  # of each block, what a digest of pruned ones is over
        self.peaks: list[bytes] = []  # complete subtrees, from the left
        self.tiles: dict[int, bytes] = {}  # where one of 256 ended: the largest subtree there
        self.zstd, self.verdict = ctypes.CDLL("libzstd.so.1"), "tampered"

    def need(self, holds: object, reason: str, seq: int = 0) -> None:
        if not holds:
            self.bad = seq
            raise ValueError(reason)

    def rows(self, query: str) -> Iterator[Any]:
        due = -(2**63)  # one at a time, since Python looks a row ahead
        while row := self.db.execute(f"{query} WHERE no >= {due} ORDER BY no LIMIT 1").fetchone():
            yield row
            due = row[0] + 1

    def go(self) -> None:
        rows = self.db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
        texts = (text if type(text) is bytes else b"" for row in rows for text in row)
        digest = sha3_256(b"".join(text + b"\0" for text in texts)).hexdigest()
        self.need(digest == SCHEMA, "the schema is not that of format 2")
        row, *more = self.db.execute("SELECT id, log_id, note FROM log").fetchall() or [()]
        named = [*map(type, row)] == [int, bytes, bytes] and row[0] == 1 and len(row[1]) == 32
        self.need(named and not more, "the log has no name of its own")
        self.log_id, self.head = row[1], sha3_512(b"\x02" + row[1] + row[2]).digest()
        seals = self.seals()
        due = next(seals, 0)
        for row in self.rows(BLOCKS):
            self.block(*row)
            while 0 < due <= self.events:
                due = next(seals, 0)
        self.need(not due, f"the log ends before event {due}, which its next seal covers")

    def block(self, *row: Any) -> None:
        (no, first, n, before, after, data, nodes), hashes = row, list[bytes]()
        fits = all(map(isinstance, row, COLUMNS)) and (data is None) != (nodes is None)
        fits = fits and (no, first, before) == (self.blocks + 1, self.events + 1, self.head)
        self.need(fits, f"block {self.blocks + 1} does not follow the one before it")
        at, size, end = self.events, 1, self.events + n
        if nodes is None:
            for event, head in chained(self.head, decompressed(data, self.zstd)):
                self.event(event, end)
                grow(hashes, at, self.events, head)
                self.events, self.head = self.events + 1, head
            self.need(at < self.events == end, f"block {no} holds fewer than {n} events")
            self.need(self.head == after, f"block {no} ends with another hash", end)
        else:
            hashes = [nodes[at : at + 64] for at in range(0, len(nodes), 64)]
            self.untold[no], self.pruned, self.pruned_to = first, self.pruned + 1, end
        for found in hashes:
            size = 1 << min(end - at, at & -at or end).bit_length() - 1 if at < end else 1
            grow(self.peaks, 0, at, found, size)
            at += size
            if at % 256 == 0:
                self.tiles[at] = self.peaks[-1]
        whole = first <= at == end and n <= 65_535 and len(hashes[-1]) == 64
        self.need(whole, f"block {no} of {n} events has other nodes than they", first)
        self.need(size > 1 or hashes[-1] == after, f"block {no} has another last node", end)
        self.digested.append(struct.pack(">QQI", no, first, n) + before + after + b"".join(hashes))
        self.blocks, self.events, self.head = no, end, after
        self.last_boot = self.boot if nodes is None else 2**32

    def event(self, event: bytes, end: int) -> None:
        version, seq, _, _, boot, clock, level, length = EVENT.unpack_from(event)
        kind, payload = event[32 : 32 + length], event[32 + length :]
        named = version == 1 and 0 < length == len(kind) and kind.decode("ascii").isprintable()
        if not (named and clock <= 4 and 1 <= level <= 4):
            raise ValueError("the event is malformed")
        if seq != self.events + 1 or seq > end or boot < self.boot:
            raise ValueError(f"it is event {seq} of boot {boot}, in a block through {end}")
        self.boot = boot
        if kind in TOLD:
            if not (told := re.fullmatch(TOLD[kind] + DIGEST, payload, re.DOTALL)):
                raise ValueError("the payload is not that of its kind")
            *numbers, digest = told.groups()
            self.told(digest, *map(number, numbers))

    def told(self, digest: bytes, first: int, last: int = 0) -> None:
        """Of a seal by its number, or of the bodies that go from one block to another."""
        gone = [no for no in self.untold if first <= no <= last]
        if last:
            found = sha3_512(b"".join(self.digested[max(first - 1, 0) : last])).digest()
            bad = self.untold[gone[0]] if gone else 0
            self.need(not gone or found == digest, "other bodies went than were told of", bad)
        else:
            there = first and self.notes[first : first + 1] == [digest]
            self.need(there, f"the event tells of a seal {first} that is not there")
        self.untold = {no: seq for no, seq in self.untold.items() if no not in gone}

    def seals(self) -> Iterator[int]:
        """Checks one after the other, and gives its last event as soon as that has to be there."""
        for no, raw, signature in self.rows("SELECT no, note, signature FROM seal"):
            seal, bad = len(self.notes), self.sealed + 1
            note = {"row": no} | (read_note(raw) if type(raw) is type(signature) is bytes else {})
            due = {"row": seal, "no": seal, "log": self.log_id, "prev": self.notes[-1]}
            wrong = ", ".join(name for name in due if note.get(name) != due[name])
            self.need(not wrong, f"seal {seal} has another {wrong}", bad)
            counter = self.counter + 1 if note["counter"] is None else note["counter"]
            rises = note["size"] >= self.sealed and note["boot"] >= self.sealed_boot
            self.need(rises and counter > self.counter, f"seal {seal} is below the one before", bad)
            yield note["size"]
            root, device = self.peaks[-1], self.device or note["device"]
            for left in reversed(self.peaks[:-1]):
                root = sha3_512(b"\x01" + left + root).digest()
            due = {"size": self.events, "head": self.head, "root": root, "device": device}
            due |= {"boot": min(note["boot"], self.last_boot)}
            wrong = ", ".join(name for name in due if note[name] != due[name])
            self.need(not wrong, f"seal {seal} has another {wrong}", bad)
            right = signed(device, b"amo-agent seal 1" + raw, signature)
            self.need(right, f"seal {seal} has a wrong signature", bad)
            self.device, self.sealed, self.sealed_boot = device, self.events, note["boot"]
            self.counter = self.counter if note["counter"] is None else counter
            self.notes.append(sha3_512(raw).digest())

    def finish(self) -> None:
        query = "SELECT (SELECT count(*) FROM body) + (SELECT count(*) FROM pruned)"
        rows = self.db.execute(query).fetchone()[0]
        self.need(rows == self.blocks, "there is a body, or what is left of one, without a block")
        untold = min(self.untold.values(), default=0)
        self.need(not untold, "a block was pruned, and no event tells of it", untold)
        self.need(self.pruned_to <= self.sealed, "no seal covers a pruned block", self.sealed + 1)
        tiles, peaks = dict(self.db.execute("SELECT no, hash FROM tile").fetchall()), list[bytes]()
        for no in range(self.sealed // 256):
            grow(peaks, 0, 256 * no, tiles.pop(no, b"") or b"", 256)
            right = self.tiles.get(256 * no + 256, peaks[-1]) == peaks[-1]
            self.need(right, f"tile {no} is not that of its leaves", 256 * no + 1)
        self.need(not tiles, "there is a tile too many", self.sealed // 256 * 256 + 1)
        self.verdict, pages = "damaged", self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
        self.need(pages == b"ok", pages.decode("ascii", "replace"))

    def check_floor(self, log_id: bytes, seals: int, seq: int, head: bytes) -> None:
        self.verdict, query = "truncated", "SELECT head_before FROM block WHERE first_seq = ?"
        there = log_id == self.log_id and seals < len(self.notes) and seq <= self.events
        self.need(there, f"the log had {seals} seals and went on to event {seq}")
        found = self.db.execute(query, (seq + 1,)).fetchone() or (self.head,)
        self.need(found == (head,), f"event {seq} is not the one that the floor knows")


def read_floor(path: Path) -> tuple[Any, ...]:
    """Log id, seals, last event and its hash by the newer whole record of the two."""
    raw, whole = path.read_bytes(), []
    for record in (raw[:512], raw[512:1024]):
        fits = record[:5] == b"AMOF\x01" and not any(record[125:480])
        if fits and sha3_256(record[:480]).digest() == record[480:]:
            whole.append(struct.unpack_from(">Q32sQQ64s", record, 5))
    if not whole:
        raise OSError(f"{path.name!r} has no whole record of a floor")
    return max(whole)[1:]


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """The file, of which nothing is run, and whether it has fewer pages than it says."""
    if not path.is_file() or sqlite3.sqlite_version_info < (3, 37):
        raise OSError(f"{path.name!r} is no file, or SQLite {sqlite3.sqlite_version} below 3.37")
    with path.open("rb") as file:
        head = file.read(100)
    if head[60:64] + head[68:72] != b"\0\0\0\x02AMO1":
        raise OSError(f"{path.name!r} is no event log of format 2")
    still = not path.with_name(f"{path.name}-wal").exists()
    page = {b"\0\1": 65_536}.get(head[16:18], int.from_bytes(head[16:18], "big"))
    short = still and path.stat().st_size < page * int.from_bytes(head[28:32], "big")
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    db.text_factory = bytes
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BODY + 65_536)
    db.executescript("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")
    return db, short


def judge(path: Path, floor: Path | None = None, device: bytes = b"") -> dict[str, Any]:
    """The verdict, as it is printed. Raises OSError, sqlite3.Error."""
    known, (db, short) = read_floor(floor) if floor else None, connect(path)
    walk, reason = Walk(db, device), "every event follows from the one before it"
    try:
        walk.go()
        walk.finish()
        if known:
            walk.check_floor(*known)
        walk.verdict = "intact"
    except (ValueError, TypeError, struct.error, sqlite3.Error) as error:
        code, reason = getattr(error, "sqlite_errorcode", 0), str(error)
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN):
            raise
        walk.verdict = "damaged" if code else walk.verdict
    finally:
        db.close()
    if short:
        walk.verdict, reason = "truncated", "the file ends before its last page"
    bad = None if walk.verdict == "intact" else walk.bad or walk.events + 1
    found = {"verdict": walk.verdict, "first_bad_seq": bad, "reason": reason}
    found |= {name: getattr(walk, name) for name in ("events", "blocks", "pruned", "sealed")}
    found |= {name: getattr(walk, name).hex() for name in ("device", "head", "log_id")}
    return found | {"seals": len(walk.notes) - 1}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a copied event log.", epilog=__doc__)
    parser.add_argument("log", type=Path, help="a copy of events.db")
    parser.add_argument("--floor", type=Path, help="the file beside it that tells its least end")
    parser.add_argument("--device", type=bytes.fromhex, help="public key, 65 bytes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.device is not None and len(given.device) != 65:
        parser.error("argument --device: a public key has 65 bytes")
    try:
        found = judge(given.log, given.floor, given.device or b"")
    except (OSError, sqlite3.Error) as error:
        parser.error(ascii(str(error))[1:-1])
    text = "{verdict} at sequence {first_bad_seq}: {reason}"
    if found["verdict"] == "intact":
        text = "intact: {events} events, {pruned} of {blocks} blocks pruned; {sealed} events sealed"
    print(json.dumps(found) if given.json else ascii(text.format(**found))[1:-1])
    return int(found["verdict"] != "intact")


if __name__ == "__main__":
    raise SystemExit(main())
