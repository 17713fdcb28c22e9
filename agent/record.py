"""Inward: signals and positions to the vehicle state, BSMs and events; events to the log.

This is the one place where a value meets its privacy level and its seal: what is Lv1 or Lv2 is
encrypted here, before it is handed to the log. No I/O and no waiting happens here; `service`
calls these methods as things arrive, and `tick` every 100 ms.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agent.bsm.codec import Codec
from agent.bsm.convert import Converter, Silence
from agent.bsm.detect import HardBraking
from agent.bsm.message import BasicSafetyMessage
from agent.bsm.plausible import verdict
from agent.bsm.state import VehicleState
from agent.bsm.truth import Truth
from agent.clock import Clock
from agent.deadband import DeadBand
from agent.errors import DiskFullError, MalformedInputError
from agent.events import (
    AskingChanged,
    BsmHeard,
    BsmMade,
    BusChanged,
    CalibrationRead,
    DtcCleared,
    DtcSet,
    Event,
    FreezeFrameRead,
    InputLost,
    MonitorsRead,
    PositionFixed,
    SignalDoubted,
    SignalsSampled,
    VinRead,
    encode,
)
from agent.eventstore.log import Draft
from agent.latency import Latency
from agent.position import PositionFix
from agent.privacy import Level, level_of, sealed
from agent.signals import Signal
from agent.tally import Tally

NEIGHBOURS = 256
"""Cars whose last message is kept to judge their next one; the one unheard longest goes first."""

Seal = Callable[[Level, str, bytes], bytes]
"""(level, kind, payload) -> the payload, encrypted so that only the owner opens it."""


class Sink(Protocol):
    """Where drafts go: the log writer, by shape."""

    def put(self, draft: Draft, *, urgent: bool = False) -> None: ...

    def lose(self, error: DiskFullError) -> None:
        """An event could not be made into a draft. Raises it where nothing may be lost."""

    def flush(self) -> None:
        """Return when everything put before is durable. Raises StoreError."""


class Journal:
    """Turns events into drafts of the log, sealed where their level says so."""

    def __init__(self, sink: Sink, seal: Seal, clock: Clock) -> None:
        self._sink = sink
        self._seal = seal
        self._clock = clock

    def write(self, event: Event, *, t_ns: int | None = None, level: Level | None = None) -> None:
        """
        t_ns:  when it happened, UTC ns; now where nothing better is known
        level: only for an event whose level is that of its content
        """
        level = event.level if level is None else level
        payload = encode(event)
        try:
            payload = self._seal(level, event.kind, payload) if sealed(level) else payload
        except DiskFullError as error:  # no room for the key: it is sealed or it is not kept
            self._sink.lose(error)
            return
        clock = self._clock
        t_ns = clock.now_ns() if t_ns is None else t_ns
        draft = Draft(event.kind, level, t_ns, clock.mono_ns(), clock.quality, payload)
        self._sink.put(draft, urgent=event.urgent)

    def flush(self) -> None:
        """Return when everything written before is on disk. Raises StoreError."""
        self._sink.flush()

    async def note(self, event: Event) -> None:
        """Write it, and return when it is on disk; others go on meanwhile. Raises StoreError."""
        self.write(event)
        await asyncio.to_thread(self.flush)


class Samples:
    """The samples of one tick, by source and level: what becomes one event each."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, Level], SignalsSampled] = {}

    def add(self, batch: Sequence[Signal]) -> None:
        groups = self._open
        for signal in batch:
            name = signal.name
            key = (signal.origin, level_of(name))
            group = groups.get(key)
            if group is None:
                group = groups[key] = SignalsSampled(signal.origin, signal.t_ns, {})
            column = group.series.get(name)
            if column is None:
                column = group.series[name] = ([], [])
            column[0].append(signal.t_ns - group.t0_ns)
            column[1].append(signal.value)

    def take(self) -> list[tuple[Level, SignalsSampled]]:
        taken = [(level, event) for (_, level), event in self._open.items()]
        self._open = {}
        return taken


def fixed(fix: PositionFix) -> PositionFixed:
    """A position as the event that records it."""
    return PositionFixed(
        fix.t_ns,
        fix.latitude_deg,
        fix.longitude_deg,
        fix.elevation_m,
        fix.speed_mps,
        fix.heading_deg,
        fix.semi_major_m,
        fix.semi_minor_m,
        fix.orientation_deg,
    )


