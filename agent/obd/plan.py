"""How the bytes of one message become signals: worked out once, run for every frame.

A short frame still gives the signals that fit into it, as cantools does with `allow_truncated`.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from cantools.database.can import Message

from agent.errors import ConfigError
from agent.obd.bits import Field, place, raw_value, real_value
from agent.obd.checksum import FrameCheck
from agent.obd.profile import Source, numbers
from agent.obd.units import conversion
from agent.signals import Signal


class Step(NamedTuple):
    """A signal that is one whole number: value = raw * scale + offset."""

    name: str
    shift: int
    mask: int
    top: int
    scale: float
    offset: float


class Quantity(NamedTuple):
    """A signal that needs more than that: a sum, a mean, a state, a limit or an IEEE 754 value.

    weight: of the sum of the fields; states: value in the file -> ours; valid: of each field
    """

    name: str
    fields: tuple[Field, ...]
    weight: float
    offset: float
    states: Mapping[float, float] | None = None
    valid: tuple[float, float] | None = None


class Node(NamedTuple):
    """What every frame of one length carries, and what else it carries by multiplexer value."""

    little: tuple[Step, ...]
    big: tuple[Step, ...]
    quantities: tuple[Quantity, ...]
    switches: tuple[tuple[Field, Mapping[int, "Node"]], ...]


class Plan:
    """Of one message, for frames of any length. check: of its frames, where a profile has one"""

    def __init__(
        self, message: Message, sources: Mapping[str, Source], check: FrameCheck | None = None
    ) -> None:
        """sources: our name -> where it is in this message. Raises ConfigError for its unit."""
        self.check = check
        self._message = message
        self._wanted = {name: _Wanted(message, name, source) for name, source in sources.items()}
        self._mapped = {part for source in sources.values() for part in source.parts}
        self._nodes: dict[int, Node | None] = {}

    @property
    def names(self) -> frozenset[str]:
        """Of the message and its signals, in the file and with us."""
        theirs = (signal.name for signal in self._message.signals)
        return frozenset({self._message.name, *theirs, *self._wanted})

    def node(self, length: int) -> Node | None:
        """The plan for that many bytes; None when no described signal fits into them."""
        if length not in self._nodes:
            node = self._build(length, None, 0, ())
            empty = not (node.little or node.big or node.quantities or node.switches)
            self._nodes[length] = None if empty and self._message.signals else node
        return self._nodes[length]

    def _build(self, length: int, parent: str | None, value: int, above: Sequence[str]) -> Node:
        """The signals that are sent under one value of one multiplexer, and those below them."""
        fields = {
            signal.name: field
            for signal in self._message.signals
            if signal.multiplexer_signal == parent
            and (parent is None or value in (signal.multiplexer_ids or ()))
            and (field := place(signal, length)) is not None
        }
        plain = {name: field for name, field in fields.items() if name not in self._mapped}
        prefix = f"can.{self._message.name}."
        steps = [(f.little, Step(prefix + n, *f[1:6])) for n, f in plain.items() if not f.bits]
        quantities = [Quantity(prefix + n, (f,), 1.0, 0.0) for n, f in plain.items() if f.bits]
        for wanted in self._wanted.values():
            if set(wanted.source.parts) <= set(fields):
                step, quantity = wanted.put([fields[part] for part in wanted.source.parts])
                steps += step
                quantities += quantity
        switches = [
            (fields[name], self._branches(length, name, [*above, name]))
            for name in self._multiplexers()
            if name in fields and name not in above
        ]
        return Node(
            tuple(step for little, step in steps if little),
            tuple(step for little, step in steps if not little),
            tuple(quantities),
            tuple(switches),
        )

    def _multiplexers(self) -> list[str]:
        return [signal.name for signal in self._message.signals if signal.is_multiplexer]

    def _branches(self, length: int, name: str, above: Sequence[str]) -> dict[int, Node]:
        children = [s for s in self._message.signals if s.multiplexer_signal == name]
        values = {value for child in children for value in child.multiplexer_ids or ()}
        return {value: self._build(length, name, value, above) for value in sorted(values)}


class _Wanted:
    """One of our signals: its source, and the way from the file's unit to ours."""

    def __init__(self, message: Message, name: str, source: Source) -> None:
        self.name = name
        self.source = source
        units = {message.get_signal_by_name(part).unit or "" for part in source.parts}
        if source.unit is None and len(units) > 1:
            raise ConfigError(f"{name}: {message.name} has units {', '.join(sorted(units))}")
        unit = source.unit if source.unit is not None else units.pop()
        try:
            factor, self.offset = conversion(unit, name)
        except ConfigError as error:
            raise ConfigError(f"message {message.name}: {error}") from error
        self.factor = factor * source.sign
        self.states = numbers(source.map, name) if source.map is not None else None

    def put(self, fields: Sequence[Field]) -> tuple[list[tuple[bool, Step]], list[Quantity]]:
        """As a step where one shift and one multiplication do, else as a quantity."""
        source = self.source
        if len(fields) == 1 and self.states is None and source.valid is None and not fields[0].bits:
            little, shift, mask, top, scale, offset, _ = fields[0]
            scale, offset = scale * self.factor, offset * self.factor + self.offset
            return [(little, Step(self.name, shift, mask, top, scale, offset))], []
        weight = self.factor / len(fields) if source.mean is not None else self.factor
        whole = tuple(fields)
        return [], [Quantity(self.name, whole, weight, self.offset, self.states, source.valid)]


def run(node: Node, data: bytes, t_ns: int, origin: str, out: list[Signal]) -> bool:
    """Append the signals of one frame. False when something in it could not be read."""
    little = int.from_bytes(data, "little")
    big = int.from_bytes(data, "big")
    if node.little:
        out += [
            Signal(name, ((little >> shift & mask ^ top) - top) * scale + offset, t_ns, origin)
            for name, shift, mask, top, scale, offset in node.little
        ]
    if node.big:
        out += [
            Signal(name, ((big >> shift & mask ^ top) - top) * scale + offset, t_ns, origin)
            for name, shift, mask, top, scale, offset in node.big
        ]
    whole = True
    for quantity in node.quantities:
        value = _measure(quantity, little, big)
        if value is None:
            continue
        if isfinite(value):
            out.append(Signal(quantity.name, value, t_ns, origin))
        else:
            whole = False
    for field, branches in node.switches:
        branch = branches.get(raw_value(field, little, big))
        whole = branch is not None and run(branch, data, t_ns, origin, out) and whole
    return whole


def _measure(quantity: Quantity, little: int, big: int) -> float | None:
    """The value; None where the frame says by a limit or an unlisted state that it has none."""
    total = 0.0
    for field in quantity.fields:
        raw = raw_value(field, little, big)
        number = real_value(raw, field.bits) if field.bits else raw
        value = number * field.scale + field.offset
        if quantity.valid is not None and not quantity.valid[0] <= value <= quantity.valid[1]:
            return None
        total += value
    if quantity.states is not None:
        return quantity.states.get(total)
    return total * quantity.weight + quantity.offset
