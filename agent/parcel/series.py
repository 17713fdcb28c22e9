"""Rows of the log, sorted into series: one per metric, one record per sample or event."""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

from agent.errors import MalformedInputError, SealError
from agent.events import KINDS, SignalsSampled, decode
from agent.parcel.manifest import Form
from agent.privacy import Level, level_of

Row = tuple[int, int, str, bytes]
"""(sequence number, UTC nanoseconds, event kind, payload in clear)"""


class Metric(NamedTuple):
    """What a series is of; the order of these fields is the order of chunks in a parcel."""

    name: str
    form: Form
    origin: str


class Series:
    """The records of one metric as columns, in the order of the log."""

    def __init__(self) -> None:
        self.seqs: array[int] = array("q")
        self.times: array[int] = array("q")
        self.values: array[float] = array("d")
        self.payloads: list[bytes] = []


def sort_rows(rows: Iterable[Row], level: Level, seqs: range) -> dict[Metric, Series]:
    """Rows in rising order of seq -> series, sorted by metric.

    Raises MalformedInputError for rows out of order or outside `seqs` and for payloads that
    cannot be read; SealError for a row more personal than `level`, which must not leave the car
    in this company.
    """
    series: dict[Metric, Series] = {}
    last = -1
    for seq, t_ns, kind, payload in rows:
        if seq <= last:
            raise MalformedInputError(f"event {seq} comes after event {last}")
        if seq not in seqs:
            raise MalformedInputError(f"event {seq} is outside {seqs.start}..{seqs.stop - 1}")
        last = seq
        try:
            if kind == SignalsSampled.kind:
                _add_samples(series, seq, payload, level)
            else:
                _add_payload(series, (seq, t_ns, kind, payload), level)
        except OverflowError as error:
            raise MalformedInputError(f"event {seq}: a number does not fit 64 bits") from error
    return dict(sorted(series.items()))


def _add_payload(series: dict[Metric, Series], row: Row, level: Level) -> None:
    seq, t_ns, kind, payload = row
    _check_level(kind, KINDS[kind].level if kind in KINDS else Level.LV1, level)
    one = series.setdefault(Metric(kind, "payloads", ""), Series())
    one.seqs.append(seq)
    one.times.append(t_ns)
    one.payloads.append(payload)


def _add_samples(series: dict[Metric, Series], seq: int, payload: bytes, level: Level) -> None:
    event = decode(SignalsSampled.kind, payload)
    assert isinstance(event, SignalsSampled)
    if not event.origin:
        raise MalformedInputError(f"event {seq}: samples without an origin")
    for name, (offsets, values) in event.series.items():
        if len(offsets) != len(values):
            raise MalformedInputError(f"event {seq}: {len(offsets)} times, {len(values)} values")
        if not values:
            continue
        _check_level(name, level_of(name), level)
        one = series.setdefault(Metric(name, "samples", event.origin), Series())
        one.seqs.extend([seq] * len(values))
        one.times.extend([event.t0_ns + offset for offset in offsets])
        one.values.extend(values)


def _check_level(name: str, own: Level, parcel: Level) -> None:
    if own < parcel:
        raise SealError(f"{name} is of Lv{own:d} and must not stand in a parcel of Lv{parcel:d}")
