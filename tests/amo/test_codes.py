import re
from pathlib import Path

import pytest

from agent.amo.codes import ResultCode, refusal, text_of
from agent.errors import (
    AlreadyDoneError,
    BadTxError,
    NotAllowedError,
    NotEnoughFundsError,
    NotThereError,
    RefusedError,
    StaleTxError,
)

FORMAT = Path(__file__).parents[2] / "docs" / "formats" / "amo-transaction.md"
SPEC = Path(__file__).parents[2].parent / "shared" / "spec" / "amo-protocol.md"


def test_codes_are_those_of_the_protocol() -> None:
    if not SPEC.exists():
        pytest.skip(f"the protocol text is not here: {SPEC.name}")
    section = SPEC.read_text(encoding="utf-8").split("### 3.7")[1].split("### 3.8")[0]
    listed = {int(n): name for n, name in re.findall(r"\| (\d+) \| (\w+) ", section)}
    ours = {int(code): code.name.replace("_", "") for code in ResultCode}
    assert ours == {number: name.upper() for number, name in listed.items()}


@pytest.mark.parametrize("code", [code for code in ResultCode if code is not ResultCode.OK])
def test_every_code_has_a_text_and_an_error_that_says_what_to_do(code: ResultCode) -> None:
    assert code.text == text_of(code)
    error = refusal(code, "", "node")
    assert type(error) is not RefusedError
    assert error.code == code
    assert error.hint.endswith(".")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (2, StaleTxError),
        (4, NotEnoughFundsError),
        (7, AlreadyDoneError),
        (8, AlreadyDoneError),
        (9, NotThereError),
        (10, NotThereError),
        (11, NotThereError),
        (29, NotThereError),
        (31, NotThereError),
        (6, NotAllowedError),
        (21, NotAllowedError),
        (1, BadTxError),
        (12, BadTxError),
        (1000, BadTxError),
    ],
)
def test_error_is_of_the_kind_its_caller_can_act_on(code: int, kind: type[RefusedError]) -> None:
    assert type(refusal(code, "", "node")) is kind


def test_documented_table_of_refusals_is_the_one_in_use() -> None:
    page = FORMAT.read_text(encoding="utf-8").split("## Refusals")[1].split("##")[0]
    rows = re.findall(r"\| `(\w+Error)` \| ([0-9, ]+) \|", page)
    written = {int(code): name for name, codes in rows for code in codes.split(",")}
    codes = [int(code) for code in ResultCode if code is not ResultCode.OK]
    assert written == {code: type(refusal(code, "", "node")).__name__ for code in codes}


def test_refusal_names_place_meaning_code_and_the_words_of_the_chain_in_one_short_line() -> None:
    error = refusal(4, "not enough\n balance" + "x" * 10_000, "http://node")
    text = str(error)
    assert text.startswith(
        "http://node: balance does not cover amount and fees (code 4: not enough"
    )
    assert "\n" not in text
    assert len(text) < 400


def test_code_nobody_listed_is_named_by_its_number() -> None:
    assert text_of(4711) == "code 4711, not known here"
    assert type(refusal(4711, "new", "node")) is RefusedError
