"""Does this event log hold? For whoever has a copy of events.db and Python, and nothing else.

    python3 verify_log.py events.db [--floor FILE] [--device HEX] [--seal-root [NO:]HEX] [--json]

Written from docs/formats/log.md and docs/formats/seal.md alone; no code is shared with the agent.
Exit code: 0 the log holds, 1 it does not, 2 nothing can be said. What no seal covers is as good
as whoever had the file; what was cut off behind the last seal, only a floor can tell.
"""

import argparse
import ctypes
import hmac
import importlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha3_256, sha3_512, sha256
from itertools import count
from pathlib import Path
from struct import Struct
from typing import Any

MAX_EVENTS = 65_535
MAX_BODY = 64 * 1024 * 1024
SCHEMA = "fffce16e872d3c4d6be99023563e315bfd4f9ecfda110610ae63fd8273a88b22"
"""SHA3-256 over the schema, as docs/formats/log.md has it."""
EVENT, ENTRY, BLOCK = Struct(">BQqQIBBB"), Struct(">I4s"), Struct(">QQI")
FLOOR = Struct(">4sBQ32sQQ64s355s32s")
ROWS = """SELECT no, first_seq, n, head_before, head_after, data, nodes
    FROM block LEFT JOIN body USING (no) LEFT JOIN pruned USING (no)"""
SCHEMA_ROWS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
EDGES, NULL = [int, int, int, bytes, bytes], type(None)
FIELDS = {  # of the events that say something about the log itself
    b"log-sealed/1": [int, bytes],
    b"bodies-pruned/1": [int, int, bytes],
    b"log-checked/1": [str, str, int, int],
}
LOSSES = ("tail-lost", "key-lost")
NO_KEYS: Mapping[int, bytes] = {}
NO_FRAME = "the body is not one whole Zstandard frame of at most 64 MiB"


class UnusableError(Exception):
    """Nothing can be said of this file, or not with what is here."""


class BrokenError(Exception):
    """The first thing that does not follow, and the sequence number it is found at."""

    def __init__(self, seq: int, reason: str, word: str = "tampered") -> None:
        super().__init__(reason)
        self.seq, self.word = seq, word


