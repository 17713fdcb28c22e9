"""Every block of a log, in order; a large log is shared by as many processes as there are cores."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import chain as chain_of
from pathlib import Path
from typing import Final, TypeVar

from agent.errors import StoreError
from agent.eventstore.reader import LOWEST, Block, LogReader

T = TypeVar("T")

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
def looks(
    reader: LogReader,
    path: Path,
    numbers: range,
    look: Callable[[Block], T],
    *,
    still: bool = False,
    alone: bool = False,
) -> Iterator[Iterable[T]]:
    """What `look` says of each block of these numbers, in their order, and of any beyond 1.

    look: a function of a module, since other processes may call it
    Raises StoreError when such a process is killed.
    """
    processes = len(os.sched_getaffinity(0))
    if alone or len(numbers) < _WORTH or processes == 1:
        yield map(look, reader.blocks(_beginning(numbers.start)))
        return
    # multiprocessing's own Pool kills its processes, and hangs where one had a lock in hand
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    try:
        shares = _shares(pool, partial(_look, path, still, look), numbers[::_SHARE], 4 * processes)
        yield chain_of(_in_order(shares), map(look, reader.blocks(numbers.stop)))
    except BrokenProcessPool as error:
        raise StoreError(f"{path}: a process that helped to read it was killed") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _shares(
    pool: ProcessPoolExecutor, share: Callable[[int], T], firsts: range, ahead: int
) -> Iterator[T]:
    """In order, so many at work at a time: a log may claim to have any number of blocks."""
    under_way: deque[Future[T]] = deque()
    for first in firsts:
        under_way.append(pool.submit(share, first))
        if len(under_way) >= ahead:
            yield under_way.popleft().result()
    for future in under_way:
        yield future.result()


def _beginning(first: int) -> int:
    return LOWEST if first == 1 else first


def _look(
    path: Path,
    still: bool,  # noqa: FBT001 - a part of a call that is sent elsewhere
    look: Callable[[Block], T],
    first: int,
) -> tuple[list[T], StoreError | None]:
    """Of the blocks of one share as far as they can be read, and why not further."""
    found: list[T] = []
    try:
        with LogReader.open(path, still=still) as reader:
            for block in reader.blocks(_beginning(first)):
                if block.no >= first + _SHARE:
                    break
                found.append(look(block))
    except StoreError as error:
        return found, error
    return found, None


def _in_order(shares: Iterable[tuple[list[T], StoreError | None]]) -> Iterator[T]:
    for found, error in shares:
        yield from found
        if error is not None:
            raise error
