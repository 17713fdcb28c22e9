from uuid import uuid4

import can
import pytest

from agent.clock import SystemClock
from agent.events import FreezeFrameRead
from agent.obd.ecu import Ecu
from agent.obd.freezeframe import FreezeFrames
from agent.obd.question import Answer
from agent.obd.request import ObdRequester
from agent.obd.route import Route

CLOCK = SystemClock()
ROUTE = Route()
LATE = ROUTE.at(19.0)


def test_frame_is_read_once_for_each_code_that_left_one() -> None:
    channel = uuid4().hex
    requester = ObdRequester(channel, "virtual", CLOCK)
    frames = FreezeFrames(requester)
    now = [ROUTE.at(13.0)]

    def look() -> list[FreezeFrameRead]:
        answers = [one for one in requester.ask(0x02, 0x02) if isinstance(one, Answer)]
        assert answers
        return frames.look(answers)

    with (
        can.Bus(channel, "virtual", ignore_config=True) as bus,
        Ecu(bus, lambda: now[0], vin="KMHTEST0000000017"),
    ):
        assert look() == []
        now[0] = LATE
        [frame] = look()
        assert (frame.ecu, frame.code) == ("7E8", "P0A80")
        assert frame.values["speed.vehicle"] == pytest.approx(LATE.speed_mps, abs=0.15)
        now[0] = ROUTE.at(25.0)
        assert look() == []
    assert frames.broken == 0


def test_code_that_comes_again_is_read_again() -> None:
    """A frame without values is told as well: the code is known then."""
    frames = FreezeFrames(ObdRequester(uuid4().hex, "virtual", CLOCK))
    frames._values = dict  # type: ignore[method-assign]  # nobody is there to be asked
    there, gone = Answer("7E8", b"\0\x03\x01", 0), Answer("7E8", b"\0\0\0", 0)
    codes = [[one.code for one in frames.look([answer])] for answer in (there, there, gone, there)]
    assert codes == [["P0301"], [], [], ["P0301"]]


def test_half_an_answer_is_counted() -> None:
    frames = FreezeFrames(ObdRequester(uuid4().hex, "virtual", CLOCK))
    assert frames.look([Answer("7E8", b"\0\x03", 0)]) == []
    assert frames.broken == 1
