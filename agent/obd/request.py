"""Questions of OBD-II (SAE J1979, ISO 15031-5) to whichever ECUs answer them, over ISO-TP.

A question is one frame to the functional identifier; the answers, of several frames and of
several ECUs at once, are put together. What may leave is decided in `ObdRequester._send` alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

import can

from agent.clock import MS, SECOND, Clock
from agent.errors import SourceLostError, UsageError
from agent.obd.question import (
    NEGATIVE,
    RESPONSE_PENDING,
    Answer,
    Fragment,
    Question,
    Refusal,
    Reply,
)
from agent.obd.transport import PADDING, Transport

READ_SERVICES: Final = frozenset({0x01, 0x02, 0x03, 0x07, 0x09})
FUNCTIONAL_ID: Final = 0x7DF
PHYSICAL_IDS: Final = range(0x7E0, 0x7E8)
ANSWER_IDS: Final = range(0x7E8, 0x7F0)  # ISO 15765-4, 11-bit identifiers
ANSWER_OFFSET: Final = 8
NRC_PLACE: Final = 2
PATIENCE_NS: Final = 5 * SECOND
"""The longest any question takes: P2* of ISO 14229-2."""
LOOK_UP_NS: Final = 50 * MS
RELEARN_AFTER: Final = 50

_SINGLE, _FIRST, _CONSECUTIVE, _FLOW_CONTROL = range(4)


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
    ) -> None:
        """allowed: may be narrowed. Raises UsageError for a service that does not just read."""
        if not allowed <= READ_SERVICES:
            raise UsageError(f"services {_names(allowed)}; at most {_names(READ_SERVICES)}")
        self._channel = channel
        self._interface = interface
        self._clock = clock
        self._allowed = allowed
        self._closed = Event()
        self._known: dict[Question, tuple[frozenset[str], int]] = {}

    def ask(self, service: int, pid: int | None = None, timeout_s: float = 0.2) -> list[Reply]:
        """One reply for each ECU that gave any, in order of identifier; none at all is [].

        Once it is known which ECUs answer a question, it ends with their answers; now and
        then it waits its full time again, for others. It never takes longer than 5 s.
        Raises UsageError for a service that is not allowed, SourceLostError without a bus.
        """
        question = Question(service, pid)
        with self._open() as bus:
            replies = self._converse(bus, question, round(timeout_s * SECOND))
        return [replies[ecu] for ecu in sorted(replies)]

    def close(self) -> None:
        """Ends a question that is being waited for; later ones return nothing until `reopen`."""
        self._closed.set()

    def reopen(self) -> None:
        self._closed.clear()

    def _converse(self, bus: can.BusABC, question: Question, timeout_ns: int) -> dict[str, Reply]:
        talk = _Talk(question, lambda can_id, data: self._send(bus, can_id, data))
        expected = self._expected(question)
        begun = now = self._clock.mono_ns()
        message = question.message()
        frame = bytes([len(message)]) + message
        self._send(bus, FUNCTIONAL_ID, frame.ljust(8, bytes([PADDING])))
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
        asks = can_id == FUNCTIONAL_ID and kind == _SINGLE
        if asks and data[1] not in self._allowed:
            raise UsageError(
                f"service {data[1]:02X} is not among those allowed: {_names(self._allowed)}"
            )
        if not asks and not (can_id in PHYSICAL_IDS and kind == _FLOW_CONTROL):
            raise UsageError(f"a frame of kind {kind} to {can_id:03X} is no question")
        bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False))

    def _expected(self, question: Question) -> frozenset[str]:
        """The ECUs that answered this question before; empty when it is time to listen anew."""
        ecus, uses = self._known.get(question, (frozenset(), 0))
        self._known[question] = ecus, uses + 1
        return ecus if uses % RELEARN_AFTER else frozenset()

    def _learn(self, question: Question, ecus: frozenset[str], *, whole: bool) -> None:
        known, uses = self._known[question]
        self._known[question] = (ecus if whole else known | ecus), uses

    @contextmanager
    def _open(self) -> Iterator[can.BusABC]:
        """A bus of our own that hears the answer identifiers alone."""
        only = [{"can_id": ANSWER_IDS.start, "can_mask": 0x7F8, "extended": False}]
        try:
            with can.Bus(
                self._channel, self._interface, ignore_config=True, can_filters=only
            ) as bus:
                yield bus
        except (can.CanError, OSError) as error:
            raise SourceLostError(f"{self._interface}:{self._channel}: {error}") from error


class _Talk:
    """What came back to one question so far, by ECU."""

    def __init__(self, question: Question, send: Callable[[int, bytes], None]) -> None:
        self._service = question.service
        self._start = question.answer_start()
        self._send = send
        self._transports: dict[int, Transport] = {}
        self._replies: dict[str, Reply] = {}
        self._pending: set[str] = set()

    def hear(self, message: can.Message | None, took_ns: int) -> None:
        """A frame, or the silence of a short while; took_ns: since the question."""
        for transport in self._transports.values():
            transport.tick()
        if message is None or message.is_remote_frame or message.is_error_frame:
            return
        if message.arbitration_id in ANSWER_IDS and message.data and not message.is_extended_id:
            self._take(message.arbitration_id, bytes(message.data), took_ns)

    def waiting(self) -> bool:
        """Whether some ECU asked for time or is in the middle of its answer."""
        return bool(self._pending) or any(t.receiving for t in self._transports.values())

    def complete(self, expected: frozenset[str]) -> bool:
        return expected <= self._replies.keys() and not self.waiting()

    def replies(self) -> dict[str, Reply]:
        """The last word of each ECU; what is still under way counts as a fragment."""
        found = dict(self._replies)
        for ecu in self._pending - found.keys():
            found[ecu] = Refusal(ecu, RESPONSE_PENDING)
        for can_id, transport in self._transports.items():
            reason = transport.complaint or ("the answer was cut short" * transport.receiving)
            if reason:
                found.setdefault(_name(can_id), Fragment(_name(can_id), reason))
        return found

    def _take(self, can_id: int, data: bytes, took_ns: int) -> None:
        if can_id not in self._transports:
            physical = can_id - ANSWER_OFFSET
            self._transports[can_id] = Transport(can_id, physical, self._send)
        transport = self._transports[can_id]
        if self._concerns_us(data, transport):
            answer = transport.take(data)
            if answer is not None:
                self._understand(_name(can_id), answer, took_ns)

    def _concerns_us(self, data: bytes, transport: Transport) -> bool:
        """Flow control would disturb an answer that goes to another tester: leave it alone."""
        kind = data[0] >> 4
        if kind == _FIRST:
            return data[2:].startswith(self._start)
        if kind == _CONSECUTIVE:
            return transport.receiving
        return kind != _FLOW_CONTROL

    def _understand(self, ecu: str, answer: bytes, took_ns: int) -> None:
        """An answer to some other question is passed over."""
        if answer[:2] == bytes([NEGATIVE, self._service]) and len(answer) > NRC_PLACE:
            nrc = answer[NRC_PLACE]
            if nrc == RESPONSE_PENDING:
                self._pending.add(ecu)
                return
            self._replies[ecu] = Refusal(ecu, nrc)
        elif answer.startswith(self._start):
            self._replies[ecu] = Answer(ecu, answer[len(self._start) :], took_ns)
        else:
            return
        self._pending.discard(ecu)


def _names(services: frozenset[int]) -> str:
    return " ".join(f"{service:02X}" for service in sorted(services))


def _name(can_id: int) -> str:
    return f"{can_id:03X}"
