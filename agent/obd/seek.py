"""Finds out which DBC file describes a bus, by looking at what is sent on it.

A channel is looked at for five seconds, and its frames are held meanwhile: once a file is chosen,
they are decoded as if it had been known. Where no file clearly fits, nothing is decoded, and the
channel is looked at again after one minute, two, four and so on, ten times in all, and at once
when the VIN becomes known.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from agent.clock import SECOND
from agent.obd.dbc import Dbc
from agent.obd.fit import Choice, Seen, choose, fit
from agent.obd.frame import CanFrame
from agent.obd.profile import Profile, matching

EVERY_CHANNEL = "*"
LOOK_NS: Final = 5 * SECOND
HELD_MAX: Final = 20_000
"""Frames of a channel: five seconds of a saturated bus at 500 kbit/s, some 5 MB."""
LOOKS_MAX: Final = 10
WAIT_NS: Final = 60 * SECOND
CHANNELS_MAX: Final = 16
"""Our choice; a recording that names more has the rest of them undescribed."""
VINS_MAX: Final = 4
"""Distinct VINs that are believed enough to look again."""

_Judge = Callable[[Seen], Choice]


class _Watch:
    """One channel that nothing is chosen for yet."""

    def __init__(self, judge: _Judge) -> None:
        self.choice: Choice | None = None
        self._judge = judge
        self._looks = 0
        self._wait_from_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._seen = Seen()
        self._held: list[CanFrame] = []

    @property
    def over(self) -> bool:
        """Once a look has ended: whether it was the last one."""
        found = self.choice is not None and self.choice.dbc is not None
        return found or self._looks >= LOOKS_MAX

    def take(self, frame: CanFrame) -> Sequence[CanFrame]:
        """The frames that are held no more. A clock that is set back ends a wait and a look."""
        t_ns = frame.t_ns
        if self._wait_from_ns is not None:
            if 0 <= t_ns - self._wait_from_ns < WAIT_NS << self._looks - 1:
                return (frame,)
            self._wait_from_ns = None
        self._held.append(frame)
        self._seen.add(frame)
        gone_ns = t_ns - self._held[0].t_ns
        done = len(self._held) >= HELD_MAX or not 0 <= gone_ns < LOOK_NS
        return self.end() if done else ()

    def end(self) -> Sequence[CanFrame]:
        """Judge by what was seen so far; all frames that were held."""
        held = self._held
        if held:
            self.choice = self._judge(self._seen)
            self._looks += 1
            self._wait_from_ns = held[-1].t_ns
            self._begin()
        return held

    def again(self) -> None:
        self._wait_from_ns = None


class Seeker:
    """
    dbcs:     files to choose from, by channel, or "*" for every channel without its own
    profiles: those that are loaded; with `only`, a file that none of them fits is out
    """

    def __init__(
        self,
        dbcs: Mapping[str, Sequence[Dbc]],
        profiles: Sequence[Profile],
        *,
        only: bool = False,
    ) -> None:
        self._files = {
            channel: [(dbc, own) for dbc in files if (own := matching(profiles, [dbc])) or not only]
            for channel, files in dbcs.items()
        }
        self._watches: dict[str, _Watch | None] = {}
        self._choices: list[tuple[str, Choice]] = []
        self._vins: list[str] = []

    def passed(self, frames: Iterable[CanFrame]) -> list[CanFrame]:
        """The frames that are to be decoded now: those of a channel in their order."""
        out: list[CanFrame] = []
        watches = self._watches
        for frame in frames:
            channel = frame.channel
            if channel not in watches:
                watches[channel] = self._watch(channel)
            watch = watches[channel]
            if watch is None:
                out.append(frame)
            else:
                out += watch.take(frame)
                self._settle(channel, watch)
        return out

    def rest(self) -> list[CanFrame]:
        """What is still held, at the end of a source: it is judged by what came."""
        out: list[CanFrame] = []
        for channel, watch in self._watches.items():
            if watch is not None:
                out += watch.end()
                self._settle(channel, watch)
        return out

    def is_car(self, vin: str) -> None:
        """The VIN, by whichever way it came; a new one ends every wait."""
        if vin in self._vins or len(self._vins) >= VINS_MAX:
            return
        self._vins.append(vin)
        for watch in self._watches.values():
            if watch is not None:
                watch.again()

    def choices(self) -> list[tuple[str, Choice]]:
        """(channel, what was found) of each look since last asked."""
        taken, self._choices = self._choices, []
        return taken

    def _watch(self, channel: str) -> _Watch | None:
        files = self._files.get(channel, self._files.get(EVERY_CHANNEL, []))
        if not files or len(self._watches) >= CHANNELS_MAX:
            return None
        return _Watch(lambda seen: self._judge(files, seen))

    def _judge(self, files: Sequence[tuple[Dbc, list[Profile]]], seen: Seen) -> Choice:
        vin = self._vins[-1] if self._vins else None
        return choose([fit(dbc, own, seen) for dbc, own in files], vin)

    def _settle(self, channel: str, watch: _Watch) -> None:
        if watch.choice is not None:
            self._choices.append((channel, watch.choice))
            if watch.over:
                self._watches[channel] = None
            watch.choice = None
