"""Both verifiers on one file: the agent's own, and the one of Python alone. They have to agree."""

import hmac
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from agent.errors import UsageError
from agent.eventstore import floor as floors
from agent.eventstore.verify import Beside, verify
from tests.data.make_golden_log import next_key
from tools import verify_log


class Found(NamedTuple):
    """word: of the verdict, or "unusable"; seq: the first bad one, None for intact or unusable"""

    word: str
    seq: int | None = None


INTACT = Found("intact")
UNUSABLE = Found("unusable")


class Roots:
    """The owner's keys of the seals. firsts: where a chain of keys begins; see OwnersKeys"""

    def __init__(self, roots: Mapping[int, bytes]) -> None:
        self.firsts = sorted(roots)
        self._roots = roots

    def mac(self, no: int, message: bytes) -> bytes:
        begun = max(first for first in self.firsts if first <= no)
        key = self._roots[begun]
        for _ in range(no - begun):
            key = next_key(key)
        return hmac.digest(key, message, "sha3_512")


class Known(NamedTuple):
    """What a verifier knows besides the file.

    roots: number of a seal -> its key; for the agent's own verifier alone
    """

    floor: Path | None = None
    device: bytes = b""
    roots: Mapping[int, bytes] = {}


NOTHING = Known()


def by_agent(path: Path, known: Known = NOTHING) -> Found:
    floor = floors.read(known.floor) if known.floor else None
    keys = Roots(known.roots) if known.roots else None
    try:
        verdict = verify(path, Beside(floor, known.device or None, keys), alone=True)
    except UsageError:
        return UNUSABLE
    return Found(verdict.verdict, verdict.first_bad_seq)


def by_tool(path: Path, known: Known = NOTHING) -> Found:
    try:
        verdict = verify_log.judge(path, known.floor, known.device)
    except (OSError, sqlite3.Error):
        return UNUSABLE
    return Found(verdict["verdict"], verdict["first_bad_seq"])


def both(path: Path, known: Known = NOTHING) -> Found:
    """What both found; an AssertionError where they do not agree, as they need not on a MAC."""
    one, other = by_agent(path, known), by_tool(path, known)
    assert one == other, f"the agent's verifier: {one}, the other one: {other}"
    return one
