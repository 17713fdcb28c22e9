"""`bounty`: offers of buyers, shown, taken as a rule of the owner's, and made by a buyer."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from agent.cli.rest import DEVICE, at_rest
from agent.cli.show import STATE, TIME, figures, iso, one_line, utc_ns
from agent.clock import SECOND, Clock, SystemClock
from agent.config import read_limited
from agent.errors import ConfigError, MalformedInputError, UsageError
from agent.eventstore.readmodel import ReadModel
from agent.rules import last_policy, set_policy
from agent.wallet.address import address
from agent.wallet.amount import amo_text, mote_of
from agent.wallet.areas import Area
from agent.wallet.bounty import MAX_BYTES, Bounty, read_bounty, rule_of, sign_bounty
from agent.wallet.keys import Signer, key_at
from agent.wallet.policy import text_of

FILE: Final = click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
AS_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
FOR_GOOD: Final = "what a buyer has opened once cannot be recalled"


@click.group(name="bounty")
def bounty() -> None:
    """Offers of buyers for kinds of data: show one, subscribe to it, or make one.

    Example: amo-agent wallet bounty show speeds.bounty
    """


@bounty.command()
@FILE
@AS_JSON
def show(file: Path, *, as_json: bool) -> None:
    """Check FILE and its signature, and say what it would give away, and for how much.

    Example: amo-agent wallet bounty show speeds.bounty --json
    """
    told = _told(_read(file))
    click.echo(json.dumps(told) if as_json else _text(told))


@bounty.command()
@FILE
@click.option("--state", type=click.Path(path_type=Path), default=STATE)
@click.option("--yes", is_flag=True, help="Do not ask.")
@DEVICE
def subscribe(file: Path, *, state: Path, yes: bool, device: str | None) -> None:
    """Let FILE's buyer have what it says for its price; the agent must be stopped.

    It becomes the last rule of the policy, so a refusal of yours goes before it.

    Example: amo-agent wallet bounty subscribe speeds.bounty
    """
    offer = _read(file)
    _check_open(file, offer, SystemClock())
    if not yes:
        _agree(offer)
    with at_rest(state, device) as parts, ReadModel.open(state / "readmodel.db") as model:
        parts.journal.flush()
        model.catch_up(parts.log)
        before = last_policy(parts.log, model, parts.unsealer)
        try:
            set_policy(f"{before.rstrip()}\n\n{text_of(rule_of(offer))}", parts.journal)
        except ConfigError as error:  # the policy is in the log, in no file to be changed
            raise UsageError(f"{file}: {error}") from error
    click.echo(f"in the policy: rule {offer.name!r}")


@bounty.command()
@FILE
@click.option("--key", "uri", required=True, help="URI of your account key: file:account.key")
@click.option("--kind", "kinds", multiple=True, required=True, help="speed.vehicle; repeatable.")
@click.option("--level", "levels", multiple=True, type=click.IntRange(2, 4), required=True)
@click.option("--price", required=True, metavar="AMO", help="For a parcel: 1.5")
@click.option("--count", type=click.IntRange(1, 1_000_000), required=True, help="From one owner.")
@click.option("--expires", type=TIME, required=True, help="UTC, of the offer.")
@click.option("--since", type=TIME, help="UTC, of the data.")
@click.option("--until", type=TIME, help="UTC, of the data.")
@click.option("--area", type=(float, float, float), metavar="LAT LON RADIUS_M")
@click.option("--outside", is_flag=True, help="Outside of the area, not inside.")
def make(  # noqa: PLR0913 - one for each part of an offer
    file: Path,
    *,
    uri: str,
    kinds: tuple[str, ...],
    levels: tuple[int, ...],
    price: str,
    count: int,
    expires: datetime,
    since: datetime | None,
    until: datetime | None,
    area: tuple[float, float, float] | None,
    outside: bool,
) -> None:
    """Sign an offer with a buyer's account key into FILE, which is new.

    Example: amo-agent wallet bounty make speeds.bounty --key file:account.key --kind speed.vehicle
    --level 3 --price 1.5 --count 100 --expires 2027-01-01
    """
    try:
        key = key_at(uri, "account")
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error
    offer = Bounty(
        buyer=key.public,
        kinds=frozenset(kinds),
        levels=frozenset(levels),
        price_mote=mote_of(price),
        count=count,
        expires_s=utc_ns(expires) // SECOND,
        since_s=None if since is None else utc_ns(since) // SECOND,
        until_s=None if until is None else utc_ns(until) // SECOND,
        area=_area(area, outside=outside),
    )
    signed = _signed(offer, key)
    try:
        with file.open("xb") as new:
            new.write(signed)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    click.echo(_text(_told(offer)))


def _signed(offer: Bounty, key: Signer) -> bytes:
    try:
        return sign_bounty(offer, key)
    except MalformedInputError as error:  # here it comes of what was typed
        raise UsageError(str(error)) from error


def _read(file: Path) -> Bounty:
    try:
        return read_bounty(read_limited(file, MAX_BYTES))
    except (ConfigError, MalformedInputError) as error:
        raise UsageError(str(error)) from error


def _check_open(file: Path, offer: Bounty, clock: Clock) -> None:
    if clock.now_ns() >= offer.expires_s * SECOND:
        raise UsageError(f"{file}: the offer ended at {iso(offer.expires_s * SECOND)}")


def _agree(offer: Bounty) -> None:
    """Raises UsageError where nobody is there to ask, click.Abort where the answer is no."""
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask: --yes subscribes without asking")
    click.echo(_text(_told(offer)), err=True)
    click.confirm("Give this away, for this, without being asked again?", abort=True, err=True)


def _area(area: tuple[float, float, float] | None, *, outside: bool) -> Area | None:
    if area is None and outside:
        raise UsageError("--outside: only together with --area")
    if area is None:
        return None
    lat, lon, radius_m = area
    return Area(lat=lat, lon=lon, radius_m=radius_m, inside=not outside)


def _told(offer: Bounty) -> dict[str, Any]:
    """All that an owner has to know. mote is a text, as on the chain."""
    area = offer.area
    return {
        "name": offer.name,
        "buyer": address(offer.buyer),
        "kinds": sorted(offer.kinds),
        "levels": sorted(offer.levels),
        "since": None if offer.since_s is None else iso(offer.since_s * SECOND),
        "until": None if offer.until_s is None else iso(offer.until_s * SECOND),
        "area": None if area is None else msgspec.to_builtins(area),
        "price_mote": str(offer.price_mote),
        "count": offer.count,
        "expires": iso(offer.expires_s * SECOND),
    }


def _text(told: dict[str, Any]) -> str:
    price = int(told["price_mote"])
    words = {
        "offer": told["name"],
        "buyer": told["buyer"],
        "may read": one_line(", ".join(told["kinds"])),
        "of parcels": ", ".join(f"Lv{level}" for level in told["levels"]),
        "recorded": _when(told["since"], told["until"]),
        "where": _where(told["area"]),
        "pays": f"{amo_text(price)} a parcel or more",
        "at most": f"{told['count']:,} parcels, {amo_text(price * told['count'])} at that price",
        "until then": told["expires"],
    }
    return f"{figures(words)}\n  {FOR_GOOD}"


def _when(since: str | None, until: str | None) -> str:
    if since is None and until is None:
        return "at any time"
    return " ".join(
        f"{word} {time}" for word, time in (("from", since), ("to", until)) if time is not None
    )


def _where(area: dict[str, Any] | None) -> str:
    if area is None:
        return "anywhere"
    side = "inside" if area["inside"] else "outside"
    return f"{side} {area['radius_m']:,.0f} m round {area['lat']:.6f}, {area['lon']:.6f}"
