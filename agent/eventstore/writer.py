"""The one thread that appends: events are handed over, blocks come out.

A disk may take tens of milliseconds for one durable commit; the 10 Hz schedule may not. So the
log is written by a thread of its own behind a bounded queue. When the disk falls behind by more
than the queue holds, a live car's events are counted as lost and the loss is written as an event
as soon as there is room; a recording waits instead.

An event is safe when `flush` returned after it was put, or `durable` has passed it.
"""

import queue
import threading

from agent.clock import Clock
from agent.errors import StoreError
from agent.events import InputLost, encode
from agent.eventstore.log import Draft, EventLog
from agent.eventstore.pending import Pending

IDLE_WAIT_S = 0.1
"""How long the thread sleeps on an empty queue before it looks at the age of the open block."""


class LogWriter:
    """
    wait:     True lets `put` wait for room (a recording), False counts the loss (a live car)
    appended: events that are durable; blocks: transactions they took; lost: events never written
    alive_ns: monotonic time when the thread last had nothing hanging: no commit, no failure
    """

    def __init__(self, log: EventLog, clock: Clock, *, wait: bool, capacity: int = 10_000) -> None:
        self.appended = 0
        self.blocks = 0
        self.lost = 0
        self.alive_ns = clock.mono_ns()
        self._log = log
        self._clock = clock
        self._wait = wait
        self._told = 0
        self._failure: StoreError | None = None
        self._queue: queue.Queue[tuple[Draft, bool] | threading.Event] = queue.Queue(capacity)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, draft: Draft, *, urgent: bool = False) -> None:
        """Hand one event over. Raises StoreError once the log cannot be written."""
        self._raise_failure()
        try:
            self._queue.put((draft, urgent), block=self._wait)
        except queue.Full:
            self.lost += 1

    def flush(self) -> None:
        """Return when everything put before is durable. Raises StoreError."""
        done = threading.Event()
        self._queue.put(done)
        while not done.wait(IDLE_WAIT_S) and self._thread.is_alive():
            pass
        self._raise_failure()

    def stop(self, failure: StoreError) -> None:
        """Write nothing more; who puts or flushes from here on is told why."""
        self._failure = failure

    def close(self) -> None:
        """Write the open block and end the thread. Raises StoreError."""
        try:
            self.flush()
        finally:
            self._closed.set()
            self._thread.join()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        pending = Pending()
        while not self._closed.is_set():
            try:
                self._step(pending)
                self.alive_ns = self._clock.mono_ns()
            except StoreError as failure:
                self._failure = failure
            except Exception as failure:  # noqa: BLE001 - whatever it was, a dead writer is told of
                self._failure = StoreError(f"the log writer stopped: {failure!r}")
            if self._failure is not None:
                self._drain()
                return

    def _step(self, pending: Pending) -> None:
        """Take one thing from the queue, and append the block when it is due."""
        try:
            item = self._queue.get(timeout=IDLE_WAIT_S)
        except queue.Empty:
            if pending.due(self._clock.mono_ns()):
                self._append(pending)
            return
        if isinstance(item, threading.Event):
            self._append(pending)
            item.set()
        elif pending.add(*item, self._clock.mono_ns()):
            self._append(pending)

    def _append(self, pending: Pending) -> None:
        drafts = pending.take() + self._losses()
        if not drafts:
            return
        self._log.append(drafts)
        self.appended += len(drafts)
        self.blocks += 1

    def _losses(self) -> list[Draft]:
        """The event that tells of losses nobody has told of yet."""
        count = self.lost - self._told
        if not count:
            return []
        self._told += count
        event = InputLost("events", count, f"the disk fell behind by {self._queue.maxsize} events")
        clock = self._clock
        return [
            Draft(
                event.kind,
                event.level,
                clock.now_ns(),
                clock.mono_ns(),
                clock.quality,
                encode(event),
            )
        ]

    def _drain(self) -> None:
        """Nobody may wait for a writer that has failed."""
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, threading.Event):
                item.set()
