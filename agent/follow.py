"""The read model follows the log while the agent runs, so that who looks has little to catch up."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from agent.errors import StoreError, UsageError
from agent.eventstore.log import EventReader
from agent.eventstore.readmodel import ReadModel

_log = structlog.get_logger()

FOLLOW_S: Final = 30.0
AT_ONCE: Final = 50_000
"""Events folded in between two looks whether there is time: under a second on a small board."""
AT_THE_END: Final = 50_000
"""A stop waits for no more; the next start, or who looks, does the rest."""


class Follower:
    """Of one log, for as long as the service runs."""

    def __init__(self, log: EventReader, path: Path) -> None:
        self._log = log
        self._path = path

    async def once(self) -> None:
        """Come to the end of the log, a part at a time: a stop waits for one part at most."""
        while await asyncio.to_thread(follow, self._log, self._path, AT_ONCE):
            pass


def follow(log: EventReader, path: Path, events: int) -> bool:
    """Fold in the next so many; whether there are more.

    The log has everything, so a model that cannot be written is told of and stops nothing.
    """
    try:
        with ReadModel.open(path) as model:
            model.catch_up(log, through=model.through + events)
            return model.through < log.head().seq
    except (StoreError, UsageError) as error:
        _log.warning("the read model does not follow", reason=str(error))
        return False
