"""What can happen to a car and to its data. Kinds are in the past tense and end in a version.

An event is a frozen struct. Its stored form (`encode`) is a MessagePack array of its fields in
the order below, so fields are added at the end with a default and never moved; a changed
meaning is a new kind. Times inside are UTC nanoseconds.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import msgspec

from agent.errors import MalformedInputError
from agent.privacy import Level


class Event(msgspec.Struct, frozen=True, array_like=True):
    """kind: the name in the log; level: of the whole event; urgent: written at once."""

    kind: ClassVar[str] = ""
    level: ClassVar[Level] = Level.LV1
    urgent: ClassVar[bool] = False


class AgentStarted(Event, frozen=True, array_like=True):
    """boot_id: the kernel's, a UUID; sqlite: version of the library that writes the log."""

    kind: ClassVar[str] = "agent-started/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    version: str
    boot_id: str
    sqlite: str


class AgentStopped(Event, frozen=True, array_like=True):
    """reason: "finished", or the name of the error that ended it."""

    kind: ClassVar[str] = "agent-stopped/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    reason: str


class SignalsSampled(Event, frozen=True, array_like=True):
    """One source's samples of one 100 ms tick; all of one level.

    origin: "can0", "obd", "gnss"
    t0_ns:  UTC nanoseconds that the offsets count from
    series: name -> (offsets from t0_ns in ns, values in SI), equally long, in order of arrival

    The class level is the strictest; the level of each event is that of its names.
    """

    kind: ClassVar[str] = "signals-sampled/1"
    origin: str
    t0_ns: int
    series: dict[str, tuple[list[int], list[float]]]


class PositionFixed(Event, frozen=True, array_like=True):
    """A GNSS fix; fields and units as in position.PositionFix."""

    kind: ClassVar[str] = "position-fixed/1"
    level: ClassVar[Level] = Level.LV2
    t_ns: int
    latitude_deg: float
    longitude_deg: float
    elevation_m: float | None
    speed_mps: float | None
    heading_deg: float | None
    semi_major_m: float | None
    semi_minor_m: float | None
    orientation_deg: float | None


class BsmMade(Event, frozen=True, array_like=True):
    """A basic safety message of our own. message: UPER bytes of the MessageFrame.

    on_air: whether a radio took it; a replay makes messages and sends none.
    """

    kind: ClassVar[str] = "bsm-made/1"
    level: ClassVar[Level] = Level.LV1
    message: bytes
    on_air: bool


class BsmHeard(Event, frozen=True, array_like=True):
    """A message of somebody else's, as it arrived. verdict: "ok" or why it is not believed."""

    kind: ClassVar[str] = "bsm-heard/1"
    level: ClassVar[Level] = Level.LV1
    message: bytes
    verdict: str


class VinRead(Event, frozen=True, array_like=True):
    """origin: "obd" when asked for by service 09, else the bus it was seen on."""

    kind: ClassVar[str] = "vin-read/1"
    level: ClassVar[Level] = Level.LV1
    vin: str
    origin: str


class OwnerNamed(Event, frozen=True, array_like=True):
    """Who the owner is, as they said; None where they did not, or took it back. See owner.py.

    A later one takes the place of an earlier one. It has no text form: it would get about.
    """

    kind: ClassVar[str] = "owner-named/1"
    level: ClassVar[Level] = Level.LV1
    urgent: ClassVar[bool] = True
    name: str | None
    contact: str | None

    def __repr__(self) -> str:
        return "OwnerNamed()"


class OwnerDescribed(Event, frozen=True, array_like=True):
    """age: in years; sex, data_use: words of owner.SEXES and owner.DATA_USES. As OwnerNamed."""

    kind: ClassVar[str] = "owner-described/1"
    level: ClassVar[Level] = Level.LV2
    urgent: ClassVar[bool] = True
    age: int | None
    sex: str | None
    data_use: str | None

    def __repr__(self) -> str:
        return "OwnerDescribed()"


