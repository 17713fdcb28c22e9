"""A reader written from docs/formats/log.md alone; it shares nothing with the agent."""

import hashlib
import sqlite3
from pathlib import Path

import zstandard


class Refused(Exception):  # noqa: N818 - it says what it is
    pass


def read(path: Path) -> tuple[list[dict[str, object]], str]:
    """Every event, and the head in hex, of a copied log that nobody writes."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        [(log_id, note)] = connection.execute("SELECT log_id, note FROM log")
        blocks = connection.execute(
            "SELECT no, first_seq, n, head_before, head_after, data"
            " FROM block JOIN body USING (no) ORDER BY no"
        ).fetchall()
    finally:
        connection.close()
    head = hashlib.sha3_512(b"\x02" + log_id + note).digest()
    events: list[dict[str, object]] = []
    for index, (no, first_seq, n, before, after, data) in enumerate(blocks, 1):
        if (no, first_seq, before) != (index, len(events) + 1, head):
            raise Refused(f"block {index}")
        at = 0
        body = zstandard.ZstdDecompressor().decompress(data)
        while at < len(body):
            size = int.from_bytes(body[at : at + 4], "big")
            event = body[at + 8 : at + 8 + size]
            head = hashlib.sha3_512(b"\x00" + head + event).digest()
            if head[:4] != body[at + 4 : at + 8] or len(event) != size:
                raise Refused(f"event {len(events) + 1}")
            events.append(fields(event))
            at += 8 + size
        if (len(events), head) != (first_seq + n - 1, after):
            raise Refused(f"block {index}")
    return events, head.hex()


def fields(event: bytes) -> dict[str, object]:
    kind_ends = 32 + event[31]
    return {
        "version": event[0],
        "seq": int.from_bytes(event[1:9], "big"),
        "t_ns": int.from_bytes(event[9:17], "big", signed=True),
        "mono_ns": int.from_bytes(event[17:25], "big"),
        "boot": int.from_bytes(event[25:29], "big"),
        "clock": event[29],
        "level": event[30],
        "kind": event[32:kind_ends].decode("ascii"),
        "payload": event[kind_ends:],
    }
