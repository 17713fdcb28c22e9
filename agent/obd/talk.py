"""What comes back to one question: frames of several ECUs, told apart and put together. No I/O."""

from collections.abc import Callable

import can

from agent.obd.address import Address, name
from agent.obd.question import (
    RESPONSE_PENDING,
    Fragment,
    Question,
    Refusal,
    Reply,
    reply_to,
)
from agent.obd.transport import Transport

_FIRST, _CONSECUTIVE, _FLOW_CONTROL = 1, 2, 3
"""Kinds of frames (ISO 15765-2, table 9)."""


class Talk:
    """What came back to one question so far, by ECU."""

    def __init__(
        self, question: Question, address: Address, send: Callable[[int, bytes], None]
    ) -> None:
        self._address = address
        self._question = question
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
        can_id = message.arbitration_id
        if message.data and self._address.hears(can_id, extended=message.is_extended_id):
            self._take(can_id, bytes(message.data), took_ns)

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
                found.setdefault(name(can_id), Fragment(name(can_id), reason))
        return found

    def _take(self, can_id: int, data: bytes, took_ns: int) -> None:
        if can_id not in self._transports:
            physical = self._address.physical(can_id)
            self._transports[can_id] = Transport(can_id, physical, self._send)
        transport = self._transports[can_id]
        if self._concerns_us(data, transport):
            answer = transport.take(data)
            if answer is not None:
                self._understand(name(can_id), answer, took_ns)

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
        reply = reply_to(self._question, ecu, answer, took_ns)
        if reply is None:
            return
        if isinstance(reply, Refusal) and reply.nrc == RESPONSE_PENDING:
            self._pending.add(ecu)
            return
        self._replies[ecu] = reply
        self._pending.discard(ecu)