class Recorder:
    """
    state:   what the converter makes messages of
    samples, fixes, bsms_made, bsms_sent, bsms_heard: counts of what was recorded
    doubts:  signals that were found to disagree with others
    band:    which samples say nothing new and are not recorded
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        state: VehicleState,
        converter: Converter,
        codec: Codec,
        band: DeadBand | None = None,
    ) -> None:
        self.samples = self.fixes = self.bsms_made = self.bsms_sent = self.bsms_heard = 0
        self._journal = journal
        self._clock = clock
        self._state = state
        self._converter = converter
        self._codec = codec
        self.band = DeadBand({}) if band is None else band
        self.doubts: list[SignalDoubted] = []
        self._braking = HardBraking()
        self._latency = Latency("gnss")
        self._truth = Truth()
        self._tick = Samples()
        self._tally = Tally()
        self._codes: dict[tuple[str, str], frozenset[str]] = {}
        self._diagnosed: dict[tuple[str, str], Event] = {}
        self._vins: set[tuple[str, str]] = set()
        self._own: BasicSafetyMessage | None = None
        self._neighbours: OrderedDict[bytes, BasicSafetyMessage] = OrderedDict()

    def signals(self, batch: Sequence[Signal]) -> None:
        """Samples in the order they arrived, from one source or several."""
        new = self.band.passed(batch)
        self.samples += len(new)
        self._tick.add(new)
        for signal in batch:
            self._state.update(signal)
            if signal.name in self._state.doubted:
                continue
            braked = self._braking.update(signal)
            if braked is not None:
                self._journal.write(braked, t_ns=braked.t_ns)

    def position(self, fix: PositionFix) -> None:
        self.fixes += 1
        self._state.fix(fix)
        self._journal.write(fixed(fix), t_ns=fix.t_ns)
        clock = self._clock
        clock.compare(fix.t_ns + clock.now_ns() - fix.arrived_ns)
        timed = self._latency.take(fix.arrived_ns - fix.t_ns, clock.mono_ns(), clock.quality)
        if timed is not None:
            self._journal.write(timed)

    @property
    def arrived_ns(self) -> int | None:
        """When the newest fix reached us, UTC ns."""
        fix = self._state.position
        return None if fix is None else fix.arrived_ns

    def vin(self, vin: str, origin: str) -> None:
        """Written once for each source of it."""
        if (vin, origin) not in self._vins:
            self._vins.add((vin, origin))
            self._journal.write(VinRead(vin, origin))

    def expect(self, codes: Mapping[tuple[str, str], frozenset[str]]) -> None:
        """DTCs set when the agent last ran, by ECU and memory: what was cleared since is told."""
        self._codes |= codes

    def codes(self, found: Mapping[str, frozenset[str]], memory: str = "stored") -> None:
        """DTCs in one memory of each ECU that answered; only changes are written."""
        for ecu, now in found.items():
            before = self._codes.get((ecu, memory), frozenset())
            self._codes[ecu, memory] = now
            for code in sorted(now - before):
                self._journal.write(DtcSet(code, ecu, memory))
            for code in sorted(before - now):
                self._journal.write(DtcCleared(code, ecu, memory))

    def diagnosed(self, event: FreezeFrameRead | MonitorsRead | CalibrationRead) -> None:
        """Written where it differs from what that ECU said before."""
        if self._diagnosed.get((event.kind, event.ecu)) != event:
            self._diagnosed[event.kind, event.ecu] = event
            self._journal.write(event)

    def asking(self, change: AskingChanged) -> None:
        """The sleep guard asks the car from now on, or leaves it alone."""
        self._journal.write(change)

    def lost(self, what: str, count: int, reason: str) -> None:
        """Something arrived and was not recorded: that is recorded."""
        self._journal.write(InputLost(what, count, reason))

    def counted(self, uri: str, counts: Mapping[str, int]) -> None:
        """What became of frames of one input; see events.InputCounted. Written once a minute."""
        self._tally.add(uri, counts)

    def bus(self, uri: str, channel: str, state: str, t_ns: int) -> None:
        """A controller told of its state."""
        self._journal.write(BusChanged(uri, channel, state, t_ns), t_ns=t_ns)

    def tell(self, event: Event) -> None:
        """What a driver found out about its own input."""
        if isinstance(event, SignalDoubted):
            self.doubts.append(event)
        self._journal.write(event)

    def heard(self, payload: bytes) -> None:
        """A radio payload as it arrived; it is kept whatever it is, with what we think of it."""
        self.bsms_heard += 1
        self._journal.write(BsmHeard(payload, self._judge(payload)))

    def tick(self, due_ns: int, mono_ns: int) -> bytes | None:
        """Close the samples of this tick and make the message that is due, if one is.

        due_ns, mono_ns: the instant of the schedule on both clocks. What is returned is to be
        sent, and reported by `made`.
        """
        self.cut()
        if self._tally.due(mono_ns):
            self._tell_counts()
        for doubt in self._truth.look(self._state, due_ns):
            self.doubts.append(doubt)
            self._journal.write(doubt, t_ns=due_ns)
        self._state.doubted = self._truth.doubted
        message = self._converter.make(due_ns, mono_ns, self._braking.flags_at(due_ns))
        if isinstance(message, Silence):
            return None
        self._own = message
        return self._codec.encode_frame(message)

    def made(self, message: bytes, *, on_air: bool) -> None:
        """Record a message of ours, once it is known whether a radio took it."""
        self.bsms_made += 1
        self.bsms_sent += on_air
        self._journal.write(BsmMade(message, on_air))

    def finish(self) -> None:
        """Write what is still open: samples, counts, a braking that goes on, ages."""
        self.cut()
        self._tell_counts()
        braked = self._braking.finish()
        if braked is not None:
            self._journal.write(braked, t_ns=braked.t_ns)
        timed = self._latency.finish()
        if timed is not None:
            self._journal.write(timed)

    def cut(self) -> None:
        """Write the samples taken so far, so that they do not pile up."""
        for level, event in self._tick.take():
            self._journal.write(event, t_ns=event.t0_ns, level=level)

    def _tell_counts(self) -> None:
        for origin, samples in self.band.take().items():
            self.counted(origin, {"dead_band": samples})
        for counted in self._tally.take():
            self._journal.write(counted)

    def _judge(self, payload: bytes) -> str:
        try:
            message = self._codec.decode_frame(payload)
        except MalformedInputError as error:
            return f"not a BSM: {error}"
        before = self._neighbours.pop(message.temporary_id, None)
        judged = verdict(message, own=self._own, before=before)
        self._neighbours[message.temporary_id] = message
        if len(self._neighbours) > NEIGHBOURS:
            self._neighbours.popitem(last=False)
        return judged
