"""The one thread that appends: events are handed over, blocks come out.

A disk may take tens of milliseconds for one durable commit; the 10 Hz schedule may not. So the
log is written by a thread of its own behind a bounded queue. When the disk falls behind by more
than the queue holds, a live car's events are counted as lost and the loss is written as an event
as soon as there is room; a recording waits instead.

A full disk ends a recording, but not a car's agent: the block in hand is kept and tried again,
only urgent events are taken, and what is not taken is counted.

An event is safe when `flush` returned after it was put, or `durable` has passed it.
"""

import queue
import threading
from collections.abc import Callable

from agent.clock import Clock
from agent.errors import DiskFullError, StoreError
from agent.events import encode
from agent.eventstore.ladder import Step, why_not
from agent.eventstore.log import Draft, EventLog
from agent.eventstore.losses import Losses
from agent.eventstore.pending import Pending

IDLE_WAIT_S = 0.1
"""How long the thread sleeps on an empty queue before it looks at the age of the open block."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Between two tries on a full disk."""


class LogWriter:
    """
    wait:     True lets `put` wait for room (a recording), False counts the loss (a live car)
    relief:   is called when the disk is full; whether it gave some room back
    step:     of the ladder; what it does not keep is counted as lost
    appended: events that are durable; blocks: transactions they took
    alive_ns: monotonic time when the thread last had nothing hanging: no commit, no failure
    """

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        *,
        wait: bool,
        capacity: int = 10_000,
        relief: Callable[[], bool] = lambda: False,
    ) -> None:
        self.step = Step.ALL
        self.appended = 0
        self.blocks = 0
        self.alive_ns = clock.mono_ns()
        self._log = log
        self._clock = clock
        self._wait = wait
        self._relief = relief
        self._losses = Losses()
        self._block: tuple[list[Draft], int] | None = None
        self._failure: StoreError | None = None
        self._full: DiskFullError | None = None
        self._tries = 0
        self._pause_s = FIRST_PAUSE_S
        self._queue: queue.Queue[tuple[Draft, bool] | threading.Event] = queue.Queue(capacity)
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Events that were handed over and never written."""
        return self._losses.total

    def put(self, draft: Draft, *, urgent: bool = False) -> None:
        """Hand one event over. Raises StoreError once the log cannot be written."""
        self._raise_failure()
        step = self.step if self._full is None else Step.URGENT
        reason = why_not(step, draft, urgent=urgent)
        try:
            if not reason:
                self._queue.put((draft, urgent), block=self._wait)
        except queue.Full:
            reason = f"the disk fell behind by {self._queue.maxsize} events"
        if reason:
            self._losses.add(reason, self._clock.mono_ns())

    def lose(self, error: DiskFullError) -> None:
        """Count an event that could not be made for lack of room. Raises it for a recording."""
        if self._wait:
            raise error
        self._losses.add("the disk is full: there is no key to seal with", self._clock.mono_ns())

    def flush(self) -> None:
        """Return when everything put before is durable.

        Raises StoreError; DiskFullError, after one more try, where a live car has to go on
        without: what was put stays in line.
        """
        done, tries = threading.Event(), self._tries
        self._wake.set()
        self._line_up(done, tries)
        while not done.wait(IDLE_WAIT_S) and self._thread.is_alive():
            self._raise_failure(tries)
        self._raise_failure()
        if not done.is_set():
            raise self._full or StoreError("the log writer is closed")

    def stop(self, failure: StoreError) -> None:
        """Write nothing more; who puts or flushes from here on is told why."""
        self._failure = failure

    def close(self) -> None:
        """Write the open block and end the thread. Raises StoreError."""
        try:
            self.flush()
        finally:
            self._closed.set()
            self._wake.set()
            self._thread.join()

    def _line_up(self, done: threading.Event, tries: int) -> None:
        while True:
            try:
                self._queue.put(done, timeout=IDLE_WAIT_S)
            except queue.Full:
                self._raise_failure(tries)
            else:
                return

    def _raise_failure(self, tries: int | None = None) -> None:
        """tries: how many failed on a full disk before the caller began to wait."""
        if self._failure is not None:
            raise self._failure
        if tries is not None and self._full is not None and self._tries > tries:
            raise self._full

    def _run(self) -> None:
        pending = Pending()
        while not self._closed.is_set():
            try:
                self._step(pending)
                self._full, self._pause_s = None, FIRST_PAUSE_S
            except DiskFullError as error:
                self._hold_out(error)
            except StoreError as failure:
                self._failure = failure
            except Exception as failure:  # noqa: BLE001 - whatever it was, a dead writer is told of
                self._failure = StoreError(f"the log writer stopped: {failure!r}")
            if self._failure is not None:
                self._drain()
                return
            self.alive_ns = self._clock.mono_ns()

    def _step(self, pending: Pending) -> None:
        """Take one thing from the queue, and append the block when it is due."""
        if self._block is not None:
            self._write()
        now_ns = self._clock.mono_ns()
        try:
            item = self._queue.get(timeout=IDLE_WAIT_S)
        except queue.Empty:
            if pending.due(self._clock.mono_ns()) or self._losses.due(now_ns):
                self._append(pending)
            return
        if isinstance(item, threading.Event):
            self._append(pending)
            item.set()
        elif pending.add(*item, now_ns):
            self._append(pending)

    def _append(self, pending: Pending) -> None:
        drafts = pending.take() + self._told()
        if drafts:
            self._block = drafts, self._log.head().seq + len(drafts)
            self._write()

    def _write(self) -> None:
        """The block in hand, but not once more where a try that failed wrote it after all."""
        assert self._block is not None
        drafts, end = self._block
        if self._log.recover().seq < end:
            self._log.append(drafts)
        self._block = None
        self.appended += len(drafts)
        self.blocks += 1

    def _hold_out(self, error: DiskFullError) -> None:
        """Wait a while for room; what is set aside for this is given up first."""
        if self._wait:
            self._failure = error
            return
        self._full = error
        if self._relief():
            return
        self._tries += 1
        self._wake.wait(self._pause_s)
        self._wake.clear()
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _told(self) -> list[Draft]:
        """The events that tell of losses nobody has told of yet."""
        clock = self._clock
        times = clock.now_ns(), clock.mono_ns(), clock.quality
        return [Draft(e.kind, e.level, *times, encode(e)) for e in self._losses.take()]

    def _drain(self) -> None:
        """Nobody may wait for a writer that has failed."""
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, threading.Event):
                item.set()
