"""What a trouble code means, in a few words: the generic codes of SAE J2012 (`dtc_texts.txt`)."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

CODE_LENGTH: Final = 5


def meaning(code: str) -> str:
    """Of "P0301" or, with a failure type, "P0301-00"; "" for a code that is a carmaker's own."""
    return _texts().get(code[:CODE_LENGTH], "")


@cache
def _texts() -> Mapping[str, str]:
    lines = (files("agent.obd") / "dtc_texts.txt").read_text(encoding="ascii").splitlines()
    pairs = (line.partition(" ") for line in lines)
    return {code: text for code, _, text in pairs}
