from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.obd.assemble import Message, assembled

RUBBISH = [
    "",
    "0105",
    "010D1",
    "222611",
    "NO DATA",
    "ERR91",
    "> 7E0.0105",
    "SEARCHING...",
    "7E8\xff",
]


def lines(ecu: str, payload: bytes) -> list[str]:
    """As a sender cuts a message into frames (ISO 15765-2)."""
    if len(payload) < 8:
        return [f"{ecu}{len(payload):02X}{payload.hex()}"]
    rest = [payload[at : at + 7] for at in range(6, len(payload), 7)]
    first = f"{ecu}{0x1000 | len(payload):04X}{payload[:6].hex()}"
    return [first, *(f"{ecu}{0x20 | n & 15:02X}{part.hex()}" for n, part in enumerate(rest, 1))]


@given(st.binary(min_size=1, max_size=600), st.binary(min_size=1, max_size=60), st.randoms())
def test_mixed_answers_come_apart_and_rubbish_changes_nothing(
    one: bytes, two: bytes, random: Random
) -> None:
    queues = [lines("7E8", one), lines("18DAF110", two), list(RUBBISH)]
    mixed = []
    while any(queues):
        mixed.append(random.choice([queue for queue in queues if queue]).pop(0))
    found = {message.ecu: message for message in assembled(mixed)}
    assert found == {
        "7E8": Message("7E8", one, whole=True),
        "18DAF110": Message("18DAF110", two, whole=True),
    }


@given(st.lists(st.text(max_size=30), max_size=20))
def test_no_text_is_too_strange(texts: list[str]) -> None:
    assert sum(len(message.payload) for message in assembled(texts)) <= 30 * 20


def test_spaces_do_not_matter() -> None:
    assert assembled(["7E8 03 41 0D 56 "]) == assembled(["7E803410D56"])


def test_an_address_byte_before_each_frame_is_left_out() -> None:
    (message,) = assembled(["7582A10076130ADABA9", "7582A21AF0000000000"], extended=True)
    assert message == Message("758", bytes.fromhex("6130ADABA9AF00"), whole=True)


def test_nothing_is_put_behind_a_gap() -> None:
    whole = lines("7E8", bytes(range(40)))
    assert assembled([*whole[:2], *whole[3:]]) == [Message("7E8", bytes(range(13)), whole=False)]


def test_lines_that_ran_together_are_a_gap() -> None:
    whole = lines("7E8", bytes(range(40)))
    run = [whole[0], whole[1] + whole[2], *whole[3:]]
    assert assembled(run) == [Message("7E8", bytes(range(6)), whole=False)]


@pytest.mark.parametrize("line", ["7E805410D", "7E80", "7E8", "7E81041", "7E8210102", "7E8300000"])
def test_a_frame_without_its_message_is_none(line: str) -> None:
    assert assembled([line]) == []


def test_what_may_be_a_vin_is_in_no_repr() -> None:
    assert "4B4D" not in repr(Message("7E8", bytes.fromhex("4B4D"), whole=True)).upper()
    assert "KM" not in repr(Message("7E8", b"KM", whole=True))
