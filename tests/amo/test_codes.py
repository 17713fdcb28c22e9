import re
from pathlib import Path

import pytest

from agent.amo.codes import Advice, ResultCode, text_of

SPEC = Path(__file__).parents[2].parent / "shared" / "spec" / "amo-protocol.md"


def test_codes_are_those_of_the_protocol() -> None:
    if not SPEC.exists():
        pytest.skip(f"the protocol text is not here: {SPEC.name}")
    section = SPEC.read_text(encoding="utf-8").split("### 3.7")[1].split("### 3.8")[0]
    listed = {int(n): name for n, name in re.findall(r"\| (\d+) \| (\w+) ", section)}
    ours = {int(code): code.name.replace("_", "") for code in ResultCode}
    assert ours == {number: name.upper() for number, name in listed.items()}


@pytest.mark.parametrize("code", ResultCode)
def test_every_code_has_a_text_and_an_advice(code: ResultCode) -> None:
    assert code.text == text_of(code)
    assert (code.advice is Advice.DONE) == (code is ResultCode.OK)


def test_code_nobody_listed_is_named_by_its_number() -> None:
    assert text_of(4711) == "code 4711, not known here"


def test_transaction_outside_its_window_is_built_again() -> None:
    assert ResultCode.IMPROPER_TX.advice is Advice.RETRY
