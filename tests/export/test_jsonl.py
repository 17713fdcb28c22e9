"""JSON lines: one object a line, whatever is in the event."""

import io
import json

from agent.events import AgentStopped, DtcSet
from agent.export.jsonl import write
from agent.export.seen import plain
from tests.export.made import made


def test_one_event_is_one_line_of_json() -> None:
    events = [made(AgentStopped("two\nlines \u2028 \x00 é")), made(DtcSet("P0301", "7E8"), seq=2)]
    out = io.BytesIO()
    write(events, out)
    lines = out.getvalue().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [plain(event) for event in events]
    assert lines[-1] == b""
