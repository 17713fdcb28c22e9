"""What each driver reads, in the shape the service wants: deliveries to the recorder.

A feed decides nothing; it turns a driver's batches into calls of the recorder and counts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

from agent.errors import SourceLostError
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame, FrameSource
from agent.obd.poller import Poller
from agent.obd.reading import ObdReading
from agent.obd.vin import VinFinder
from agent.position import PositionSource
from agent.record import Recorder

Delivery = Callable[[Recorder], None]


class BusFeed:
    """Frames of one bus, decoded; a VIN that passes by unasked; the frames that were lost."""

    def __init__(self, source: FrameSource, decoder: Decoder, finder: VinFinder) -> None:
        self._source = source
        self._decoder = decoder
        self._finder = finder
        self._lost = 0

    @property
    def taken(self) -> int:
        return self._source.counts.taken

    @property
    def broken(self) -> int:
        return self._source.counts.broken

    async def deliveries(self) -> AsyncIterator[Delivery]:
        try:
            async for frames in self._source.batches():
                yield partial(self._deliver, frames)
        except (SourceLostError, asyncio.CancelledError):
            yield self._tell_lost  # only at its end the source knows what it left unread
            raise
        yield self._tell_lost

    def close(self) -> None:
        self._source.close()

    def _deliver(self, frames: list[CanFrame], recorder: Recorder) -> None:
        deliver_frames(frames, self._decoder, self._finder, recorder)
        self._tell_lost(recorder)

    def _tell_lost(self, recorder: Recorder) -> None:
        lost = self._source.counts.lost
        if lost > self._lost:
            recorder.lost("frames", lost - self._lost, f"{self._source.uri}: more than we take")
            self._lost = lost


class PositionFeed:
    """Fixes of one receiver."""

    broken = 0

    def __init__(self, source: PositionSource) -> None:
        self.taken = 0
        self._source = source

    async def deliveries(self) -> AsyncIterator[Delivery]:
        async for fix in self._source.fixes():
            self.taken += 1
            yield partial(Recorder.position, fix=fix)

    def close(self) -> None:
        """The source closes its device when the iteration ends."""


class ObdFeed:
    """Answers of the car's ECUs to what the poller asks."""

    def __init__(self, poller: Poller) -> None:
        self.taken = 0
        self._poller = poller
        self._lost = 0

    @property
    def broken(self) -> int:
        return self._poller.broken

    async def deliveries(self) -> AsyncIterator[Delivery]:
        async for reading in self._poller.readings():
            self.taken += 1
            yield partial(self._deliver, reading)

    def close(self) -> None:
        """The poller stops its thread when the iteration ends."""

    def _deliver(self, reading: ObdReading, recorder: Recorder) -> None:
        if reading.signals:
            recorder.signals(reading.signals)
        if reading.dtcs is not None:
            recorder.codes(reading.dtcs, reading.memory)
        for fact in reading.facts:
            recorder.diagnosed(fact)
        if reading.vin is not None:
            recorder.vin(reading.vin, "obd")
        if self._poller.lost > self._lost:
            recorder.lost("readings", self._poller.lost - self._lost, "obd: more than we take")
            self._lost = self._poller.lost


def deliver_frames(
    frames: list[CanFrame], decoder: Decoder, finder: VinFinder, recorder: Recorder
) -> None:
    """One batch of frames, of a live bus or of a recording."""
    for vin in finder.feed(frames):
        recorder.vin(vin, frames[0].channel)
    recorder.signals(decoder.decode(frames))
