"""How well a DBC file fits a bus: by the identifiers seen on it and the lengths they came with."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from agent.obd.dbc import Dbc
from agent.obd.frame import EXTENDED_FLAG, CanFrame
from agent.obd.profile import Profile

SCORE_MIN: Final = 0.2
RIGHT_MIN: Final = 5
LEAD_MIN: Final = 1.5
"""Our choices. On recordings of five buses the right one of ten files scores 0.34 and more, a wrong
one 0.21 at most, where the right one has 0.41; a bus that no file describes gives 0.08 at most."""
IDS_MAX: Final = 2048
"""As many as an 11-bit bus has; identifiers beyond are not looked at."""


class Seen:
    """Identifiers of one channel, with the lengths of their frames."""

    def __init__(self) -> None:
        self.lengths: dict[int, set[int]] = {}

    def add(self, frame: CanFrame) -> None:
        key = frame.can_id | EXTENDED_FLAG if frame.extended else frame.can_id
        lengths = self.lengths.get(key)
        if lengths is not None:
            lengths.add(len(frame.data))
        elif len(self.lengths) < IDS_MAX:
            self.lengths[key] = {len(frame.data)}


class Fit(NamedTuple):
    """
    right, wrong: identifiers seen that the file describes, with its length and with others only
    seen:         identifiers on the bus
    profiles:     that fit the file, and how many of their messages were seen with its length
    """

    dbc: Dbc
    right: int
    wrong: int
    seen: int
    profiles: tuple[tuple[Profile, float], ...]

    @property
    def score(self) -> float:
        """Twice what agrees over what there is on both sides (L. R. Dice, 1945): 1 is all of it."""
        sides = self.seen + len(self.dbc.messages)
        return max(0.0, 2 * (self.right - self.wrong) / sides) if sides else 0.0

    @property
    def text(self) -> str:
        words = f"{self.right} of {self.seen} identifiers are of {len(self.dbc.messages)} messages"
        return f"{words}, {self.wrong} of another length: {self.score:.2f}"


class Choice(msgspec.Struct, frozen=True):
    """
    dbc:     what describes the bus from now on; None where nothing clearly does
    profile: of that file; None where none fits, or several do alike
    fits:    of every file, the best first
    """

    dbc: Dbc | None
    profile: Profile | None
    reason: str
    fits: tuple[Fit, ...]


def fit(dbc: Dbc, profiles: Iterable[Profile], seen: Seen) -> Fit:
    """profiles: those that fit the file"""
    described = seen.lengths.keys() & dbc.messages.keys()
    right = {key for key in described if dbc.messages[key].length in seen.lengths[key]}
    names = {dbc.messages[key].name for key in right}
    shares = tuple((profile, _share(profile, names)) for profile in profiles)
    return Fit(dbc, len(right), len(described) - len(right), len(seen.lengths), shares)


def _share(profile: Profile, right: set[str]) -> float:
    wanted = {source.message for source in profile.signals.values()}
    return len(wanted & right) / max(1, len(wanted))


def choose(fits: Sequence[Fit], vin: str | None) -> Choice:
    """The file that clearly fits, or none.

    Where a VIN is known and profiles say that they are for such a car, their files alone count;
    a VIN that no profile knows says nothing.
    """
    ranked = tuple(sorted(fits, key=lambda one: -one.score))
    good = [one for one in ranked if one.score >= SCORE_MIN and one.right >= RIGHT_MIN]
    known = [one for one in good if vin and any(p.car.fits(vin) for p, _ in one.profiles)]
    left, by_vin = (known, "; its VIN fits") if known else (good, "")
    if not left:
        nearest = (
            f"the best is {ranked[0].dbc.name}, {ranked[0].text}" if ranked else "there is none"
        )
        return Choice(None, None, f"no file fits: {nearest}", ranked)
    best, rest = left[0], left[1:]
    if rest and best.score < LEAD_MIN * rest[0].score:
        names = f"{best.dbc.name} {best.score:.2f} and {rest[0].dbc.name} {rest[0].score:.2f}"
        return Choice(None, None, f"several files fit{by_vin}: {names}", ranked)
    return Choice(best.dbc, _profile(best, vin), best.text + by_vin, ranked)


def _profile(best: Fit, vin: str | None) -> Profile | None:
    """That of the VIN, or the one of whose messages the most were seen."""
    of_vin = [one for one in best.profiles if vin and one[0].car.fits(vin)]
    ranked = sorted(of_vin or best.profiles, key=lambda one: -one[1])
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
