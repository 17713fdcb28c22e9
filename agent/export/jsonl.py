"""One JSON object a line: what `log show --json` prints."""

from collections.abc import Iterable
from typing import BinaryIO

from agent.export.seen import Seen, json_line, plain


def write(events: Iterable[Seen], out: BinaryIO) -> None:
    out.writelines(json_line(plain(event)) + b"\n" for event in events)
