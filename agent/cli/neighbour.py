"""The second car of the demo: it speaks on the air, and it listens to us."""

import secrets

from agent.bsm.codec import Codec
from agent.bsm.message import BasicSafetyMessage, Transmission
from agent.clock import MS, SECOND, Clock
from agent.errors import MalformedInputError
from agent.obd.route import CarState, Route
from agent.v2x.udp import Address, UdpRadio

INTERVAL_NS = 100 * MS
AHEAD_S = 2.0
"""It drives the same route, so much ahead of us."""
MINUTE_MS = 60_000


class Neighbour:
    """heard: messages of ours that it could read; spoken: messages of its own."""

    def __init__(self, clock: Clock, codec: Codec) -> None:
        self.heard = 0
        self.spoken = 0
        self._clock = clock
        self._codec = codec
        self._route = Route()
        self._id = secrets.token_bytes(4)
        self._ear = UdpRadio(listen=("127.0.0.1", 0))

    async def address(self) -> Address:
        """Where it listens."""
        await self._ear.open()
        assert self._ear.listening is not None
        return self._ear.listening

    async def speak(self, to: Address) -> None:
        """A message every 100 ms, until cancelled."""
        mouth = UdpRadio(send_to=to)
        begun = due = self._clock.mono_ns()
        try:
            while True:
                await self._clock.sleep_until(due)
                state = self._route.at(AHEAD_S + (due - begun) / SECOND)
                await mouth.send(self._codec.encode_frame(self._message(state)))
                self.spoken += 1
                due += INTERVAL_NS
        finally:
            mouth.close()

    async def listen(self) -> None:
        """Until cancelled."""
        async for payload in self._ear.heard():
            try:
                self._codec.decode_frame(payload)
            except MalformedInputError:
                continue
            self.heard += 1

    def close(self) -> None:
        self._ear.close()

    def _message(self, state: CarState) -> BasicSafetyMessage:
        return BasicSafetyMessage(
            msg_count=self.spoken % 128,
            temporary_id=self._id,
            sec_mark_ms=self._clock.now_ns() // MS % MINUTE_MS,
            latitude_deg=state.latitude_deg,
            longitude_deg=state.longitude_deg,
            elevation_m=state.elevation_m,
            transmission=Transmission.FORWARD,
            speed_mps=state.speed_mps,
            heading_deg=state.heading_deg,
            acceleration_longitudinal_mps2=state.acceleration_mps2,
            yaw_rate_radps=state.yaw_rps,
            width_m=1.8,
            length_m=4.4,
        )
