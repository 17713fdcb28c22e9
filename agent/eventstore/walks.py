"""Every block of a log, in order; a large log is shared by as many processes as there are cores."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain as chain_of
from pathlib import Path
from typing import Final

from agent.errors import StoreError
from agent.eventstore.reader import LOWEST, LogReader
from agent.eventstore.walk import Walked, walk

_SHARE: Final = 64
"""Blocks that a process looks at in one go."""
_WORTH: Final = 2_000
"""Blocks from which on more processes take less time than they need to start."""


def last_block(reader: LogReader) -> int:
    """Its number, as far as that can be read; if it cannot, the walk says where that is."""
    try:
        return reader.last_block()
    except StoreError:
        return 0


@contextmanager
def walks_of(
    reader: LogReader, path: Path, total: int, *, still: bool, alone: bool
) -> Iterator[Iterable[Walked]]:
    """Every block in order, looked at in this process or shared out."""
    processes = len(os.sched_getaffinity(0))
    if alone or total < _WORTH or processes == 1:
        yield map(walk, reader.blocks())
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        look = partial(_look, path, still)
        shares = pool.imap(look, range(1, total + 1, _SHARE))
        yield chain_of(_in_order(shares), map(walk, reader.blocks(total + 1)))


def _look(path: Path, still: bool, first: int) -> tuple[list[Walked], StoreError | None]:  # noqa: FBT001 - a part of a call that is sent elsewhere
    """The blocks of one share as far as they can be read, and why not further."""
    found: list[Walked] = []
    try:
        with LogReader.open(path, still=still) as reader:
            for block in reader.blocks(LOWEST if first == 1 else first):
                if block.no >= first + _SHARE:
                    break
                found.append(walk(block))
    except StoreError as error:
        return found, error
    return found, None


def _in_order(shares: Iterable[tuple[list[Walked], StoreError | None]]) -> Iterator[Walked]:
    for found, error in shares:
        yield from found
        if error is not None:
            raise error
