"""The configuration file of `amo-agent run`, as types. Every number says its unit in its name.

TOML; systemd/agent.toml is a commented example. What is left out is safe: no queries on a bus,
no radio, nothing uploaded. Keys are never in the file, nor are PINs; they lie in the state
directory or where the file says.
"""

from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from agent.amo.trust import TrustRoot
from agent.bsm.message import VehicleDetails
from agent.errors import ConfigError, UsageError
from agent.obd.guard import Limits
from agent.privacy import Level
from agent.toml import parse_toml

MAX_BYTES: Final = 1 << 20

Kind = TypeVar("Kind")


Mote = Annotated[int, Meta(ge=0)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class BusConfig(_Section, frozen=True, kw_only=True):
    """
    uri:     "can:can0", "slcan:/dev/ttyUSB0@500000", "udp:239.74.163.2:43113", "virtual:NAME",
             "replay:FILE", or an ELM327: "elm:/dev/ttyUSB0@38400", "elm:tcp:HOST:PORT",
             "elm:ble:AA:BB:CC:DD:EE:FF", "elm:ble:NAME"
    dbc:     files that describe its frames; "FILE" or "CHANNEL=FILE". A directory in the place of
             a file: the one of its files is used that clearly fits what is sent
    profile: name of the one profile that may be used, "Toyota"; without it, what fits
    queries: whether OBD-II questions may be sent on it; false is listen-only
    filter:  whether the kernel keeps back what `dbc` does not describe; on can: alone
    signals: signal sets that say what more is asked: a FILE in the form of OBDb, or one of ours,
             "hyundai-kona-electric" or "honda-civic-hybrid"
    model_year: of the car; what a set has for some model years only is not asked without it
    """

    uri: Annotated[str, Meta(min_length=1)]
    dbc: tuple[str, ...] = ()
    profile: Annotated[str, Meta(min_length=1)] | None = None
    queries: bool = False
    filter: bool = False
    signals: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    model_year: Annotated[int, Meta(ge=1980, le=2100)] | None = None


class GnssConfig(_Section, frozen=True, kw_only=True):
    """uri: "nmea:/dev/ttyACM0@9600", "nmea:FILE" or "gpsd:127.0.0.1:2947"."""

    uri: Annotated[str, Meta(min_length=1)]


class RadioConfig(_Section, frozen=True, kw_only=True):
    """send, listen: "HOST:PORT" of the V2X unit, by UDP; either may be left out."""

    send: str | None = None
    listen: str | None = None


class VehicleConfig(_Section, frozen=True, kw_only=True):
    """The car itself; without its outer size no BSM is made. SAE J2735:2016, DF_VehicleSize.

    antenna_forward_m, antenna_left_m: of the GNSS antenna, from the centre of the outline
    basic_class: SAE J2735, DE_BasicVehicleClass; 10 is a passenger car of no particular kind
    """

    width_m: Annotated[float, Meta(gt=0, le=10.23)]
    length_m: Annotated[float, Meta(gt=0, le=40.95)]
    antenna_forward_m: Annotated[float, Meta(ge=-20.5, le=20.5)] = 0.0
    antenna_left_m: Annotated[float, Meta(ge=-5.2, le=5.2)] = 0.0
    height_m: Annotated[float, Meta(gt=0, le=6.35)] | None = None
    mass_kg: Annotated[float, Meta(gt=0, le=200_000)] | None = None
    basic_class: Annotated[int, Meta(ge=0, le=255)] | None = None

    @property
    def details(self) -> VehicleDetails:
        return VehicleDetails(
            antenna_forward_m=self.antenna_forward_m,
            antenna_left_m=self.antenna_left_m,
            basic_class=self.basic_class,
            height_m=self.height_m,
            mass_kg=self.mass_kg,
        )


class UploadConfig(_Section, frozen=True, kw_only=True):
    """
    rpc:     base addresses of AMO nodes, tried in turn
    storage: base address of the storage service
    levels:  privacy levels whose parcels are uploaded, always encrypted to the owner
    every_s: seconds between uploads
    keep_days: how long what was uploaded and read back stays on this disk as well
    ca:      the one authority to be believed (PEM); without it, those of the system
    pins:    "sha256/BASE64" of the public keys of node and storage; each shows one of them
    certificate, certificate_key: our own, in PEM, where they ask for one
    est:     https address of the EST server that renews it; needs both
    trust:   "HEIGHT:HASH" of a block that somebody trusted vouches for; from it on everything is
             proven. Without it the nodes are compared with each other
    trust_days: how old a trusted block may be; not above what the chain keeps evidence for
    """

    rpc: Annotated[tuple[str, ...], Meta(min_length=1)]
    storage: str
    levels: tuple[Annotated[int, Meta(ge=1, le=4)], ...] = (Level.LV3,)
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 3600.0
    keep_days: Annotated[float, Meta(ge=0, le=36_500)] = 30.0
    ca: Annotated[str, Meta(min_length=1)] | None = None
    pins: Annotated[tuple[str, ...], Meta(max_length=16)] = ()
    certificate: Annotated[str, Meta(min_length=1)] | None = None
    certificate_key: Annotated[str, Meta(min_length=1)] | None = None
    est: Annotated[str, Meta(min_length=1)] | None = None
    trust: str | None = None
    trust_days: Annotated[float, Meta(gt=0, le=365)] = 2.0


class WalletConfig(_Section, frozen=True, kw_only=True):
    """All in mote; 1 AMO is 10**18 of them.

    fee_mote: for the block's proposer, with every transaction
    daily_limit_mote: what may be spent in 24 hours without the owner, on fees, registrations and
        grants by rule; left out is no limit
    alarm_mote: the owner is told when the balance is below this
    """

    fee_mote: Mote = 0
    daily_limit_mote: Mote | None = None
    alarm_mote: Mote = 0


class KeysConfig(_Section, frozen=True, kw_only=True):
    """device: URI of the device key, "pkcs11:…" or "tpm:…"; without it, a file in `state`."""

    device: Annotated[str, Meta(min_length=1)] | None = None


class TriggerConfig(_Section, frozen=True, kw_only=True):
    """name: for the log; when: a condition on signals (see agent.obd.condition)."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    when: Annotated[str, Meta(min_length=1)]


class CaptureConfig(_Section, frozen=True, kw_only=True):
    """Raw frames round a trigger; without this section none are kept.

    before_s, after_s: how much is kept from before and after it
    max_mib: memory for what is held, compressed, for each bus
    trigger: 0.4 g is DE_VehicleEventFlags' limit of hard braking (SAE J2735:2016)
    """

    before_s: Annotated[float, Meta(ge=0, le=600)] = 600.0
    after_s: Annotated[float, Meta(ge=0, le=600)] = 30.0
    max_mib: Annotated[int, Meta(ge=1, le=1024)] = 32
    trigger: Annotated[tuple[TriggerConfig, ...], Meta(min_length=1, max_length=100)] = (
        TriggerConfig(name="hard braking", when="acceleration.longitudinal < -3.92"),
        TriggerConfig(name="airbag", when="airbag.deployed > 0"),
    )


class Config(_Section, frozen=True, kw_only=True):
    """
    state: the directory for the log, the keys and nothing else
    guard: when a parked car is asked, on each bus with queries
    polls: a file that says what is asked and recorded how often (see agent.polls); it is signed
    polls_key: who signs it, as the hexadecimal digits of a P-256 point; without it, the device key
    """

    state: Annotated[str, Meta(min_length=1)] = "/var/lib/amo-agent"
    bus: Annotated[tuple[BusConfig, ...], Meta(min_length=1)]
    gnss: GnssConfig | None = None
    radio: RadioConfig | None = None
    vehicle: VehicleConfig | None = None
    upload: UploadConfig | None = None
    keys: KeysConfig = KeysConfig()
    wallet: WalletConfig = WalletConfig()
    guard: Limits = Limits()
    polls: Annotated[str, Meta(min_length=1)] | None = None
    polls_key: Annotated[str, Meta(min_length=1)] | None = None
    capture: CaptureConfig | None = None


def load_config(path: Path) -> Config:
    """Raises ConfigError with section, key, value and limit, in one line."""
    config = load_toml(path, Config)
    _check_addresses(path, config)
    _check_trust(path, config.upload)
    _check_est(path, config.upload)
    if config.polls_key is not None and config.polls is None:
        raise ConfigError(f"{path}: polls_key = {config.polls_key!r}: only together with polls")
    for number, bus in enumerate(config.bus):
        if bus.signals and not bus.queries:
            raise ConfigError(
                f"{path}: bus[{number}].signals = {list(bus.signals)}: queries = true"
            )
    return config


def load_toml(path: Path, kind: type[Kind]) -> Kind:
    """A TOML file as that type. Raises ConfigError with section, key, value and limit."""
    return parse_toml(path, read_limited(path), kind)


def host_and_port(text: str) -> tuple[str, int]:
    """Both parts of "127.0.0.1:5001" or "[::1]:5001". Raises ValueError."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.path:
        raise ValueError(text)
    return parts.hostname, parts.port


def read_limited(path: Path, limit: int = MAX_BYTES) -> bytes:
    """All of a file that is no longer than that. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(content) > limit:
        raise ConfigError(f"{path}: more than {limit} bytes are no configuration")
    return content


def _check_addresses(path: Path, config: Config) -> None:
    for key, text in _sockets(config):
        try:
            host_and_port(text)
        except ValueError:
            raise ConfigError(f"{path}: {key} = {text!r}: HOST:PORT, port 1 to 65535") from None
    for key, url in _urls(config):
        if not _is_web_address(url):
            raise ConfigError(f"{path}: {key} = {url!r}: an http or https address")


def _check_trust(path: Path, upload: UploadConfig | None) -> None:
    if upload is not None and upload.trust is not None:
        try:
            TrustRoot.parse(upload.trust)
        except UsageError as error:
            raise ConfigError(f"{path}: upload.trust = {error}") from error


def _check_est(path: Path, upload: UploadConfig | None) -> None:
    if upload is None or upload.est is None:
        return
    if upload.certificate is None or upload.certificate_key is None:
        raise ConfigError(f"{path}: upload.est: only with certificate and certificate_key")
    if not (upload.est.startswith("https://") and _is_web_address(upload.est)):
        raise ConfigError(f"{path}: upload.est = {upload.est[:200]!r}: an https address")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket without its pair, a port that is no number
        return False


def _sockets(config: Config) -> list[tuple[str, str]]:
    radio = config.radio or RadioConfig()
    pairs = (("radio.send", radio.send), ("radio.listen", radio.listen))
    return [(key, text) for key, text in pairs if text is not None]


def _urls(config: Config) -> list[tuple[str, str]]:
    if config.upload is None:
        return []
    return [("upload.rpc", url) for url in config.upload.rpc] + [
        ("upload.storage", config.upload.storage)
    ]
