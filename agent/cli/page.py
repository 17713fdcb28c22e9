"""A drive as one self-contained HTML page: trace, speed, events, the health of the chain.

No script and nothing loaded from elsewhere, so the page can be kept, mailed and printed. It shows
positions in clear: it is made for the owner, where the owner says.
"""

import html
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from agent.clock import SECOND

WIDTH, TRACE_HEIGHT, SPEED_HEIGHT, MARGIN = 860.0, 420.0, 220.0, 36.0
T = TypeVar("T")

METRES_A_DEGREE = 111_320.0  # of latitude, on the average
LONGEST_LINE = 2_000
"""Points in one drawn line; a longer drive is thinned, its peaks kept."""

STYLE = """
:root{--ink:#1d2733;--soft:#66727f;--line:#d9dfe5;--car:#0b6bcb;--mark:#c4391d;--good:#1b7f4b}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);max-width:900px;margin:2rem auto;
padding:0 1rem}h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .4rem}
p{margin:.3rem 0;color:var(--soft)}svg{width:100%;height:auto;border:1px solid var(--line);
border-radius:6px;background:#fff}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500}.ok{color:var(--good)}.bad{color:var(--mark)}
text{font:11px system-ui,sans-serif;fill:var(--soft)}
"""


class Point(msgspec.Struct, frozen=True):
    """t_ns: UTC; degrees, WGS-84."""

    t_ns: int
    latitude_deg: float
    longitude_deg: float


class Happening(msgspec.Struct, frozen=True):
    """One line of the table of events."""

    t_ns: int
    kind: str
    text: str


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows. speed: (UTC ns, m/s), in order; facts: (name, value) pairs."""

    title: str
    intact: bool
    verdict: str
    trace: Sequence[Point]
    speed: Sequence[tuple[int, float]]
    happenings: Sequence[Happening]
    facts: Sequence[tuple[str, str]]


def page(drive: Drive) -> str:
    """The whole page. Every text from outside is escaped."""
    health = f'<span class="{"ok" if drive.intact else "bad"}">{_e(drive.verdict)}</span>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_e(drive.title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{_e(drive.title)}</h1><p>Chain: {health}</p>"
        f"<h2>Where</h2>{_trace(drive)}<h2>How fast</h2>{_speed(drive)}"
        f"<h2>What happened</h2>{_table(drive)}<h2>In numbers</h2>{_facts(drive)}"
        "</body></html>\n"
    )


def _trace(drive: Drive) -> str:
    if not drive.trace:
        return "<p>No position was recorded, or it is sealed and was not opened.</p>"
    points = _thin(drive.trace)
    middle = math.radians(points[0].latitude_deg)
    xs = [p.longitude_deg * math.cos(middle) for p in points]
    ys = [-p.latitude_deg for p in points]
    wide, high = max(max(xs) - min(xs), 1e-6), max(max(ys) - min(ys), 1e-6)
    fit = min((WIDTH - 2 * MARGIN) / wide, (TRACE_HEIGHT - 2 * MARGIN) / high)
    left, top = (WIDTH - wide * fit) / 2, (TRACE_HEIGHT - high * fit) / 2
    spots = [
        (left + (x - min(xs)) * fit, top + (y - min(ys)) * fit) for x, y in zip(xs, ys, strict=True)
    ]
    ends = _dot(*spots[0], "start") + _dot(*spots[-1], "end")
    return _svg(TRACE_HEIGHT, _line(spots, "var(--car)", 2.5) + ends + _ruler(fit))


def _ruler(fit: float) -> str:
    """A bar of a round length in metres, so that the trace can be judged by eye."""
    pixels_a_metre = fit / METRES_A_DEGREE
    bar_m = 10.0 ** math.floor(math.log10(WIDTH / 3 / pixels_a_metre))
    end = MARGIN + bar_m * pixels_a_metre
    y = TRACE_HEIGHT - 12
    bar = _line([(MARGIN, y), (end, y)], "var(--soft)", 2)
    return bar + f'<text x="{end + 6:.1f}" y="{y + 4:.1f}">{bar_m:g} m</text>'


def _speed(drive: Drive) -> str:
    if not drive.speed:
        return "<p>No speed was recorded.</p>"
    start, end = drive.speed[0][0], max(t for t, _ in drive.speed)
    top = max(1.0, *(v for _, v in drive.speed)) * 3.6
    span = max(1, end - start)

    def spot(t_ns: int, mps: float) -> tuple[float, float]:
        x = MARGIN + (t_ns - start) / span * (WIDTH - 2 * MARGIN)
        return x, SPEED_HEIGHT - MARGIN - mps * 3.6 / top * (SPEED_HEIGHT - 2 * MARGIN)

    marks = "".join(
        f'<line x1="{spot(h.t_ns, 0)[0]:.1f}" x2="{spot(h.t_ns, 0)[0]:.1f}" y1="{MARGIN}" '
        f'y2="{SPEED_HEIGHT - MARGIN}" stroke="var(--mark)"><title>{_e(h.kind)}</title></line>'
        for h in drive.happenings
        if start <= h.t_ns <= end
    )
    labels = (
        f'<text x="4" y="{MARGIN + 4}">{top:.0f} km/h</text>'
        f'<text x="4" y="{SPEED_HEIGHT - MARGIN + 4}">0</text>'
        f'<text x="{WIDTH - MARGIN - 30}" y="{SPEED_HEIGHT - 10}">{span / SECOND:.0f} s</text>'
    )
    spots = [spot(*sample) for sample in _thin(drive.speed)]
    return _svg(SPEED_HEIGHT, marks + _line(spots, "var(--car)", 1.5) + labels)


def _table(drive: Drive) -> str:
    if not drive.happenings:
        return "<p>Nothing out of the ordinary.</p>"
    rows = "".join(
        f"<tr><td>{_clock(h.t_ns)}</td><td>{_e(h.kind)}</td><td>{_e(h.text)}</td></tr>"
        for h in drive.happenings
    )
    return f"<table><tr><th>UTC</th><th>event</th><th></th></tr>{rows}</table>"


def _facts(drive: Drive) -> str:
    rows = "".join(
        f"<tr><th>{_e(name)}</th><td>{_e(value)}</td></tr>" for name, value in drive.facts
    )
    return f"<table>{rows}</table>"


def _thin(points: Sequence[T]) -> Sequence[T]:
    return points[:: max(1, len(points) // LONGEST_LINE)]


def _svg(height: float, content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img">{content}</svg>'


def _line(spots: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _dot(x: float, y: float, label: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="var(--car)"/>'
        f'<text x="{x + 8:.1f}" y="{y - 6:.1f}">{label}</text>'
    )


def _clock(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns / SECOND, UTC).strftime("%H:%M:%S.%f")[:-3]


def _e(text: str) -> str:
    return html.escape(text)
