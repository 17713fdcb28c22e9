"""Events as drafts, and a read model of them: what the tests of the query side start from."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from agent.clock import ClockQuality
from agent.events import (
    AgentStarted,
    AgentStopped,
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DtcCleared,
    DtcSet,
    Event,
    FundsShort,
    InputLost,
    ParcelRegistered,
    PollsUsed,
    SignalsSampled,
    TxEnded,
    TxRepeated,
    TxSigned,
    encode,
)
from agent.eventstore.log import Draft
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.sqlite import SqliteLog
from agent.privacy import Level


def stored(event: Event, t_ns: int = 0, level: Level | None = None) -> Draft:
    level = event.level if level is None else level
    return Draft(event.kind, level, t_ns, 0, ClockQuality.NTP, encode(event))


def sampled(t_ns: int, **series: tuple[list[int], list[float]]) -> Draft:
    named = {name.replace("_", "."): values for name, values in series.items()}
    return stored(SignalsSampled("can0", t_ns, named), t_ns, Level.LV3)


def rows(model: ReadModel, table: str) -> list[dict[str, Any]]:
    """Of a table or a view."""
    return list(model.db[table].rows)


def values(model: ReadModel, table: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows(model, table)]


def contents(model: ReadModel) -> dict[str, list[dict[str, Any]]]:
    return {name: rows(model, name) for name in model.db.table_names() + model.db.view_names()}


def folded(log: SqliteLog, path: Path, *drafts: Draft) -> ReadModel:
    log.append(drafts)
    model = ReadModel.open(path)
    model.catch_up(log)
    return model


def drafts() -> st.SearchStrategy[Draft]:
    """Every kind that is folded, some that are not, and payloads that are nothing."""
    word = st.sampled_from(["A", "B"])
    memory = st.sampled_from(["stored", "pending"])
    name = st.sampled_from(["gear", "speed.vehicle", "vehicle.vin"])
    small = st.integers(0, 9)
    samples = st.lists(st.floats(-9, 9, width=32), max_size=2).map(lambda v: ([0] * len(v), v))
    event = st.one_of(
        st.builds(DtcSet, word, word, memory),
        st.builds(DtcCleared, word, word, memory),
        st.builds(ConsentRequested, word, word, st.just("1")),
        st.builds(ConsentGranted, word, word, st.just("owner"), st.just("T")),
        st.builds(ConsentRefused, word, word, st.just("owner")),
        st.builds(ConsentRevoked, word, word, st.just("T")),
        st.builds(
            ParcelRegistered, *[word, small, small, small, small, word, small], *[st.just(b"")] * 2
        ),
        st.builds(TxSigned, word, word, st.binary(max_size=3), small, word),
        st.builds(TxEnded, word, small, small, word),
        st.builds(TxRepeated, word, word, small),
        st.builds(FundsShort, st.just("1"), st.just("0"), word, word),
        st.builds(InputLost, word, small, word),
        st.builds(PollsUsed, small, st.binary(max_size=3), word),
        st.builds(AgentStarted, word, word, word),
        st.builds(AgentStopped, word),
        st.builds(SignalsSampled, word, small, st.dictionaries(name, samples)),
    )
    level = st.sampled_from([Level.LV2, Level.LV3])
    known = st.builds(stored, event, small, level)
    return known | st.builds(
        Draft,
        st.sampled_from(["dtc-set/1", "unheard-of/1"]),
        level,
        small,
        small,
        st.just(ClockQuality.FREE),
        st.binary(max_size=3),
    )