def mac_of(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha3_512")


def hashed(*parts: bytes) -> bytes:
    return sha3_512(b"".join(parts)).digest()


# Zstandard: Python's own from 3.14 on, else the library that every Debian has for dpkg


def decompressor() -> Callable[[bytes], bytes]:
    """From one frame to its content; a frame that is not whole, or too large, is a ValueError."""
    try:
        return with_python(importlib.import_module("compression.zstd"))
    except ImportError:
        pass
    try:
        return with_library(ctypes.CDLL("libzstd.so.1"))
    except OSError as error:
        raise UnusableError("no Zstandard: neither Python 3.14 nor libzstd.so.1 is here") from error


def with_python(zstd: Any) -> Callable[[bytes], bytes]:
    def content(frame: bytes) -> bytes:
        try:
            found, stream = zstd.get_frame_info(frame), zstd.ZstdDecompressor()
            size = found.decompressed_size
            if found.dictionary_id or size is None or size > MAX_BODY:
                raise ValueError(NO_FRAME)
            body: bytes = stream.decompress(frame, size + 1)
        except zstd.ZstdError as error:
            raise ValueError(NO_FRAME) from error
        if len(body) != size or not stream.eof or stream.unused_data:
            raise ValueError(NO_FRAME)
        return body

    return content


def with_library(lib: Any) -> Callable[[bytes], bytes]:
    frame, size = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_size_t
    lib.ZSTD_getFrameContentSize.argtypes = lib.ZSTD_findFrameCompressedSize.argtypes = frame
    lib.ZSTD_getDictID_fromFrame.argtypes = frame
    lib.ZSTD_decompress.argtypes = (ctypes.c_char_p, size, *frame)
    lib.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    lib.ZSTD_findFrameCompressedSize.restype = lib.ZSTD_decompress.restype = size

    def content(frame: bytes) -> bytes:
        given = (frame, len(frame))
        length = lib.ZSTD_getFrameContentSize(*given)  # what is no frame has 2^64 - 2
        whole = lib.ZSTD_findFrameCompressedSize(*given) == len(frame)
        if length > MAX_BODY or not whole or lib.ZSTD_getDictID_fromFrame(*given):
            raise ValueError(NO_FRAME)
        body = ctypes.create_string_buffer(length)
        if lib.ZSTD_decompress(body, length, *given) != length:
            raise ValueError(NO_FRAME)
        return body.raw

    return content


# ECDSA with P-256 (FIPS 186-5), points in Jacobian coordinates: x = X / Z^2, y = Y / Z^3

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
Point = tuple[int, int, int]


def twice(p: Point) -> Point:
    x, y, z = p
    delta, gamma = z * z, y * y % P
    beta, alpha = x * gamma % P, 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, 2 * y * z % P


def plus(p: Point, q: Point) -> Point:
    if not (p[2] and q[2]):
        return p if p[2] else q
    a, b = p[2] * p[2] % P, q[2] * q[2] % P
    u, s = p[0] * b % P, p[1] * b * q[2] % P
    h, r = (q[0] * a - u) % P, (q[1] * a * p[2] - s) % P
    if not h:
        return (1, 1, 0) if r else twice(p)
    h2, h3 = h * h % P, h * h * h % P
    x3 = (r * r - h3 - 2 * u * h2) % P
    return x3, (r * (u * h2 - x3) - s * h3) % P, h * p[2] * q[2] % P


def signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether r and s are this key's signature; s has to be the low one."""
    x, y, r, s = (
        int.from_bytes(v, "big") for v in (key[1:33], key[33:], signature[:32], signature[32:])
    )
    if key[0] != 4 or max(x, y) >= P or (y * y - x * x * x + 3 * x - B) % P:
        return False
    if not (0 < r < N and 0 < s <= N // 2):
        return False
    w, q, total = pow(s, -1, N), (x, y, 1), (1, 1, 0)
    u, v = int.from_bytes(sha256(message).digest(), "big") * w % N, r * w % N
    table = ((1, 1, 0), (GX, GY, 1), q, plus((GX, GY, 1), q))
    for bit in range(255, -1, -1):
        total = plus(twice(total), table[(u >> bit & 1) | (v >> bit & 1) << 1])
    return bool(total[2]) and total[0] * pow(total[2], -2, P) % P % N == r


# The note of a seal in CBOR, and in MessagePack the payloads that are looked into

NOTE: dict[str, Any] = {  # in the order of canonical CBOR: length of bytes, or what is allowed
    "t": range(-(2**63), 2**63),
    "v": range(1, 2),
    "no": range(1, 2**63),
    "log": 32,
    "boot": range(1, 2**32),
    "head": 64,
    "prev": 64,
    "root": 64,
    "size": range(1, 2**63),
    "clock": range(5),
    "image": 32,
    "device": 65,
    "counter": range(2**63),
    "custody": ("file", "pkcs11", "tpm"),
    "firmware": str,
}

# of MessagePack: bytes of the number that follows a tag, and the tags with a length in it
SIZES = dict(
    zip(
        (*range(0xC4, 0xC7), *range(0xCC, 0xD0), *range(0xD9, 0xDC)),
        (1, 2, 4, 1, 2, 4, 8, 1, 2, 4),
        strict=True,
    )
)
BINARIES, TEXTS = range(0xC4, 0xC7), range(0xD9, 0xDC)


def item(raw: bytes, at: int) -> tuple[Any, int]:
    """What stands at a place in canonical CBOR, and where the next item does."""
    major, value, at = raw[at] >> 5, raw[at] & 31, at + 1
    if (major, value) == (7, 22):
        return None, at
    if value >= 24:
        short, size = value == 24, 1 << (value - 24)
        value, at = int.from_bytes(raw[at : at + size], "big"), at + size
        if size > 8 or at > len(raw) or value < (24 if short else 1 << (4 * size)):
            raise ValueError  # cut short, or there is a shorter form
    if major < 2:
        return (-1 - value if major else value), at
    found = raw[at : at + value]
    if major > 3 or len(found) != value:
        raise ValueError
    return (found if major == 2 else found.decode("ascii")), at + value


def read_note(raw: bytes) -> dict[str, Any]:
    """The fields of a seal; ValueError or IndexError where these are not its only bytes."""
    note, at = {}, 1
    for name, rule in NOTE.items():
        key, at = item(raw, at)
        value, at = item(raw, at)
        match rule:
            case int():
                fits = type(value) is bytes and len(value) == rule
            case range():
                fits = type(value) is int and value in rule
            case _:
                fits = type(value) is str and (rule is str or value in rule)
        if key != name or not (fits or (name == "counter" and value is None)):
            raise ValueError
        note[name] = value
    if raw[0] != 0xA0 + len(NOTE) or at != len(raw) or len(raw) > 4096:
        raise ValueError
    return note


def unpacked(payload: bytes) -> list[Any]:
    """A MessagePack array of up to 15 whole numbers, byte strings and texts; else ValueError."""
    found, at = list[Any](), 1
    while at < len(payload):
        tag, at = payload[at], at + 1
        size = SIZES.get(tag, 0)
        value = int.from_bytes(payload[at : at + size], "big") if size else tag
        at += size
        if tag in TEXTS or 0xA0 <= tag < 0xC0:
            value = value if size else tag - 0xA0
            found.append(payload[at : at + value].decode())
            at += value
        elif tag in BINARIES:
            found.append(payload[at : at + value])
            at += value
        elif tag < 0x80 or size:
            found.append(value)
        else:
            raise ValueError("the payload has what no event of this kind has")
    if at != len(payload) or payload[0] != 0x90 + len(found):
        raise ValueError("the payload is cut short or too long")
    return found


# The tree, and the walk along the chain


def node(left: bytes, right: bytes) -> bytes:
    return hashed(b"\x01", left, right)


def fold(hashes: list[bytes]) -> bytes:
    """The root over 2^k of them."""
    while len(hashes) > 1:
        hashes = [node(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def cover(start: int, n: int) -> Iterator[int]:
    """Heights of the largest complete subtrees over n leaves from index `start`."""
    while n:
        height = n.bit_length() - 1
        height = min(height, (start & -start).bit_length() - 1) if start else height
        yield height
        start, n = start + (1 << height), n - (1 << height)


def entries(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Check and event, one after the other; ValueError where the body is cut short."""
    at, size = 0, len(body)
    while at < size:
        if at + ENTRY.size > size:
            raise ValueError("the body has bytes behind its last event")
        length, check = ENTRY.unpack_from(body, at)
        at += ENTRY.size + length
        if at > size:
            raise ValueError("the event is longer than what is left of the body")
        yield check, body[at - length : at]


class Walk:
    """A log as far as it holds: `seq` events in `blocks` blocks, of which `size` are sealed."""

    def __init__(
        self, db: sqlite3.Connection, floor: int, device: bytes, keys: Mapping[int, bytes]
    ) -> None:
        self.db, self.floor, self.device, self.keys = db, floor, device, keys
        self.content = decompressor()
        self.seq = self.blocks = self.size = self.leaves = self.pruned_to = 0
        self.boot, self.sealed_boot, self.counter = 1, 1, -1
        self.boot_known = self.declared = False
        self.key = b""  # of the next seal; empty where it is not known
        self.log_id = self.head = self.at_floor = b""
        self.kinds: set[bytes] = set()  # those seen to be printable
        self.digests: list[bytes] = []  # of the notes of the seals
        self.pruned: dict[int, int] = {}  # number of a block: its first event
        self.prunings: list[list[Any]] = []
        self.stack: list[tuple[int, bytes]] = []  # complete subtrees, by height
        self.tiles: list[tuple[int, int, bytes]] = []  # first tile, how many, what they fold to

    def go(self) -> None:
        self.begin()
        seals = self.seals()
        seal = next(seals, None)
        while row := self.row(ROWS, self.blocks):
            self.block(*row)
            while seal and seal[0]["size"] <= self.seq:
                self.seal(*seal)
                seal = next(seals, None)
        if seal:
            raise BrokenError(self.seq + 1, f"the log ends before its seal {seal[1]}")
        self.check_pruned()
        self.check_tiles()

    def begin(self) -> None:
        rows = self.db.execute(SCHEMA_ROWS).fetchall()
        texts = [text if type(text) is bytes else b"" for row in rows for text in row]
        if sha3_256(b"".join(text + b"\0" for text in texts)).hexdigest() != SCHEMA:
            raise BrokenError(1, "the schema is not that of format 2")
        self.db.set_progress_handler(None, 0)
        rows = self.db.execute("SELECT id, log_id, note FROM log LIMIT 2").fetchall()
        if [[*map(type, row)] for row in rows] != [[int, bytes, bytes]]:
            raise BrokenError(1, "the log does not say which one it is")
        if rows[0][0] != 1 or len(rows[0][1]) != 32:
            raise BrokenError(1, "the log has no name of its own")
        self.log_id, self.head = rows[0][1], hashed(b"\x02", *rows[0][1:])
        self.at_floor = b"" if self.floor else self.head

    def row(self, query: str, passed: int) -> tuple[Any, ...] | None:
        """The one behind so many; one at a time, since Python looks a row ahead."""
        first = passed + 1 if passed else -(2**63)
        rows = self.db.execute(f"{query} WHERE no >= ? ORDER BY no LIMIT 1", (first,))
        return next(rows, None)

    def block(self, *row: Any) -> None:
        no, first, n, before, after, data, nodes = row
        due = self.seq + 1
        if [*map(type, row)] not in ([*EDGES, bytes, NULL], [*EDGES, NULL, bytes]):
            raise BrokenError(due, f"block {self.blocks + 1} has not the columns of a block")
        if (no, first, before) != (self.blocks + 1, due, self.head):
            raise BrokenError(due, f"block {self.blocks + 1} does not follow the one before it")
        if nodes is None:
            leaves = self.pass_body(no, n, after, data)
        else:
            leaves = self.pass_pruned(no, n, after, nodes)
        if self.floor == self.seq or (due <= self.floor < self.seq and data is not None):
            self.at_floor = leaves[self.floor - self.seq - 1]
        self.blocks, self.head, self.boot_known = no, after, nodes is None

    def pass_body(self, no: int, n: int, after: bytes, data: bytes) -> list[bytes]:
        """Moves past a block; its leaves."""
        due, head, leaves = self.seq + 1, self.head, list[bytes]()
        try:
            for check, event in entries(self.content(data)):
                head = sha3_512(b"\x00" + head + event).digest()
                if head[:4] != check:
                    raise ValueError("the bytes of the event are not those that were hashed")
                self.event(event)
                if len(leaves) >= n:
                    raise ValueError(f"block {no} holds more than {n} events")
                leaves.append(head)
                self.push(0, head)
                self.seq += 1
        except (ValueError, IndexError) as error:
            raise BrokenError(self.seq + 1, str(error)) from error
        if len(leaves) != n or not leaves:
            raise BrokenError(self.seq + 1, f"block {no} holds fewer than {n} events")
        if head != after:
            self.seq -= 1
            raise BrokenError(self.seq + 1, f"block {no} does not end with the hash it says")
        if n > MAX_EVENTS:
            raise BrokenError(due, f"block {no} of {n} events")
        return leaves

    def event(self, event: bytes) -> None:
        """Raises ValueError for one that is malformed or does not follow the one before it."""
        if len(event) < EVENT.size:
            raise ValueError(f"an event of {len(event)} bytes")
        version, seq, _, _, boot, clock, level, length = EVENT.unpack_from(event)
        kind = event[EVENT.size : EVENT.size + length]
        if version != 1 or clock > 4 or not 1 <= level <= 4 or len(kind) != length:
            raise ValueError("the event is malformed")
        if kind not in self.kinds:
            if not kind or min(kind) < 0x20 or max(kind) > 0x7E:
                raise ValueError("the kind of the event is not printable ASCII")
            self.kinds.add(kind)
        if seq != self.seq + 1 or boot < self.boot:
            raise ValueError(f"the event says it is number {seq} of boot {boot}")
        self.boot = boot
        if kind in FIELDS:
            self.look(kind, event[EVENT.size + length :])

    def look(self, kind: bytes, payload: bytes) -> None:
        found = unpacked(payload)
        if [*map(type, found)] != FIELDS[kind]:
            raise ValueError("the payload is not that of its kind")
        if kind == b"log-checked/1":
            self.declared |= found[0] in LOSSES
        elif kind == b"bodies-pruned/1":
            self.prunings.append(found)
        elif not 1 <= found[0] <= len(self.digests) or self.digests[found[0] - 1] != found[1]:
            raise ValueError(f"the event tells of a seal {found[0]} that is not there")

    def pass_pruned(self, no: int, n: int, after: bytes, nodes: bytes) -> list[bytes]:
        heights = list(cover(self.seq, n)) if 1 <= n <= MAX_EVENTS else []
        hashes = [nodes[at : at + 64] for at in range(0, len(nodes), 64)]
        if not heights or 64 * len(heights) != len(nodes):
            raise BrokenError(self.seq + 1, f"block {no}: nodes that are not those of its place")
        if heights[-1] == 0 and hashes[-1] != after:
            raise BrokenError(self.seq + n, f"block {no}: its last node is not its last hash")
        for height, found in zip(heights, hashes, strict=True):
            self.push(height, found)
        self.pruned[no] = self.seq + 1
        self.seq = self.pruned_to = self.seq + n
        return [after]

    def push(self, height: int, found: bytes) -> None:
        """Puts a complete subtree behind the leaves so far."""
        if height >= 8:
            self.tiles.append((self.leaves >> 8, 1 << (height - 8), found))
        self.leaves += 1 << height
        stack = self.stack
        while stack and stack[-1][0] == height:
            height, found = height + 1, node(stack.pop()[1], found)
            if height == 8:
                self.tiles.append((self.leaves - 1 >> 8, 1, found))
        stack.append((height, found))

    def root(self) -> bytes:
        *left, (_, found) = self.stack
        for _, other in reversed(left):
            found = node(other, found)
        return found

    def seals(self) -> Iterator[tuple[dict[str, Any], int, bytes, bytes, bytes]]:
        """Each as far as it can be looked at before its last event is reached."""
        while row := self.row("SELECT no, note, mac, signature FROM seal", len(self.digests)):
            due = len(self.digests) + 1
            try:
                if [*map(type, row)] != [int, bytes, bytes, bytes]:
                    raise ValueError
                note = read_note(row[1])
            except (ValueError, IndexError) as error:
                raise BrokenError(self.size + 1, f"seal {due} is malformed") from error
            counter, prev = note["counter"], self.digests[-1] if self.digests else bytes(64)
            self.hold(
                (note["no"] == row[0] == due, "has not this number"),
                (note["log"] == self.log_id, "is of another log"),
                (note["prev"] == prev, "does not follow the last one"),
                (note["size"] >= self.size, "covers less than the one before"),
                (note["boot"] >= self.sealed_boot, "is of an earlier boot"),
                (counter is None or counter > self.counter, "has a counter that did not rise"),
            )
            yield note, *row

    def seal(self, note: dict[str, Any], no: int, raw: bytes, mac: bytes, signature: bytes) -> None:
        key, anew = self.keys.get(no, self.key), no in self.keys and no > 1
        device, counter = self.device or note["device"], note["counter"]
        self.hold(
            (note["size"] == self.seq, "does not end with a block"),
            (note["head"] == self.head, "has another head"),
            (note["root"] == self.root(), "has another root"),
            (note["boot"] <= self.boot or not self.boot_known, "is of a later boot"),
            (note["device"] == device, "is of another device"),
            (signed(device, b"amo-agent seal 1" + raw, signature), "has a wrong signature"),
            (not key or mac == mac_of(key, b"amo-agent seal mac 1" + raw), "has a wrong MAC"),
            (self.declared or not anew, "has a key begun anew, and no event says why"),
        )
        self.device, self.key = device, key and mac_of(key, b"amo-agent seal key 1")[:32]
        self.counter = self.counter if counter is None else counter
        self.digests.append(hashed(raw))
        self.size, self.sealed_boot, self.declared = self.seq, note["boot"], False

    def hold(self, *checks: tuple[bool, str]) -> None:
        """Raises BrokenError for the first that does not hold of the next seal."""
        for holds, what in checks:
            if not holds:
                raise BrokenError(self.size + 1, f"seal {len(self.digests) + 1} {what}")

    def check_pruned(self) -> None:
        for table, rows in (("body", self.blocks - len(self.pruned)), ("pruned", len(self.pruned))):
            if self.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] != rows:
                raise BrokenError(self.seq + 1, f"table {table} has a row without a block")
        untold = dict(self.pruned)
        for first, last, digest in self.prunings:
            gone = [no for no in self.pruned if first <= no <= last]
            if gone and self.digest(first, last) != digest:
                raise BrokenError(
                    self.pruned[gone[0]], f"blocks {first} to {last} are not those pruned"
                )
            for no in gone:
                untold.pop(no, None)
        for no, seq in untold.items():
            raise BrokenError(seq, f"no event tells that block {no} was pruned")
        if self.pruned_to > self.size:
            raise BrokenError(self.size + 1, "a block was pruned that no seal covers")

    def digest(self, first: int, last: int) -> bytes:
        """As `bodies-pruned/1` has it: over these blocks, with a body or without."""
        total, query = sha3_512(), f"{ROWS} WHERE no BETWEEN ? AND ? ORDER BY no"
        for row in self.db.execute(query, (first, min(last, self.blocks))):
            no, seq, n, before, after, data, nodes = row
            total.update(BLOCK.pack(no, seq, n) + before + after)
            total.update(nodes or self.nodes(seq - 1, n, before, data))
        return total.digest()

    def nodes(self, start: int, n: int, head: bytes, data: bytes) -> bytes:
        leaves, found = [], b""
        for _, event in entries(self.content(data)):
            head = hashed(b"\x00", head, event)
            leaves.append(head)
        for height in cover(start, n):
            found += fold(leaves[: 1 << height])
            del leaves[: 1 << height]
        return found

    def check_tiles(self) -> None:
        """One over each 256 sealed leaves; where these were pruned, what the tiles fold to."""
        full, rows = self.size // 256, "FROM tile WHERE no >= 0 AND no < ?"
        tiles = dict(self.db.execute(f"SELECT no, hash {rows}", (full,)).fetchall())
        wrong = next((no for no in range(full) if type(tiles.get(no)) is not bytes), full)
        if wrong < full or self.db.execute("SELECT count(*) FROM tile").fetchone()[0] != full:
            raise BrokenError(256 * wrong + 1, f"tile {wrong} is missing, or one too many")
        for first, n, found in self.tiles:
            if first < full and fold([tiles[no] for no in range(first, first + n)]) != found:
                raise BrokenError(256 * first + 1, f"tile {first} is not that of its leaves")

    def check_floor(self, log_id: bytes, seals: int, seq: int, head: bytes) -> None:
        for holds, what in (
            (log_id == self.log_id, "the floor is that of another log"),
            (seals <= len(self.digests), f"the log had {seals} seals"),
            (seq <= self.seq, f"the log went on to event {seq}"),
            (head == self.at_floor, f"event {seq} is not the one that the floor knows"),
        ):
            if not holds:
                raise BrokenError(self.seq + 1, what, "truncated")

    def check_pages(self) -> None:
        if (found := self.db.execute("PRAGMA quick_check(1)").fetchone()[0]) != b"ok":
            raise BrokenError(self.seq + 1, found.decode("ascii", "replace"), "damaged")


def start_of(path: Path, size: int) -> bytes:
    try:
        if not path.is_file():
            raise UnusableError(f"{path.name!r} is not there, or is no regular file")
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise UnusableError(f"{path.name!r} cannot be read: {error.strerror}") from error


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """The file, of which nothing is run, and whether it has fewer pages than it says."""
    head = start_of(path, 100)
    if head[60:64] + head[68:72] != b"\0\0\0\x02AMO1":
        raise UnusableError(f"{path.name!r} is no event log of format 2")
    if sqlite3.sqlite_version_info < (3, 37):
        raise UnusableError(f"SQLite {sqlite3.sqlite_version} cannot read such a log; 3.37 can")
    still = not path.with_name(f"{path.name}-wal").exists()
    page = {b"\0\1": 65_536}.get(head[16:18], int.from_bytes(head[16:18], "big"))
    short = still and path.stat().st_size < page * int.from_bytes(head[28:32], "big")
    uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    db.text_factory = bytes
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BODY + 65_536)
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        db.execute(f"PRAGMA {setting}")
    steps = count()
    db.set_progress_handler(lambda: next(steps) > 1_000, 1_000)  # until the schema is known
    return db, short


def read_floor(path: Path) -> tuple[bytes, int, int, bytes]:
    """Log id, seals, last event and its hash by the newer whole record of the two."""
    raw, whole = start_of(path, 1024), []
    for at in range(0, len(raw) - 511, 512):
        magic, version, written, log_id, seals, seq, head, rest, digest = FLOOR.unpack_from(raw, at)
        fits = (magic, version) == (b"AMOF", 1) and not any(rest)
        if fits and sha3_256(raw[at : at + 480]).digest() == digest:
            whole.append((written, (log_id, seals, seq, head)))
    if not whole:
        raise UnusableError(f"{path.name!r} has no whole record of a floor")
    return max(whole)[1]


def judge(
    path: Path, floor: Path | None = None, device: bytes = b"", keys: Mapping[int, bytes] = NO_KEYS
) -> dict[str, Any]:
    """The verdict, as it is printed. Raises UnusableError."""
    bad, least = None, read_floor(floor) if floor else (b"", 0, 0, b"")
    db, short = connect(path)
    walk = Walk(db, least[2], device, keys)
    try:
        walk.go()
        walk.check_pages()
        if floor:
            walk.check_floor(*least)
    except BrokenError as error:
        bad = error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN):
            raise UnusableError(f"{path.name!r} cannot be read: {error}") from error
        bad = BrokenError(walk.seq + 1, str(error), "damaged")
    finally:
        db.close()
    if short:
        seq = bad.seq if bad else walk.seq + 1
        bad = BrokenError(seq, "the file ends before its last page", "truncated")
    return {
        "intact": bad is None,
        "verdict": bad.word if bad else "intact",
        "first_bad_seq": bad.seq if bad else None,
        "reason": str(bad) if bad else "every event follows from the one before it",
        "events": walk.seq,
        "blocks": walk.blocks,
        "pruned": len(walk.pruned),
        "seals": len(walk.digests),
        "sealed": walk.size,
        "device": walk.device.hex(),
        "head": walk.head.hex(),
        "log_id": walk.log_id.hex(),
    }


def device_key(text: str) -> bytes:
    if len(raw := bytes.fromhex(text)) != 65:
        raise ValueError
    return raw


def seal_root(text: str) -> tuple[int, bytes]:
    no, _, key = text.rpartition(":")
    if len(raw := bytes.fromhex(key)) != 32 or int(no or 1) < 1:
        raise ValueError
    return int(no or 1), raw


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a copied event log.", epilog=__doc__)
    parser.add_argument("log", type=Path, help="a copy of events.db")
    parser.add_argument("--floor", type=Path, help="the file beside it that tells its least end")
    parser.add_argument("--device", type=device_key, default=b"", help="public key, 65 bytes")
    roots = "K(1), or a later key that was begun anew, 32 bytes; may be given again"
    parser.add_argument(
        "--seal-root", type=seal_root, action="append", default=[], metavar="[NO:]HEX", help=roots
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    try:
        found = judge(given.log, given.floor, given.device, dict(given.seal_root))
    except UnusableError as error:
        print(f"verify_log: {ascii(str(error))[1:-1]}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(found))
    elif found["intact"]:
        print(
            "intact: {events} events in {blocks} blocks, {pruned} of them pruned; {seals} seals, "
            "through event {sealed}; head {head}".format(**found)
        )
    else:
        print(ascii("{verdict} at sequence {first_bad_seq}: {reason}".format(**found))[1:-1])
    return 0 if found["intact"] else 1


if __name__ == "__main__":
    sys.exit(main())
