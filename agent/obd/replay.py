"""A recorded log played at the pace of a clock, as if its buses were there."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

from agent.clock import MS, SECOND, Clock
from agent.obd.frame import BusState, CanFrame, Counts
from agent.obd.logfile import LogFile

BATCH_NS = 20 * MS
BATCH_FRAMES = 500
GAP_MAX_NS = 10 * SECOND
STEP_BACK_MAX_NS = SECOND
"""Our choices: a longer pause, or a clock that was set back by more, is not waited out."""


class LogSource:
    """Frames of a log file, handed over when `clock.now_ns` has come to their times.

    The frames keep the times they were recorded with. Times that go back a little (two buses
    in one log) are due at once; where they jump ahead by more than 10 s, or back by more than
    1 s, the pace goes on from there and only the pause is shortened.
    """

    def __init__(self, log: LogFile, clock: Clock) -> None:
        self.log = log
        self.uri = log.uri
        self._clock = clock
        self._closed = False
        self._taken = 0

    @property
    def counts(self) -> Counts:
        """What was handed over so far; a frame that waits for its time is not taken yet."""
        return replace(self.log.counts, taken=self._taken)

    def states(self) -> list[BusState]:
        return self.log.errors.take()

    async def batches(self) -> AsyncIterator[list[CanFrame]]:
        batch: list[CanFrame] = []
        for due_ns, frame in _paced(iter(self.log)):
            if due_ns > self._clock.now_ns() or len(batch) >= BATCH_FRAMES:
                if batch:
                    self._taken += len(batch)
                    yield batch
                    batch = []
                await self._until(due_ns)
            if self._closed:
                return
            batch.append(frame)
        if batch and not self._closed:
            self._taken += len(batch)
            yield batch

    def close(self) -> None:
        self._closed = True

    async def _until(self, due_ns: int) -> None:
        """At least one batch's time further on, so that frames come in batches."""
        ahead_ns = due_ns - self._clock.now_ns()
        while ahead_ns > 0 and not self._closed:
            await self._clock.sleep_until(self._clock.mono_ns() + max(ahead_ns, BATCH_NS))
            ahead_ns = due_ns - self._clock.now_ns()


def _paced(frames: Iterator[CanFrame]) -> Iterator[tuple[int, CanFrame]]:
    """Each frame with the time it is due at: never earlier than the one before."""
    last_due_ns: int | None = None
    skipped_ns = 0
    for frame in frames:
        due_ns = frame.t_ns - skipped_ns
        if last_due_ns is not None:
            if due_ns > last_due_ns + GAP_MAX_NS:
                skipped_ns += due_ns - last_due_ns - GAP_MAX_NS
            elif due_ns < last_due_ns - STEP_BACK_MAX_NS:
                skipped_ns += due_ns - last_due_ns
            due_ns = max(last_due_ns, frame.t_ns - skipped_ns)
        last_due_ns = due_ns
        yield due_ns, frame
