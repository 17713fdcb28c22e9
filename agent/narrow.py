"""As the disk fills, less is kept: looks at it now and then, and the log says what it did."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from agent.events import DiskNarrowed
from agent.eventstore.ladder import Step, climb
from agent.eventstore.reserve import Reserve
from agent.record import Journal

_log = structlog.get_logger()

EVERY_S: Final = 10.0


class Narrowed(Protocol):
    """What keeps less from a step on: the log writer, by shape."""

    step: Step


class Narrowing:
    """used: how full the disk is, in per cent; reserve: is made again as soon as there is room."""

    def __init__(
        self, *, writer: Narrowed, journal: Journal, used: Callable[[], float], reserve: Reserve
    ) -> None:
        self._writer = writer
        self._journal = journal
        self._used = used
        self._reserve = reserve

    async def once(self) -> None:
        percent = await asyncio.to_thread(self._used)
        step = climb(self._writer.step, percent)
        if step != self._writer.step:
            _log.warning("disk", step=step.name, percent=round(percent, 1))
            self._writer.step = step
            self._journal.write(DiskNarrowed(int(step), round(percent, 1)))
        if step < Step.URGENT:
            await asyncio.to_thread(self._reserve.make)
