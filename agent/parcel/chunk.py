"""A range of the log at one level -> a parcel of chunks, and back.

A parcel is its manifest (chunk headers and links, see manifest.py) followed by the chunk bodies.
A body is three columns: sequence numbers, times, and values or payloads. The manifest names every
body by digest and the parcel before by its root, so parcels form a Merkle DAG. Format:
docs/formats/parcel.md.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Final, NamedTuple

from agent.errors import MalformedInputError
from agent.parcel import columns, manifest
from agent.parcel.manifest import ChunkHeader, Manifest
from agent.parcel.multihash import check, multihash
from agent.parcel.series import Metric, Row, Series, sort_rows
from agent.privacy import Level

MAGIC: Final = b"AMOP\x01"
"""Name and version of the format."""
MAX_RAW_BYTES: Final = columns.MAX_BYTES
"""Most that all columns of one parcel may hold when unpacked."""

_HEAD: Final = Struct(">5sI")
_LENGTH: Final = Struct(">I")
_COLUMNS: Final = 3


class Record(NamedTuple):
    """value: the sample in SI, or the payload of an event (agent.events.decode reads it)."""

    seq: int
    t_ns: int
    value: float | bytes


class Chunk:
    """One metric over one span of time: its header, and its records on demand."""

    def __init__(self, header: ChunkHeader, body: bytes, seqs: range) -> None:
        self.header = header
        self._body = body
        self._seqs = seqs

    def records(self) -> Iterator[Record]:
        """In the order of the log. Raises MalformedInputError as `columns` does."""
        seqs, times, values = self.columns()
        return map(Record, seqs, times, values)

    def columns(self) -> "tuple[array[int], array[int], Iterable[float | bytes]]":
        """(sequence numbers, UTC nanoseconds, values or payloads), equally long.

        Raises MalformedInputError when the body is not what its header says.
        """
        packed = split_body(self._body)
        count = self.header.records
        seqs = columns.unpack_integers(packed[0], count)
        times = columns.unpack_integers(packed[1], count)
        self._check(seqs, times)
        if self.header.form == "samples":
            return seqs, times, columns.unpack_floats(packed[2], count)
        return seqs, times, columns.unpack_blobs(packed[2], count)

    def _check(self, seqs: "array[int]", times: "array[int]") -> None:
        if min(seqs) not in self._seqs or max(seqs) not in self._seqs:
            raise MalformedInputError(f"{self.header.metric}: a record is outside {self._seqs}")
        if (min(times), max(times)) != (self.header.start, self.header.end):
            raise MalformedInputError(f"{self.header.metric}: times are not those of the header")


class Parcel(NamedTuple):
    """root: multihash of the manifest; the next parcel's `previous`."""

    root: bytes
    manifest: Manifest
    chunks: tuple[Chunk, ...]


def build(
    rows: Iterable[Row],
    *,
    device: bytes,
    level: Level,
    first_seq: int,
    last_seq: int,
    previous: bytes | None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Rows (seq, t_ns, kind, payload in clear), in rising order of seq -> parcel.

    device: a pseudonym; previous: root of the parcel before; metadata: the owner's own words.
    The same rows give the same bytes. Raises MalformedInputError for rows that cannot be packed
    or are too many for one parcel, SealError for a row more personal than `level`.
    """
    series = sort_rows(rows, level, range(first_seq, last_seq + 1))
    bodies = [pack_body(one) for one in series.values()]
    written = Manifest(
        device=device,
        level=level,
        first_seq=first_seq,
        last_seq=last_seq,
        previous=previous,
        metadata=dict(metadata or {}),
        chunks=tuple(map(_header, series, series.values(), bodies)),
    )
    head = manifest.encode(written)
    data = b"".join((_HEAD.pack(MAGIC, len(head)), head, *bodies))
    open_parcel(data)
    return data


def open_parcel(data: bytes) -> Parcel:
    """Parcel bytes -> manifest and chunks, every digest and declared size checked.

    Raises MalformedInputError. Columns are unpacked, one chunk at a time, when they are asked for.
    """
    head, offset = _split_head(data)
    read = manifest.decode(head)
    seqs = range(read.first_seq, read.last_seq + 1)
    chunks: list[Chunk] = []
    raw_bytes = 0
    for header in read.chunks:
        body = data[offset : offset + header.size]
        offset += header.size
        check(header.id, body)
        raw_bytes += sum(map(columns.raw_size, split_body(body)))
        chunks.append(Chunk(header, body, seqs))
    if offset != len(data):
        raise MalformedInputError(f"parcel of {len(data)} bytes should have {offset}")
    if raw_bytes > MAX_RAW_BYTES:
        raise MalformedInputError(f"parcel unpacks to {raw_bytes} bytes, limit {MAX_RAW_BYTES}")
    return Parcel(multihash(head), read, tuple(chunks))


def pack_body(series: Series) -> bytes:
    """Three columns, each behind its length."""
    packed = (
        columns.pack_integers(series.seqs),
        columns.pack_integers(series.times),
        columns.pack_blobs(series.payloads)
        if series.payloads
        else columns.pack_floats(series.values),
    )
    return b"".join(_LENGTH.pack(len(column)) + column for column in packed)


def split_body(body: bytes) -> tuple[bytes, bytes, bytes]:
    """The inverse of pack_body, columns still packed. Raises MalformedInputError."""
    found: list[bytes] = []
    offset = 0
    while offset + _LENGTH.size <= len(body) and len(found) < _COLUMNS:
        (length,) = _LENGTH.unpack_from(body, offset)
        offset += _LENGTH.size + length
        found.append(body[offset - length : offset])
    if len(found) != _COLUMNS or offset != len(body):
        raise MalformedInputError(f"chunk body of {len(body)} bytes is not three columns")
    return found[0], found[1], found[2]


def _header(metric: Metric, series: Series, body: bytes) -> ChunkHeader:
    return ChunkHeader(
        id=multihash(body),
        metric=metric.name,
        origin=metric.origin,
        form=metric.form,
        start=min(series.times),
        end=max(series.times),
        records=len(series.seqs),
        size=len(body),
    )


def _split_head(data: bytes) -> tuple[bytes, int]:
    if len(data) < _HEAD.size:
        raise MalformedInputError(f"{len(data)} bytes are too few for a parcel")
    magic, length = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise MalformedInputError(f"not a parcel of version 1: begins with {magic.hex()}")
    end = _HEAD.size + length
    if length > manifest.MAX_BYTES or end > len(data):
        raise MalformedInputError(f"manifest of {length} bytes in a parcel of {len(data)}")
    return data[_HEAD.size : end], end
