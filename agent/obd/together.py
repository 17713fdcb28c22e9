"""Which PIDs of service 01 go together in one request, and its answer taken apart. No I/O.

SAE J1979 lets a request on CAN name up to six PIDs; the ECU strings their values together without
saying how long each is. So only PIDs go together that were answered alone before; the answer must
then be made of just these, at the same lengths and from the same ECUs.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agent.clock import MS
from agent.obd.question import POSITIVE

MOST: Final = 6
AHEAD_NS: Final = 100 * MS
"""A PID that will be asked for within this time comes along; its value is kept as long."""
MOST_FAILURES: Final = 3
_POSITIVE: Final = bytes([0x01 | POSITIVE])
_IN_SINGLE: Final = 7
_IN_FIRST: Final = 6


class _Habit(msgspec.Struct):
    """asked_ns: when last; every_ns: the time between the last two"""

    asked_ns: int
    every_ns: int | None = None


class Together:
    """What one session has learned. Times are nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._habits: dict[int, _Habit] = {}
        self._sizes: dict[int, dict[str, int]] = {}
        self._loners: set[int] = set()
        self._failures = 0

    def asked(self, pid: int, now_ns: int) -> None:
        before = self._habits.get(pid)
        every = None if before is None else now_ns - before.asked_ns
        self._habits[pid] = _Habit(now_ns, every)

    def learn(self, pid: int, sizes: Mapping[str, int]) -> None:
        """sizes: of the values that each ECU gave to the PID alone."""
        self._sizes[pid] = dict(sizes)

    def forget(self, pids: Iterable[int]) -> None:
        """They were not answered as expected."""
        for pid in pids:
            self._sizes.pop(pid, None)

    def refused(self) -> None:
        """There was no answer to several at once; after the third time none go together."""
        self._failures += 1

    def company(self, pid: int, now_ns: int) -> list[int]:
        """The PID and those that will be asked for soon, in ascending order."""
        if not self._goes(pid) or self._failures >= MOST_FAILURES:
            return [pid]
        due = {
            other: habit.asked_ns + habit.every_ns
            for other, habit in self._habits.items()
            if other != pid and self._goes(other) and habit.every_ns is not None
        }
        soon = sorted((at_ns, other) for other, at_ns in due.items() if at_ns <= now_ns + AHEAD_NS)
        return sorted([pid, *(other for _, other in soon[: MOST - 1])])

    def _goes(self, pid: int) -> bool:
        return bool(self._sizes.get(pid)) and pid not in self._loners

    def lines(self, pids: list[int]) -> int | None:
        """Of how many frames all answers consist; None when that is not known."""
        if any(not self._sizes.get(pid) for pid in pids):
            return None
        lengths: dict[str, int] = {}
        for pid in pids:
            for ecu, size in self._sizes[pid].items():
                lengths[ecu] = lengths.get(ecu, 1) + 1 + size
        return sum(_frames(length) for length in lengths.values())

    def split(self, pids: list[int], ecu: str, answer: bytes) -> dict[int, bytes] | None:
        """The value of each PID that this ECU has; None when the answer is made of others.

        A PID that is missing, or after whose value the answer goes wrong, is asked alone from then.
        """
        sizes = {pid: self._sizes[pid][ecu] for pid in pids if ecu in self._sizes.get(pid, {})}
        values: dict[int, bytes] = {}
        place = 1
        while place < len(answer) and answer[place] in sizes.keys() - values.keys():
            pid = answer[place]
            values[pid] = answer[place + 1 : place + 1 + sizes[pid]]
            place += 1 + sizes[pid]
        if answer[:1] == _POSITIVE and place == len(answer) and values.keys() == sizes.keys():
            return values
        broken = place != len(answer)
        guilty = set(list(values)[-1:]) if broken else sizes.keys() - values.keys()
        self._loners |= guilty
        self._failures += not guilty
        return None


def _frames(length: int) -> int:
    """ISO 15765-2: frames of a message of that length."""
    return 1 if length <= _IN_SINGLE else 1 + -(-(length - _IN_FIRST) // _IN_SINGLE)
