"""Raw frames before and after a trigger, into the log: from the rings of all buses.

A frame goes in clear (Lv4) only where a DBC file describes its message and nothing in its names or
data looks like a VIN or a position; any other, and every answer to a question, is sealed as Lv1.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

import structlog

from agent.clock import SECOND, Clock
from agent.config import CaptureConfig, TriggerConfig
from agent.errors import ConfigError, DiskFullError
from agent.events import CapturedFrame, FramesCaptured, InputLost, TriggerFired
from agent.obd.condition import Condition
from agent.obd.decode import Decoder
from agent.obd.frame import EXTENDED_FLAG, CanFrame
from agent.obd.ring import Piece, Ring
from agent.obd.sentry import is_diagnostic
from agent.obd.vin import VinFinder
from agent.privacy import LEVELS, Level, level_of, sealed
from agent.record import Journal
from agent.signals import Signal

MIB: Final = 1 << 20
EVERY_S: Final = 0.02
"""Between two pieces that are written; a busy bus fills eight a second."""
PERSONAL: Final = re.compile(r"VIN|LAT|LON|GPS|GNSS|NAV|POSIT|SERIAL|PHONE", re.IGNORECASE)
"""In the name of a message or signal. It finds too much (LATERAL) rather than too little."""
FLUSH_PIECES: Final = 200
TOO_MUCH: Final = "capture: more than max_mib holds"
_FD: Final = 0x04

_log = structlog.get_logger()


class Trigger:
    """holds: whether its condition did at the last look; it fires when it begins to."""

    def __init__(self, name: str, condition: Condition) -> None:
        self.name = name
        self.condition = condition
        self.holds = False
        self.level = min(level_of(name) for name in condition.names)


class Capture:
    """Shared by the feeds of one agent; called in the event loop alone."""

    def __init__(self, config: CaptureConfig, clock: Clock, journal: Journal) -> None:
        """Raises ConfigError with the trigger whose condition is none."""
        self._before_ns = round(config.before_s * SECOND)
        self._after_ns = round(config.after_s * SECOND)
        self._bytes_max = config.max_mib * MIB
        self._clock = clock
        self._journal = journal
        self._triggers = [_trigger(place, one) for place, one in enumerate(config.trigger)]
        self._names = {name for one in self._triggers for name in one.condition.names}
        self._values: dict[str, float] = {}
        self._rings: dict[str, tuple[Ring, Decoder, VinFinder]] = {}

    def frames(self, frames: Sequence[CanFrame], decoder: Decoder, finder: VinFinder) -> None:
        """A batch of a bus, or of a recording of several; both are asked when it is written."""
        now_ns, channels = self._clock.mono_ns(), {frame.channel for frame in frames}
        for channel in channels:
            if channel not in self._rings:
                ring = Ring(channel, self._before_ns, self._bytes_max)
                self._rings[channel] = ring, decoder, finder
            alone = len(channels) == 1
            own = frames if alone else [frame for frame in frames if frame.channel == channel]
            self._rings[channel][0].add(own, now_ns)

    def signals(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            if signal.name in self._names:
                self._values[signal.name] = signal.value
                self._look(signal)

    async def once(self) -> None:
        """Write one frozen piece of each bus: a little at a time, so that nothing is held up."""
        self._write()

    def finish(self) -> None:
        """A bus ends with the agent: write all that is frozen."""
        for ring, *_ in self._rings.values():
            ring.close()
        with suppress(DiskFullError):  # what was handed over stays in line
            for number in count(1):
                if not self._write():
                    break
                if number % FLUSH_PIECES == 0:
                    self._journal.flush()  # the log's queue is no place for ten minutes of frames

    def _look(self, signal: Signal) -> None:
        for trigger in self._triggers:
            if signal.name not in trigger.condition.names:
                continue
            held, trigger.holds = trigger.holds, trigger.condition.holds(self._values)
            if trigger.holds and not held:
                if not sealed(trigger.level):  # when it fires tells something of what it looks at
                    _log.info("trigger", name=trigger.name)
                fired = TriggerFired(trigger.name, signal.t_ns)
                self._journal.write(fired, t_ns=signal.t_ns, level=trigger.level)
                self._freeze()

    def _freeze(self) -> None:
        now_ns = self._clock.mono_ns()
        for ring, *_ in self._rings.values():
            ring.freeze(now_ns - self._before_ns, now_ns + self._after_ns)

    def _write(self) -> bool:
        """Whether there was anything."""
        wrote = False
        for ring, decoder, finder in self._rings.values():
            piece = ring.take()
            if piece is not None:
                wrote = True
                for level, event in _events(piece, decoder, finder):
                    self._journal.write(event, t_ns=piece.t0_ns, level=level)
            if ring.lost:
                self._journal.write(InputLost("frames", ring.lost, TOO_MUCH))
                ring.lost = 0
        return wrote


def _trigger(place: int, one: TriggerConfig) -> Trigger:
    where = f"capture.trigger[{place}].when"
    try:
        condition = Condition(one.when)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not condition.names:
        raise ConfigError(f"{where} = {one.when!r}: no signal is in it")
    unknown = [n for n in sorted(condition.names) if n not in LEVELS and not n.startswith("can.")]
    if unknown:
        raise ConfigError(f"{where} = {one.when!r}: {unknown[0]} is not in docs/signals.md")
    return Trigger(one.name, condition)


def _events(
    piece: Piece, decoder: Decoder, finder: VinFinder
) -> list[tuple[Level, FramesCaptured]]:
    """At most one for each level."""
    levels: dict[int, Level] = {}
    found: dict[Level, list[CapturedFrame]] = {}
    for frame in piece.unpacked():
        word = frame.can_id | EXTENDED_FLAG * frame.extended
        if word not in levels:
            levels[word] = _level(frame, decoder, finder)
        raw = CapturedFrame(frame.t_ns - piece.t0_ns, word, _FD * frame.fd, frame.data)
        found.setdefault(levels[word], []).append(raw)
    return [
        (level, FramesCaptured(piece.channel, piece.t0_ns, raws)) for level, raws in found.items()
    ]


def _level(frame: CanFrame, decoder: Decoder, finder: VinFinder) -> Level:
    names = decoder.carries(frame)
    if names is None or is_diagnostic(frame) or finder.suspects(frame):
        return Level.LV1
    return Level.LV1 if any(map(PERSONAL.search, names)) else Level.LV4
