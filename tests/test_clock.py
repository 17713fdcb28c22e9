"""How far the wall clock is believed: by the kernel, by a receiver, not at all."""

import ctypes
from types import SimpleNamespace

import pytest

from agent import clock as module
from agent.clock import AGREED_FOR_NS, MS, SECOND, WRITTEN_NS, ClockQuality, SystemClock

NOW_NS = WRITTEN_NS + 86_400 * SECOND
YEAR_NS = 365 * 86_400 * SECOND


class Machine:
    """Its two clocks, and what its kernel says of the first. state: as adjtimex(2) returns it"""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_ns, self.mono_ns, self.state = NOW_NS, 5 * SECOND, 5
        clocks = SimpleNamespace(time_ns=lambda: self.now_ns, monotonic_ns=lambda: self.mono_ns)
        patch.setattr(module, "time", clocks)
        patch.setattr(module, "_adjtimex", lambda _timex: self.state)

    def run(self, ns: int) -> None:
        self.now_ns += ns
        self.mono_ns += ns


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize(
    ("state", "quality"),
    [
        (0, ClockQuality.NTP),
        (1, ClockQuality.NTP),  # a leap second is coming
        (5, ClockQuality.FREE),  # the kernel is not told how far off it is
        (-1, ClockQuality.FREE),  # it may not be asked
    ],
)
def test_a_clock_is_kept_right_where_the_kernel_says_so(
    machine: Machine, state: int, quality: ClockQuality
) -> None:
    machine.state = state
    assert SystemClock().quality is quality


@pytest.mark.parametrize("state", [0, 5])
def test_a_time_before_this_was_written_is_not_believed_at_all(
    machine: Machine, state: int
) -> None:
    machine.now_ns, machine.state = 3600 * SECOND, state
    assert SystemClock().quality is ClockQuality.UNKNOWN


def test_a_receiver_that_tells_the_same_second_is_a_reason_to_believe(machine: Machine) -> None:
    clock = SystemClock()
    clock.compare(machine.now_ns - 150 * MS)
    seen = [clock.quality]
    for ns in (AGREED_FOR_NS - 1, 1):
        machine.run(ns)
        seen.append(clock.quality)
    assert seen == [ClockQuality.GNSS, ClockQuality.GNSS, ClockQuality.FREE]


@pytest.mark.parametrize("off_ns", [-YEAR_NS, -1001 * MS, 1001 * MS, YEAR_NS])
def test_a_receiver_that_tells_another_time_is_none(machine: Machine, off_ns: int) -> None:
    clock = SystemClock()
    clock.compare(machine.now_ns)
    clock.compare(machine.now_ns + off_ns)
    assert clock.quality is ClockQuality.FREE


def test_a_clock_that_was_set_since_is_not_the_one_that_agreed(machine: Machine) -> None:
    clock = SystemClock()
    clock.compare(machine.now_ns)
    machine.now_ns += YEAR_NS
    assert clock.quality is ClockQuality.FREE


def test_the_kernel_of_this_machine_answers_and_is_asked_without_setting_anything() -> None:
    timex = ctypes.create_string_buffer(module._TIMEX_BYTES)
    assert module._adjtimex(timex) in range(-1, 6)
    tick_us = int.from_bytes(timex.raw[88:96], "little") if ctypes.sizeof(ctypes.c_long) == 8 else 0
    assert tick_us in (0, *range(9_000, 11_001)), "10,000 us on every kernel, give or take a tenth"
