"""Which event was the last one at an instant, on a clock that may step.

Order is that of the sequence numbers, and a state is a fold over all events up to one of them.
A clock is wrong mostly when the agent starts, and set after that; so the time at the end of a
start is the one believed. The instant lies in the first start whose last event is at that time
or later. All before that start belongs to the state, and of it everything up to its last event
at that time or earlier. An instant after all of them is the end of the log.
"""

from collections.abc import Iterable

from agent.eventstore.log import Recorded


def last_at(events: Iterable[Recorded], t_ns: int) -> int:
    """Sequence number of the last event at an instant; 0 where the log begins after it."""
    found = previous = 0
    boot, latest = 0, t_ns - 1
    for recorded in events:
        if recorded.boot != boot:
            if latest >= t_ns:
                return found
            boot, found = recorded.boot, previous
        if recorded.t_ns <= t_ns:
            found = recorded.seq
        previous, latest = recorded.seq, recorded.t_ns
    return found if latest >= t_ns else previous
