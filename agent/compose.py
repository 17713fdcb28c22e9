"""The one place that knows every room: a configuration goes in, wired parts come out."""

import gc
import secrets
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from agent import capture
from agent.amo.belief import Belief
from agent.amo.market import Seller
from agent.amo.rpc import RpcClient
from agent.amo.sent import identify
from agent.amo.tls import Trust
from agent.archive import Archive
from agent.bsm.codec import Codec
from agent.bsm.convert import Converter
from agent.bsm.identity import Identity
from agent.bsm.message import VehicleDetails, VehicleSize
from agent.bsm.snapshot import NO_DETAILS
from agent.bsm.state import LATENCIES, VehicleState
from agent.capture import Capture
from agent.clock import SECOND, Clock
from agent.config import (
    BusConfig,
    Config,
    KeysConfig,
    RadioConfig,
    UploadConfig,
    WalletConfig,
    host_and_port,
)
from agent.deadband import DeadBand
from agent.desk import Desk
from agent.errors import ConfigError, SealError, StoreError, UsageError
from agent.events import PollsUsed
from agent.eventstore.ladder import Step
from agent.eventstore.state import EVENTS
from agent.feeds import BusFeed, ObdFeed, PositionFeed
from agent.files import used_percent
from agent.installed import codec
from agent.judge import Judge
from agent.narrow import Narrowing
from agent.obd.bus import bus_options, open_bus
from agent.obd.dbc import Dbc, load_dbc, load_dbcs
from agent.obd.decode import Decoder
from agent.obd.elm import ElmRequester
from agent.obd.elmlink import check_address
from agent.obd.guard import Guard, Limits
from agent.obd.logfile import LogFile
from agent.obd.needs import ecus, set_needs, usual_needs
from agent.obd.poll import Need
from agent.obd.poller import Poller
from agent.obd.profile import Profile, load_profiles, matching
from agent.obd.replay import LogSource
from agent.obd.request import ObdRequester
from agent.obd.seek import EVERY_CHANNEL, Seeker
from agent.obd.sentry import Sentry
from agent.obd.socketcan import filters
from agent.obd.vin import VinFinder
from agent.outgoing import Outcome, Outgoing
from agent.polls import Polls
from agent.pollsign import signed_polls
from agent.record import Recorder
from agent.replays import Watch
from agent.retain import Retainer, Storage
from agent.service import Service, Source
from agent.signalsets import signal_commands
from agent.upload import Market, Uploader
from agent.v2x.gnss import open_position
from agent.v2x.udp import UdpRadio
from agent.wallet.address import address
from agent.wallet.curve import point
from agent.wallet.keys import Signer, key_at
from agent.watchdog import SystemdWatchdog

DAY_NS = 86_400 * SECOND
ADAPTER_WAIT_S = 4.0
"""An adapter that returns is found within 10 s: this, 2 s of a try before, and its reset.
A try over BLE that is on its way hears it; one that has just failed leaves 6 s for the next."""
SWITCH_S = 0.0005
"""Our choice: a twentieth of what a message may be late."""


def device_key(config: KeysConfig) -> Signer | None:
    """The device key where it is not in the state directory. Raises ConfigError, SealError."""
    if config.device is None:
        return None
    try:
        return key_at(config.device, "device")
    except ConfigError as error:
        raise ConfigError(f"keys.device: {error}") from error


def recorder(
    parts: Archive,
    size: VehicleSize | None,
    bsm: Codec,
    details: VehicleDetails = NO_DETAILS,
    band: DeadBand | None = None,
) -> Recorder:
    state = VehicleState(LATENCIES)
    return Recorder(
        journal=parts.journal,
        clock=parts.clock,
        state=state,
        converter=Converter(state, Identity(secrets.token_bytes), size, details),
        codec=bsm,
        band=band,
    )


