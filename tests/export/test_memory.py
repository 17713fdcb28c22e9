"""A log of any length is exported in the same memory."""

import importlib
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.events import CapturedFrame, Event, FramesCaptured, SignalsSampled
from agent.export import mf4, parquet
from agent.export.seen import Seen
from tests.export.made import T0_NS, made

SAMPLES = 100


def events(n: int) -> Iterator[Seen]:
    offsets = list(range(SAMPLES))
    for seq in range(1, n + 1):
        event: Event = SignalsSampled(
            "can0", T0_NS + seq * SAMPLES, {"gear": (offsets, [1.0] * SAMPLES)}
        )
        if seq % 2:
            event = FramesCaptured("can0", T0_NS, [CapturedFrame(o, 1, 0, b"\0") for o in offsets])
        yield made(event, seq=seq)


@pytest.mark.parametrize("module", ["commas", "jsonl", "parquet", "candump", "mf4"])
def test_four_times_the_events_take_no_more_memory(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 1_000)
    monkeypatch.setattr(mf4, "PART_RECORDS", 100)
    write = importlib.import_module(f"agent.export.{module}").write

    def peak_bytes(n: int) -> int:
        with Path(os.devnull).open("wb") as nowhere:
            tracemalloc.start()
            write(events(n), nowhere)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return peak

    peak_bytes(40)  # what is made once
    few, many = peak_bytes(60), peak_bytes(240)
    assert many < 1.2 * few + 20_000
