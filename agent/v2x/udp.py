"""A V2X unit behind UDP: what is sent to it goes on the air, what it hears comes to us.

One datagram is one payload. Nothing is joined, multicast least of all: the unit is told where
to send. Payloads wait in a bounded queue for whoever iterates `heard`; when it is full the
oldest goes, because of two safety messages the newer one counts.

    radio = UdpRadio(send_to=("192.168.0.54", 1516), listen=("0.0.0.0", 5398))
    await radio.open()
    await radio.send(frame)
    async for payload in radio.heard(): ...
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from agent.errors import MalformedInputError, SourceLostError, UsageError
from agent.v2x.forward import payload as payload_of

Address = tuple[str, int]
"""Host (name, IPv4 or IPv6) and port."""

MAX_PAYLOAD: Final = 1400  # our choice: one Ethernet frame without IP fragments
LONGEST_DATAGRAM: Final = 4096  # our choice: a signed message in hex, with its text round it
QUEUE: Final = 1024  # our choice: a second of a hundred cars


class UdpRadio:
    """
    send_to: the unit; None to be silent. listen: our own address; None to be deaf
    dropped: payloads that nobody took in time; broken: datagrams without a payload;
    unreachable: datagrams the unit's host refused
    """

    max_payload = MAX_PAYLOAD

    def __init__(self, *, send_to: Address | None = None, listen: Address | None = None) -> None:
        self._send_to = send_to
        self._listen = listen
        self._sender: asyncio.DatagramTransport | None = None
        self._listener: asyncio.DatagramTransport | None = None
        self._heard: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._closed = False
        self.dropped = 0
        self.broken = 0
        self.unreachable = 0
        self._refused = False

    async def open(self) -> None:
        """Bind and resolve; once. Raises UsageError naming the host and the port."""
        if self._listen is not None and self._listener is None:
            self._listener = await self._endpoint(_Ear, local=self._listen)
        if self._send_to is not None and self._sender is None:
            self._sender = await self._endpoint(_Mouth, remote=self._send_to)

    @property
    def listening(self) -> Address | None:
        """The address that was bound, with the port that was chosen where 0 was asked for."""
        if self._listener is None:
            return None
        host, port, *_ = self._listener.get_extra_info("sockname")
        return host, port

    async def send(self, payload: bytes) -> None:
        """Raises SourceLostError when the unit cannot be reached, ValueError over max_payload.

        A refusal arrives after the datagram it is about, so it is told with the next one.
        """
        if len(payload) > self.max_payload:
            raise ValueError(f"a payload of {len(payload)} octets; at most {self.max_payload}")
        if self._send_to is None:
            raise UsageError("this radio was opened without an address to send to")
        await self.open()
        if self._sender is None or self._sender.is_closing():
            raise SourceLostError(f"radio {_named(self._send_to)} is closed")
        refused, self._refused = self._refused, False
        self._sender.sendto(payload)
        if refused:
            raise SourceLostError(f"radio {_named(self._send_to)} refused what was sent before")

    async def heard(self) -> AsyncIterator[bytes]:
        """Payloads in order of arrival, until `close`."""
        await self.open()
        while True:
            while self._heard:
                yield self._heard.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Free both sockets; whoever iterates `heard` gets what is left and then the end."""
        self._closed = True
        for transport in (self._sender, self._listener):
            if transport is not None:
                transport.close()
        self._news.set()

    def take(self, datagram: bytes) -> None:
        """One datagram that arrived."""
        if len(datagram) > LONGEST_DATAGRAM:
            self.broken += 1
            return
        try:
            content = payload_of(datagram)
        except MalformedInputError:
            self.broken += 1
            return
        if len(self._heard) >= QUEUE:
            self._heard.popleft()
            self.dropped += 1
        self._heard.append(content)
        self._news.set()

    def missed(self) -> None:
        """The unit was not there for something that was sent."""
        self.unreachable += 1
        self._refused = True

    async def _endpoint(
        self,
        protocol: type["_Ear | _Mouth"],
        *,
        local: Address | None = None,
        remote: Address | None = None,
    ) -> asyncio.DatagramTransport:
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: protocol(self), local_addr=local, remote_addr=remote
            )
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a port is 0 to 65535"
            raise UsageError(f"radio {_named(local or remote)}: {reason}") from error
        return transport


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, radio: UdpRadio) -> None:
        self._radio = radio

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the protocol's
        self._radio.take(data)


class _Mouth(asyncio.DatagramProtocol):
    def __init__(self, radio: UdpRadio) -> None:
        self._radio = radio

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - the protocol's
        self._radio.missed()


def _named(address: Address | None) -> str:
    host, port = address or ("", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
