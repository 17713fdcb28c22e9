"""What a person reads and types is what the chain moves, to the mote."""

from decimal import Context, Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.wallet.amount import AMO, MAX_MOTE, amo_text, mote_of

EXACT = Context(prec=120, traps=[Inexact])
MOTE = st.integers(0, MAX_MOTE)


@given(MOTE)
def test_what_the_screen_shows_is_read_back(mote: int) -> None:
    assert mote_of(amo_text(mote)) == mote
    assert mote_of(amo_text(mote).removesuffix(" AMO")) == mote
    assert mote_of(f"{mote} mote") == mote_of(f"{mote}mote") == mote


@given(MOTE)
def test_the_screen_shows_18_decimals_that_another_arithmetic_finds_too(mote: int) -> None:
    number, unit = amo_text(mote).split()
    assert unit == "AMO"
    assert len(number.partition(".")[2]) == 18
    assert EXACT.multiply(Decimal(number), Decimal(AMO)) == mote


@given(st.integers(0, 10**58), st.text("0123456789", max_size=18))
def test_decimals_that_are_not_written_are_zeros(whole: int, decimals: str) -> None:
    text = f"{whole}.{decimals}" if decimals else str(whole)
    assert EXACT.multiply(Decimal(text), Decimal(AMO)) == mote_of(text)


@pytest.mark.parametrize(
    ("text", "mote"),
    [
        ("0", 0),
        ("0.000000000000000001", 1),
        ("0.1 AMO", 10**17),
        ("1.5AMO", 1_500_000_000_000_000_000),
        ("1", AMO),
        (f"{MAX_MOTE} mote", MAX_MOTE),
    ],
)
def test_amounts_as_people_write_them(text: str, mote: int) -> None:
    assert mote_of(text) == mote


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "AMO",
        "mote",
        ".5",
        "5.",
        "1,5",
        "1.000,5",
        "1,000",
        "1_000",
        "1 000",
        "1'000",
        "1.5.0",
        "1e18",
        "1E3 mote",
        "0x10",
        "+1",
        "-1",
        "-0",
        "007",
        "00",
        "1.5 mote",
        "1.0000000000000000001",
        "0." + "0" * 18 + "1",
        "1.5 amo",
        "1.5 Mote",
        "1  AMO",
        " 1",
        "1\n",
        "1 AMO\n",
        "NaN",
        "inf",
        "\u0661",
        "\uff11",
        "1\u00a0AMO",
        "1/2",
        f"{MAX_MOTE + 1} mote",
        str(2**256),
        "9" * 100_000,
        "1." + "1" * 100_000,
    ],
)
def test_anything_else_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        mote_of(text)
    assert len(str(caught.value)) < 220
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        mote = mote_of(text)
    except UsageError:
        return
    assert 0 <= mote <= MAX_MOTE


def test_a_loss_has_its_sign_in_front() -> None:
    assert amo_text(-1) == "-0.000000000000000001 AMO"
    assert amo_text(-AMO) == "-1.000000000000000000 AMO"