def decoder(dbcs: Sequence[str], profile: str | None = None) -> tuple[Decoder, list[str]]:
    """A decoder of "FILE" and "CHANNEL=FILE", and what was left out of which file.

    A directory in the place of a file: one of its files is chosen by what is sent on the channel.
    profile: name of the only one that may be used

    Raises UsageError for a file that cannot be used, ConfigError for a profile that fits none.
    """
    profiles = _profiles(profile)
    loaded: dict[str, list[Dbc]] = {}
    sought: dict[str, list[Dbc]] = {}
    complaints: list[str] = []
    for text in dbcs:
        channel, path = _channel_and_path(text)
        if path.is_dir():
            found, left_out = load_dbcs(path)
            sought.setdefault(channel, []).extend(found)
            complaints += left_out
            continue
        dbc = load_dbc(path)
        complaints += [f"{path}: {complaint}" for complaint in dbc.complaints]
        loaded.setdefault(channel, []).append(dbc)
    given = [*loaded, *sought]
    if "" in given and set(given) != {""}:
        raise UsageError("either every DBC file has a channel (CHANNEL=FILE) or none has")
    if twice := loaded.keys() & sought.keys():
        where = ", ".join(sorted(twice)) or "every channel"
        raise UsageError(f"{where}: DBC files or a directory of them, not both")
    unbound = loaded.pop("", [])
    every = [dbc for group in [*loaded.values(), *sought.values(), unbound] for dbc in group]
    if profile is not None and not any(matching(profiles, [dbc]) for dbc in every):
        raise ConfigError(f"profile {profile!r}: it fits none of the DBC files")
    by_channel = {channel or EVERY_CHANNEL: group for channel, group in sought.items()}
    seeker = Seeker(by_channel, profiles, only=profile is not None) if sought else None
    return Decoder(loaded or unbound, profiles, seeker), complaints


def seeker(directory: Path) -> tuple[Seeker, list[str]]:
    """What chooses among the DBC files of a directory, and which of them cannot be used."""
    found, left_out = load_dbcs(directory)
    return Seeker({EVERY_CHANNEL: found}, _profiles(None)), left_out


def _profiles(name: str | None) -> list[Profile]:
    """All of ours, or the one of that name. Raises ConfigError."""
    profiles = load_profiles(files("agent.dbc"))
    if name is None:
        return profiles
    named = [profile for profile in profiles if profile.name == name]
    if not named:
        raise ConfigError(f"profile {name!r}: one of {[profile.name for profile in profiles]}")
    return named


def _channel_and_path(text: str) -> tuple[str, Path]:
    channel, found, path = text.partition("=")
    return (channel, Path(path)) if found and not Path(text).exists() else ("", Path(text))


def bus_sources(
    bus: BusConfig,
    parts: Archive,
    limits: Limits,
    needs: list[Need] | None = None,
    kept: Capture | None = None,
) -> list[Source]:
    """The bus, and the questions on it where the owner allows them, within the guard's limits.

    needs: what is asked; the usual where it is None
    kept:  what keeps frames round a trigger
    """
    scheme, _, name = bus.uri.partition(":")
    if scheme == "elm":
        return [_adapter(bus, parts.clock, limits, needs, kept)]
    decode, _ = decoder(bus.dbc, bus.profile)
    finder = VinFinder()
    if scheme == "replay":
        file = LogFile(name)
        feed = lambda: BusFeed(  # noqa: E731
            LogSource(file, parts.clock), decode, finder, capture=kept
        )
        return [Source(file.uri, feed, finite=True)]
    bus_options(bus.uri)  # a wrong address is refused now, not in a task
    only = _wanted(bus, name, decode) if bus.filter else None
    sentry = None
    sources = []
    if bus.queries:
        sentry = Sentry(Guard(name, limits, parts.clock.mono_ns()), parts.clock)
        sources.append(_questions(bus, parts.clock, needs, sentry, kept, decode))

    def listen() -> BusFeed:
        source = open_bus(bus.uri, listen_only=not bus.queries, only=only)
        return BusFeed(source, decode, finder, sentry, kept)

    return [Source(bus.uri, listen), *sources]