class DtcSet(Event, frozen=True, array_like=True):
    """
    code:   SAE J2012 form, "P0301"; of UDS with its failure type, "P0301-00"
    ecu:    its answer identifier, "7E8" or "18DAF110"
    memory: where the ECU keeps it: "stored", "pending" or "permanent" (SAE J1979, services 03,
            07 and 0A), or "confirmed" (ISO 14229-1, service 19)
    """

    kind: ClassVar[str] = "dtc-set/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    code: str
    ecu: str
    memory: str = "stored"


class DtcCleared(Event, frozen=True, array_like=True):
    """A code that was reported before is reported no more."""

    kind: ClassVar[str] = "dtc-cleared/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    code: str
    ecu: str
    memory: str = "stored"


class FreezeFrameRead(Event, frozen=True, array_like=True):
    """What an ECU kept of the moment at which a code was set (SAE J1979, service 02, frame 0).

    code:   that made it keep the frame
    values: by the names of docs/signals.md, in SI
    """

    kind: ClassVar[str] = "freeze-frame-read/1"
    level: ClassVar[Level] = Level.LV3
    ecu: str
    code: str
    values: dict[str, float]


class MonitorsRead(Event, frozen=True, array_like=True):
    """Readiness of an ECU (SAE J1979, service 01, PID 01); written when it changes.

    lamp:              whether it lights the malfunction indicator
    codes:             how many it has stored
    ready, incomplete: its monitors that are through since codes were cleared, and the others
    """

    kind: ClassVar[str] = "monitors-read/1"
    level: ClassVar[Level] = Level.LV3
    ecu: str
    lamp: bool
    codes: int
    ready: list[str]
    incomplete: list[str]


class CalibrationRead(Event, frozen=True, array_like=True):
    """Calibration identifications of an ECU (SAE J1979, service 09, PID 04).

    They tell model and engine, so their level is that of the model.
    """

    kind: ClassVar[str] = "calibration-read/1"
    level: ClassVar[Level] = Level.LV2
    ecu: str
    ids: list[str]


class BrakedHard(Event, frozen=True, array_like=True):
    """Deceleration stayed above 0.4 g (SAE J2735:2016, DE_VehicleEventFlags, eventHardBraking).

    peak_mps2: strongest deceleration, a positive number; held_ms: time above the limit;
    onset_mps: speed when it began, None where it was not known
    """

    kind: ClassVar[str] = "braked-hard/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    t_ns: int
    peak_mps2: float
    held_ms: int
    onset_mps: float | None


class InputLost(Event, frozen=True, array_like=True):
    """Something that arrived was not recorded, or did not arrive.

    what: "frames", "samples", "events"; "counts": steps of a sender's counter without a frame
    """

    kind: ClassVar[str] = "input-lost/1"
    level: ClassVar[Level] = Level.LV3
    what: str
    count: int
    reason: str


class DiskNarrowed(Event, frozen=True, array_like=True):
    """The disk fills, or has room again: less is kept from now on, or more.

    step: of eventstore.ladder.Step; percent: how full the disk is
    """

    kind: ClassVar[str] = "disk-narrowed/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    step: int
    percent: float


class PollsUsed(Event, frozen=True, array_like=True):
    """What is asked and recorded since this start is what a signed file says (agent.polls).

    serial: of the file; digest: its SHA3-512; signer: address of the key that signed it
    """

    kind: ClassVar[str] = "polls-used/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    serial: int
    digest: bytes
    signer: str


class InputOpened(Event, frozen=True, array_like=True):
    """A bus, log file, receiver or radio is being read from now on."""

    kind: ClassVar[str] = "input-opened/1"
    level: ClassVar[Level] = Level.LV3
    uri: str


class InputClosed(Event, frozen=True, array_like=True):
    """It is read no more. broken: lines or frames that could not be understood."""

    kind: ClassVar[str] = "input-closed/1"
    level: ClassVar[Level] = Level.LV3
    uri: str
    taken: int
    broken: int
    reason: str


class InputCounted(Event, frozen=True, array_like=True):
    """What became of what an input gave since the event before this one; told once a minute.

    counts: fate -> frames. "decoded", "undescribed" (no DBC file has them), "undecodable" (not
            all of it could be read), "damaged" (its checksum or counter is wrong), "filtered" (the
            kernel kept them back), "broken", "remote", and "error: bus off" and the like. Those
            that were lost are in InputLost. "dead_band" counts samples, by their origin in place of
            a URI: they were within the dead band of the last one and are not recorded.
    """

    kind: ClassVar[str] = "input-counted/1"
    level: ClassVar[Level] = Level.LV3
    uri: str
    counts: dict[str, int]


