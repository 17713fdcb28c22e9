"""What each driver reads, in the shape the service wants: deliveries to the recorder.

A feed decides nothing; it turns a driver's batches into calls of the recorder and counts.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial

import structlog

from agent.capture import Capture
from agent.errors import SourceLostError
from agent.events import CarChosen
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame, Counts, FrameSource
from agent.obd.poller import Poller
from agent.obd.reading import ObdReading
from agent.obd.sentry import Sentry
from agent.obd.vin import VinFinder
from agent.position import PositionSource
from agent.record import Recorder
from agent.signals import Signal

_log = structlog.get_logger()

Delivery = Callable[[Recorder], None]


class BusFeed:
    """Frames of one bus, decoded; a VIN that passes by unasked; what became of each frame.

    sentry:  the sleep guard of a bus on which questions are asked
    capture: what keeps the frames round a trigger
    """

    def __init__(
        self,
        source: FrameSource,
        decoder: Decoder,
        finder: VinFinder,
        sentry: Sentry | None = None,
        capture: Capture | None = None,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._finder = finder
        self._sentry = sentry
        self._capture = capture
        self._lost = Counter[str]()
        self._told = Counter[str]()

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
        except SourceLostError:
            yield self._rest  # only at its end the source knows what it left unread
            raise
        except asyncio.CancelledError:
            yield self._finish
            raise
        yield self._finish

    def close(self) -> None:
        self._source.close()

    def _deliver(self, frames: list[CanFrame], recorder: Recorder) -> None:
        before = decoded(self._decoder)
        signals = deliver_frames(frames, self._decoder, self._finder, recorder)
        recorder.counted(self._source.uri, decoded(self._decoder) - before)
        if self._sentry is not None:
            self._sentry.frames(frames)
            self._sentry.signals(signals)
        if self._capture is not None:
            self._capture.frames(frames, self._decoder, self._finder)
            self._capture.signals(signals)
        self._tell(recorder)

    def _finish(self, recorder: Recorder) -> None:
        if self._capture is not None:
            self._capture.finish()
        self._rest(recorder)

    def _rest(self, recorder: Recorder) -> None:
        """What was held until it was clear which car this is, too."""
        before = decoded(self._decoder)
        deliver_rest(self._decoder, recorder)
        recorder.counted(self._source.uri, decoded(self._decoder) - before)
        self._tell(recorder)

    def _tell(self, recorder: Recorder) -> None:
        """What the source did not hand on since the last time, and what its bus said."""
        uri, counts = self._source.uri, self._source.counts
        losses = counts.losses.copy()  # the reading thread goes on counting
        for reason, count in (losses - self._lost).items():
            recorder.lost("frames", count, f"{uri}: {reason}")
        self._lost = losses
        aside = set_aside(counts)
        recorder.counted(uri, aside - self._told)
        self._told = aside
        for t_ns, channel, state in self._source.states():
            _log.warning("bus changed", uri=uri, bus=channel, state=state)
            recorder.bus(uri, channel, state, t_ns)


class PositionFeed:
    """Fixes of one receiver."""

    def __init__(self, source: PositionSource) -> None:
        self.taken = 0
        self._source = source

    @property
    def broken(self) -> int:
        return self._source.broken

    async def deliveries(self) -> AsyncIterator[Delivery]:
        async for fix in self._source.fixes():
            self.taken += 1
            yield partial(Recorder.position, fix=fix)

    def close(self) -> None:
        """The source closes its device when the iteration ends."""


class ObdFeed:
    """Answers of the car's ECUs to what the poller asks, while the sleep guard lets it.

    is_car: who else wants to know the VIN
    """

    def __init__(
        self,
        poller: Poller,
        sentry: Sentry | None = None,
        capture: Capture | None = None,
        is_car: Callable[[str], None] | None = None,
    ) -> None:
        self.taken = 0
        self._poller = poller
        self._sentry = sentry
        self._capture = capture
        self._is_car = is_car
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
            if self._sentry is not None:
                self._sentry.signals(reading.signals)
            if self._capture is not None:
                self._capture.signals(reading.signals)
        if reading.asking is not None:
            change = reading.asking
            _log.info("asking the car", bus=change.origin, state=change.state, reason=change.reason)
            recorder.asking(change)
        if reading.dtcs is not None:
            recorder.codes(reading.dtcs, reading.memory)
        for fact in reading.facts:
            recorder.diagnosed(fact)
        if reading.vin is not None:
            recorder.vin(reading.vin, "obd")
            if self._is_car is not None:
                self._is_car(reading.vin)
        if self._poller.lost > self._lost:
            recorder.lost("readings", self._poller.lost - self._lost, "obd: more than we take")
            self._lost = self._poller.lost


def deliver_frames(
    frames: list[CanFrame], decoder: Decoder, finder: VinFinder, recorder: Recorder
) -> list[Signal]:
    """One batch of frames, of a live bus or of a recording; the signals that were in it."""
    for vin in finder.feed(frames):
        recorder.vin(vin, frames[0].channel)
        decoder.is_car(vin)
    signals = decoder.decode(frames)
    recorder.signals(signals)
    _tell_news(decoder, recorder)
    return signals


def deliver_rest(decoder: Decoder, recorder: Recorder) -> None:
    """At the end of a bus or recording: the frames that the decoder still holds."""
    recorder.signals(decoder.rest())
    _tell_news(decoder, recorder)


def _tell_news(decoder: Decoder, recorder: Recorder) -> None:
    for event in decoder.news():
        if isinstance(event, CarChosen):  # its names tell the model, which is for the log alone
            _log.info("car looked at", bus=event.origin, found=bool(event.dbc))
        recorder.tell(event)


def decoded(decoder: Decoder) -> Counter[str]:
    """What became of the frames that reached a decoder so far, as events.InputCounted has it."""
    return Counter(
        decoded=decoder.described - decoder.undecodable - decoder.damaged,
        undescribed=decoder.undescribed,
        undecodable=decoder.undecodable,
        damaged=decoder.damaged,
    )


def set_aside(counts: Counts) -> Counter[str]:
    """What a source did not hand on and did not lose, as events.InputCounted has it."""
    aside = Counter(filtered=counts.filtered, broken=counts.broken, remote=counts.remote)
    aside.update({f"error: {kind}": count for kind, count in counts.errors.copy().items()})
    return aside