def _wanted(bus: BusConfig, name: str, decode: Decoder) -> set[int]:
    """The identifiers that the kernel is to let through. Raises ConfigError."""
    if not bus.uri.startswith("can:"):
        raise ConfigError(f"bus {bus.uri!r}: filter = true is for can: alone")
    if any(_channel_and_path(text)[1].is_dir() for text in bus.dbc):
        raise ConfigError(f"bus {bus.uri!r}: filter = true needs DBC files, not a directory")
    keys = decode.keys(name)
    if not keys:
        raise ConfigError(f"bus {bus.uri!r}: filter = true, but no file of dbc describes a frame")
    filters(keys)  # more than the kernel takes are refused now, not in a task
    return keys


def _adapter(
    bus: BusConfig, clock: Clock, limits: Limits, needs: list[Need] | None, kept: Capture | None
) -> Source:
    """An ELM327 brings no frames, just answers."""
    check_address(bus.uri)
    if not bus.queries:
        raise ConfigError(f"bus {bus.uri!r}: an adapter only asks; it needs queries = true")
    if bus.dbc:
        raise ConfigError(f"bus {bus.uri!r}: an adapter brings no frames that a dbc could describe")
    commands = signal_commands(bus)
    wanted = (usual_needs() if needs is None else needs) + set_needs(commands)
    requester = ElmRequester(bus.uri, clock)
    sentry = Sentry(Guard(bus.uri, limits, clock.mono_ns()), clock)

    def opened() -> ObdFeed:
        requester.reopen()
        requester.connect()
        poller = Poller(requester, clock, wanted, sentry, commands, supply_v=requester.supply_v)
        return ObdFeed(poller, sentry, kept)

    return Source(bus.uri, opened, longest_wait_s=ADAPTER_WAIT_S)


def _questions(
    bus: BusConfig,
    clock: Clock,
    needs: list[Need] | None,
    sentry: Sentry,
    kept: Capture | None,
    decode: Decoder,
) -> Source:
    interfaces = {"can": "socketcan", "virtual": "virtual"}
    scheme, _, name = bus.uri.partition(":")
    if scheme not in interfaces:
        raise ConfigError(f"bus.queries = true: not on {scheme}:, only on {sorted(interfaces)}")
    commands = signal_commands(bus)
    requester = ObdRequester(name, interfaces[scheme], clock, ecus=ecus(commands))
    wanted = (usual_needs() if needs is None else needs) + set_needs(commands)
    return Source(
        f"obd:{name}",
        lambda: ObdFeed(
            Poller(requester, clock, wanted, sentry, commands), sentry, kept, decode.is_car
        ),
    )


def position_source(uri: str, clock: Clock) -> Source:
    open_position(uri, clock)  # a wrong address is refused now, not in a task
    return Source(uri, lambda: PositionFeed(open_position(uri, clock)))


def radio(config: RadioConfig) -> UdpRadio:
    def address(text: str | None) -> tuple[str, int] | None:
        return None if text is None else host_and_port(text)

    return UdpRadio(send_to=address(config.send), listen=address(config.listen))