class BusChanged(Event, frozen=True, array_like=True):
    """A CAN controller told of its state: "error active", "error warning", "error passive" or
    "bus off"; the bus is well again when it is error active.

    channel: the bus, "can0"; t_ns: when the controller's driver told it
    """

    kind: ClassVar[str] = "bus-changed/1"
    level: ClassVar[Level] = Level.LV3
    uri: str
    channel: str
    state: str
    t_ns: int


class ParcelRegistered(Event, frozen=True, array_like=True):
    """The receipt of an upload; the uploader's cursor is the fold of these.

    parcel_id: upper-case hex; tx_hash: of the register transaction; height: its block
    first_seq, last_seq: the range of this log it was built from; size_bytes: of the sealed body
    custody: the parcel's data key, wrapped for the owner
    root: multihash of the parcel's manifest; the next parcel of the level links to it
    digest: SHA-256 of the sealed body
    seal_no, seal_digest: the seal that was anchored with it, and the SHA3-512 of its note; 0 where
                          the log had none
    """

    kind: ClassVar[str] = "parcel-registered/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    parcel_id: str
    parcel_level: int
    first_seq: int
    last_seq: int
    size_bytes: int
    tx_hash: str
    height: int
    custody: bytes
    root: bytes
    digest: bytes = b""
    seal_no: int = 0
    seal_digest: bytes = b""


class ParcelChecked(Event, frozen=True, array_like=True):
    """A parcel was read back from where it is stored.

    first_seq, last_seq: as in its receipt
    equal: whether the body is the one that was sent; not so where it is gone
    """

    kind: ClassVar[str] = "parcel-checked/1"
    level: ClassVar[Level] = Level.LV3
    parcel_id: str
    parcel_level: int
    first_seq: int
    last_seq: int
    equal: bool


class ConsentRequested(Event, frozen=True, array_like=True):
    """A buyer asks for a parcel. payment_mote: decimal text; buyer: AMO address, upper-case hex."""

    kind: ClassVar[str] = "consent-requested/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    parcel_id: str
    buyer: str
    payment_mote: str


class ConsentGranted(Event, frozen=True, array_like=True):
    """The owner let one buyer read one parcel. by: "owner" or the rule that decided."""

    kind: ClassVar[str] = "consent-granted/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    parcel_id: str
    buyer: str
    by: str
    tx_hash: str


class ConsentRefused(Event, frozen=True, array_like=True):
    """The owner, or a rule, said no. Nothing was sent."""

    kind: ClassVar[str] = "consent-refused/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    parcel_id: str
    buyer: str
    by: str


class ConsentRevoked(Event, frozen=True, array_like=True):
    """The owner took a grant back; what the buyer opened before cannot be recalled."""

    kind: ClassVar[str] = "consent-revoked/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    parcel_id: str
    buyer: str
    tx_hash: str


class PolicySet(Event, frozen=True, array_like=True):
    """The owner's rules from now on, as text (docs/formats/policy.md); the last one holds.

    A rule may name the owner's home, and an address is Lv1. It has no text form, as OwnerNamed.
    """

    kind: ClassVar[str] = "policy-set/1"
    level: ClassVar[Level] = Level.LV1
    urgent: ClassVar[bool] = True
    text: str

    def __repr__(self) -> str:
        return "PolicySet()"


class EndpointDoubted(Event, frozen=True, array_like=True):
    """A node was found lying about the chain, and is not asked again before the next start.

    endpoint: its address; height: of the block that it lied about; reason: what proves it
    """

    kind: ClassVar[str] = "endpoint-doubted/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    endpoint: str
    height: int
    reason: str


