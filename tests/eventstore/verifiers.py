"""Both verifiers on one file: the agent's own, and the one of Python alone. They have to agree."""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from agent.errors import StoreError, UsageError
from agent.eventstore import note
from agent.eventstore.reader import LogReader
from agent.eventstore.sealcheck import BadSealError, SealChecker
from agent.eventstore.verify import _BrokenError, _Fold, verify
from agent.eventstore.walk import walk
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
            key = note.next_key(key)
        return hmac.digest(key, message, "sha3_512")


def by_agent(path: Path, device: bytes = b"", roots: Mapping[int, bytes] | None = None) -> Found:
    try:
        verdict = verify(path)
        sealed = _check_seals(path, device or None, Roots(roots) if roots else None)
    except UsageError:
        return UNUSABLE
    if sealed is not None:
        return sealed
    return Found(verdict.verdict, verdict.first_bad_seq)


def by_tool(path: Path, device: bytes = b"", roots: Mapping[int, bytes] | None = None) -> Found:
    try:
        verdict = verify_log.judge(path, device=device, keys=roots or {})
    except verify_log.UnusableError:
        return UNUSABLE
    return Found(verdict["verdict"], verdict["first_bad_seq"])


def both(path: Path, device: bytes = b"", roots: Mapping[int, bytes] | None = None) -> Found:
    """What both found; an AssertionError where they do not agree."""
    one, other = by_agent(path, device, roots), by_tool(path, device, roots)
    assert one == other, f"the agent's verifier: {one}, the other one: {other}"
    return one


def _check_seals(path: Path, device: bytes | None, keys: Roots | None) -> Found | None:
    """What the seals show before the chain shows anything."""
    fold = _Fold()
    try:
        with LogReader.open(path, still=True) as reader:
            fold.begin(reader.log_id, reader.note)
            checker = SealChecker(reader, device=device, keys=keys)
            for walked in map(walk, reader.blocks()):
                fold.take(walked)
                checker.take(walked)
            checker.finish()
    except BadSealError as error:
        return Found("tampered", error.seq)
    except (StoreError, _BrokenError):
        pass  # the verdict has that
    return None
