"""A backup of segment keys is brought to where the log is.

A backup remembers what was erased after it, and knows nothing of segments that came after it. The
log tells of both: what was erased is destroyed again, and no number of a segment is used twice.
"""

from collections.abc import Iterable

from agent.errors import SealError
from agent.events import ErasureBegun, decode
from agent.eventstore.log import Recorded
from agent.privacy import Level, sealed
from agent.wallet.seal import split
from agent.wallet.segments import SegmentStore


def catch_up(events: Iterable[Recorded], store: SegmentStore) -> tuple[int, int]:
    """(keys destroyed again, segments whose keys came after the backup). Raises SealError."""
    known = newest = store.newest()
    destroyed = 0
    for recorded in events:
        if recorded.kind == ErasureBegun.kind:
            event = decode(recorded.kind, recorded.payload)
            assert isinstance(event, ErasureBegun)
            level = Level(event.erased_level)
            destroyed += store.destroy(event.first_segment, event.last_segment, level)
        elif sealed(recorded.level):
            newest = max(newest, _segment(recorded.payload))
    if newest > known:
        store.leave_out(newest)
    return destroyed, newest - known


def _segment(payload: bytes) -> int:
    """0 where there is none to be read: such an event opens with no key."""
    try:
        return split(payload).segment
    except SealError:
        return 0