class HeaderTrusted(Event, frozen=True, array_like=True):
    """A block of the chain was verified, and the next start begins with it.

    root: "HEIGHT:HASH" of the block in the configuration that all trust comes from
    hash: of the header, 32 bytes
    """

    kind: ClassVar[str] = "header-trusted/1"
    level: ClassVar[Level] = Level.LV3
    root: str
    height: int
    hash: bytes


class SignalDoubted(Event, frozen=True, array_like=True):
    """A signal of the car disagrees with others while it drives; told once a drive.

    name:   of the signal; reason: what it was held against, and what is wrong with it
    stated: what the signal said when the difference was clearest; expected: what the others did
    """

    kind: ClassVar[str] = "signal-doubted/1"
    level: ClassVar[Level] = Level.LV3
    name: str
    reason: str
    stated: float
    expected: float


class LogSealed(Event, frozen=True, array_like=True):
    """A seal is on disk (docs/formats/seal.md). digest: SHA3-512 of its note."""

    kind: ClassVar[str] = "log-sealed/1"
    level: ClassVar[Level] = Level.LV3
    no: int
    digest: bytes


class BodiesPruned(Event, frozen=True, array_like=True):
    """The bodies of blocks first to last go from now on. digest: docs/formats/seal.md."""

    kind: ClassVar[str] = "bodies-pruned/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    first: int
    last: int
    digest: bytes


class LogChecked(Event, frozen=True, array_like=True):
    """What a start found when it held the end of the log against what is kept beside it.

    verdict: "new", "intact", "unsealed" (a log from before there were seals), "floor-lost",
             "key-lost" or "tail-lost"; reason: one line
    expected_seq: the last event that is known to have been on disk; found_seq: the last one there
    """

    kind: ClassVar[str] = "log-checked/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    verdict: str
    reason: str
    expected_seq: int
    found_seq: int


class LogContinued(Event, frozen=True, array_like=True):
    """The log before this one could not be gone on with and was set aside; this one is new.

    file: its name now; reason: what was wrong; continued: what this log's note says of it
    """

    kind: ClassVar[str] = "log-continued/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    file: str
    reason: str
    continued: str


class TailLost(Event, frozen=True, array_like=True):
    """The log lacks what was on disk before: what follows is not what followed then.

    cause: "cut" (events behind the last seal are gone), "rolled-back" (it is an earlier state of
           the log, or one that went on elsewhere), "unknown" (it is another log)
    expected_seq, found_seq: as in LogChecked
    """

    kind: ClassVar[str] = "tail-lost/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    expected_seq: int
    found_seq: int
    cause: str


class ClockStepped(Event, frozen=True, array_like=True):
    """The wall clock jumped against the monotonic one. by_ns: forwards where positive.

    before_ns: UTC, what it would have shown without the jump; with by_ns, what it showed
    before, after: how far it was to be believed, of clock.ClockQuality
    """

    kind: ClassVar[str] = "clock-stepped/1"
    level: ClassVar[Level] = Level.LV3
    by_ns: int
    before_ns: int = 0
    before: int = 0
    after: int = 0


class SourceTimed(Event, frozen=True, array_like=True):
    """How old the values of a source were when they reached us, while our clock was kept right.

    origin: "gnss"; count: of fixes; least_ns, mean_ns, most_ns: from the epoch to its arrival
    """

    kind: ClassVar[str] = "source-timed/1"
    level: ClassVar[Level] = Level.LV3
    origin: str
    count: int
    least_ns: int
    mean_ns: int
    most_ns: int


class ErasureBegun(Event, frozen=True, array_like=True):
    """The keys of some segments are going to be destroyed; ErasureDone tells when they are.

    erased_level: of the keys; first_segment, last_segment: whose keys
    first_seq, last_seq: the events sealed under them lie in this range of the log
    basis: why, in one word: "owner" when the owner asked for it
    """

    kind: ClassVar[str] = "erasure-begun/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    erased_level: int
    first_segment: int
    last_segment: int
    first_seq: int
    last_seq: int
    basis: str


class ErasureDone(Event, frozen=True, array_like=True):
    """Nobody opens them any more. keys: how many this destroyed; after a crash, the rest."""

    kind: ClassVar[str] = "erasure-done/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    erased_level: int
    first_segment: int
    last_segment: int
    keys: int


