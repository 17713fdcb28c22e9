"""A process with an archive of sealed events; says what is acknowledged, line by line.

Arguments: state directory, and what its events say. Each of two starts has a segment of its own; at
the end the key of the first one is destroyed.
"""

import sys
from contextlib import closing
from pathlib import Path

from agent.archive import SEGMENTS, archive
from agent.clock import ManualClock
from agent.events import VinRead
from agent.eventstore.readmodel import ReadModel
from agent.privacy import Level
from agent.wallet.segments import SegmentStore
from tests.eventstore.appender import say

START_NS = 1_750_000_000_000_000_000


def main(state: Path) -> None:
    for start in (1, 2):
        with archive(state, ManualClock(START_NS), wait=True) as parts:
            for number in range(3):
                parts.journal.write(VinRead(f"{start} {number}", "obd"))
                parts.journal.flush()
                say("event", parts.log.head().seq, start, number)
            with ReadModel.open(state / "readmodel.db") as model:
                model.catch_up(parts.log)
    with closing(SegmentStore(state / "keys" / SEGMENTS)) as store:
        say("destroying", store.wrapped(1, Level.LV1).hex())
        store.destroy(1, 1, Level.LV1)
        say("destroyed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
