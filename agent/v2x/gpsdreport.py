"""What gpsd says in JSON, to position fixes. Source: gpsd_json(5), protocol 3.

A TPV report is a fix. The GST report of its epoch, which gpsd sends behind it, is its error
ellipse; a fix waits for it, unless that of the fix before did not come. Height is altHAE, over
the ellipsoid, which gpsd tells since 3.20; a fix in two dimensions has none. Accuracy is that
of GST alone: epx, epy and eph are made up from DOP where the receiver gave none, and gpsd does
not say which it was.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from agent.clock import SECOND
from agent.errors import MalformedInputError
from agent.position import PositionFix

PROTOCOL: Final = 3
TWO_DIMENSIONS: Final = 2
THREE_DIMENSIONS: Final = 3
NAMED: Final = 10  # complaints that are kept in words
REFUSAL: Final = 100  # characters of it that are kept
SILENT_NS: Final = 5 * SECOND  # our choice: then another receiver of the same gpsd is heard

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Head(msgspec.Struct, rename={"kind": "class"}):
    kind: str


class _Version(msgspec.Struct):
    release: str
    proto_major: int
    proto_minor: int


class _Device(msgspec.Struct):
    path: str = ""
    activated: str | float = 0


class _Error(msgspec.Struct):
    message: str


class _Tpv(msgspec.Struct, rename={"alt_hae_m": "altHAE"}):
    mode: int
    device: str = ""
    time: Annotated[datetime, Meta(tz=True)] | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    alt_hae_m: float | None = None
    speed: Annotated[float, Meta(ge=0)] | None = None
    track: float | None = None


class _Gst(msgspec.Struct):
    device: str = ""
    time: Annotated[datetime, Meta(tz=True)] | None = None
    major: Annotated[float, Meta(ge=0)] | None = None
    minor: Annotated[float, Meta(ge=0)] | None = None
    orient: float | None = None


_HEAD: Final = msgspec.json.Decoder(_Head)
_READ: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "VERSION": msgspec.json.Decoder(_Version),
    "DEVICE": msgspec.json.Decoder(_Device),
    "ERROR": msgspec.json.Decoder(_Error),
    "TPV": msgspec.json.Decoder(_Tpv),
    "GST": msgspec.json.Decoder(_Gst),
}
"""The reports that say something of the position; of all others only the name is read."""


class GpsdJoiner:
    """
    Feed it lines; it gives a fix for each TPV report that has a place and a time.

    Where gpsd has several receivers, one is followed until it is unplugged or silent.

    reports: read; broken: lines that could not be; undated: fixes without a time
    complaints: the first few broken lines, by number and reason
    refusal: why gpsd does not do what it was asked, in its words
    """

    def __init__(self) -> None:
        self.reports = self.broken = self.undated = 0
        self.refusal = ""
        self.complaints: list[str] = []
        self._lines = 0
        self._device: str | None = None
        self._last_ns = 0
        self._held: PositionFix | None = None
        self._has_ellipses = True

    @property
    def waiting(self) -> bool:
        """Whether a fix waits for its ellipse."""
        return self._held is not None

    def feed(self, line: bytes, arrived_ns: int) -> list[PositionFix]:
        """The fixes that this line completes. arrived_ns: UTC"""
        self._lines += 1
        try:
            report = _read(line)
            self.reports += 1
            return self._take(report, arrived_ns)
        except MalformedInputError as error:
            self.complain(str(error))
            return []

    def flush(self) -> list[PositionFix]:
        """The fix that waited for an ellipse that does not come; the next does not wait."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._has_ellipses = False
        return [held]

    def complain(self, reason: str) -> None:
        """Count one line that could not be read."""
        self.broken += 1
        if len(self.complaints) < NAMED:
            self.complaints.append(f"line {self._lines}: {reason}")

    def _take(self, report: msgspec.Struct | None, arrived_ns: int) -> list[PositionFix]:
        match report:
            case _Tpv():
                return self._tpv(report, arrived_ns)
            case _Gst():
                return self._gst(report)
            case _Device(activated=0) if report.path == self._device:
                self._device = None
                return self.flush()
            case _Error():
                self.refusal = report.message[:REFUSAL]
            case _Version() if report.proto_major != PROTOCOL:
                text = f"gpsd {report.release} speaks protocol {report.proto_major}, not {PROTOCOL}"
                self.complain(text)
        return []

    def _tpv(self, tpv: _Tpv, arrived_ns: int) -> list[PositionFix]:
        if tpv.mode < TWO_DIMENSIONS or tpv.lat is None or tpv.lon is None:
            return []
        if tpv.time is None:
            self.undated += 1
            return []
        t_ns = _utc_ns(tpv.time)
        if self._device not in (None, tpv.device) and abs(t_ns - self._last_ns) <= SILENT_NS:
            return []
        if t_ns == self._last_ns and self._held is None:
            return []  # told before; gpsd repeats an epoch while it learns where epochs end
        before = [] if t_ns == self._last_ns else self.flush()
        self._device, self._last_ns = tpv.device, t_ns
        fix = _fix(tpv, t_ns, arrived_ns)
        if not self._has_ellipses:
            return [*before, fix]
        self._held = fix
        return before

    def _gst(self, gst: _Gst) -> list[PositionFix]:
        if gst.device != self._device or None in (gst.time, gst.major, gst.minor, gst.orient):
            return []
        self._has_ellipses = True
        held = self._held
        if held is None or gst.time is None or _utc_ns(gst.time) != held.t_ns:
            return []
        self._held = None
        orientation_deg = None if gst.orient is None else gst.orient % 360.0
        fix = msgspec.structs.replace(
            held,
            semi_major_m=gst.major,
            semi_minor_m=gst.minor,
            orientation_deg=orientation_deg,
        )
        return [fix]


def _fix(tpv: _Tpv, t_ns: int, arrived_ns: int) -> PositionFix:
    assert tpv.lat is not None
    assert tpv.lon is not None
    return PositionFix(
        t_ns=t_ns,
        arrived_ns=arrived_ns,
        latitude_deg=tpv.lat,
        longitude_deg=tpv.lon,
        elevation_m=tpv.alt_hae_m if tpv.mode >= THREE_DIMENSIONS else None,
        speed_mps=tpv.speed,
        heading_deg=None if tpv.track is None else tpv.track % 360.0,
    )


def _read(line: bytes) -> msgspec.Struct | None:
    """None for a report of no use here. A report is never quoted: it holds a position."""
    try:
        reader = _READ.get(_HEAD.decode(line).kind)
        report: msgspec.Struct | None = None if reader is None else reader.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        reason = "not a report of gpsd"
    else:
        return report
    raise MalformedInputError(reason)


def _utc_ns(at: datetime) -> int:
    """Exact; a float of seconds would be off by a fraction of a microsecond."""
    passed = at - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000
