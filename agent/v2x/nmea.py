"""NMEA 0183 sentences to position fixes: those of one epoch are joined by their UTC time.

RMC gives date, place, speed and course; GGA or GNS place and height; GST the error ellipse; VTG
speed and course where RMC has none, ZDA the date; GSA says whether there is a fix at all. A fix
needs a place, and nobody who denies it: status V, quality 0 or mode 1 mean that there is none.

Height is over the ellipsoid (altitude plus geoid separation), and unknown when either is.
Accuracy is that of GST alone: a figure made up from HDOP would be a guess. Receivers that leave
the ellipse empty but give deviations in latitude and longitude get an ellipse along those.
"""

from datetime import date, time, timedelta
from typing import Any, Final

from agent.clock import SECOND
from agent.errors import MalformedInputError
from agent.position import PositionFix
from agent.v2x.sentence import TIMED, UNTIMED, Epoch, day_of, kind_of, parse, time_of

SHORT_CYCLES: Final = 3  # epochs in a row that lack a sentence before it is no longer awaited
NAMED: Final = 10  # complaints that are kept in words
DATE: Final = "ZDA"  # once a second where the others come ten times: no part of the cycle
SPEED: Final = "VTG"
READ: Final = {*TIMED, *UNTIMED, DATE}

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_HALF_DAY: Final = 12 * 3600


class NmeaJoiner:
    """
    Feed it lines; it gives a fix for each epoch, as soon as the sentence that closed the epoch
    before has come, and at the latest when the next epoch begins.

    sentences: read; broken: lines that could not be; undated: fixes before the first date
    complaints: the first few broken lines, by number and reason
    """

    def __init__(self) -> None:
        self.sentences = 0
        self.broken = 0
        self.undated = 0
        self.complaints: list[str] = []
        self._lines = 0
        self._epoch: Epoch | None = None
        self._cycle: list[str] = []
        self._short = 0
        self._day: date | None = None
        self._second_of_day = 0

    def feed(self, line: bytes, arrived_ns: int | None = None) -> list[PositionFix]:
        """The fixes that this line completes. arrived_ns: None in a recording: the epoch's."""
        self._lines += 1
        line = line.strip()
        if not line:
            return []
        try:
            return self._take(line, arrived_ns)
        except MalformedInputError as error:
            self.complain(str(error))
            return []

    def flush(self, arrived_ns: int | None = None) -> list[PositionFix]:
        """The fix of an epoch that nothing is going to be added to."""
        epoch = self._epoch
        if epoch is None or epoch.done:
            return []
        epoch.done = True
        return self._fix(epoch, arrived_ns)

    def complain(self, reason: str) -> None:
        """Count one line that could not be read."""
        self.broken += 1
        if len(self.complaints) < NAMED:
            self.complaints.append(f"line {self._lines}: {reason}")

    def _take(self, line: bytes, arrived_ns: int | None) -> list[PositionFix]:
        kind = kind_of(line)
        self.sentences += 1
        if kind not in READ:
            return []
        sentence = parse(line)
        if kind in UNTIMED:
            return self._untimed(kind, sentence, arrived_ns)
        at = time_of(sentence)
        if kind == DATE:
            self._day, self._second_of_day = day_of(sentence), _second(at)
            return []
        epoch = self._epoch
        fixes: list[PositionFix] = []
        if epoch is None or epoch.at != at:
            fixes = self.flush(arrived_ns)
            self._learn([] if epoch is None else epoch.kinds)
            epoch = self._epoch = Epoch(at)
        epoch.kinds.append(kind)
        self._add(epoch, kind, sentence)
        return fixes + (self.flush(arrived_ns) if kind == self._closing else [])

    def _untimed(self, kind: str, sentence: Any, arrived_ns: int | None) -> list[PositionFix]:
        """VTG is part of the cycle: it may be the last one, and all that tells the speed."""
        if self._epoch is None:
            return []
        UNTIMED[kind](self._epoch, sentence)
        if kind != SPEED:
            return []
        self._epoch.kinds.append(kind)
        return self.flush(arrived_ns) if kind == self._closing else []

    @property
    def _closing(self) -> str:
        return self._cycle[-1] if self._cycle else ""

    def _learn(self, kinds: list[str]) -> None:
        """The sentences of an epoch; one that was lost does not change the cycle at once."""
        self._short = 0 if set(kinds) >= set(self._cycle) else self._short + 1
        if self._short in (0, SHORT_CYCLES):
            self._cycle, self._short = kinds, 0

    def _add(self, epoch: Epoch, kind: str, sentence: Any) -> None:
        """A sentence that claims a fix without giving one denies it."""
        try:
            TIMED[kind](epoch, sentence)
        except MalformedInputError as error:
            epoch.denied = True
            self.complain(str(error))

    def _fix(self, epoch: Epoch, arrived_ns: int | None) -> list[PositionFix]:
        day = self._date(epoch)
        if epoch.place is None or epoch.denied or (epoch.modes and max(epoch.modes) <= 1):
            return []
        if day is None:
            self.undated += 1
            return []
        t_ns = _utc_ns(day, epoch.at)
        semi_major, semi_minor, orientation = epoch.ellipse or (None, None, None)
        fix = PositionFix(
            t_ns=t_ns,
            arrived_ns=t_ns if arrived_ns is None else arrived_ns,
            latitude_deg=epoch.place[0],
            longitude_deg=epoch.place[1],
            elevation_m=epoch.elevation_m,
            speed_mps=epoch.speed_mps,
            heading_deg=epoch.course_deg,
            semi_major_m=semi_major,
            semi_minor_m=semi_minor,
            orientation_deg=orientation,
        )
        return [fix]

    def _date(self, epoch: Epoch) -> date | None:
        """The day of RMC, else the last one known, one later once midnight has passed."""
        second = _second(epoch.at)
        day = epoch.day or self._day
        if day is not None and epoch.day is None and second < self._second_of_day - _HALF_DAY:
            day += timedelta(days=1)
        self._day, self._second_of_day = day, second
        return day


def _second(at: time) -> int:
    """Of the day."""
    return at.hour * 3600 + at.minute * 60 + at.second


def _utc_ns(day: date, at: time) -> int:
    seconds = (day.toordinal() - _EPOCH_DAY) * 86400 + _second(at)
    return seconds * SECOND + at.microsecond * 1000
