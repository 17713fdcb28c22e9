from importlib.resources import files

import pytest

from agent.obd.codetext import meaning
from agent.obd.dtc import code_bytes

LINES = (files("agent.obd") / "dtc_texts.txt").read_text(encoding="ascii").splitlines()


def test_generic_codes_have_a_meaning_in_a_few_words() -> None:
    codes = [line.partition(" ")[0] for line in LINES]
    assert len(codes) >= 900
    assert codes == sorted(set(codes))
    for code in codes:
        assert code_bytes(code)  # it is a code
        assert 3 <= len(meaning(code)) <= 90


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("P0301", "misfire, cylinder 1"),
        ("P0420", "catalyst, bank 1: efficiency too low"),
        ("P0A80", "traction battery to be replaced"),
        ("P0A80-07", "traction battery to be replaced"),
        ("U0100", "no communication with engine module A"),
        ("C0035", "wheel speed sensor, front left"),
        ("P1234", ""),  # a carmaker's own
        ("", ""),
    ],
)
def test_code_is_explained(code: str, words: str) -> None:
    assert meaning(code) == words
