"""Rows as a car of the Wyoming CV Pilot makes them: 69 typed columns, ten a second, trip on trip.

Seeded, so that every run stores the same rows. Places, sizes, texts and which columns stay empty
are those of the pilot's published samples; the path history is that of the road driven.
"""

import math
import random
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from agent.bsm.wyoming import COLUMNS
from agent.clock import MS, SECOND

Value = str | int | float | None
Row = tuple[Value, ...]
Rows = Sequence[tuple[int, Row]]
"""Each with the UTC nanoseconds of its message."""

STEP_NS: Final = 100 * MS
TRIP: Final = 3_000
"""Rows of a trip: five minutes."""
START_NS: Final = 1_556_111_054 * SECOND

_METRES_A_DEGREE: Final = 111_320.0
_CRUMBS: Final = (40, 110, 240)
"""Rows back at which the path history has its points: with three a row has 865 bytes as CSV; the
sample of one day has 92 GB in 108 million rows."""


def rows(seed: int, *, short: bool = False) -> Iterator[tuple[int, Row]]:
    """(UTC nanoseconds, row) without end; short: half as long, without what others repeat."""
    rng = random.Random(seed)
    t_ns, serial = START_NS, 0
    while True:
        for row in _trip(rng, t_ns, serial):
            yield t_ns, _shortened(row) if short else row
            t_ns += STEP_NS
            serial += 1


def _shortened(row: Row) -> Row:
    return tuple(None if column in _REPEATED else v for column, v in zip(COLUMNS, row, strict=True))


def _trip(rng: random.Random, t_ns: int, serial: int) -> Iterator[Row]:
    """TRIP rows: a drive along the interstate, with its curves, hills and changes of speed."""
    stream, temporary = str(uuid.UUID(int=rng.getrandbits(128))), f"{rng.getrandbits(32):08X}"
    name = f"bsmTx_{t_ns // SECOND}_fe80::226:adff:fe{rng.getrandbits(8):02x}:14c1.csv"
    latitude, longitude, elevation = 41.1 + rng.random() / 5, -105.6 + rng.random(), 2150.0
    heading, speed, yaw = rng.uniform(0, 360), 27.0, 0.0
    trail: deque[tuple[float, float, float]] = deque(maxlen=_CRUMBS[-1] + 1)
    for number in range(TRIP):
        speed = min(36.0, max(8.0, speed + rng.gauss(0, 0.08)))
        yaw = 0.97 * yaw + rng.gauss(0, 0.12)
        heading = (heading + yaw / 10) % 360
        north = speed / 10 * math.cos(math.radians(heading)) / _METRES_A_DEGREE
        east = speed / 10 * math.sin(math.radians(heading)) / _METRES_A_DEGREE
        latitude, longitude = latitude + north, longitude + east / math.cos(math.radians(latitude))
        elevation += rng.gauss(0, 0.1)
        place = (round(latitude, 7), round(longitude, 7), round(elevation, 1))
        trail.appendleft(place)
        moment = datetime.fromtimestamp((t_ns + number * STEP_NS) / SECOND, UTC)
        fixed = _FIXED | {
            "metadata_generatedAt": moment.isoformat(" ", "milliseconds")[:23],
            "metadata_logFileName": name,
            "metadata_serialId_streamId": stream,
            "metadata_serialId_bundleId": serial // 960,
            "metadata_serialId_recordId": serial % 960,
            "metadata_serialId_serialNumber": serial + number,
            "metadata_receivedAt": moment.isoformat("T", "milliseconds")[:23],
            "metadata_rmd_latitude": place[0],
            "metadata_rmd_longitude": place[1],
            "metadata_rmd_elevation": place[2],
            "metadata_rmd_speed": round(speed, 2),
            "metadata_rmd_heading": round(heading, 2),
            "coreData_msgCnt": number % 128,
            "coreData_id": temporary,
            "coreData_secMark": (t_ns + number * STEP_NS) // MS % 60_000,
            "coreData_position_lat": place[0],
            "coreData_position_long": place[1],
            "coreData_elevation": place[2],
            "coreData_accelset_accelYaw": round(yaw, 2),
            "coreData_accuracy_semiMajor": round(rng.uniform(2, 7), 1),
            "coreData_accuracy_semiMinor": round(rng.uniform(2, 9), 1),
            "coreData_speed": round(speed, 2),
            "coreData_heading": round(heading, 2),
            "part2_vse_ph_crumbdata": str(_crumbs(trail)),
            "part2_vse_pp_confidence": rng.randrange(0, 101, 10),
            "part2_vse_pp_radiusofcurve": round(speed / max(abs(math.radians(yaw)), 1e-3), 1),
            "coreData_position": f"POINT ({place[1]} {place[0]})",
        }
        yield tuple(fixed.get(column) for column in COLUMNS)


def _crumbs(trail: deque[tuple[float, float, float]]) -> list[dict[str, float]]:
    here = trail[0]
    return [
        {
            "elevationOffset": round(trail[back][2] - here[2], 1),
            "latOffset": round(trail[back][0] - here[0], 7),
            "lonOffset": round(trail[back][1] - here[1], 7),
            "timeOffset": back / 10,
        }
        for back in _CRUMBS
        if back < len(trail)
    ]


_REPEATED: Final = frozenset(
    {
        "dataType",
        "metadata_logFileName",
        "metadata_payloadType",
        "metadata_serialId_streamId",
        "part2_vse_ph_crumbdata",
    }
)
"""What is the same in all of a file, and the history, which its earlier rows tell."""
_FIXED: Final[dict[str, Value]] = {
    "dataType": "us.dot.its.jpo.ode.plugin.j2735.J2735Bsm",
    "metadata_generatedBy": "OBU",
    "metadata_schemaVersion": 6,
    "metadata_securityResultCode": "success",
    "metadata_sanitized": "false",
    "metadata_payloadType": "us.dot.its.jpo.ode.model.OdeBsmPayload",
    "metadata_recordType": "bsmTx",
    "metadata_serialId_bundleSize": 960,
    "metadata_rmd_rxSource": "NA",
    "metadata_bsmSource": "EV",
    "coreData_transmission": "FORWARDGEARS",
    "coreData_brakes_wheelBrakes_leftFront": "false",
    "coreData_brakes_wheelBrakes_rightFront": "false",
    "coreData_brakes_wheelBrakes_unavailable": "true",
    "coreData_brakes_wheelBrakes_leftRear": "false",
    "coreData_brakes_wheelBrakes_rightRear": "false",
    "coreData_brakes_traction": "unavailable",
    "coreData_brakes_abs": "unavailable",
    "coreData_brakes_scs": "unavailable",
    "coreData_brakes_brakeBoost": "unavailable",
    "coreData_brakes_auxBrakes": "unavailable",
    "coreData_size": "{'width': 190, 'length': 570}",
    "part2_suve_cd_hpmstype": "none",
    "part2_suve_cd_role": "basicVehicle",
    "part2_suve_vd_height": 3.7,
}
