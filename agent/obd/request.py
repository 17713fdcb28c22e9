"""Questions of OBD-II (SAE J1979, ISO 15031-5) to whichever ECUs answer them, over ISO-TP.

A question is one frame to everybody or to one ECU; the answers, of several frames and of several
ECUs at once, are put together. What may leave is decided in `ObdRequester._send` alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

import can

from agent.clock import MS, SECOND, Clock
from agent.errors import SourceLostError, UsageError
from agent.obd.address import EVERYBODY, Address, name, speaks_to_an_ecu
from agent.obd.frame import BASE_ID_MAX
from agent.obd.question import Question, Reply
from agent.obd.talk import Talk
from agent.obd.transport import PADDING

READ_SERVICES: Final = frozenset({0x01, 0x02, 0x03, 0x07, 0x09, 0x0A, 0x19, 0x21, 0x22})
PATIENCE_NS: Final = 5 * SECOND
"""The longest any question takes: P2* of ISO 14229-2."""
LOOK_UP_NS: Final = 50 * MS
RELEARN_AFTER: Final = 50

_SINGLE, _FLOW_CONTROL = 0, 3
"""Kinds of frames (ISO 15765-2, table 9)."""


class ObdRequester:
    """For one thread, which `ask` blocks; `close` may come from another and ends a wait.

    The bus is opened for the time of a question, so that an answer which comes too late
    is not taken for one to the next, and nothing piles up in between.
    """

    def __init__(
        self,
        channel: str,
        interface: str,
        clock: Clock,
        *,
        allowed: frozenset[int] = READ_SERVICES,
        ecus: Iterable[Address] = (),
    ) -> None:
        """
        allowed: may be narrowed. Raises UsageError for a service that does not just read.
        ecus:    that may be asked alone
        """
        if not allowed <= READ_SERVICES:
            raise UsageError(f"services {_names(allowed)}; at most {_names(READ_SERVICES)}")
        self._channel = channel
        self._interface = interface
        self._clock = clock
        self._allowed = allowed
        self._own = frozenset(ecu.request for ecu in ecus)
        self._closed = Event()
        self._everybody: tuple[Address, ...] = EVERYBODY
        self._unanswered = 0
        self._known: dict[Question, tuple[frozenset[str], int]] = {}

    def ask(
        self,
        service: int,
        pid: int | None = None,
        timeout_s: float = 0.2,
        *,
        at: Address | None = None,
    ) -> list[Reply]:
        """One reply for each ECU that gave any, in order of identifier; none at all is [].

        at: the one ECU that is asked; without it everybody is, with 11-bit identifiers and, as
        long as nobody answers, with 29-bit ones too. Once it is known which ECUs answer a
        question, it ends with their answers; now and then it waits its full time again, for
        others. It never takes longer than 5 s for each kind of identifier.
        Raises UsageError for what is not allowed, SourceLostError without a bus.
        """
        question = Question(service, pid, at)
        replies: dict[str, Reply] = {}
        for address in self._everybody if at is None else (at,):
            with self._open(address) as bus:
                replies = self._converse(bus, address, question, round(timeout_s * SECOND))
            if at is None:
                self._remember(address, answered=bool(replies))
            if replies or self._closed.is_set():
                break
        return [replies[ecu] for ecu in sorted(replies)]

    def close(self) -> None:
        """Ends a question that is being waited for; later ones return nothing until `reopen`."""
        self._closed.set()

    def reopen(self) -> None:
        self._closed.clear()

    def _remember(self, address: Address, *, answered: bool) -> None:
        """The kind of identifiers that the car answers to; after long silence it may be another."""
        self._unanswered = 0 if answered else self._unanswered + 1
        if answered:
            self._everybody = (address,)
        elif self._unanswered >= RELEARN_AFTER:
            self._everybody = EVERYBODY

    def _converse(
        self, bus: can.BusABC, address: Address, question: Question, timeout_ns: int
    ) -> dict[str, Reply]:
        talk = Talk(question, address, lambda can_id, data: self._send(bus, can_id, data))
        expected = self._expected(question)
        begun = now = self._clock.mono_ns()
        message = question.message()
        frame = bytes([len(message)]) + message
        self._send(bus, address.request, frame.ljust(8, bytes([PADDING])))
        while not self._closed.is_set() and not (expected and talk.complete(expected)):
            end = begun + (PATIENCE_NS if talk.waiting() else min(timeout_ns, PATIENCE_NS))
            if now >= end:
                break
            heard = bus.recv(min(end - now, LOOK_UP_NS) / SECOND)
            now = self._clock.mono_ns()
            talk.hear(heard, now - begun)
        replies = talk.replies()
        self._learn(question, frozenset(replies), whole=not expected)
        return replies

    def _send(self, bus: can.BusABC, can_id: int, data: bytes) -> None:
        """The only way out: an allowed question, or flow control to an ECU that answers one."""
        kind = data[0] >> 4
        own = can_id in self._own
        asks = kind == _SINGLE and (own or can_id in (one.request for one in EVERYBODY))
        if asks and data[1] not in self._allowed:
            raise UsageError(
                f"service {data[1]:02X} is not among those allowed: {_names(self._allowed)}"
            )
        if not asks and not (kind == _FLOW_CONTROL and (own or speaks_to_an_ecu(can_id))):
            raise UsageError(f"a frame of kind {kind} to {name(can_id)} is no question")
        extended = can_id > BASE_ID_MAX
        bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=extended))

    def _expected(self, question: Question) -> frozenset[str]:
        """The ECUs that answered this question before; empty when it is time to listen anew."""
        ecus, uses = self._known.get(question, (frozenset(), 0))
        self._known[question] = ecus, uses + 1
        if question.at is not None:
            return frozenset({name(question.at.answer)})
        return ecus if uses % RELEARN_AFTER else frozenset()

    def _learn(self, question: Question, ecus: frozenset[str], *, whole: bool) -> None:
        known, uses = self._known[question]
        self._known[question] = (ecus if whole else known | ecus), uses

    @contextmanager
    def _open(self, address: Address) -> Iterator[can.BusABC]:
        """A bus of our own that hears the answer identifiers alone."""
        ids = {"can_id": address.answer, "can_mask": address.mask, "extended": address.extended}
        try:
            with can.Bus(
                self._channel, self._interface, ignore_config=True, can_filters=[ids]
            ) as bus:
                yield bus
        except (can.CanError, OSError) as error:
            raise SourceLostError(f"{self._interface}:{self._channel}: {error}") from error


def _names(services: frozenset[int]) -> str:
    return " ".join(f"{service:02X}" for service in sorted(services))
