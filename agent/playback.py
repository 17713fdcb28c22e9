"""Recorded traffic through the recorder, as fast as it goes.

Time is the recording's own: the clock moves with the frames, and every 100 ms of it there is a
tick as there is on a live car. A recording that jumps back goes on at its new time; over a gap
longer than 10 s the clock jumps and there is one tick.
"""

from collections.abc import Iterable, Iterator

from agent.bsm.schedule import Schedule
from agent.clock import SECOND, ManualClock
from agent.feeds import deliver_frames, deliver_rest
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.vin import VinFinder
from agent.position import PositionFix
from agent.record import Recorder

BATCH_FRAMES = 2_000
"""Samples are written at least so often, also where all frames carry the same time."""
STEP_BACK_NS = SECOND
GAP_NS = 10 * SECOND


class Playback:
    """frames: how many were handed to the decoder; ticks: of the 10 Hz schedule."""

    def __init__(
        self,
        recorder: Recorder,
        decoder: Decoder,
        clock: ManualClock,
        fixes: Iterable[PositionFix] = (),
    ) -> None:
        self.frames = 0
        self.ticks = 0
        self._recorder = recorder
        self._decoder = decoder
        self._finder = VinFinder()
        self._clock = clock
        self._fixes: Iterator[PositionFix] = iter(fixes)
        self._fix = next(self._fixes, None)
        self._schedule = Schedule()
        self._schedule.align(clock.now_ns(), clock.mono_ns())
        self._now_ns = clock.now_ns()

    def play(self, frames: Iterable[CanFrame]) -> None:
        """One recording, to its end."""
        batch: list[CanFrame] = []
        due_ns = self._due_ns()
        for frame in frames:
            t_ns = frame.t_ns
            if t_ns >= due_ns or t_ns < self._now_ns - STEP_BACK_NS:
                self._deliver(batch)
                batch = []
                self._move(t_ns)
                due_ns = self._due_ns()
            elif len(batch) >= BATCH_FRAMES:
                self._deliver(batch)
                self._recorder.cut()
                batch = []
            batch.append(frame)
        self._deliver(batch)
        deliver_rest(self._decoder, self._recorder)
        self._move(due_ns)

    def _deliver(self, batch: list[CanFrame]) -> None:
        if batch:
            self.frames += len(batch)
            deliver_frames(batch, self._decoder, self._finder, self._recorder)

    def _due_ns(self) -> int:
        """When the next tick is due, in the recording's time."""
        return self._now_ns + self._schedule.due_ns - self._clock.mono_ns()

    def _move(self, t_ns: int) -> None:
        """Let the clock come to `t_ns`, with every tick on the way."""
        if t_ns < self._now_ns - STEP_BACK_NS or t_ns > self._now_ns + GAP_NS:
            self._tick(self._clock.mono_ns())
            self._jump(t_ns)
        while (due_ns := self._due_ns()) <= t_ns:
            self._advance(due_ns)
            self._tick(self._schedule.due_ns)
        self._advance(t_ns)

    def _advance(self, t_ns: int) -> None:
        while self._fix is not None and self._fix.arrived_ns <= t_ns:
            self._recorder.position(self._fix)
            self._fix = next(self._fixes, None)
        if t_ns > self._now_ns:
            self._clock.advance(t_ns - self._now_ns)
            self._now_ns = t_ns

    def _jump(self, t_ns: int) -> None:
        self._clock.advance(max(0, t_ns - self._now_ns))
        self._clock.step(t_ns)
        self._now_ns = t_ns
        self._schedule.align(t_ns, self._clock.mono_ns())

    def _tick(self, mono_ns: int) -> None:
        self.ticks += 1
        tick = self._schedule.tick(mono_ns)
        message = self._recorder.tick(tick.t_ns, tick.mono_ns)
        if message is not None:
            self._recorder.made(message, on_air=False)
        self._schedule.follow(self._recorder.arrived_ns)
