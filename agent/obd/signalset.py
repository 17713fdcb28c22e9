"""What an answer of an ECU means, told by a signal set: a JSON file in the form of OBDb.

    {"commands": [{"hdr": "7E4", "rax": "7EC", "cmd": {"22": "0101"}, "freq": 1, "signals": [
        {"id": "battery.charge", "fmt": {"bix": 32, "len": 8, "div": 2, "unit": "percent"}}]}]}

A command is asked at `hdr` and answered from `rax`; `cmd` is service and PID, `freq` the seconds
between two questions, `filter` the model years that have it. What is for a screen is passed over.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.errors import UsageError
from agent.obd.bitfield import Format, Value
from agent.obd.question import CURRENT_DATA, POSITIVE

MAX_BYTES: Final = 1 << 22
_WRONG_SCALE: Final = (100.0, 128.0, -128.0)
_SENSOR_PIDS: Final = range(0x14, 0x1C)
_NOT_USED_PERCENT: Final = 99.2


class SetSignal(msgspec.Struct, frozen=True):
    """id: one of our own names (docs/signals.md), or the file's own."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    fmt: Format


class Years(msgspec.Struct, frozen=True):
    """Model years: up to `to`, from `first` on, and single ones; first <= to is a range."""

    first: int | None = msgspec.field(default=None, name="from")
    to: int | None = None
    years: tuple[int, ...] = ()

    def __contains__(self, year: int) -> bool:
        after = self.first is not None and year >= self.first
        before = self.to is not None and year <= self.to
        if self.first is not None and self.to is not None and self.first <= self.to:
            return (after and before) or year in self.years
        return after or before or year in self.years

    def text(self) -> str:
        """As in the option `f` of a command's name: "2022-;-2011;2013"."""
        after = [] if self.first is None else [f"{self.first}-"]
        before = [] if self.to is None else [f"-{self.to}"]
        return ";".join([*after, *before, *map(str, self.years)])


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    hdr: Annotated[str, Meta(pattern="^[0-9A-F]{3,8}$")]
    cmd: Annotated[dict[str, str], Meta(min_length=1, max_length=1)]
    rax: Annotated[str, Meta(pattern="^[0-9A-F]{2,8}$")] | None = None
    eax: Annotated[str, Meta(pattern="^[0-9A-F]{2}$")] | None = None
    freq: Annotated[float, Meta(gt=0)] = 1.0
    filter: Years | None = None


class _Unread(_Asked, frozen=True, kw_only=True):
    signals: tuple[msgspec.Raw, ...]


class Command(_Asked, frozen=True, kw_only=True):
    """
    hdr, rax: hexadecimal; of 29-bit identifiers the part that varies, "DA10" and "10"
    eax:      address byte before each frame (ISO 15765-2, extended addressing)
    """

    signals: tuple[SetSignal, ...]

    @property
    def request(self) -> bytes:
        """Service and PID. Raises ValueError where they are not hexadecimal."""
        ((service, pid),) = self.cmd.items()
        return bytes.fromhex(service + pid)

    def decode(self, payload: bytes) -> dict[str, Value] | None:
        """The values by id; None where this is no positive answer to it.

        payload: of a message, or as much of its beginning as came
        """
        start = bytes([self.request[0] | POSITIVE]) + self.request[1:]
        if not payload.startswith(start):
            return None
        data = payload[len(start) :]
        found = ((signal.id, signal.fmt.decode(data)) for signal in self.signals)
        return {name: value for name, value in found if value is not None}


class SignalSet(msgspec.Struct, frozen=True):
    """complaints: commands and signals that were left out, and why."""

    commands: tuple[Command, ...]
    complaints: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True):
    commands: tuple[msgspec.Raw, ...]


def load_signal_set(path: Path) -> SignalSet:
    """What cannot be used costs that command or signal. Raises UsageError for the whole file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: more than {MAX_BYTES} bytes are no signal set")
    try:
        return signal_set(content)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def signal_set(content: bytes) -> SignalSet:
    """As load_signal_set, of the file's bytes."""
    try:
        raw = msgspec.json.decode(content, type=_File).commands
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a signal set: {error}") from error
    commands: list[Command] = []
    complaints: list[str] = []
    for number, text in enumerate(raw):
        where = f"commands[{number}]"
        try:
            unread = msgspec.json.decode(text, type=_Unread)
            fields = msgspec.structs.asdict(unread)
            fields["signals"] = tuple(_signals(unread.signals, where, complaints))
            commands.append(_corrected(Command(**fields)))
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            complaints.append(f"{where}: {error}")
    return SignalSet(tuple(commands), tuple(complaints))


def _signals(raw: Iterable[msgspec.Raw], where: str, complaints: list[str]) -> Iterator[SetSignal]:
    for number, text in enumerate(raw):
        try:
            yield msgspec.json.decode(text, type=SetSignal)
        except (ValueError, RecursionError) as error:
            complaints.append(f"{where}.signals[{number}]: {error}")


def _corrected(command: Command) -> Command:
    """Fuel trims and the EGR error go from -100 to 99.2 %; OBDb's set of SAE J1979 has -128 there.

    In PIDs 14 to 1B, FF says that the sensor is not used for a trim (SAE J1979, appendix B).
    """
    service, pid = command.request[0], command.request[-1]
    if service != CURRENT_DATA:
        return command
    null = _NOT_USED_PERCENT if pid in _SENSOR_PIDS else None
    signals = tuple(_with_right_offset(signal, null) for signal in command.signals)
    return msgspec.structs.replace(command, signals=signals)


def _with_right_offset(signal: SetSignal, null: float | None) -> SetSignal:
    fmt = signal.fmt
    if (fmt.mul, fmt.div, fmt.add) != _WRONG_SCALE:
        return signal
    right = msgspec.structs.replace(fmt, add=-100.0, nullmax=null)
    return msgspec.structs.replace(signal, fmt=right)
