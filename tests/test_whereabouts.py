import pytest

from agent.bsm.message import BasicSafetyMessage
from agent.errors import MalformedInputError
from agent.events import BsmHeard, BsmMade, Event, PositionFixed, encode
from agent.installed import codec
from agent.whereabouts import LOCATE


def message(latitude_deg: float | None) -> bytes:
    return codec().encode_frame(
        BasicSafetyMessage(
            msg_count=1, temporary_id=b"1234", latitude_deg=latitude_deg, longitude_deg=-11.5
        )
    )


@pytest.mark.parametrize(
    "event",
    [
        PositionFixed(0, 48.25, -11.5, *[None] * 6),
        BsmMade(message(48.25), on_air=True),
        BsmHeard(message(48.25), "ok"),
    ],
)
def test_fixes_and_messages_tell_where_they_were(event: Event) -> None:
    assert LOCATE[event.kind](encode(event)) == pytest.approx((48.25, -11.5), abs=1e-7)


def test_message_without_a_position_was_nowhere() -> None:
    assert LOCATE[BsmMade.kind](encode(BsmMade(message(None), on_air=True))) is None


@pytest.mark.parametrize("payload", [b"", encode(BsmHeard(b"noise", "not a BSM"))])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedInputError):
        LOCATE[BsmHeard.kind](payload)
