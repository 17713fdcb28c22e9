"""Frames into signals.

A signal that a profile maps has our name and the unit of docs/signals.md. Any other is called
`can.<message>.<signal>` and carries the value and unit of its DBC file; it is Lv1, as any name
that nobody classified.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from cantools.database.can import Message

from agent.errors import ConfigError
from agent.events import CarChosen, Event
from agent.obd.bits import place
from agent.obd.checksum import SIGNAL, ChecksumCheck, CounterCheck, FrameCheck, scheme_of
from agent.obd.dbc import Dbc
from agent.obd.fit import Choice
from agent.obd.frame import EXTENDED_FLAG, CanFrame
from agent.obd.plan import Plan, run
from agent.obd.profile import Profile, Source, matching
from agent.obd.seek import EVERY_CHANNEL, Seeker
from agent.signals import Signal

WATCHED_FRAMES = 2000
"""Our choice: about a second of two busy buses."""

_Table = dict[int, Plan]


class Decoder:
    """Decodes the frames of every channel with the files that describe it.

    dbcs: files by channel ("can0", or "*" for every channel), or a plain sequence. A file given
    without a channel describes one bus of the car: it is used for the channel on which most of
    its identifiers are seen (the first one seen, where two are equal). This is looked at anew
    with each batch until 2,000 frames have been seen, then it stays. Where two files describe
    one identifier on one channel, the file given first counts.

    seeker: what chooses the file of a channel that has none; until then its frames are held, and
    once it cannot choose, they are undescribed.

    profiles that do not match the files are left out. Raises ConfigError where a matching
    profile maps a signal whose unit is unknown.

    described, undescribed, undecodable, damaged: frames so far. An undecodable frame is a described
    one in which something could not be read: nothing fits into it, a multiplexer value that is not
    described, a value that is no number. What can be read of it is handed on. A damaged one has a
    wrong checksum or a counter that hangs, and is not decoded.
    """

    def __init__(
        self,
        dbcs: Mapping[str, Sequence[Dbc]] | Sequence[Dbc],
        profiles: Sequence[Profile] = (),
        seeker: Seeker | None = None,
    ) -> None:
        self._given: Final = dict(dbcs) if isinstance(dbcs, Mapping) else {}
        self._unbound: Final = () if isinstance(dbcs, Mapping) else tuple(dbcs)
        every = [dbc for group in self._given.values() for dbc in group] + list(self._unbound)
        self.profiles = matching(profiles, every)
        self.described = self.undescribed = self.undecodable = self.damaged = 0
        self._plans = {id(dbc): _plans(dbc, self.profiles) for dbc in every}
        self._tables: dict[str, _Table] = {}
        self._bound: dict[int, str] = {}
        self._seen: dict[str, set[int]] = {}
        self._watched = 0
        self._seeker = seeker
        self._chosen: list[Event] = []
        plans = [plan for table in self._plans.values() for plan in table.values()]
        self._checks: Final = [plan.check for plan in plans if plan.check is not None]

    def keys(self, channel: str) -> set[int]:
        """Identifiers that may be described on a channel, bit 31 set where extended."""
        given = [*self._given.get(channel, ()), *self._given.get(EVERY_CHANNEL, ()), *self._unbound]
        return {key for dbc in given for key in dbc.messages}

    def decode(self, frames: Sequence[CanFrame]) -> list[Signal]:
        """The signals of a batch, in the order of its frames. Every value is finite."""
        if self._seeker is not None:
            frames = self._seeker.passed(frames)
            self._follow(self._seeker)
        return self._decoded(frames)

    def rest(self) -> list[Signal]:
        """As decode, of the frames that are still held: at the end of what is read."""
        if self._seeker is None:
            return []
        frames = self._seeker.rest()
        self._follow(self._seeker)
        return self._decoded(frames)

    def is_car(self, vin: str) -> None:
        """The car's VIN became known: it helps to choose."""
        if self._seeker is not None:
            self._seeker.is_car(vin)

    def _follow(self, seeker: Seeker) -> None:
        for channel, choice in seeker.choices():
            reason = choice.reason
            if choice.dbc is not None:
                reason += self._use(channel, choice.dbc, choice)
            dbc = "" if choice.dbc is None else choice.dbc.name
            profile = "" if choice.profile is None else choice.profile.name
            self._chosen.append(CarChosen(channel, dbc, profile, reason))

    def _use(self, channel: str, dbc: Dbc, choice: Choice) -> str:
        """Describe a channel by a file from now on; what is wrong with the profile, if anything."""
        wrong = ""
        try:
            plans = _plans(dbc, [] if choice.profile is None else [choice.profile])
        except ConfigError as error:
            plans, wrong = _plans(dbc, []), f"; without its profile: {error}"
        self._given[channel] = [dbc]
        self._plans[id(dbc)] = plans
        self._tables.pop(channel, None)
        self._checks.extend(plan.check for plan in plans.values() if plan.check is not None)
        return wrong

    def _decoded(self, frames: Sequence[CanFrame]) -> list[Signal]:
        if self._unbound and (self._watched < WATCHED_FRAMES or not self._bound):
            self._watch(frames)
        out: list[Signal] = []
        tables = self._tables
        for frame in frames:
            channel = frame.channel
            table = tables.get(channel)
            if table is None:
                table = tables[channel] = self._table(channel)
            plan = table.get(frame.can_id | EXTENDED_FLAG if frame.extended else frame.can_id)
            if plan is None:
                self.undescribed += 1
                continue
            self.described += 1
            data = frame.data
            if plan.check is not None and not plan.check.fits(frame):
                self.damaged += 1
                continue
            node = plan.node(len(data))
            if node is None or not run(node, data, frame.t_ns, channel, out):
                self.undecodable += 1
        return out

    def carries(self, frame: CanFrame) -> frozenset[str] | None:
        """What the file calls a frame's message and signals, and what we call them.

        None where nobody describes the frame.
        """
        key = frame.can_id | EXTENDED_FLAG if frame.extended else frame.can_id
        plan = self._tables.get(frame.channel, {}).get(key)
        return None if plan is None else plan.names

    def news(self) -> list[Event]:
        """What checksums and counters told since last asked, and which files were chosen."""
        chosen, self._chosen = self._chosen, []
        return chosen + [event for check in self._checks for event in check.news()]

    def _watch(self, frames: Sequence[CanFrame]) -> None:
        """Learn which identifiers are on which channel, and bind the files accordingly."""
        self._watched += len(frames)
        for frame in frames:
            key = frame.can_id | EXTENDED_FLAG if frame.extended else frame.can_id
            self._seen.setdefault(frame.channel, set()).add(key)
        bound = {}
        for dbc in self._unbound:
            hits = {name: len(keys & dbc.messages.keys()) for name, keys in self._seen.items()}
            best = max(hits, key=hits.__getitem__, default=None)
            if best is not None and hits[best]:
                bound[id(dbc)] = best
        if bound != self._bound:
            self._bound = bound
            self._tables.clear()

    def _table(self, channel: str) -> _Table:
        """Identifier -> plan. Later files do not replace what earlier ones describe."""
        files = [*self._given.get(channel, ()), *self._given.get(EVERY_CHANNEL, ())]
        files += [dbc for dbc in self._unbound if self._bound.get(id(dbc)) == channel]
        table: _Table = {}
        for dbc in reversed(files):
            table |= self._plans[id(dbc)]
        return table


def _plans(dbc: Dbc, profiles: Sequence[Profile]) -> _Table:
    table: _Table = {}
    for key, message in dbc.messages.items():
        names = {signal.name for signal in message.signals}
        sources: dict[str, Source] = {}
        for profile in profiles:
            for name, source in profile.signals.items():
                if source.message == message.name and names.issuperset(source.parts):
                    sources.setdefault(name, source)
        table[key] = Plan(message, sources, _check(message, profiles))
    return table


def _check(message: Message, profiles: Sequence[Profile]) -> FrameCheck | None:
    """By the first profile that has a checksum or a counter for the message."""
    signals = {signal.name: signal for signal in message.signals}
    for profile in profiles:
        if profile.checksum is not None and SIGNAL in signals:
            return ChecksumCheck(message.name, message.length, scheme_of(profile.checksum))
        counter = profile.counters.get(message.name)
        if counter is None or counter.signal not in signals:
            continue
        field = place(signals[counter.signal], message.length)
        if field is not None:
            return CounterCheck(message, counter.signal, field, counter.values or field.mask + 1)
    return None
