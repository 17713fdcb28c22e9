import msgspec
import pytest

from agent.bsm.geodesy import moved
from agent.bsm.message import BasicSafetyMessage
from agent.bsm.plausible import verdict

HEARD = BasicSafetyMessage(
    msg_count=1,
    temporary_id=b"\1\1\1\1",
    sec_mark_ms=59_950,
    latitude_deg=52.0,
    longitude_deg=13.0,
    speed_mps=20.0,
)


def after(metres: float, ms: int) -> BasicSafetyMessage:
    latitude, longitude = moved(52.0, 13.0, metres, 45.0)
    return msgspec.structs.replace(
        HEARD,
        sec_mark_ms=(59_950 + ms) % 60_000,
        latitude_deg=latitude,
        longitude_deg=longitude,
    )


def test_a_message_nobody_speaks_against_is_believed() -> None:
    assert verdict(HEARD) == "ok"


def test_a_message_with_our_own_id_is_not_believed() -> None:
    assert verdict(HEARD, own=HEARD) == "own id"


def test_a_speed_no_car_drives_is_not_believed() -> None:
    assert verdict(msgspec.structs.replace(HEARD, speed_mps=163.8)) == "speed out of range"


def test_a_message_without_a_place_is_not_believed() -> None:
    assert verdict(msgspec.structs.replace(HEARD, latitude_deg=None)) == "no position"


@pytest.mark.parametrize(("metres", "said"), [(2990.0, "ok"), (3010.0, "position out of range")])
def test_a_car_further_than_a_radio_reaches_is_not_believed(metres: float, said: str) -> None:
    own = msgspec.structs.replace(after(metres, 0), temporary_id=b"\2\2\2\2")
    assert verdict(HEARD, own=own) == said


@pytest.mark.parametrize(("metres", "said"), [(3.0, "ok"), (34.0, "ok"), (36.0, "position jump")])
def test_a_jump_in_a_tenth_of_a_second_over_the_minute_is_not_believed(
    metres: float, said: str
) -> None:
    assert verdict(after(metres, 100), before=HEARD) == said


def test_our_own_message_without_a_place_judges_no_distance() -> None:
    own = BasicSafetyMessage(msg_count=0, temporary_id=b"\2\2\2\2")
    assert verdict(HEARD, own=own) == "ok"
