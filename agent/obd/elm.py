"""Questions of OBD-II through an ELM327 or STN adapter, with the doors of `ObdRequester`.

What may leave is decided in `Dialogue._write` alone. Questions go to everybody, which is the
adapter's own choice after a reset, and to one ECU where a signal set says so.
"""

from collections import Counter
from collections.abc import Callable
from threading import Event, Lock
from typing import TypeVar

from agent.clock import SECOND, Clock
from agent.errors import SourceLostError
from agent.obd.address import Address
from agent.obd.elmlink import Link, open_link
from agent.obd.elmsession import Session
from agent.obd.elmtalk import Dialogue
from agent.obd.question import Question, Reply
from agent.obd.request import READ_SERVICES

T = TypeVar("T")


class ElmRequester:
    """For one thread, which `ask` blocks; `close` may come from another and ends a wait.

    complaints: remarks of the adapter and what was not taken of its answers, by reason
    """

    def __init__(self, uri: str, clock: Clock) -> None:
        """uri: as in `agent.obd.elmlink`."""
        self.complaints: Counter[str] = Counter()
        self._uri = uri
        self._clock = clock
        self._stopping = Event()
        self._lock = Lock()
        self._link: Link | None = None
        self._session: Session | None = None

    def connect(self) -> None:
        """Open the line and set the adapter up, unless that is done. Takes at most 15 s.

        Raises SourceLostError where there is no adapter.
        """
        with self._lock:
            if self._session is None and not self._stopping.is_set():
                self._session = self._opened()

    def ask(
        self,
        service: int,
        pid: int | None = None,
        timeout_s: float = 0.2,
        *,
        at: Address | None = None,
    ) -> list[Reply]:
        """One reply for each ECU that gave any, in order of identifier; none at all is [].

        at: the one ECU that is asked; without it everybody is
        timeout_s: what an ECU may need. It takes 0.8 s more at most, and 5 s in all while the
        adapter looks for the bus.
        `took_ns` of an answer that came along with an earlier one is below zero: half of it from
        now is when it was measured.
        Raises UsageError for a service that is not allowed, SourceLostError without an adapter.
        """
        question = Question(service, pid, at)
        replies = self._in_session(lambda session: session.ask(question, round(timeout_s * SECOND)))
        return [] if replies is None else [replies[ecu] for ecu in sorted(replies)]

    def supply_v(self) -> float | None:
        """What the adapter measures at its socket, in volts, without a word to the car.

        None where it does not say. Takes at most 1.3 s. Raises SourceLostError.
        """
        return self._in_session(Session.supply_v)

    def close(self) -> None:
        """Ends a question that is being waited for, and the session; later ones return nothing."""
        self._stopping.set()
        with self._lock:
            self._end()

    def reopen(self) -> None:
        self._stopping.clear()

    def _in_session(self, job: Callable[[Session], T]) -> T | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            if self._session is None:
                raise SourceLostError(f"{self._uri}: not connected")
            try:
                return job(self._session)
            except SourceLostError as error:
                self._end()
                raise SourceLostError(f"{self._uri}: {error}") from error

    def _opened(self) -> Session:
        link = open_link(self._uri)
        dialogue = Dialogue(link, self._clock, READ_SERVICES, self._stopping)
        try:
            dialogue.begin()
        except SourceLostError as error:
            link.close()
            raise SourceLostError(f"{self._uri}: {error}") from error
        self._link = link
        return Session(dialogue, self._clock, self.complaints)

    def _end(self) -> None:
        if self._session is not None and self._link is not None:
            self._link.close()
        self._session = self._link = None
