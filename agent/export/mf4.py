"""The samples as an MDF 4.1 file: a group for each signal of each origin, time over value."""

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from agent import __version__
from agent.events import SignalsSampled
from agent.export.mdf import PART_RECORDS, RECORD, MdfFile
from agent.export.seen import Seen
from agent.obd.units import SIGNAL_UNITS

Name = tuple[str, str]
"""Origin and name of a signal."""


class _Group:
    """Samples of one signal in order of their times; whole parts of them are in the file."""

    def __init__(self) -> None:
        self.last_ns = 0
        self.parts: list[int] = []
        self.records: list[bytes] = []
        self.count = 0

    def flush(self, file: MdfFile) -> None:
        self.parts.append(file.data(b"".join(self.records)))
        self.count += len(self.records)
        self.records = []


class _Groups:
    """start_ns: what the times in the file count from; that of the first sample."""

    def __init__(self, file: MdfFile) -> None:
        self.start_ns: int | None = None
        self._file = file
        self._groups: dict[Name, _Group] = {}

    def add(self, name: Name, times_ns: Sequence[int], values: Sequence[float]) -> None:
        """Samples of one signal, at least one."""
        if self.start_ns is None:
            self.start_ns = times_ns[0]
        group = self._groups.setdefault(name, _Group())
        for t_ns, value in zip(times_ns, values, strict=True):
            if t_ns < group.last_ns:  # the clock was set back; in a group, time only rises
                self._close(name)
                group = self._groups[name] = _Group()
            group.last_ns = t_ns
            group.records.append(RECORD.pack(t_ns - self.start_ns, value))
            if len(group.records) == PART_RECORDS:
                group.flush(self._file)

    def close(self) -> None:
        for name in reversed(list(self._groups)):  # the file lists the last one first
            self._close(name)

    def _close(self, name: Name) -> None:
        group = self._groups.pop(name)
        if group.records:
            group.flush(self._file)
        self._file.group(*name, SIGNAL_UNITS.get(name[1], ""), group.parts, group.count)


def write(events: Iterable[Seen], out: BinaryIO) -> None:
    """out: a file; a pipe cannot go back to its beginning."""
    file = MdfFile(out)
    groups = _Groups(file)
    for seen in events:
        event = seen.event
        if isinstance(event, SignalsSampled):
            for name, (offsets, values) in event.series.items():
                if values:
                    times_ns = [event.t0_ns + offset for offset in offsets]
                    groups.add((event.origin, name), times_ns, values)
    groups.close()
    file.finish("amo-agent", __version__, groups.start_ns or 0)