class RangeHeld(Event, frozen=True, array_like=True):
    """These events must be kept: they are neither erased nor pruned.

    reason: one of eventstore.holds.REASONS, never a text of somebody's own: it stands in clear
    """

    kind: ClassVar[str] = "range-held/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    first_seq: int
    last_seq: int
    reason: str


class RangeReleased(Event, frozen=True, array_like=True):
    """A hold ended. hold: sequence number of its RangeHeld."""

    kind: ClassVar[str] = "range-released/1"
    level: ClassVar[Level] = Level.LV3
    urgent: ClassVar[bool] = True
    hold: int


class AskingChanged(Event, frozen=True, array_like=True):
    """The sleep guard of a bus asks the car from now on, or leaves it alone.

    state:     "on" and "off" (of the engine: asked), "paused" and "asleep" (not asked)
    voltage_v: of the supply, filtered; None where the car gives none
    left_wh:   what asking may still cost while the engine is off
    """

    kind: ClassVar[str] = "asking-changed/1"
    level: ClassVar[Level] = Level.LV3
    origin: str
    state: str
    reason: str
    voltage_v: float | None
    left_wh: float


class CarChosen(Event, frozen=True, array_like=True):
    """Which file describes a bus from now on, found by what is sent on it.

    origin: the bus, "can0"; dbc, profile: names; empty where nothing was clearly the best
    reason: the numbers it was chosen by, or why nothing was; never the VIN

    The names tell the model, so the level is that of the model.
    """

    kind: ClassVar[str] = "car-chosen/1"
    level: ClassVar[Level] = Level.LV2
    origin: str
    dbc: str
    profile: str
    reason: str


class TriggerFired(Event, frozen=True, array_like=True):
    """A condition on signals became true; the raw frames round it are kept (FramesCaptured).

    name: of the trigger; t_ns: of the sample that made it true

    The level of each event is that of the signals in its condition.
    """

    kind: ClassVar[str] = "trigger-fired/1"
    urgent: ClassVar[bool] = True
    name: str
    t_ns: int


class CapturedFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A frame as it was on the bus, in the words of linux/can.h.

    offset_ns: from t0_ns of its event, 0 to 2**32 - 1
    can_id:    the identifier with its flags: 0x80000000 extended, 0x40000000 remote,
               0x20000000 error
    flags:     of CAN FD: 0x04 an FD frame, 0x01 bit rate switch, 0x02 error state; 0 on classic CAN
    data:      0..64 bytes; of a remote frame as many zeros as it asks for

    The data may be part of a VIN, so they are left out of the text form.
    """

    offset_ns: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    can_id: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    flags: Annotated[int, msgspec.Meta(ge=0, le=7)]
    data: Annotated[bytes, msgspec.Meta(max_length=64)]

    def __repr__(self) -> str:
        return f"CapturedFrame({self.can_id:#x}, {len(self.data)} bytes)"


class FramesCaptured(Event, frozen=True, array_like=True):
    """Raw frames of one bus, in order of arrival; all of one level.

    origin: "can0"
    t0_ns:  UTC nanoseconds that the offsets count from; a clock that is set back begins a new event

    A frame that carries a VIN or a position does not belong into an event of the class level.
    """

    kind: ClassVar[str] = "frames-captured/1"
    level: ClassVar[Level] = Level.LV4
    origin: str
    t0_ns: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    frames: list[CapturedFrame]


KINDS: Final[Mapping[str, type[Event]]] = {event.kind: event for event in Event.__subclasses__()}

_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: Final = {kind: msgspec.msgpack.Decoder(event) for kind, event in KINDS.items()}


def encode(event: Event) -> bytes:
    """The payload bytes of an event, before any sealing."""
    return _ENCODER.encode(event)


def decode(kind: str, payload: bytes) -> Event:
    """Raises MalformedInputError for a kind nobody knows and for a payload that does not fit."""
    if kind not in _DECODERS:
        raise MalformedInputError(f"event kind {kind!r} is not known to this version")
    try:
        return _DECODERS[kind].decode(payload)
    except msgspec.DecodeError as error:
        raise MalformedInputError(f"{kind}: {error}") from error
