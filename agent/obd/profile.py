"""Which DBC signal carries which of our names: one TOML file a vehicle family, in `dbc/`.

    [signals."speed.vehicle"]
    message = "WHEEL_SPEEDS"
    mean = ["WHEEL_SPEED_FL", "WHEEL_SPEED_FR", "WHEEL_SPEED_RL", "WHEEL_SPEED_RR"]

dbc/README.md describes the format. Signs after the mapping are those of ISO 8855.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

import msgspec

from agent.errors import ConfigError
from agent.obd.checksum import scheme_of
from agent.obd.dbc import Dbc
from agent.obd.units import SIGNAL_UNITS, STATE, conversion
from agent.privacy import LEVELS


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one of our signals comes from. Exactly one of signal, sum and mean is given.

    unit:  of the values in the file; without it the DBC's own
    sign:  -1 where the car counts the other way round than ISO 8855
    map:   value in the file -> our value, for states; a value not in it is no reading
    valid: lowest and highest value in the file that is a reading; outside of it nothing is said
    """

    message: str
    signal: str | None = None
    sum: tuple[str, ...] | None = None
    mean: tuple[str, ...] | None = None
    unit: str | None = None
    sign: Literal[1, -1] = 1
    map: dict[str, float] | None = None
    valid: tuple[float, float] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The DBC signals it is made of."""
        return (self.signal,) if self.signal is not None else (self.sum or self.mean or ())


class Counter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """signal: of the message; values: how many it has, from 0 on; without it all of its bits"""

    signal: str
    values: Annotated[int, msgspec.Meta(ge=2)] | None = None


class Car(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """vin: beginnings of the VINs it is for, "KMHK": WMI and VDS of ISO 3779"""

    vin: tuple[Annotated[str, msgspec.Meta(pattern="^[0-9A-HJ-NPR-Z]{1,9}$")], ...] = ()

    def fits(self, vin: str) -> bool:
        return vin.startswith(self.vin)


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    name:     of the vehicle family, for people
    signals:  our name -> where it comes from
    checksum: of checksum.SCHEMES: what the signal CHECKSUM of any message of its files is
    counters: message -> its signal that counts its frames
    car:      which cars it is for; a VIN that begins otherwise does not speak against it
    """

    name: str
    signals: dict[str, Source]
    checksum: str | None = None
    counters: dict[str, Counter] = {}
    car: Car = Car()


def load_profiles(directory: Traversable) -> list[Profile]:
    """Every *.toml of a directory, in the order of the file names.

    Raises ConfigError with file, key and value for a profile that cannot be used.
    """
    try:
        files = sorted(
            (entry for entry in directory.iterdir() if entry.name.endswith(".toml")),
            key=lambda entry: entry.name,
        )
        return [_load(file) for file in files]
    except OSError as error:
        raise ConfigError(f"profiles: {error.filename}: {error.strerror}") from error


def _load(file: Traversable) -> Profile:
    try:
        profile = msgspec.toml.decode(file.read_bytes(), type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name}: {error}") from error
    try:
        if profile.checksum is not None:
            scheme_of(profile.checksum)
        for name, source in profile.signals.items():
            _check(name, source)
    except ConfigError as error:
        raise ConfigError(f"{file.name}: {error}") from error
    return profile


def _check(name: str, source: Source) -> None:
    if name not in LEVELS or name not in SIGNAL_UNITS:
        raise ConfigError(f"signals.{name}: not a name of docs/signals.md")
    given = [key for key in ("signal", "sum", "mean") if getattr(source, key) is not None]
    if len(given) != 1 or not source.parts:
        raise ConfigError(f"signals.{name}: {given or 'none'} of signal, sum, mean; one is needed")
    if source.unit is not None:
        conversion(source.unit, name)
    if source.map is not None:
        numbers(source.map, name)
        if SIGNAL_UNITS[name] != STATE:
            raise ConfigError(f"signals.{name}.map: {SIGNAL_UNITS[name]} is measured, not a state")


def numbers(mapping: Mapping[str, float], name: str) -> dict[float, float]:
    """A `map` with its keys as numbers."""
    try:
        return {float(key): float(value) for key, value in mapping.items()}
    except ValueError as error:
        raise ConfigError(f"signals.{name}.map: {error}") from error


def matching(profiles: Iterable[Profile], dbcs: Iterable[Dbc]) -> list[Profile]:
    """The profiles all of whose messages and signals are described by the loaded files."""
    described: dict[str, set[str]] = {}
    for dbc in dbcs:
        for message in dbc.messages.values():
            names = described.setdefault(message.name, set())
            names |= {signal.name for signal in message.signals}
    return [profile for profile in profiles if _fits(profile, described)]


def _fits(profile: Profile, described: Mapping[str, set[str]]) -> bool:
    sources: Sequence[Source] = tuple(profile.signals.values())
    return all(set(source.parts) <= described.get(source.message, set()) for source in sources)
