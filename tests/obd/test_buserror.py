"""An error frame is counted by the gravest thing it says; states are told when they change."""

from collections import Counter

import pytest

from agent.clock import SECOND
from agent.obd.buserror import CHANGES_A_MINUTE, BusErrors, ErrorFrame, kind


@pytest.mark.parametrize(
    ("error_class", "told", "name"),
    [
        (0x40, 0, "bus off"),
        (0x40 | 0x04 | 0x88, 0x30, "bus off"),
        (0x100, 0, "restarted"),
        (0x04, 0x10, "error passive"),
        (0x04, 0x20, "error passive"),
        (0x04, 0x04, "error warning"),
        (0x04, 0x40, "error active"),
        (0x04, 0x01, "controller's receive queue full"),
        (0x04, 0x02, "controller's send queue full"),
        (0x04, 0x00, "controller problem"),
        (0x02, 0, "arbitration lost"),
        (0x20, 0, "no acknowledgement"),
        (0x08 | 0x80, 0, "protocol violation"),
        (0x80, 0, "bus error"),
        (0x01, 0, "send timeout"),
        (0x10, 0, "transceiver problem"),
        (0, 0, "error frame"),
    ],
)
def test_kind_is_the_gravest_of_what_is_said(error_class: int, told: int, name: str) -> None:
    assert kind(0x2000_0000 | error_class, bytes([0, told, 0, 0, 0, 0, 0, 0])) == name


def test_frame_without_data_still_has_a_kind() -> None:
    assert kind(0x2000_0004, b"") == "controller problem"


def seen(*frames: tuple[int, int, float, str]) -> BusErrors:
    errors = BusErrors(Counter())
    for error_class, told, second, channel in frames:
        data = bytes([0, told])
        errors.see(ErrorFrame(error_class, data, int(second * SECOND), channel))
    return errors


def test_state_is_told_when_it_changes_and_once() -> None:
    errors = seen(
        (0x04, 0x04, 1, "can0"),
        (0x04, 0x08, 2, "can0"),
        (0x40, 0, 3, "can0"),
        (0x40, 0, 4, "can0"),
        (0x100, 0, 5, "can0"),
        (0x02, 0, 6, "can0"),
    )
    assert [(t_ns // SECOND, state) for t_ns, _, state in errors.take()] == [
        (1, "error warning"),
        (3, "bus off"),
        (5, "error active"),
    ]
    assert errors.take() == []
    assert errors.counts.total() == 6


def test_each_bus_has_a_state_of_its_own() -> None:
    errors = seen((0x40, 0, 1, "can0"), (0x40, 0, 1, "can1"))
    assert [channel for _, channel, _ in errors.take()] == ["can0", "can1"]


def test_bus_that_was_well_all_the_time_says_nothing() -> None:
    assert seen((0x04, 0x40, 1, "can0"), (0x100, 0, 2, "can0")).take() == []


def test_bus_that_flaps_is_told_ten_times_a_minute_and_counted_each_time() -> None:
    flaps = [(0x40 if n % 2 else 0x100, 0, n / 1000, "can0") for n in range(10_000)]
    errors = seen(*flaps, (0x40, 0, 3600, "can0"))
    assert errors.counts == {"bus off": 5001, "restarted": 5000}
    assert len(errors.take()) <= CHANGES_A_MINUTE + 1
