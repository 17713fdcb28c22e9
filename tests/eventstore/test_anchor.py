"""What AMO bears witness to cannot be taken back."""

from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.events import ParcelRegistered, encode
from agent.eventstore.anchor import Anchor, fault, last_anchor
from agent.eventstore.log import Draft
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import Beside, verify
from tests.eventstore.conftest import draft, tampering
from tests.eventstore.sealed import copied, driven


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Three seals: over 5, 10 and 16 events."""
    driven(tmp_path / "state", (5,), (2, 2), (5,))
    return tmp_path / "state"


def anchor_of(state: Path, no: int | None = None) -> Anchor:
    with LogReader.open(state / EVENTS) as reader:
        last = last_anchor(reader)
    assert last is not None
    assert no in (None, last.no)
    return last


def told(state: Path, anchor: Anchor) -> str:
    with LogReader.open(state / EVENTS) as reader:
        return fault(reader, anchor)


def cut(state: Path, seals: int, blocks: int) -> None:
    """What root does to a device, down to a whole log of fewer seals: no floor, no key is left."""
    with tampering(state / EVENTS) as connection:
        connection.execute(f"DELETE FROM seal WHERE no > {seals}")
        connection.execute(f"DELETE FROM body WHERE no > {blocks}")
        connection.execute(f"DELETE FROM block WHERE no > {blocks}")


def test_rt_11_tail_that_is_cut_off_below_an_anchor_is_found_by_the_anchor_alone(
    state: Path,
) -> None:
    anchor = Anchor.parse(str(anchor_of(state, 3)))
    assert told(state, anchor) == ""

    cut(state, seals=2, blocks=5)

    assert verify(state / EVENTS).verdict == "intact", "nothing in the file tells of it"
    assert told(state, anchor) == (
        "seal 3 is anchored, and the log has 2 seals: its tail was cut off"
    )


def test_rt_11_every_earlier_state_of_the_log_is_found(state: Path) -> None:
    anchor = anchor_of(state)
    for seals, blocks in ((2, 5), (1, 2), (0, 1), (0, 0)):
        older = copied(state, state.with_name(f"older-{seals}-{blocks}"))
        cut(older, seals, blocks)
        assert told(older, anchor).endswith(f"the log has {seals} seals: its tail was cut off")


def test_rt_14_log_written_anew_has_another_seal_of_that_number(
    state: Path, tmp_path: Path
) -> None:
    driven(tmp_path / "other", (5,), (2, 2), (5,))
    assert "written anew" in told(tmp_path / "other", anchor_of(state))


def test_log_that_grew_since_is_none_the_worse_for_it(state: Path) -> None:
    anchor = anchor_of(state)
    driven(state, (9,))
    assert anchor_of(state).no == 4
    assert told(state, anchor) == ""


def test_log_without_a_seal_has_no_anchor(tmp_path: Path) -> None:
    driven(tmp_path / "state")
    with LogReader.open(tmp_path / "state" / EVENTS) as reader:
        assert last_anchor(reader) is None


@pytest.mark.parametrize(
    "text",
    ["", "3", "3:", f":{'0' * 128}", f"0:{'0' * 128}", f"-1:{'0' * 128}", f"3:{'0' * 126}",
     f"{2**63}:{'0' * 128}", f"3:{'0' * 130}", f"3:{'g' * 128}", f"x:{'0' * 128}",
     f"3:{'0' * 128}:4"],
)  # fmt: skip
def test_text_that_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="NO:DIGEST"):
        Anchor.parse(text)


def test_first_and_last_number_of_a_seal_are_numbers_of_an_anchor() -> None:
    for no in (1, 2**63 - 1):
        assert Anchor.parse(f"{no}:{'0' * 128}").no == no


def test_rt_11_verifier_that_knows_an_anchor_refuses_the_log(state: Path) -> None:
    beside = Beside(anchor=anchor_of(state))
    assert verify(state / EVENTS, beside).verdict == "intact"
    cut(state, seals=2, blocks=5)
    found = verify(state / EVENTS, beside)
    assert (found.verdict, found.first_bad_seq) == ("truncated", 12)


def test_rt_14_verifier_that_knows_an_anchor_refuses_another_log(
    state: Path, tmp_path: Path
) -> None:
    driven(tmp_path / "other", (5,), (2, 2), (5,))
    found = verify(tmp_path / "other" / EVENTS, Beside(anchor=anchor_of(state)))
    assert (found.verdict, found.first_bad_seq) == ("tampered", 1)
    assert "written anew" in found.reason


def receipt(no: int, digest: bytes) -> Draft:
    event = ParcelRegistered("AB", 3, 1, 9, 100, "CD", 7, b"", b"", b"", no, digest)
    return draft(kind=event.kind, payload=encode(event))


def receive(state: Path, *receipts: Draft) -> None:
    with SqliteLog.open(state, create=False) as log:
        log.append(receipts)


def test_last_receipt_with_an_anchor_says_how_far_amo_bears_witness(state: Path) -> None:
    receive(state, receipt(0, b""), receipt(*anchor_of(state)), receipt(0, b""))
    found = verify(state / EVENTS)
    assert (found.verdict, found.anchored, found.tx_hash, found.height) == ("intact", 16, "CD", 7)


def test_receipts_without_an_anchor_say_nothing(state: Path) -> None:
    assert verify(state / EVENTS).anchored == 0
    receive(state, receipt(0, b""))
    assert verify(state / EVENTS).anchored == 0


@pytest.mark.parametrize("no", [3, 4])
def test_receipt_of_a_seal_that_is_not_there_is_refused_where_it_stands(
    state: Path, no: int
) -> None:
    receive(state, receipt(0, b""), receipt(no, bytes(64)))
    found = verify(state / EVENTS)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 19)
    assert f"seal {no} is" in found.reason


def test_receipt_that_is_none_is_refused_where_it_stands(state: Path) -> None:
    receive(state, draft(kind=ParcelRegistered.kind, payload=b"\xff"))
    assert verify(state / EVENTS).first_bad_seq == 18


@pytest.mark.parametrize("no", [2**64 - 1, 2**63, 4, -1])
def test_receipt_of_a_seal_that_cannot_be_is_refused_where_it_stands(no: int, state: Path) -> None:
    receive(state, receipt(no, bytes(64)))
    found = verify(state / EVENTS)
    assert (found.verdict, found.first_bad_seq) == ("tampered", 18)
    assert f"seal {no} is anchored" in found.reason