def steady() -> None:
    """Keep the tick punctual in this process, once everything it needs is loaded.

    A thread that holds the interpreter gives it back after 0.5 ms instead of 5 ms, and what was
    made so far is not looked through again by the garbage collector.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


def service(
    parts: Archive, core: Recorder, sources: Sequence[Source], air: UdpRadio | None
) -> Service:
    return Service(
        core,
        journal=parts.journal,
        clock=parts.clock,
        sources=sources,
        radio=air,
        healthy=parts.healthy,
        watchdog=SystemdWatchdog(),
    )


def configured(config: Config, parts: Archive, air: UdpRadio | None) -> Service:
    """The service as the file asks for it, but for the upload, which needs open connections."""
    car = config.vehicle
    size = None if car is None else VehicleSize(car.width_m, car.length_m)
    details = NO_DETAILS if car is None else car.details
    polls = None if config.polls is None else _polls(Path(config.polls), config.polls_key, parts)
    band = None if polls is None else DeadBand(polls.bands())
    core = recorder(parts, size, codec(), details, band)
    kept = None if config.capture is None else Capture(config.capture, parts.clock, parts.journal)
    needs = None if polls is None else polls.needs()
    sources = [s for bus in config.bus for s in bus_sources(bus, parts, config.guard, needs, kept)]
    if config.gnss is not None:
        sources.append(position_source(config.gnss.uri, parts.clock))
    if any(bus.queries for bus in config.bus):
        core.expect(parts.set_codes())
    made = service(parts, core, sources, air)
    if kept is not None:
        made.every(capture.EVERY_S, kept.once)
    return made


def _polls(path: Path, key: str | None, parts: Archive) -> Polls:
    """The file of polls, which from now on is the one in use. Raises ConfigError."""
    try:
        public = parts.keys.device.public if key is None else point(key)
    except SealError as error:
        raise ConfigError(f"polls_key = {key!r}: {error}") from error
    signed = signed_polls(path, public)
    signer = address(public)
    signed.check_serial(parts.polls_used(signer))
    parts.journal.write(PollsUsed(signed.polls.serial, signed.digest, signer))
    return signed.polls


def tls_trust(config: UploadConfig) -> Trust:
    """Whom connections to node and storage believe. Raises ConfigError."""
    given = (config.ca, config.certificate, config.certificate_key)
    ca, certificate, key = (None if text is None else Path(text) for text in given)
    made = Trust(ca=ca, pins=config.pins, certificate=certificate, key=key)
    try:
        made.context()
    except ConfigError as error:
        raise ConfigError(f"upload: {error}") from error
    return made


def outbox(state: Path) -> Path:
    """Where parcels lie on their way out. Raises StoreError."""
    place = state / "outbox"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{place}: {error.strerror}") from error
    return place


def uploader(parts: Archive, market: Market) -> Uploader:
    return Uploader(
        log=parts.log,
        journal=parts.journal,
        open_sealed=parts.unsealer.open,
        key=parts.keys.owner,
        market=market,
        outbox=outbox(parts.state),
        anchor=parts.anchor,
        receipts=parts.receipts(),
    )


def retainer(parts: Archive, storage: Storage, outward: Uploader, keep_days: float) -> Retainer:
    return Retainer(
        log=parts.log,
        events_db=parts.state / EVENTS,
        journal=parts.journal,
        clock=parts.clock,
        storage=storage,
        keep_ns=int(keep_days * DAY_NS),
        hurry=lambda: parts.writer.step >= Step.EARLY,
        lost=outward.again,
    )


def narrowing(parts: Archive) -> Narrowing:
    return Narrowing(
        writer=parts.writer,
        journal=parts.journal,
        used=lambda: used_percent(parts.state),
        reserve=parts.reserve,
    )


def outgoing(
    parts: Archive,
    rpc: RpcClient,
    wallet: WalletConfig | None = None,
    *,
    outcome: Outcome | None = None,
) -> Outgoing:
    wallet = wallet or WalletConfig()
    return Outgoing(
        node=rpc,
        signer=parts.keys.account,
        books=parts.books(),
        journal=parts.journal,
        clock=parts.clock,
        fee=wallet.fee_mote,
        daily_limit=wallet.daily_limit_mote,
        outcome=outcome,
    )


def desk(
    parts: Archive,
    rpc: RpcClient,
    seller: Seller,
    out: Outgoing,
    *,
    alarm_mote: int = 0,
    belief: Belief | None = None,
) -> Desk:
    """belief: what holds endpoints against each other for the balance"""
    books = parts.books()
    account = address(parts.keys.account.public)
    judge = Judge(
        log=parts.log,
        books=books,
        journal=parts.journal,
        opener=parts.unsealer,
        clock=parts.clock,
    )
    return Desk(
        books=books,
        judge=judge,
        journal=parts.journal,
        outgoing=out,
        ledger=seller,
        watch=Watch(
            chain=rpc, books=books, journal=parts.journal, account=account, identify=identify
        ),
        keys=parts.keys,
        alarm_mote=alarm_mote,
        coins=None if belief is None else lambda: belief.agreed(lambda one: one.balance(account)),
    )
